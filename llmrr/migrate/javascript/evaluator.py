"""What expressions are, by the names that are declared; nothing is run.

A name that is not known, and what lies in it, is a ``Ref`` while it is evaluated: it may be called,
or be a variable of the environment. In a value it becomes ``Unresolved``.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from llmrr.migrate.alternatives import alternatives, one_of
from llmrr.migrate.javascript import (
    calling,
    known,
    literals,
    members,
    operations,
    operators,
)
from llmrr.migrate.javascript.declarations import Declarations
from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.known import NotKnown
from llmrr.migrate.javascript.measures import Measures
from llmrr.migrate.javascript.refs import WRAPPERS, Found, Ref
from llmrr.migrate.javascript.scopes import Binding, Given, Scope
from llmrr.migrate.javascript.siblings import Siblings
from llmrr.migrate.terms.code_keys import shown
from llmrr.migrate.values import Call, Code, Unresolved, Value

if TYPE_CHECKING:
    from tree_sitter import Node

_BRANCHES: Final = 12  # of which it is said what a name may be
_DEEPEST: Final = 60
_TEXT: Final = 200  # characters of source in a value


class Evaluator:
    """Evaluates one file; every call is evaluated once, so that it is one object."""

    def __init__(
        self, declared: Declarations, file: str, siblings: Siblings | None = None
    ) -> None:
        self.declared, self.file, self._siblings = declared, file, siblings
        self.made: dict[int, Call] = {}  # by the id of the node
        self.sites = {one.node.id: one for one in declared.calls}
        self._calls: dict[int, Found] = {}
        self._bindings: dict[int, Found] = {}
        self._several: dict[int, tuple[Value, ...]] = {}
        self._measures = Measures()

    def code(self) -> Code:
        """All that the file says."""
        for site in self.declared.calls:
            self.find(site.node, site.scope, 0)
        calls = [self.made[site] for site in self.sites if site in self.made]
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
            yield name, self.binding(name, binding, 0)

    def value(self, node: "Node", scope: Scope, depth: int) -> Value:
        """What an expression is."""
        found = self.find(node, scope, depth)
        if isinstance(found, Ref):
            variable = None if found.receiver else known.variable(found.name)
            if variable is None and (elsewhere := self.imported(found)) is not None:
                return elsewhere
            return variable or self.one_of(node, found.choices, whole=not found.is_default)
        return found

    def imported(self, found: Ref) -> Value:
        """What a name of another file of the tree is; None where that is not known."""
        if self._siblings is None or not found.is_imported or found.receiver is not None:
            return None
        return self._siblings.value(found.name)

    def find(self, node: "Node", scope: Scope, depth: int) -> Found:
        """What an expression is, or the name of what it stands for."""
        evaluate = KINDS.get(node.type)
        if evaluate is None or depth > _DEEPEST:
            return self._calls.get(node.id) or self.unresolved(node)
        if node.type not in ("call_expression", "new_expression"):
            return self._found(evaluate, node, scope, depth)
        if node.id not in self._calls:
            self._calls[node.id] = self.unresolved(node)  # while it is evaluated
            self._calls[node.id] = self._found(evaluate, node, scope, depth)
        return self._calls[node.id]

    def _found(self, evaluate: "Kind", node: "Node", scope: Scope, depth: int) -> Found:
        try:
            found = evaluate(self, node, scope, depth + 1)
        except NotKnown:
            return self.unresolved(node)
        if not isinstance(found, Ref) and not self.fits(found):
            return self.unresolved(node)
        return found

    def fits(self, value: Value) -> bool:
        """Whether a value is small enough to be walked."""
        return self._measures.fits(value)

    def unresolved(self, node: "Node") -> Unresolved:
        """What only running the code would tell."""
        return Unresolved(self.text(node), node.start_point[0] + 1)

    def one_of(
        self, node: "Node", values: Iterable[Value], *, whole: bool = True
    ) -> Unresolved:
        """A node that is one of these; ``whole``: calls alone count where one is not known."""
        return one_of(values, self.unresolved(node), whole=whole)

    def text(self, node: "Node") -> str:
        """The beginning of the source of a node, on one line, without keys."""
        # the text of a long node is not copied for each that is in it
        if node.end_byte - node.start_byte <= _TEXT * 4:
            text = text_of(node)
        else:
            start = node.start_byte
            text = self.declared.source[start : start + _TEXT * 2].decode("utf-8", "ignore")
        return shown(" ".join(text[: _TEXT * 2].split()))[:_TEXT]

    def identifier(self, node: "Node", scope: Scope, depth: int) -> Found:
        """The value of a name where it stands."""
        name = text_of(node)
        if name == "undefined":
            return None
        binding = scope.find(name)
        if binding is None:
            return {"__dirname": ".", "__filename": f"./{self.file}"}.get(name) or Ref(name)
        return self.binding(name, binding, depth)

    def binding(self, name: str, binding: Binding, depth: int) -> Found:
        """What a name stands for."""
        if binding.module is not None:
            return Ref(binding.module, is_imported=True)
        if binding.is_open or len(binding.given) != 1:
            choices = self._choices(name, binding, depth)
            return Ref(name, choices=choices, is_default=binding.is_parameter)
        if id(binding) not in self._bindings:
            self._bindings[id(binding)] = Ref(name)  # while it is evaluated
            found = self._given(binding.given[0], depth)
            self._bindings[id(binding)] = self._completed(found, binding, depth)
        return self._bindings[id(binding)]

    def _choices(self, name: str, binding: Binding, depth: int) -> tuple[Value, ...]:
        """What a name may be that is given several things, or has a default."""
        if id(binding) not in self._several:
            self._several[id(binding)] = ()  # while they are evaluated
            given = binding.given if not binding.is_open or binding.is_parameter else []
            values = [
                self.value(one.node, one.scope, depth + 1) if not one.path else Unresolved(name)
                for one in given[: _BRANCHES + 1]
            ]  # fmt: skip
            if len(given) <= _BRANCHES:
                whole = not binding.is_parameter
                self._several[id(binding)] = alternatives(values, whole=whole)
        return self._several[id(binding)]

    def _given(self, given: Given, depth: int) -> Found:
        if given.node.type == "enum_declaration":
            return self._enum(given.node, given.scope, depth)
        found = self.find(given.node, given.scope, depth)
        for key in given.path:
            found = members.part_of(self, found, str(key), given.node)
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
                value = self.binding(name, member, depth + 1)
                text = Unresolved(name, self._line(member))
                is_known = name not in found and not isinstance(value, Ref)
                found[name] = value if is_known and not isinstance(value, Ref) else text
        if isinstance(found, list) and binding.pushed:
            found = [*found, Unresolved("what is pushed into it")]
        if not isinstance(found, Ref):
            self.fits(found)
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


Kind: TypeAlias = Callable[[Evaluator, "Node", Scope, int], Found]
KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys((*WRAPPERS, "await_expression", "sequence_expression"), literals.inner),
    "string": literals.string, "number": literals.literal_number,
    "template_string": literals.template, "array": literals.array, "object": literals.table,
    "assignment_expression": literals.assignment, "binary_expression": operations.binary,
    "unary_expression": operations.unary, "ternary_expression": operations.ternary,
    "identifier": Evaluator.identifier, "undefined": Evaluator.identifier,
    "shorthand_property_identifier": Evaluator.identifier,
    "member_expression": members.member, "subscript_expression": members.subscript,
    "call_expression": calling.call, "new_expression": calling.call,
    "this": lambda evaluator, node, scope, depth: Ref("this"),
    "true": lambda evaluator, node, scope, depth: True,
    "false": lambda evaluator, node, scope, depth: False,
    "null": lambda evaluator, node, scope, depth: None,
}  # fmt: skip
