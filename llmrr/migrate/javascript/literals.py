"""Literals: texts, numbers, lists and objects; and what only stands around an expression."""

from typing import TYPE_CHECKING

from llmrr.migrate.javascript import known
from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.known import NotKnown
from llmrr.migrate.javascript.refs import REST, Found, Ref, bare
from llmrr.migrate.javascript.scopes import Scope
from llmrr.migrate.javascript.texts import number, unescaped
from llmrr.migrate.values import Prompt, Value

if TYPE_CHECKING:
    from tree_sitter import Node

    from llmrr.migrate.javascript.evaluator import Evaluator


def inner(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    """``await x``, ``(x)``, ``x as T``, ``x!``: x."""
    if not node.named_children:
        raise NotKnown
    at = -1 if node.type in ("type_assertion", "sequence_expression") else 0
    return ev.find(node.named_children[at], scope, depth)


def assignment(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    right = node.child_by_field_name("right")
    if right is None:
        raise NotKnown
    return ev.find(right, scope, depth)


def string(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    return unescaped(text_of(node)[1:-1])


def literal_number(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    found = number(text_of(node))
    if found is None:
        raise NotKnown
    return found


def template(
    ev: "Evaluator", node: "Node", scope: Scope, depth: int, *, raw: bool = False
) -> Found:
    source, at, base = node.text or b"", 1, node.start_byte
    parts: list[Value] = []

    def literal(end: int) -> None:
        text = source[at:end].decode("utf-8", "replace").replace("\r\n", "\n")
        parts.append(text if raw else unescaped(text))

    for child in node.named_children:
        if child.type == "template_substitution":
            literal(child.start_byte - base)
            parts.append(_hole(ev, child, scope, depth))
            at = child.end_byte - base
    literal(len(source) - 1)
    return known.joined(parts)


def _hole(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Value:
    inner = bare(node.named_children[0]) if node.named_children else None
    if inner is None:
        raise NotKnown
    value = ev.value(inner, scope, depth)
    if value is None or isinstance(value, str | int | float | Prompt):
        return value
    return as_hole(ev, inner)


def as_hole(ev: "Evaluator", node: "Node") -> Prompt:
    if node.type != "identifier":
        raise NotKnown
    name = text_of(node)
    return Prompt("{" + name + "}", (name,))


def array(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    found: list[Value] = []
    for child in node.named_children:
        if child.type == "comment":
            continue
        if child.type != "spread_element":
            found.append(ev.value(child, scope, depth))
            continue
        spread = inner(ev, child, scope, depth)
        found.extend(spread if isinstance(spread, list) else [ev.unresolved(child)])
    return found


def table(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    found: dict[str, Value] = {}
    for child in node.named_children:
        if child.type == "pair":
            _pair(ev, child, scope, depth, found)
        elif child.type == "shorthand_property_identifier":
            found[text_of(child)] = ev.value(child, scope, depth)
        elif child.type == "method_definition":
            if name := child.child_by_field_name("name"):
                found[text_of(name)] = ev.unresolved(child)
        elif child.type == "spread_element":
            spread = inner(ev, child, scope, depth)
            if isinstance(spread, Ref) and (elsewhere := ev.imported(spread)) is not None:
                spread = elsewhere
            unknown: dict[str, Value] = {REST: ev.unresolved(child)}
            found.update(spread if isinstance(spread, dict) else unknown)
    return found


def _pair(ev: "Evaluator", node: "Node", scope: Scope, depth: int, found: dict[str, Value]) -> None:
    key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
    if key is None or value is None:
        return
    name: Value = text_of(key)
    if key.type == "string":
        name = unescaped(text_of(key)[1:-1])
    elif key.type == "computed_property_name":
        name = ev.value(key.named_children[0], scope, depth) if key.named_children else None
    if isinstance(name, str | int | float) and not isinstance(name, bool):
        found[str(name)] = ev.value(value, scope, depth)
    else:
        found[REST] = ev.unresolved(node)
