"""Names and attributes to what they are at the place where they stand."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from llmrr.migrate.alternatives import with_calls
from llmrr.migrate.python import known, texts
from llmrr.migrate.python.choosing import BRANCHES, MOST, holding
from llmrr.migrate.python.modules import is_client
from llmrr.migrate.python.nodes import Place, dotted_name
from llmrr.migrate.python.scopes import Binding, Block
from llmrr.migrate.values import Call, Env, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.evaluation import Evaluator

_PARSED = ("parse_args", "parse_known_args", "parse_intermixed_args")


class Variables:
    """The values of names, and the dotted names of what is imported."""

    def __init__(self, evaluator: "Evaluator") -> None:
        self._evaluator = evaluator

    def name(self, node: ast.Name, block: Block) -> Value:
        place = (node.lineno, node.col_offset)
        scope = block.scope.holding(node.id)
        if scope is None:
            is_file = node.id == "__file__"
            return f"./{self._evaluator.file}" if is_file else self._evaluator.unresolved(node)
        found = self.bound(scope.bindings[node.id], node, block)
        changes = scope.changes.get(node.id, ())
        if changes and isinstance(found, list | dict):
            return self._changed(found, node, block, place)
        return found

    def bound(self, bindings: Sequence[Binding], node: ast.expr, block: Block) -> Value:
        """What several bindings of one name are at a place."""
        chosen = holding(bindings, block, (node.lineno, node.col_offset))
        if chosen is not None:
            return self.given(chosen, node)
        reaching = self._reaching(bindings, node, block) if len(bindings) <= BRANCHES else ()
        unknown = with_calls(self._evaluator.unresolved(node), reaching)
        if len(bindings) > 8 or not all(isinstance(o.to, ast.expr | ast.arg) for o in bindings):
            return unknown
        values = [self.given(one, node) for one in bindings]
        if not isinstance(values[0], Unresolved) and all(one == values[0] for one in values):
            return values[0]
        clients = [one for one in values if isinstance(one, Call) and is_client(one)]
        if len(clients) == 1:
            return clients[0]
        if isinstance(bindings[0].to, ast.arg):  # if model is None: model = "x"
            others = [one for one in values[1:] if isinstance(one, str | int | float | Env)]
            return texts.either([values[0], *others], unknown) if len(others) == 1 else unknown
        return texts.one_of([one for one in values if one is not None], unknown)

    def _reaching(
        self, bindings: Sequence[Binding], node: ast.expr, block: Block
    ) -> Iterator[Value]:
        """What a name may be at a place."""
        place, here = (node.lineno, node.col_offset), block.scope
        for one in bindings:
            if one.block.scope is not here or one.after <= place or block.in_loop:
                yield self.given(one, node)

    def given(self, binding: Binding, node: ast.expr) -> Value:
        """What a binding gives to the name that ``node`` is."""
        if isinstance(binding.to, ast.arg):
            return self._evaluator.parameters.value(binding.to, binding.block, node)
        if isinstance(binding.to, str):
            return self._imported(binding.to, binding, node)
        if not isinstance(binding.to, ast.expr):
            return self._evaluator.unresolved(node)
        found = self._evaluator.value(binding.to, binding.block)
        if binding.part is None or isinstance(found, Call):
            return found
        if isinstance(found, list) and binding.part < len(found):
            return found[binding.part]
        return self._evaluator.unresolved(node)

    def _changed(
        self, found: "list[Value] | dict[str, Value]", node: ast.Name, block: Block, place: Place
    ) -> Value:
        """A list or dict with what was put into it by then; what may have been is not known."""
        scope = block.scope.holding(node.id)
        assert scope is not None
        if len(scope.changes[node.id]) > MOST:
            return self._evaluator.unresolved(node)
        around = list(block.around())
        for one in scope.changes[node.id]:
            same = one.block.scope is block.scope
            before = not same or one.after <= place
            if not before and not any(outer.loop for outer in around):
                continue
            certain = before and (one.block in around if same else one.block.is_outermost)
            if one.anywhere:
                return self._evaluator.unresolved(node)
            if isinstance(found, list):
                if one.to is None or not certain or one.block.in_loop:
                    return [*found, self._evaluator.unresolved(node)]
                found = [*found, self._evaluator.value(one.to, one.block)]
                continue
            if one.key is None:
                return self._evaluator.unresolved(node)
            value: Value = self._evaluator.unresolved(node)
            if one.to is not None and certain:
                value = self._evaluator.value(one.to, one.block)
            found = {**found, one.key: value}
        return found

    def attribute(self, node: ast.Attribute, block: Block) -> Value:
        found = self._evaluator.classes.attribute(node, block)
        if found is not None:
            return found
        name = dotted_name(node)
        if name is not None and name in self._evaluator.walk.attributes:
            return self.bound(self._evaluator.walk.attributes[name], node, block)
        if name is not None and (taken := self._of_module(name, node, block)) is not None:
            return taken
        base = self._evaluator.value(node.value, block)
        if isinstance(base, Call) and (made := self.made(base, node.attr)) is not None:
            return made
        if isinstance(base, Call) and base.name in _PARSED:
            return self._evaluator.parameters.option(base, node.attr, node)
        if isinstance(base, str) and node.attr == "parent":
            return known.folder(base)
        if isinstance(base, str) and node.attr == "value":  # of an enumeration
            return base
        return self._evaluator.unresolved(node)

    def made(self, call: Call, attribute: str = "") -> Value:
        """What a function or a class of another module of the tree gives, or an attribute of that;
        None where it is not known."""
        modules = self._evaluator.modules
        if modules is None or call.receiver is not None or "." not in call.callee:
            return None
        return modules.value(call.callee, call.line, f"().{attribute}" if attribute else "()")

    def _of_module(self, name: str, node: ast.expr, block: Block) -> Value:
        """An attribute of a module of the tree, or of what is imported from one."""
        root, _, rest = name.partition(".")
        scope = block.scope.holding(root)
        if scope is None:
            return None
        chosen = holding(scope.bindings[root], block, (node.lineno, node.col_offset))
        if chosen is None or not isinstance(chosen.to, str):
            return None
        found = self._imported(f"{chosen.to}.{rest}", chosen, node)
        return None if type(found) is Unresolved and self._evaluator.modules is None else found

    def _imported(self, dotted: str, binding: Binding, node: ast.expr) -> Value:
        """What is imported from another module of the tree; else unresolved, with its name."""
        modules = self._evaluator.modules
        found = modules.value(dotted, binding.after[0]) if modules is not None else None
        if found is not None:
            return found
        unknown = self._evaluator.unresolved(node)
        return replace(unknown, origin=str(binding.to)) if "." in str(binding.to) else unknown

    def dotted(self, node: ast.expr, block: Block) -> str | None:
        """The dotted name of an expression, with what was imported written out."""
        name = dotted_name(node)
        if name is None:
            return None
        root, dot, rest = name.partition(".")
        scope = block.scope.holding(root)
        if scope is not None:
            chosen = holding(scope.bindings[root], block, (node.lineno, node.col_offset))
            if chosen is not None and isinstance(chosen.to, str):
                return f"{chosen.to}{dot}{rest}"
            to = chosen.to if chosen is not None else None
            if chosen is not None and isinstance(to, ast.Name | ast.Attribute) and to is not node:
                first = self._alias(chosen)
                return f"{first}{dot}{rest}" if first else name
        return name

    def _alias(self, binding: Binding) -> str | None:
        assert isinstance(binding.to, ast.expr)
        with self._evaluator.nested() as allowed:
            return self.dotted(binding.to, binding.block) if allowed else None


class Names(Mapping[str, Value]):
    """The names that were assigned once in a file, evaluated when they are asked for."""

    def __init__(self, evaluator: "Evaluator") -> None:
        self._evaluator = evaluator

    @cached_property
    def _bindings(self) -> dict[str, Binding]:
        walk, found = self._evaluator.walk, dict[str, list[Binding]]()
        scopes = [walk.module, *(one.scope for one in walk.functions.values())]
        for scope in scopes:
            for name, bindings in scope.bindings.items():
                found.setdefault(name, []).extend(bindings)
        for name, bindings in walk.attributes.items():
            found.setdefault(name, []).extend(bindings)
        for one in walk.classes.values():
            for name, bindings in one.attributes.items():
                found.setdefault(f"self.{name}", []).extend(bindings)
            for name, bindings in one.bindings.items():
                found.setdefault(f"{one.name}.{name}", []).extend(bindings)
        return {
            name: bindings[0] for name, bindings in found.items()
            if len(bindings) == 1 and isinstance(bindings[0].to, ast.expr)
        }  # fmt: skip

    def __getitem__(self, name: str) -> Value:
        binding = self._bindings[name]
        assert isinstance(binding.to, ast.expr)
        return self._evaluator.variables.given(binding, binding.to)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bindings)

    def __len__(self) -> int:
        return len(self._bindings)
