"""Names and plain texts as they stand in a tree."""

from typing import TYPE_CHECKING, Final

from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.refs import WRAPPERS
from llmrr.migrate.javascript.texts import unescaped

if TYPE_CHECKING:
    from tree_sitter import Node

AROUND: Final = WRAPPERS | {"await_expression"}


def dotted_name(node: "Node") -> str | None:
    """A name, or one of a member (``this.llm``, ``Settings.llm``); None for what is computed."""
    parts: list[str] = []
    while node.type == "member_expression":
        inner, name = node.child_by_field_name("object"), node.child_by_field_name("property")
        if inner is None or name is None:
            return None
        parts.append(text_of(name))
        node = inner
        while node.type in ("non_null_expression", "parenthesized_expression", "as_expression"):
            if not node.named_children:
                return None
            node = node.named_children[0]
    if node.type not in ("identifier", "this", "shorthand_property_identifier", "undefined"):
        return None
    return ".".join([text_of(node), *reversed(parts)])


def root_name(node: "Node") -> str | None:
    while node.type in ("member_expression", "subscript_expression"):
        inner = node.child_by_field_name("object")
        if inner is None:
            return None
        node = inner
    return text_of(node) if node.type == "identifier" else None


def is_nothing(node: "Node") -> bool:
    while node.type in AROUND and node.named_children:
        node = node.named_children[0]
    return node.type in ("null", "undefined") or text_of(node) == "undefined"


def string_of(node: "Node | None") -> str:
    return unescaped(text_of(node)[1:-1]) if node is not None else ""


def plain_name(node: "Node") -> str:
    return string_of(node) if node.type == "string" else text_of(node)
