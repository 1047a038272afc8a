"""Texts to trees, with bounds: what is larger is a bundle, whose sources are elsewhere."""

from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Final

from llmrr.errors import DamagedFile

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Tree

LARGEST: Final = 320_000  # bytes; of prose, each takes the parser 2 µs
NODES: Final = 250_000
# The parser tells of its progress about 9 times for a kilobyte of prose, 22 of ordinary code, 60 of
# the densest, and 390 where it follows many readings at once: more than this is not code.
_STEPS: Final = 12_000
_SHORT: Final = 32_768  # bytes that are parsed twice, if they have errors
_WRONG: Final = 160_000  # bytes of a text that has errors
_PIECE: Final = 256  # bytes that are handed to the parser at once
_HINT: Final = "scan the sources that it was made of"
_DENSE: Final = 50_000  # characters from which on lines are looked at
_LINE: Final = 500  # characters of a line on average, in a minified file


def parse(text: str, dialect: str) -> "Tree":
    """The tree of a text. Raises ``DamagedFile``."""
    if is_bundle(text):
        raise DamagedFile(
            f"a bundle of {len(text):,} characters, which nobody wrote by hand", _HINT
        )
    data = text.encode("utf-8", "replace")
    if len(data) > LARGEST:
        raise DamagedFile(f"code of {len(data):,} bytes, which nobody wrote by hand", _HINT)
    tree = _parsed(data, _parser(dialect))
    if tree.root_node.descendant_count > NODES:
        raise DamagedFile("more code or data than somebody wrote by hand", _HINT)
    return tree


def _parsed(data: bytes, parser: "Parser") -> "Tree":
    """The tree of a text, with a bound on the work that is the same on every machine: there are
    texts of 25 bytes that the parser never comes to the end of.

    What is handed over in pieces can be stopped; from bytes, all of a tree without errors is used
    again, and the texts of its nodes are sooner there. Where there are errors, that takes as long
    once more.
    """
    steps = count(1)
    try:
        tree = parser.parse(
            lambda at, point: data[at : at + _PIECE],
            progress_callback=lambda at, has_error: next(steps) > _STEPS,
        )
    except ValueError:  # it was stopped
        raise DamagedFile("code that takes too long to parse", _HINT) from None
    if len(data) <= _SHORT or not tree.root_node.has_error:
        return parser.parse(data, tree)
    if len(data) > _WRONG:
        raise DamagedFile(f"{len(data):,} bytes that are not all JavaScript", _HINT)
    return tree


def is_bundle(text: str) -> bool:
    """Whether a text was put together, or made small, by a tool.

    >>> is_bundle("x;" * 30_000), is_bundle("x;\\n" * 30_000)
    (True, False)
    """
    if len(text) < _DENSE:
        return False
    return len(text) / (text.count("\n") + 1) > _LINE


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
