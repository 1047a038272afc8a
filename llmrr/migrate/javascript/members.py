"""``a.b`` and ``a[b]``."""

from typing import TYPE_CHECKING

from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.known import NotKnown
from llmrr.migrate.javascript.names import dotted_name
from llmrr.migrate.javascript.refs import REST, Found, Ref
from llmrr.migrate.javascript.scopes import Scope
from llmrr.migrate.values import Call

if TYPE_CHECKING:
    from tree_sitter import Node

    from llmrr.migrate.javascript.evaluator import Evaluator


def member(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    dotted = dotted_name(node)
    found = _attribute(ev, dotted, node, scope, depth) if dotted else None
    if found is not None:
        return found
    inner, name = node.child_by_field_name("object"), node.child_by_field_name("property")
    if inner is None or name is None:
        raise NotKnown
    if inner.type == "meta_property" or text_of(inner) == "import.meta":
        return _of_meta(ev, text_of(name))
    return part_of(ev, ev.find(inner, scope, depth), text_of(name), node)


def _attribute(ev: "Evaluator", dotted: str, node: "Node", scope: Scope, depth: int) -> Found:
    """A member that something is assigned to, or None."""
    parts = dotted.split(".")
    binding = scope.find(parts[0])
    if binding is None or not binding.members or len(parts) > 8:
        return None
    for end in range(len(parts), 1, -1):
        member = binding.members.get(".".join(parts[1:end]))
        if member is None:
            continue
        name = ".".join(parts[:end])
        found = ev.binding(name, member, depth)
        whole = Ref(name) if parts[0] == "this" else ev.binding(parts[0], binding, depth)
        if isinstance(whole, dict):
            return None  # the value of the whole has it
        for key in parts[end:]:
            found = part_of(ev, found, key, node)
        return found
    return None


def _of_meta(ev: "Evaluator", name: str) -> Found:
    places = {"dirname": ".", "dir": ".", "url": f"./{ev.file}", "filename": f"./{ev.file}",
              "path": f"./{ev.file}"}  # fmt: skip
    return places.get(name) or Ref(f"import.meta.{name}")


def subscript(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    inner, index = node.child_by_field_name("object"), node.child_by_field_name("index")
    if inner is None or index is None:
        raise NotKnown
    key = ev.value(index, scope, depth)
    if isinstance(key, bool) or not isinstance(key, str | int):
        whole = ev.find(inner, scope, depth)
        return ev.one_of(node, whole.values() if isinstance(whole, dict) else ())
    return part_of(ev, ev.find(inner, scope, depth), str(key), node)


def part_of(ev: "Evaluator", whole: Found, key: str, node: "Node") -> Found:
    """What lies in a value under a key."""
    if isinstance(whole, Ref):
        return Ref(f"{whole.name}.{key}", whole.receiver, whole.is_imported)
    if isinstance(whole, Call):
        return Ref(key, whole)
    if isinstance(whole, dict):
        if key not in whole and REST in whole:
            return ev.unresolved(node)
        return whole.get(key)
    if isinstance(whole, list) and key.isdecimal() and len(key) < 7:
        return whole[int(key)] if int(key) < len(whole) else None
    if isinstance(whole, str) and key in ("pathname", "href"):
        return whole  # of an URL
    if isinstance(whole, str | list) and key == "length":
        return len(whole)
    return ev.unresolved(node)
