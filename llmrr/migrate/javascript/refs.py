"""What an expression is while it is evaluated."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from llmrr.migrate.values import Call, Value

if TYPE_CHECKING:
    from tree_sitter import Node

REST: Final = "..."  # the key of what is spread into an object and not known


@dataclass(frozen=True, slots=True)
class Ref:
    """Something that only has a name: of a module (``is_imported``), a parameter, or what a call
    gave. ``choices`` are what it may be, where branches decide that, or the default of a parameter
    (``is_default``)."""

    name: str
    receiver: Call | None = None
    is_imported: bool = False
    choices: tuple[Value, ...] = ()
    is_default: bool = False


Found: TypeAlias = Value | Ref
WRAPPERS: Final = frozenset({
    "parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression",
    "type_assertion",
})  # fmt: skip


def bare(node: "Node") -> "Node":
    """An expression without what is around it: ``(x)``, ``x as T``, ``x!``."""
    while node.type in WRAPPERS and node.named_children:
        node = node.named_children[-1 if node.type == "type_assertion" else 0]
    return node
