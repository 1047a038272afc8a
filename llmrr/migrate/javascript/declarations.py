"""One walk over a tree: what is declared and assigned where, which calls there are, and what is
exported. Nothing is evaluated here."""

from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.modules import exported, exported_name, imported
from llmrr.migrate.javascript.names import AROUND, dotted_name, is_nothing, root_name
from llmrr.migrate.javascript.patterns import defaults_in, names_in, taken_apart
from llmrr.migrate.javascript.scopes import Binding, Given, Scope

if TYPE_CHECKING:
    from tree_sitter import Node

_FUNCTIONS: Final = frozenset({
    "function_declaration", "generator_function_declaration", "function_expression",
    "generator_function", "arrow_function", "method_definition",
})  # fmt: skip
_CLASSES: Final = frozenset({"class_declaration", "class", "abstract_class_declaration"})
_BLOCKS: Final = frozenset({
    "statement_block", "for_statement", "for_in_statement", "catch_clause", "switch_body",
    "class_static_block", "internal_module", "module",
})  # fmt: skip
_CALLS: Final = frozenset({"call_expression", "new_expression"})
# What has nothing in it that counts; types may look like expressions.
_LEAVES: Final = frozenset({
    "string", "comment", "regex", "type_annotation", "type_arguments", "type_parameters",
    "interface_declaration", "type_alias_declaration", "import_statement", "number", "identifier",
    "property_identifier", "enum_body",
})  # fmt: skip


class Site(NamedTuple):
    """A call: where it stands, and what it is assigned to."""

    node: "Node"
    scope: Scope
    targets: tuple[str, ...]


