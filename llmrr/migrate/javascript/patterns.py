"""What ``const { a: { b = 1 }, ...rest } = …`` and parameters declare."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.texts import unescaped

if TYPE_CHECKING:
    from tree_sitter import Node

_DEEPEST = 20
_DEFAULTS = frozenset({"string", "number", "template_string", "new_expression", "identifier"})


class Part(NamedTuple):
    """A name in a pattern, and where it lies in what is taken apart."""

    name: str
    path: tuple[str | int, ...] = ()
    default: "Node | None" = None
    is_rest: bool = False


def taken_apart(
    node: "Node", path: tuple[str | int, ...] = (), default: "Node | None" = None, depth: int = 0
) -> Iterator[Part]:
    """The names that a pattern declares."""
    if depth > _DEEPEST:
        return
    kind = node.type
    if kind in ("identifier", "shorthand_property_identifier_pattern"):
        own = path if kind == "identifier" else (*path, text_of(node))
        yield Part(text_of(node), own, default)
    elif kind == "object_pattern":
        for child in node.named_children:
            yield from taken_apart(child, path, None, depth + 1)
    elif kind == "array_pattern":
        at = 0
        for child in node.children:
            at += child.type == ","  # one may be left out
            yield from taken_apart(child, (*path, at), None, depth + 1)
    elif kind in ("pair_pattern", "object_assignment_pattern", "assignment_pattern"):
        yield from _pair(node, path, depth)
    elif kind == "rest_pattern":
        for child in node.named_children:
            for part in taken_apart(child, path, None, depth + 1):
                yield part._replace(is_rest=True)


def _pair(node: "Node", path: tuple[str | int, ...], depth: int) -> Iterator[Part]:
    if node.type == "pair_pattern":
        key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
        if key is not None and value is not None:
            text = text_of(key)
            name = unescaped(text[1:-1]) if key.type == "string" else text
            yield from taken_apart(value, (*path, name), None, depth + 1)
        return
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is not None:
        yield from taken_apart(left, path, right, depth + 1)


def names_in(node: "Node") -> Iterator[str]:
    """The names that parameters, or a pattern, declare, whatever they are given."""
    stack = [node]
    while stack:
        one = stack.pop()
        if one.type in ("identifier", "shorthand_property_identifier_pattern"):
            yield text_of(one)
        elif one.type in ("assignment_pattern", "object_assignment_pattern", "pair_pattern"):
            field = "value" if one.type == "pair_pattern" else "left"
            if inner := one.child_by_field_name(field):
                stack.append(inner)
        elif one.type in ("required_parameter", "optional_parameter"):
            if inner := one.child_by_field_name("pattern"):
                stack.append(inner)
        elif one.type in ("object_pattern", "array_pattern", "formal_parameters", "rest_pattern"):
            stack.extend(reversed(one.named_children))


def defaults_in(node: "Node") -> "Iterator[tuple[str, Node]]":
    """The names that parameters declare with a default, which is plain or a construction."""
    for one in node.named_children:
        inner = one.child_by_field_name("pattern") or one
        default = one.child_by_field_name("value")
        if inner.type in ("object_pattern", "assignment_pattern"):
            for part in taken_apart(inner):
                if part.default is not None and part.default.type in _DEFAULTS:
                    yield part.name, part.default
        elif inner.type == "identifier" and default is not None and default.type in _DEFAULTS:
            yield text_of(inner), default
