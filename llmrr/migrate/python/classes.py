"""What classes of a file say of the attributes of their objects."""

import ast
from typing import TYPE_CHECKING

from llmrr.migrate.python.nodes import Function, dotted_name
from llmrr.migrate.python.scopes import Binding, Block, Scope
from llmrr.migrate.python.walk import Walk
from llmrr.migrate.values import Call, Env, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.evaluation import Evaluator


class Classes:
    """Attributes of ``self``, of classes, and of objects that a class of the file makes."""

    def __init__(self, evaluator: "Evaluator", walk: Walk) -> None:
        self._evaluator, self._walk = evaluator, walk
        self._by_name: dict[str | None, Scope] = {}
        for one in walk.classes.values():
            self._by_name.setdefault(one.name, one)

    def attribute(self, node: ast.Attribute, block: Block) -> Value:
        """The value of an attribute; None where no class of the file has it."""
        name = dotted_name(node)
        owner = block.scope.owner
        if name is not None and owner is not None:
            root, _, rest = name.partition(".")
            if root == owner[0]:
                found = self._of(owner[1], rest, node, block)
                if found is not None:
                    return found
        scope, made = self._class(node.value, block)
        if scope is None:
            return None
        if made is not None and node.attr in made.fields and node.attr in scope.bindings:
            return made.fields[node.attr]
        return self._of(scope, node.attr, node, block)

    def method(self, node: ast.Attribute, block: Block) -> Function | None:
        """The method that is called on ``self``, on a class of the file, or on its object."""
        owner = block.scope.owner
        scope: Scope | None
        if owner is not None and isinstance(node.value, ast.Name) and node.value.id == owner[0]:
            scope = owner[1]
        else:
            scope, _ = self._class(node.value, block)
        found = scope.bindings.get(node.attr, []) if scope else []
        if len(found) == 1 and isinstance(found[0].to, Function):
            return found[0].to
        return None

    def named(self, node: ast.expr, block: Block) -> Scope | None:
        """The class of this file that an expression names."""
        if not isinstance(node, ast.Name):
            return None
        scope = block.scope.holding(node.id)
        bindings = scope.bindings[node.id] if scope else []
        if len(bindings) == 1 and isinstance(bindings[0].to, ast.ClassDef):
            return self._walk.classes[id(bindings[0].to)]
        return None

    def _class(self, node: ast.expr, block: Block) -> tuple[Scope | None, Call | None]:
        """The class that an expression names or whose object it is."""
        if (named := self.named(node, block)) is not None:
            return named, None
        made = self._evaluator.value(node, block)
        if isinstance(made, Call) and made.receiver is None and made.callee in self._by_name:
            return self._by_name[made.callee], made
        return None, None

    def _of(
        self, scope: Scope, name: str, node: ast.expr, block: Block, depth: int = 0
    ) -> Value:
        if name in scope.attributes:
            return self._evaluator.variables.bound(scope.attributes[name], node, block)
        bindings = scope.bindings.get(name)
        if bindings is not None:
            return self._field(scope, name, bindings, node, block)
        if name in scope.declared and self._is_settings(scope):
            variable = self._variable(scope, name, None)
            return None if variable is None else Env(variable)
        assert isinstance(scope.node, ast.ClassDef)
        for base in scope.node.bases if depth < 5 else ():
            above, _ = self._class(base, block) if isinstance(base, ast.Name) else (None, None)
            if above is not None and above is not scope:
                found = self._of(above, name, node, block, depth + 1)
                if found is not None:
                    return found
        return None

    def _field(
        self, scope: Scope, name: str, bindings: list[Binding], node: ast.expr, block: Block
    ) -> Value:
        first = bindings[0]
        if len(bindings) == 1 and isinstance(first.to, Function):
            decorators = {_last(one) for one in first.to.decorator_list}
            if decorators & {"property", "cached_property"}:
                return self._evaluator.calls.returned(first.to)
            return None
        default = self._default(bindings, node, block)
        if not self._is_settings(scope):
            return default
        variable = self._variable(scope, name, first)
        if variable is None:
            return self._evaluator.unresolved(node)
        plain = not isinstance(default, Unresolved | Call)
        return default if isinstance(default, Env) else Env(variable, default if plain else None)

    def _default(self, bindings: list[Binding], node: ast.expr, block: Block) -> Value:
        """What a field is where nothing else is said, ``Field`` and ``field`` looked into."""
        found = self._evaluator.variables.bound(bindings, node, block)
        if not (isinstance(found, Call) and found.name in ("Field", "field", "PrivateAttr")):
            return found
        if "default" in found.fields:
            return found.fields["default"]
        return found.args[0] if found.args else self._evaluator.unresolved(node)

    def _is_settings(self, scope: Scope) -> bool:
        """Whether its fields are filled from the environment, as pydantic does it."""
        assert isinstance(scope.node, ast.ClassDef)
        return any(_last(base) == "BaseSettings" for base in scope.node.bases)

    def _variable(self, scope: Scope, name: str, first: Binding | None) -> str | None:
        """The variable of a field; None where its name is not certain."""
        if first is not None and isinstance(first.to, ast.expr):
            made = self._evaluator.value(first.to, first.block)
            if isinstance(made, Call):
                for key in ("validation_alias", "alias", "env"):
                    if key in made.fields:
                        stated = made.fields[key]
                        return stated if isinstance(stated, str) else None
        prefix = self._prefix(scope)
        return None if prefix is None else f"{prefix}{name}".upper()

    def _prefix(self, scope: Scope) -> str | None:
        stated: Value = ""
        for one in scope.bindings.get("model_config", ()):
            if isinstance(one.to, ast.expr):
                config = self._evaluator.value(one.to, one.block)
                fields = config.fields if isinstance(config, Call) else config
                if isinstance(config, dict | Call):
                    stated = fields.get("env_prefix", "")  # type: ignore[union-attr]
        for one in scope.bindings.get("Config", ()):
            if isinstance(one.to, ast.ClassDef):
                inner = self._walk.classes[id(one.to)].bindings.get("env_prefix", ())
                for prefix in inner:
                    if isinstance(prefix.to, ast.expr):
                        stated = self._evaluator.value(prefix.to, prefix.block)
        return stated if isinstance(stated, str) else None


def _last(node: ast.expr) -> str | None:
    """The last part of a name, called or not."""
    name = dotted_name(node.func if isinstance(node, ast.Call) else node)
    return name.rpartition(".")[2] if name else None
