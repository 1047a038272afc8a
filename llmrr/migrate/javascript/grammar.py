"""Texts to trees, with bounds: what is larger is a bundle, whose sources are elsewhere."""

from functools import cache
from typing import TYPE_CHECKING, Final

from llmrr.errors import DamagedFile

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

LARGEST: Final = 1_000_000  # characters
NODES: Final = 400_000
_DENSE: Final = 50_000  # characters from which on lines are looked at
_LINE: Final = 500  # characters of a line on average, in a minified file


def parse(text: str, dialect: str) -> "Tree":
    """The tree of a text. Raises ``DamagedFile``."""
    if is_bundle(text):
        raise DamagedFile(
            f"a bundle of {len(text):,} characters, which nobody wrote by hand",
            "scan the sources that it was made of",
        )
    tree = _parser(dialect).parse(text.encode("utf-8", "replace"))
    if tree.root_node.descendant_count > NODES:
        raise DamagedFile(
            "more code or data than somebody wrote by hand",
            "scan the sources that it was made of",
        )
    return tree


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


@cache
def _parser(dialect: str) -> "Parser":
    from tree_sitter import Language, Parser

    if dialect == "javascript":
        import tree_sitter_javascript

        return Parser(Language(tree_sitter_javascript.language()))
    import tree_sitter_typescript as typescript

    is_tsx = dialect == "tsx"
    return Parser(
        Language(typescript.language_tsx() if is_tsx else typescript.language_typescript())
    )
