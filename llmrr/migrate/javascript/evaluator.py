"""What expressions are, by the names that are declared; nothing is run.

A name that is not known, and what lies in it, is a ``Ref`` while it is evaluated: it may be called,
or be a variable of the environment. In a value it becomes ``Unresolved``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from llmrr.migrate.javascript import known, operators
from llmrr.migrate.javascript.declarations import Declarations, dotted_name
from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.known import NotKnown
from llmrr.migrate.javascript.measures import Measures
from llmrr.migrate.javascript.scopes import Binding, Given, Scope
from llmrr.migrate.javascript.texts import number, unescaped
from llmrr.migrate.values import Call, Code, Env, Prompt, Unresolved, Value

if TYPE_CHECKING:
    from tree_sitter import Node

_DEEPEST: Final = 60
_TEXT: Final = 200  # bytes of source in a value
_REST: Final = "..."
_DEDENT: Final = ("dedent", "outdent", "endent", "stripIndent", "stripIndents", "codeBlock")


@dataclass(frozen=True, slots=True)
class Ref:
    """Something that only has a name: of a module (``is_imported``), a parameter, or what a call
    gave."""

    name: str
    receiver: Call | None = None
    is_imported: bool = False


Found: TypeAlias = Value | Ref


class Evaluator:
    """Evaluates one file; every call is evaluated once, so that it is one object."""

    def __init__(self, declared: Declarations, file: str) -> None:
        self.declared, self.file = declared, file
        self._calls: dict[int, Found] = {}
        self._made: dict[int, Call] = {}
        self._targets = {one.node.id: one.targets for one in declared.calls}
        self._within = {one.node.id: one.scope.function for one in declared.calls}
        self._bindings: dict[int, Found] = {}
        self._measures = Measures()

    def code(self) -> Code:
        """All that the file says."""
        for site in self.declared.calls:
            self.find(site.node, site.scope, 0)
        sites = (one.node.id for one in self.declared.calls)
        calls = [self._made[site] for site in sites if site in self._made]
        exports = {
            name: self.value(given.node, given.scope, 0) for name, given in self.declared.exports
        }
        names: dict[str, Value] = {}
        imports: dict[str, str] = {}
        for name, found in self._assigned():
            if not isinstance(found, Ref):
                names.setdefault(name, found)
            elif variable := known.variable(found.name):
                names.setdefault(name, variable)
            elif found.is_imported:
                imports.setdefault(name, found.name)
        return Code("javascript", self.declared.imports | imports, tuple(calls), names, exports)

    def _assigned(self) -> Iterator[tuple[str, Found]]:
        """The names that were given one value, those of the module first."""
        for scope in self.declared.scopes:
            for name, binding in scope.names.items():
                yield from self._once(name, binding)
                for member, inner in binding.members.items():
                    yield from self._once(f"{name}.{member}", inner)

    def _once(self, name: str, binding: Binding) -> Iterator[tuple[str, Found]]:
        if len(binding.given) == 1 and not binding.is_open:
            yield name, self._binding(name, binding, 0)

    # Values

    def value(self, node: "Node", scope: Scope, depth: int) -> Value:
        """What an expression is."""
        found = self.find(node, scope, depth)
        if isinstance(found, Ref):
            variable = None if found.receiver else known.variable(found.name)
            return variable or self._unresolved(node)
        return found

    def find(self, node: "Node", scope: Scope, depth: int) -> Found:
        """What an expression is, or the name of what it stands for."""
        if node.type in ("call_expression", "new_expression") and node.id in self._calls:
            return self._calls[node.id]
        evaluate = _KINDS.get(node.type)
        if evaluate is None or depth > _DEEPEST:
            return self._unresolved(node)
        try:
            found = evaluate(self, node, scope, depth + 1)
        except NotKnown:
            return self._unresolved(node)
        if not isinstance(found, Ref) and not self._measures.fits(found):
            return self._unresolved(node)
        return found

    def _unresolved(self, node: "Node") -> Unresolved:
        return Unresolved(self._text(node), node.start_point[0] + 1)

    def _text(self, node: "Node") -> str:
        # the text of a long node is not copied for each that is in it
        if node.end_byte - node.start_byte <= _TEXT * 4:
            return " ".join(text_of(node)[:_TEXT].split())
        return " ".join(self.declared.source[node.start_byte : node.start_byte + _TEXT]
                        .decode("utf-8", "ignore").split())  # fmt: skip

    def _inner(self, node: "Node", scope: Scope, depth: int) -> Found:
        """``await x``, ``(x)``, ``x as T``, ``x!``: x."""
        if not node.named_children:
            raise NotKnown
        at = -1 if node.type in ("type_assertion", "sequence_expression") else 0
        return self.find(node.named_children[at], scope, depth)

    def _assignment(self, node: "Node", scope: Scope, depth: int) -> Found:
        right = node.child_by_field_name("right")
        if right is None:
            raise NotKnown
        return self.find(right, scope, depth)

    def _string(self, node: "Node", scope: Scope, depth: int) -> Found:
        return unescaped(text_of(node)[1:-1])

    def _number(self, node: "Node", scope: Scope, depth: int) -> Found:
        found = number(text_of(node))
        if found is None:
            raise NotKnown
        return found

    def _template(self, node: "Node", scope: Scope, depth: int, *, raw: bool = False) -> Found:
        source, at, base = node.text or b"", 1, node.start_byte
        parts: list[Value] = []

        def literal(end: int) -> None:
            text = source[at:end].decode("utf-8", "replace").replace("\r\n", "\n")
            parts.append(text if raw else unescaped(text))

        for child in node.named_children:
            if child.type == "template_substitution":
                literal(child.start_byte - base)
                parts.append(self._hole(child, scope, depth))
                at = child.end_byte - base
        literal(len(source) - 1)
        return known.joined(parts)

    def _hole(self, node: "Node", scope: Scope, depth: int) -> Value:
        inner = _bare(node.named_children[0]) if node.named_children else None
        if inner is None:
            raise NotKnown
        value = self.value(inner, scope, depth)
        if value is None or isinstance(value, str | int | float | Prompt):
            return value
        return self._as_hole(inner)

    def _as_hole(self, node: "Node") -> Prompt:
        if node.type != "identifier":
            raise NotKnown
        name = text_of(node)
        return Prompt("{" + name + "}", (name,))

    def _array(self, node: "Node", scope: Scope, depth: int) -> Found:
        found: list[Value] = []
        for child in node.named_children:
            if child.type == "comment":
                continue
            if child.type != "spread_element":
                found.append(self.value(child, scope, depth))
                continue
            spread = self._inner(child, scope, depth)
            found.extend(spread if isinstance(spread, list) else [self._unresolved(child)])
        return found

    def _object(self, node: "Node", scope: Scope, depth: int) -> Found:
        found: dict[str, Value] = {}
        for child in node.named_children:
            if child.type == "pair":
                self._pair(child, scope, depth, found)
            elif child.type == "shorthand_property_identifier":
                found[text_of(child)] = self.value(child, scope, depth)
            elif child.type == "method_definition":
                if name := child.child_by_field_name("name"):
                    found[text_of(name)] = self._unresolved(child)
            elif child.type == "spread_element":
                spread = self._inner(child, scope, depth)
                unknown: dict[str, Value] = {_REST: self._unresolved(child)}
                found.update(spread if isinstance(spread, dict) else unknown)
        return found

    def _pair(self, node: "Node", scope: Scope, depth: int, found: dict[str, Value]) -> None:
        key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
        if key is None or value is None:
            return
        name: Value = text_of(key)
        if key.type == "string":
            name = unescaped(text_of(key)[1:-1])
        elif key.type == "computed_property_name":
            name = self.value(key.named_children[0], scope, depth) if key.named_children else None
        if isinstance(name, str | int | float) and not isinstance(name, bool):
            found[str(name)] = self.value(value, scope, depth)
        else:
            found[_REST] = self._unresolved(node)

    # Operators

    def _binary(self, node: "Node", scope: Scope, depth: int) -> Found:
        """Chains of one operator are walked along, not down."""
        spine = []
        while node.type == "binary_expression":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            operator = node.child_by_field_name("operator")
            if left is None or right is None or operator is None:
                raise NotKnown
            spine.append((text_of(operator), right))
            node = _bare(left) if left.type == "parenthesized_expression" else left
        first = self._operand(node, scope, depth, spine[-1][0])
        for operator_text, operand in reversed(spine):
            first = operators.binary(
                operator_text, first, self._operand(operand, scope, depth, operator_text)
            )
        return first

    def _operand(self, node: "Node", scope: Scope, depth: int, operator: str) -> Value:
        value = self.value(node, scope, depth)
        if operator == "+" and isinstance(value, Unresolved | Call | Env):
            return self._as_hole(_bare(node))
        return value

    def _unary(self, node: "Node", scope: Scope, depth: int) -> Found:
        operator = node.child_by_field_name("operator")
        argument = node.child_by_field_name("argument")
        if operator is None or argument is None:
            raise NotKnown
        return operators.unary(text_of(operator), self.value(argument, scope, depth))

    def _ternary(self, node: "Node", scope: Scope, depth: int) -> Found:
        condition, yes, no = (
            node.child_by_field_name(name) for name in ("condition", "consequence", "alternative")
        )
        if condition is None or yes is None or no is None:
            raise NotKnown
        is_true = operators.truth(self.value(condition, scope, depth))
        return self.find(yes if is_true else no, scope, depth)

    # Names

    def _identifier(self, node: "Node", scope: Scope, depth: int) -> Found:
        name = text_of(node)
        if name == "undefined":
            return None
        binding = scope.find(name)
        if binding is None:
            return {"__dirname": ".", "__filename": f"./{self.file}"}.get(name) or Ref(name)
        return self._binding(name, binding, depth)

    def _binding(self, name: str, binding: Binding, depth: int) -> Found:
        if binding.module is not None:
            return Ref(binding.module, is_imported=True)
        if binding.is_open or len(binding.given) != 1:
            return Ref(name)
        if id(binding) not in self._bindings:
            self._bindings[id(binding)] = Ref(name)  # while it is evaluated
            found = self._given(binding.given[0], depth)
            self._bindings[id(binding)] = self._completed(found, binding, depth)
        return self._bindings[id(binding)]

    def _given(self, given: Given, depth: int) -> Found:
        if given.node.type == "enum_declaration":
            return self._enum(given.node, given.scope, depth)
        found = self.find(given.node, given.scope, depth)
        for key in given.path:
            found = self._within_of(found, str(key), given.node)
        if given.default is None:
            return found
        default = self.value(given.default, given.scope, depth)
        if isinstance(found, Ref) and not found.receiver and (env := known.variable(found.name)):
            return operators.either(env, default, is_nullish=True)
        return default if found is None else found

    def _completed(self, found: Found, binding: Binding, depth: int) -> Found:
        """A value with what is assigned to its members, or put at its end, later."""
        if isinstance(found, dict) and binding.members:
            found = dict(found)
            for name, member in binding.members.items():
                if "." in name:
                    continue
                value = self._binding(name, member, depth + 1)
                text = Unresolved(name, self._line(member))
                is_known = name not in found and not isinstance(value, Ref)
                found[name] = value if is_known and not isinstance(value, Ref) else text
        if isinstance(found, list) and binding.pushed:
            found = [*found, Unresolved("what is pushed into it")]
        if not isinstance(found, Ref):
            self._measures.fits(found)
        return found

    def _line(self, binding: Binding) -> int | None:
        return binding.given[0].node.start_point[0] + 1 if binding.given else None

    def _enum(self, node: "Node", scope: Scope, depth: int) -> Found:
        body, found = node.child_by_field_name("body"), dict[str, Value]()
        for at, child in enumerate(body.named_children if body else ()):
            name, value = child.child_by_field_name("name"), child.child_by_field_name("value")
            if child.type == "enum_assignment" and name and value:
                found[text_of(name).strip("'\"")] = self.value(value, scope, depth)
            elif child.type == "property_identifier":
                found[text_of(child)] = at
        return found

    def _member(self, node: "Node", scope: Scope, depth: int) -> Found:
        dotted = dotted_name(node)
        found = self._attribute(dotted, node, scope, depth) if dotted else None
        if found is not None:
            return found
        inner, name = node.child_by_field_name("object"), node.child_by_field_name("property")
        if inner is None or name is None:
            raise NotKnown
        if inner.type == "meta_property" or text_of(inner) == "import.meta":
            return self._of_meta(text_of(name))
        return self._within_of(self.find(inner, scope, depth), text_of(name), node)

    def _attribute(self, dotted: str, node: "Node", scope: Scope, depth: int) -> Found:
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
            found = self._binding(name, member, depth)
            whole = Ref(name) if parts[0] == "this" else self._binding(parts[0], binding, depth)
            if isinstance(whole, dict):
                return None  # the value of the whole has it
            for key in parts[end:]:
                found = self._within_of(found, key, node)
            return found
        return None

    def _of_meta(self, name: str) -> Found:
        places = {"dirname": ".", "dir": ".", "url": f"./{self.file}", "filename": f"./{self.file}",
                  "path": f"./{self.file}"}  # fmt: skip
        return places.get(name) or Ref(f"import.meta.{name}")

    def _subscript(self, node: "Node", scope: Scope, depth: int) -> Found:
        inner, index = node.child_by_field_name("object"), node.child_by_field_name("index")
        if inner is None or index is None:
            raise NotKnown
        key = self.value(index, scope, depth)
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise NotKnown
        return self._within_of(self.find(inner, scope, depth), str(key), node)

    def _within_of(self, whole: Found, key: str, node: "Node") -> Found:
        """What lies in a value under a key."""
        if isinstance(whole, Ref):
            return Ref(f"{whole.name}.{key}", whole.receiver, whole.is_imported)
        if isinstance(whole, Call):
            return Ref(key, whole)
        if isinstance(whole, dict):
            if key not in whole and _REST in whole:
                return self._unresolved(node)
            return whole.get(key)
        if isinstance(whole, list) and key.isdecimal() and len(key) < 7:
            return whole[int(key)] if int(key) < len(whole) else None
        if isinstance(whole, str) and key in ("pathname", "href"):
            return whole  # of an URL
        if isinstance(whole, str | list) and key == "length":
            return len(whole)
        return self._unresolved(node)

    # Calls

    def _call(self, node: "Node", scope: Scope, depth: int) -> Found:
        self._calls[node.id] = self._unresolved(node)  # while it is evaluated
        try:
            found = self._called(node, scope, depth)
        except NotKnown:
            found = self._unresolved(node)
        self._calls[node.id] = found
        return found

    def _called(self, node: "Node", scope: Scope, depth: int) -> Found:
        called = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        arguments = node.child_by_field_name("arguments")
        if called is None:
            raise NotKnown
        if arguments is not None and arguments.type == "template_string":
            return self._tagged(called, arguments, node, scope, depth)
        args, rest = self._arguments(arguments, scope, depth)
        if called.type == "import":
            is_known = bool(args) and isinstance(args[0], str)
            return Ref(str(args[0]), is_imported=True) if is_known else self._unresolved(node)
        function = self.find(called, scope, depth)
        if isinstance(function, Ref) and function.receiver is None and not rest:
            known_result = self._known(function.name, called, args, scope, depth)
            if known_result is not None:
                return known_result[0]
        if called.type == "member_expression" and not getattr(function, "receiver", None):
            result = self._method(called, args, scope, depth)
            if result is not None:
                return result
        return self._make(node, called, function, args, rest)

    def _known(
        self, name: str, called: "Node", args: Sequence[Value], scope: Scope, depth: int
    ) -> tuple[Found] | None:
        """What a function gives that is known, or is in the file; None for any other."""
        if name == "require" and args and isinstance(args[0], str):
            return (Ref(args[0], is_imported=True),)
        if name == "JSON.stringify":
            raise NotKnown
        try:
            return (known.called(name, args),)
        except NotKnown:
            pass
        if called.type != "identifier" or not (binding := scope.find(name)):
            return None
        function = binding.function
        inner = self.declared.functions.get(function.id) if function else None
        if inner is None or len(inner.returns) != 1 or len(binding.given) > 1:
            return None
        found = self.find(inner.returns[0].node, inner.returns[0].scope, depth)
        return None if isinstance(found, Unresolved | Ref) else (found,)

    def _method(self, called: "Node", args: Sequence[Value], scope: Scope, depth: int) -> Value:
        inner, name = called.child_by_field_name("object"), called.child_by_field_name("property")
        if inner is None or name is None:
            return None
        try:
            return known.method(self.value(inner, scope, depth), text_of(name), args)
        except NotKnown:
            return None

    def _arguments(
        self, node: "Node | None", scope: Scope, depth: int
    ) -> tuple[list[Value], tuple[Unresolved, ...]]:
        args: list[Value] = []
        rest: list[Unresolved] = []
        for child in node.named_children if node else ():
            if child.type == "comment":
                continue
            if child.type == "spread_element":
                spread = self._inner(child, scope, depth)
                if isinstance(spread, list):
                    args.extend(spread)
                else:
                    rest.append(self._unresolved(child))
                continue
            value = self.value(child, scope, depth)
            if isinstance(value, dict) and _REST in value:
                value = {name: one for name, one in value.items() if name != _REST}
                rest.append(self._unresolved(child))
            args.append(value)
        return args, tuple(rest)

    def _make(
        self, node: "Node", called: "Node", function: Found, args: Sequence[Value],
        rest: tuple[Unresolved, ...],
    ) -> Found:  # fmt: skip
        receiver = None
        if isinstance(function, Ref):
            name, receiver = function.name, function.receiver
        elif isinstance(function, Call):
            name, receiver = "", function
        else:
            name = dotted_name(called) or self._text(called)
        call = Call(
            name, tuple(args), {}, receiver, rest, self._targets.get(node.id, ()),
            self._within.get(node.id), node.start_point[0] + 1, self._text(node),
        )  # fmt: skip
        if not self._measures.fits(call):
            raise NotKnown
        self._made[node.id] = call
        return call

    def _tagged(
        self, called: "Node", template: "Node", node: "Node", scope: Scope, depth: int
    ) -> Found:
        function = self.find(called, scope, depth)
        name = function.name if isinstance(function, Ref) else ""
        if name == "String.raw":
            return self._template(template, scope, depth, raw=True)
        text = self.value(template, scope, depth)
        if name.rpartition(".")[2] in _DEDENT or name.startswith(("dedent", "outdent")):
            return known.dedented(text)
        return self._make(node, called, function, [text], ())


def _bare(node: "Node") -> "Node":
    """An expression without what is around it."""
    while node.type in _WRAPPED and node.named_children:
        node = node.named_children[-1 if node.type == "type_assertion" else 0]
    return node


_WRAPPED: Final = frozenset({
    "parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression",
    "type_assertion",
})  # fmt: skip
_Kind: TypeAlias = Callable[[Evaluator, "Node", Scope, int], Found]
_KINDS: Final[dict[str, _Kind]] = {
    **dict.fromkeys((*_WRAPPED, "await_expression", "sequence_expression"), Evaluator._inner),
    "string": Evaluator._string, "number": Evaluator._number,
    "template_string": Evaluator._template, "array": Evaluator._array,
    "object": Evaluator._object, "binary_expression": Evaluator._binary,
    "unary_expression": Evaluator._unary, "ternary_expression": Evaluator._ternary,
    "assignment_expression": Evaluator._assignment, "identifier": Evaluator._identifier,
    "undefined": Evaluator._identifier,
    "shorthand_property_identifier": Evaluator._identifier,
    "member_expression": Evaluator._member, "subscript_expression": Evaluator._subscript,
    "call_expression": Evaluator._call, "new_expression": Evaluator._call,
    "this": lambda evaluator, node, scope, depth: Ref("this"),
    "true": lambda evaluator, node, scope, depth: True,
    "false": lambda evaluator, node, scope, depth: False,
    "null": lambda evaluator, node, scope, depth: None,
}  # fmt: skip
