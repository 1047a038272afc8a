"""Calls and constructions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmrr.migrate.alternatives import with_calls
from llmrr.migrate.javascript import known, literals
from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.known import NotKnown
from llmrr.migrate.javascript.modules import package_of
from llmrr.migrate.javascript.names import dotted_name
from llmrr.migrate.javascript.refs import REST, Found, Ref, bare
from llmrr.migrate.javascript.scopes import Scope
from llmrr.migrate.values import Call, OneOf, Unresolved, Value

if TYPE_CHECKING:
    from tree_sitter import Node

    from llmrr.migrate.javascript.evaluator import Evaluator

_RETURNS: Final = 12  # of one function, of which it is said what they give
_DEDENT: Final = frozenset({
    "dedent", "outdent", "endent", "stripIndent", "stripIndents", "codeBlock",
})  # fmt: skip


def call(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    """A call or a construction: its result where that is known, else a ``Call``."""
    called = node.child_by_field_name("function") or node.child_by_field_name("constructor")
    arguments = node.child_by_field_name("arguments")
    if called is None:
        raise NotKnown
    if arguments is not None and arguments.type == "template_string":
        return _tagged(ev, called, arguments, node, scope, depth)
    args, rest = _arguments(ev, arguments, scope, depth)
    if called.type == "import":
        is_known = bool(args) and isinstance(args[0], str)
        return Ref(package_of(str(args[0])), is_imported=True) if is_known else ev.unresolved(node)
    function = ev.find(called, scope, depth)
    if isinstance(function, Ref) and function.receiver is None and not rest:
        known_result = _known(ev, function.name, called, args, scope, depth)
        if known_result is not None:
            given = known_result[0]
            if isinstance(given, Unresolved):  # one of several, which the call itself stands for
                _make(ev, node, called, function, args, rest)
            return given
    if called.type == "member_expression" and not _is_of_call(function):
        result = _method(ev, called, args, scope, depth)
        if result is not None:
            return result
    if (default := _default(ev, node, called, args)) is not None:
        return default
    return _make(ev, node, called, function, args, rest)


def _default(ev: "Evaluator", node: "Node", called: "Node", args: Sequence[Value]) -> Value:
    """``settings.get("model", "x")``, which is "x" unless somebody says otherwise."""
    name = called.child_by_field_name("property")
    if name is None or text_of(name) != "get" or len(args) != 2 or not isinstance(args[0], str):
        return None
    if not isinstance(args[1], str | int | float) or args[1] == "":
        return None
    return OneOf(ev.text(node), node.start_point[0] + 1, (args[1],), True)


def _known(
    ev: "Evaluator", name: str, called: "Node", args: Sequence[Value], scope: Scope, depth: int
) -> tuple[Found] | None:
    """What a function gives that is known, or is in the file; None for any other."""
    if name == "require" and args and isinstance(args[0], str):
        return (Ref(package_of(args[0]), is_imported=True),)
    if name == "JSON.stringify":
        return None
    try:
        return (known.called(name, args),)
    except NotKnown:
        pass
    if called.type != "identifier" or not (binding := scope.find(name)):
        return None
    function = binding.function
    inner = ev.declared.functions.get(function.id) if function else None
    if inner is None or not 0 < len(inner.returns) <= _RETURNS or len(binding.given) > 1:
        return None
    values = [ev.find(one.node, one.scope, depth) for one in inner.returns]
    if len(values) == 1 and not isinstance(values[0], Unresolved | Ref):
        return (values[0],)
    plain = [one for value in values
             for one in (value.choices if isinstance(value, Ref) else (value,))]  # fmt: skip
    found = with_calls(ev.unresolved(inner.returns[0].node), plain)
    return (found,) if isinstance(found, Unresolved) and found.calls else None


def _method(
    ev: "Evaluator", called: "Node", args: Sequence[Value], scope: Scope, depth: int
) -> Value:
    inner, name = called.child_by_field_name("object"), called.child_by_field_name("property")
    if inner is None or name is None:
        return None
    try:
        return known.method(ev.value(inner, scope, depth), text_of(name), args)
    except NotKnown:
        return None


def _arguments(
    ev: "Evaluator", node: "Node | None", scope: Scope, depth: int
) -> tuple[list[Value], tuple[Unresolved, ...]]:
    args: list[Value] = []
    rest: list[Unresolved] = []
    for child in node.named_children if node else ():
        if child.type == "comment":
            continue
        if child.type == "spread_element":
            spread = literals.inner(ev, child, scope, depth)
            if isinstance(spread, list):
                args.extend(spread)
            else:
                rest.append(ev.unresolved(child))
            continue
        value = ev.value(child, scope, depth)
        if isinstance(value, dict) and REST in value:
            value = {name: one for name, one in value.items() if name != REST}
            rest.append(ev.unresolved(child))
        args.append(value)
    return args, tuple(rest)


def _make(
    ev: "Evaluator", node: "Node", called: "Node", function: Found, args: Sequence[Value],
    rest: tuple[Unresolved, ...],
) -> Found:  # fmt: skip
    receiver = None
    if isinstance(function, Ref):
        name, receiver = function.name, function.receiver
    elif isinstance(function, Call):
        name, receiver = "", function
    else:
        name = dotted_name(called) or ev.text(called)
    site = ev.sites.get(node.id)
    among: tuple[Call, ...] = ()
    if site is not None and receiver is None and called.type == "member_expression":
        name, receiver, among = _on_one_of(ev, called, site.scope, name)
    made = Call(
        name, tuple(args), {}, receiver, rest, site.targets if site else (),
        site.scope.function if site else None, node.start_point[0] + 1, ev.text(node),
        (node.start_point[0] + 1, node.start_point[1], node.end_point[0] + 1, node.end_point[1]),
        among,
    )  # fmt: skip
    if not ev.fits(made):
        raise NotKnown
    ev.made[node.id] = made
    return made


def _on_one_of(
    ev: "Evaluator", called: "Node", scope: Scope, name: str
) -> tuple[str, Call | None, tuple[Call, ...]]:
    """The name of a method, the call it is called on, and those of which one gave its object."""
    inner = called.child_by_field_name("object")
    found = ev.find(inner, scope, 0) if inner is not None else None
    among: tuple[Call, ...] = ()
    if isinstance(found, Ref):
        among = tuple(one for one in found.choices if isinstance(one, Call))
    elif isinstance(found, Unresolved):
        among = found.calls
    names: list[str] = []
    at: Node | None = called
    while at is not None and at.type == "member_expression":
        names.append(text_of(at.child_by_field_name("property") or at))
        at = bare(at.child_by_field_name("object") or at)
        if at.type == "await_expression":
            at = bare(at.named_children[0])
    receiver = ev.made.get(at.id) if at is not None else None
    return (".".join(reversed(names)) if receiver else name), receiver, among


def _tagged(
    ev: "Evaluator", called: "Node", template: "Node", node: "Node", scope: Scope, depth: int
) -> Found:
    function = ev.find(called, scope, depth)
    name = function.name if isinstance(function, Ref) else ""
    if name == "String.raw":
        return literals.template(ev, template, scope, depth, raw=True)
    text = ev.value(template, scope, depth)
    if name.rpartition(".")[2] in _DEDENT or name.startswith(("dedent", "outdent")):
        return known.dedented(text)
    return _make(ev, node, called, function, [text], ())


def _is_of_call(function: Found) -> bool:
    """Whether it is a method of what a call gave."""
    return isinstance(function, Ref) and function.receiver is not None