class Declarations:
    """What a tree declares. ``calls`` are in order, an inner one before the one around it;
    ``exports`` are name and value."""

    def __init__(self, root: "Node") -> None:
        self.source = root.text or b""
        self.module = Scope(None, "module")
        self.scopes = [self.module]
        self.imports: dict[str, str] = {}
        self.exports: list[tuple[str, Given]] = []
        self.calls: list[Site] = []
        self.functions: dict[int, Scope] = {}  # by the id of the node
        self._targets: dict[int, tuple[str, ...]] = {}
        self._assigned: list[tuple[Node, Node | None, Scope]] = []
        self._pushed: list[tuple[str, Scope]] = []
        self._walk(root)
        for left, right, scope in self._assigned:
            self._assign(left, right, scope)
        for name, scope in self._pushed:
            if binding := scope.find(name):
                binding.pushed = True
        self.calls.sort(key=lambda one: (one.node.end_byte, -one.node.start_byte))

    def _walk(self, root: "Node") -> None:
        stack = [(root, self.module)]
        while stack:
            node, scope = stack.pop()
            kind = node.type
            if kind in _LEAVES:
                if kind == "import_statement":
                    self._import(node, scope)
                continue
            inner = self._enter(node, kind, scope)
            if inner is not scope:
                self.scopes.append(inner)
            stack.extend((child, inner) for child in reversed(node.named_children))

    def _enter(self, node: "Node", kind: str, scope: Scope) -> Scope:
        """Note what a node declares; the scope of what is inside it."""
        if kind in _CALLS:
            self._call(node, scope)
        elif kind == "variable_declarator":
            self._declarator(node, scope)
        elif kind in _FUNCTIONS:
            return self._function(node, kind, scope)
        elif kind in _CLASSES:
            return self._class(node, scope)
        elif kind in _BLOCKS:
            return self._block(node, kind, scope)
        elif kind == "object" and _has_methods(node):
            return self._object(node, scope)
        else:
            self._other(node, kind, scope)
        return scope

    def _other(self, node: "Node", kind: str, scope: Scope) -> None:
        if kind in ("assignment_expression", "augmented_assignment_expression"):
            self._assignment(node, kind, scope)
        elif kind in ("field_definition", "public_field_definition"):
            self._field(node, scope)
        elif kind == "update_expression" and (argument := node.child_by_field_name("argument")):
            self._assigned.append((argument, None, scope))
        elif kind == "enum_declaration" and (name := node.child_by_field_name("name")):
            scope.declare(text_of(name)).given.append(Given(node, scope))
        elif kind == "export_statement":
            self.exports += exported(node, scope)
        elif kind == "return_statement" and node.named_children:
            home = scope.nearest("function")
            home.returns.append(Given(node.named_children[0], scope))

    # Names

    def _declarator(self, node: "Node", scope: Scope) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None:
            return
        is_var = node.parent is not None and node.parent.type == "variable_declaration"
        home = scope.nearest("function", "module") if is_var else scope
        if name.type == "identifier":
            binding = home.declare(text_of(name))
            if value is not None and value.type in _FUNCTIONS:
                binding.function = value
                self._aim(value, text_of(name))
            elif value is not None and not is_nothing(value):
                binding.given.append(Given(value, scope))
                self._aim(value, text_of(name))
            return
        for part in taken_apart(name):
            binding = home.declare(part.name)
            if value is None or part.is_rest:
                binding.is_open = True
            else:
                binding.given.append(Given(value, scope, part.path, part.default))

    def _function(self, node: "Node", kind: str, scope: Scope) -> Scope:
        name = node.child_by_field_name("name")
        named = text_of(name) if name else self._targets.get(node.id, (None,))[0]
        if kind.endswith("_declaration") and named:
            binding = scope.declare(named)
            binding.function, binding.is_open = node, binding.function is not None
        inner = self.functions[node.id] = Scope(scope, "function", named or scope.function)
        body = node.child_by_field_name("body")
        if body is not None and body.type != "statement_block":
            inner.returns.append(Given(body, inner))
        parameters = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        for one in names_in(parameters) if parameters else ():
            binding = inner.declare(one)
            binding.is_open = binding.is_parameter = True
        for name_of, default in defaults_in(parameters) if parameters else ():
            inner.declare(name_of).given.append(Given(default, inner))
        return inner

    def _class(self, node: "Node", scope: Scope) -> Scope:
        if name := node.child_by_field_name("name"):
            scope.declare(text_of(name)).is_open = True
        return Scope(scope, "class", scope.function)

    def _object(self, node: "Node", scope: Scope) -> Scope:
        """An object with methods, for which it is ``this``."""
        inner = Scope(scope, "class", scope.function)
        for one in node.named_children:
            name, value = one.child_by_field_name("key"), one.child_by_field_name("value")
            if one.type == "pair" and name and value and name.type == "property_identifier":
                inner.member(f"this.{text_of(name)}").given.append(Given(value, scope))
        return inner

    def _block(self, node: "Node", kind: str, scope: Scope) -> Scope:
        inner = Scope(scope, "block", scope.function)
        if kind == "catch_clause" and (caught := node.child_by_field_name("parameter")):
            for one in names_in(caught):
                inner.declare(one).is_open = True
        if kind == "for_in_statement" and (left := node.child_by_field_name("left")):
            for one in names_in(left):
                is_new = node.child_by_field_name("kind") is not None
                binding = inner.declare(one) if is_new else scope.find(one)
                if binding:
                    binding.is_open = True
        return inner

    def _field(self, node: "Node", scope: Scope) -> None:
        name = node.child_by_field_name("name") or node.child_by_field_name("property")
        value = node.child_by_field_name("value")
        if name is None or value is None or is_nothing(value):
            return
        dotted = f"this.{text_of(name)}"
        scope.member(dotted).given.append(Given(value, scope))
        self._aim(value, dotted)

    def _assignment(self, node: "Node", kind: str, scope: Scope) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if left is None or right is None:
            return
        is_plain = kind == "assignment_expression"
        if is_plain or (operator is not None and text_of(operator) in ("||=", "??=")):
            self._assigned.append((left, right, scope))
            if dotted := dotted_name(left):
                self._aim(right, dotted)
            if name := exported_name(dotted_name(left) or ""):
                self.exports.append((name, Given(right, scope)))
        else:
            self._assigned.append((left, None, scope))

    def _assign(self, left: "Node", right: "Node | None", scope: Scope) -> None:
        if left.type in ("object_pattern", "array_pattern"):
            for part in taken_apart(left):
                self._give(scope.find(part.name), right, scope, part.path, part.default)
            return
        dotted = dotted_name(left)
        if dotted is None:
            root = root_name(left)
            if root and (binding := scope.find(root)):
                binding.is_open = True  # something in it is replaced: which, is not known
            return
        is_name = left.type == "identifier"
        self._give(scope.find(dotted) if is_name else scope.member(dotted), right, scope)

    def _give(
        self, binding: Binding | None, right: "Node | None", scope: Scope,
        path: tuple[str | int, ...] = (), default: "Node | None" = None,
    ) -> None:  # fmt: skip
        if binding is None:
            return
        if right is None:
            binding.is_open = True
        elif not is_nothing(right):
            binding.given.append(Given(right, scope, path, default))

    # Calls

    def _aim(self, value: "Node", target: str) -> None:
        """The call, or function, in ``value`` is assigned to ``target``."""
        while True:
            if value.type in AROUND and value.named_children:
                at = -1 if value.type == "type_assertion" else 0
                value = value.named_children[at]
            elif value.type in ("binary_expression", "assignment_expression"):
                right = value.child_by_field_name("right")  # global.client ?? new Client()
                if right is None:
                    break
                value = right
            else:
                break
        if value.type in _CALLS or value.type in _FUNCTIONS:
            self._targets[value.id] = (*self._targets.get(value.id, ()), target)

    def _call(self, node: "Node", scope: Scope) -> None:
        self.calls.append(Site(node, scope, self._targets.get(node.id, ())))
        function = node.child_by_field_name("function")
        if function is None or function.type != "member_expression":
            return
        changed, method = function.child_by_field_name("object"), function.child_by_field_name(
            "property"
        )
        if changed is None or method is None or changed.type != "identifier":
            return
        name, verb = text_of(changed), text_of(method)
        if verb == "push":
            self._pushed.append((name, scope))
        elif verb in ("unshift", "splice", "pop", "shift", "sort", "reverse", "fill"):
            self._assigned.append((changed, None, scope))

    # Modules

    def _import(self, node: "Node", scope: Scope) -> None:
        for name, dotted in imported(node):
            self.imports[name] = dotted
            scope.declare(name).module = dotted


def _has_methods(node: "Node") -> bool:
    return any(one.type == "method_definition" for one in node.named_children)
