"""Texts to trees, with bounds: what is larger is a bundle, whose sources are elsewhere."""

import time
from functools import cache
from typing import TYPE_CHECKING, Final

from llmrr.errors import DamagedFile

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Tree

LARGEST: Final = 700_000  # characters
NODES: Final = 250_000
_SECONDS: Final = 0.3  # of the processor; the longest file of ordinary code takes half of it
_PIECE: Final = 65_536  # bytes that are handed to the parser at once
_HINT: Final = "scan the sources that it was made of"
_DENSE: Final = 50_000  # characters from which on lines are looked at
_LINE: Final = 500  # characters of a line on average, in a minified file


def parse(text: str, dialect: str) -> "Tree":
    """The tree of a text. Raises ``DamagedFile``."""
    if is_bundle(text):
        raise DamagedFile(
            f"a bundle of {len(text):,} characters, which nobody wrote by hand", _HINT
        )
    tree = _parsed(text.encode("utf-8", "replace"), _parser(dialect))
    if tree.root_node.descendant_count > NODES:
        raise DamagedFile("more code or data than somebody wrote by hand", _HINT)
    return tree


def _parsed(data: bytes, parser: "Parser") -> "Tree":
    """The tree of a text, with a bound on the time where it is long. What is handed over in pieces
    can be stopped; from bytes, all of the tree is used again, and its nodes know their texts."""
    until = time.thread_time() + _SECONDS
    tree = None
    if len(data) > _PIECE:
        try:
            tree = parser.parse(
                lambda at, point: data[at : at + _PIECE],
                progress_callback=lambda at, has_error: time.thread_time() > until,
            )
        except ValueError:  # it was stopped
            raise DamagedFile("code that takes too long to parse", _HINT) from None
    return parser.parse(data, tree) if tree is not None else parser.parse(data)


def is_bundle(text: str) -> bool:
    """Whether a text was put together, or made small, by a tool.

    >>> is_bundle("x;" * 30_000), is_bundle("x;\\n" * 30_000)
    (True, False)
    """
    if len(text) < _DENSE:
        return False
    return len(text) > LARGEST or len(text) / (text.count("\n") + 1) > _LINE


def text_of(node: "Node") -> str:
    """The source of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def _parser(dialect: str) -> "Parser":
    from tree_sitter import Parser

    return Parser(_language(dialect))


@cache
def _language(dialect: str) -> "Language":
    from tree_sitter import Language

    if dialect == "javascript":
        import tree_sitter_javascript

        return Language(tree_sitter_javascript.language())
    import tree_sitter_typescript as typescript

    is_tsx = dialect == "tsx"
    return Language(typescript.language_tsx() if is_tsx else typescript.language_typescript())
