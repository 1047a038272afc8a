"""Expressions of Python to values."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmrr.migrate.alternatives import alternatives
from llmrr.migrate.python import known, texts
from llmrr.migrate.python.callers import Callers, passed
from llmrr.migrate.python.choosing import holding
from llmrr.migrate.python.classes import Classes
from llmrr.migrate.python.scopes import (
    Binding,
    Block,
    Function,
    Place,
    Walk,
    dotted_name,
    unwrapped,
)
from llmrr.migrate.python.syntax import Source
from llmrr.migrate.values import Call, Code, Env, Prompt, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.modules import Modules

_BRANCHES: Final = 12  # of which it is said what a name may be
_DEEPEST: Final = 60  # expressions in one another; what is deeper is not known


class Evaluator:
    """Evaluates what stands in one file. Every node has one value, which is kept."""

    def __init__(self, source: Source, path: Path, modules: "Modules | None" = None) -> None:
        self.source, self.file, self.modules = source, path.name, modules
        self.walk = Walk(source.tree)
        self.classes = Classes(self, self.walk)
        self.callers = Callers(self.walk)
        self._values: dict[int, Value] = {}
        self._calls: dict[int, Call] = {}
        self._open: set[int] = set()  # what is evaluated now, and may speak of itself
        self._depth = 0

    def code(self) -> Code:
        """The file: its calls are evaluated at once, its names when they are asked for."""
        calls = []
        for node, block in self.walk.found:
            if isinstance(node, ast.Call):
                calls.append(self.call(node, block))
            elif isinstance(both := self.value(node, block), Call):
                calls.append(both)
        return Code("python", self._imports(), tuple(calls), Names(self))

    def _imports(self) -> dict[str, str]:
        found: dict[str, str] = {}
        scopes = [self.walk.module, *(one.scope for one in self.walk.functions.values())]
        for scope in scopes:
            for name, bindings in scope.bindings.items():
                for one in bindings:
                    if isinstance(one.to, str):
                        found.setdefault(name, one.to)
        return found

    def unresolved(self, node: ast.expr) -> Unresolved:
        """A node that is not known."""
        return Unresolved(self.source.text(node), node.lineno)

    def _one_of(self, node: ast.expr, values: Iterable[Value], *, whole: bool = True) -> Unresolved:
        """A node that is one of these; ``whole``: calls alone count where one is not known."""
        return Unresolved(self.source.text(node), node.lineno, alternatives(values, whole=whole))

    def value(self, node: ast.expr, block: Block) -> Value:
        """What an expression in a block is known to be."""
        if isinstance(node, ast.Constant):
            plain = node.value
            if plain is None or isinstance(plain, str | int | float):
                return plain
            return self.unresolved(node)
        key = id(node)
        if key in self._values:
            return self._values[key]
        if self._depth > _DEEPEST or key in self._open:
            return self.unresolved(node)
        self._depth += 1
        self._open.add(key)
        try:
            found = self._values[key] = self._evaluated(node, block)
        finally:
            self._depth -= 1
            self._open.discard(key)
        return found

    def _evaluated(self, node: ast.expr, block: Block) -> Value:
        match node:
            case ast.Name():
                return self._name(node, block)
            case ast.Attribute():
                return self._attribute(node, block)
            case ast.Call():
                return self._called(node, block)
            case ast.Dict():
                return self._dict(node, block)
            case ast.List() | ast.Tuple() | ast.Set():
                return self._list(node.elts, block)
            case ast.JoinedStr():
                return self._joined(node, block)
            case ast.BinOp():
                return self._operation(node, block)
            case ast.BoolOp():
                return self._choice(node, block)
            case ast.IfExp():
                return self._same([node.body, node.orelse], block, node)
            case ast.Subscript():
                return self._item(node, block)
            case ast.Await() | ast.NamedExpr():
                return self.value(unwrapped(node), block)
            case ast.UnaryOp():
                return self._signed(node, block)
        return self.unresolved(node)

    # Names

    def _name(self, node: ast.Name, block: Block) -> Value:
        place = (node.lineno, node.col_offset)
        scope = block.scope.holding(node.id)
        if scope is None:
            return f"./{self.file}" if node.id == "__file__" else self.unresolved(node)
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
        if len(bindings) <= 8 and all(isinstance(one.to, ast.expr) for one in bindings):
            values = [self.given(one, node) for one in bindings]
            if not isinstance(values[0], Unresolved) and all(one == values[0] for one in values):
                return values[0]
        return self._one_of(node, self._reaching(bindings, node, block))

    def _reaching(
        self, bindings: Sequence[Binding], node: ast.expr, block: Block
    ) -> Iterator[Value]:
        """What a name may be at a place; of very many nothing is said."""
        place, here = (node.lineno, node.col_offset), block.scope
        for one in bindings if len(bindings) <= _BRANCHES else ():
            if one.block.scope is here and one.after > place and not block.loop:
                continue
            yield self.given(one, node)

    def _passed(self, binding: Binding, node: ast.expr) -> Iterator[Value]:
        """What a parameter is, where its function is called in this file, and its default."""
        if binding.of is None:
            return
        names = binding.block.scope.bindings.items()
        name = next((key for key, some in names if any(one is binding for one in some)), "")
        for call, block in self.callers.of(binding.of):
            told = passed(binding.of, name, call)
            if told is not None:
                yield self.value(told, block)
        if binding.default is not None:
            yield self.value(binding.default, binding.block)

    def given(self, binding: Binding, node: ast.expr) -> Value:
        """What a binding gives to the name that ``node`` is."""
        if isinstance(binding.to, str):
            elsewhere = self.modules.value(binding.to) if self.modules else None
            return self.unresolved(node) if elsewhere is None else elsewhere
        if not isinstance(binding.to, ast.expr):
            return self._one_of(node, self._passed(binding, node), whole=False)
        found = self.value(binding.to, binding.block)
        if binding.part is None or isinstance(found, Call):
            return found
        if isinstance(found, list) and binding.part < len(found):
            return found[binding.part]
        return self.unresolved(node)

    def _changed(
        self, found: "list[Value] | dict[str, Value]", node: ast.Name, block: Block, place: Place
    ) -> Value:
        """A list or dict with what was put into it by then; what may have been is not known."""
        scope = block.scope.holding(node.id)
        assert scope is not None
        around = list(block.around())
        for one in scope.changes[node.id]:
            same = one.block.scope is block.scope
            before = not same or one.after <= place
            if not before and not any(outer.loop for outer in around):
                continue
            certain = before and (one.block in around if same else one.block.is_outermost)
            if isinstance(found, list):
                return [*found, self.unresolved(node)]
            if one.key is None:
                return self.unresolved(node)
            value = self.value(one.to, one.block) if one.to is not None and certain else None
            found = {**found, one.key: value if certain else self.unresolved(node)}
        return found

    def _attribute(self, node: ast.Attribute, block: Block) -> Value:
        found = self.classes.attribute(node, block)
        if found is not None:
            return found
        name = dotted_name(node)
        if name is not None and name in self.walk.attributes:
            return self.bound(self.walk.attributes[name], node, block)
        if self.modules is not None and (stated := self._elsewhere(node, block)) is not None:
            return stated
        base = self.value(node.value, block)
        if isinstance(base, str) and node.attr == "parent":
            return known.folder(base)
        if isinstance(base, str) and node.attr == "value":  # of an enumeration
            return base
        return self.unresolved(node)

    def _elsewhere(self, node: ast.Attribute, block: Block) -> Value:
        """An attribute of what another file defines: ``settings.model``, ``get_settings().model``.
        """
        assert self.modules is not None
        rest: list[str] = []
        at: ast.expr = node
        while isinstance(at, ast.Attribute) and not self._held(at, block):
            rest.append(at.attr)
            at = at.value
        at, block = self._held(at, block) or (at, block)
        called = isinstance(at, ast.Call) and not at.args and not at.keywords
        name = dotted_name(at.func if isinstance(at, ast.Call) else at)
        if name is None or (isinstance(at, ast.Call) and not called):
            return None
        root, _, more = name.partition(".")
        scope = block.scope.holding(root)
        imported = scope.bindings[root] if scope else []
        if len(imported) != 1 or not isinstance(imported[0].to, str):
            return None
        parts = [imported[0].to, *([more] if more else [])]
        parts[-1] += "()" if called else ""
        return self.modules.value(".".join([*parts, *reversed(rest)]))

    def _held(self, node: ast.expr, block: Block) -> tuple[ast.expr, Block] | None:
        """What a variable, or an attribute of ``self``, was given once."""
        bindings: Sequence[Binding] = ()
        if isinstance(node, ast.Name) and (scope := block.scope.holding(node.id)):
            bindings = scope.bindings[node.id]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = block.scope.owner
            if owner is not None and node.value.id == owner[0]:
                bindings = owner[1].attributes.get(node.attr, ())
        if len(bindings) == 1 and isinstance(bindings[0].to, ast.Name | ast.Attribute | ast.Call):
            return bindings[0].to, bindings[0].block
        return None

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
        if self._depth > _DEEPEST:
            return None
        assert isinstance(binding.to, ast.expr)
        self._depth += 1
        try:
            return self.dotted(binding.to, binding.block)
        finally:
            self._depth -= 1

    # Calls

    def call(self, node: ast.Call, block: Block) -> Call:
        """A call as it stands there."""
        if id(node) in self._calls:
            return self._calls[id(node)]
        callee, receiver = self._callee(node.func, block)
        args: list[Value] = []
        rest: list[Unresolved] = []
        for one in node.args:
            if isinstance(one, ast.Starred):
                spread = self.value(one.value, block)
                if isinstance(spread, list):
                    args += spread
                else:
                    rest.append(self.unresolved(one.value))
            else:
                args.append(self.value(one, block))
        fields: dict[str, Value] = {}
        for key in node.keywords:
            value = self.value(key.value, block)
            if key.arg is not None:
                fields[key.arg] = value
            elif isinstance(value, dict):
                fields.update(value)
            else:
                rest.append(self.unresolved(key.value))
        made = Call(
            callee, tuple(args), fields, receiver, tuple(rest),
            tuple(self.walk.targets.get(id(node), ())), block.scope.function, node.lineno,
            self.source.text(node), self._among(node.func, block),
        )  # fmt: skip
        return self._calls.setdefault(id(node), made)

    def _among(self, func: ast.expr, block: Block) -> tuple[Call, ...]:
        """The calls of which one gave what a method is called on."""
        if not isinstance(func, ast.Attribute):
            found = self.value(func, block) if isinstance(func, ast.Name) else None
        else:
            found = self.value(func.value, block)
        return found.calls if isinstance(found, Unresolved) else ()

    def _callee(self, func: ast.expr, block: Block) -> tuple[str, Call | None]:
        """The dotted name of what is called, and the call that it is called on."""
        rest: list[str] = []
        node = func
        while True:
            if not isinstance(node, ast.Name) or block.scope.holding(node.id):
                base = self.value(node, block)
                if isinstance(base, Unresolved) and isinstance(node, ast.Call) and rest:
                    base = self.call(node, block)  # of a function that gives one of several
                if isinstance(base, Call):
                    return ".".join(reversed(rest)), base
            if not isinstance(node, ast.Attribute):
                break
            rest.append(node.attr)
            node = node.value
        dotted = self.dotted(func, block)
        if dotted is not None:
            return self._through(func, dotted, block)
        first = ["str"] if isinstance(self.value(node, block), str | Prompt) else []
        return ".".join((*first, *reversed(rest))), None

    def _through(self, func: ast.expr, dotted: str, block: Block) -> tuple[str, Call | None]:
        """A method that was given another name is that method."""
        if isinstance(func, ast.Name) and (scope := block.scope.holding(func.id)):
            chosen = holding(scope.bindings[func.id], block, (func.lineno, func.col_offset))
            if chosen is not None and isinstance(chosen.to, ast.Attribute):
                if self._depth > _DEEPEST:
                    return dotted, None
                self._depth += 1
                try:
                    return self._callee(chosen.to, chosen.block)
                finally:
                    self._depth -= 1
        return dotted, None

    def _called(self, node: ast.Call, block: Block) -> Value:
        """What a call gives: for what is known the value, else the call itself."""
        call = self.call(node, block)
        found = known.result(call)
        if found is not None:
            return found.value
        if isinstance(node.func, ast.Attribute) and call.receiver is None:
            base = self.value(node.func.value, block)
            if node.func.attr == "format" and isinstance(base, str):
                return self._formatted(base, node, block)
            if (found := known.method(base, node.func.attr, call)) is not None:
                return found.value
            if isinstance(base, dict) and node.func.attr == "get" and call.args:
                return self._one_of(node, [*base.values(), *call.args[1:2]])
        local = self._local(node.func, block)
        if local is not None:
            returned = self.returned(local)
            if isinstance(returned, Unresolved):
                calls = returned.calls
                return Unresolved(call.text, call.line, calls) if calls else call
            if returned is not None:
                return returned
        return call

    def _local(self, func: ast.expr, block: Block) -> Function | None:
        """The function of this file that is called."""
        if isinstance(func, ast.Name) and (scope := block.scope.holding(func.id)):
            chosen = holding(scope.bindings[func.id], block, (func.lineno, func.col_offset))
            if chosen is not None and isinstance(chosen.to, Function):
                return chosen.to
        if isinstance(func, ast.Attribute):
            return self.classes.method(func, block)
        return None

    def returned(self, function: Function) -> Value:
        """What a function gives that yields nothing: of several it is not known which."""
        returns = list(_returns(function))
        found = [one for one in returns if one is not None]
        if len(found) == 1 == len(returns):
            return self._returned(found[0], function)
        if not found or len(returns) > _BRANCHES:
            return None
        return self._one_of(found[0], [self._returned(one, function) for one in found])

    def _returned(self, node: ast.expr, function: Function) -> Value:
        blocks = self.walk.returns
        return self.value(node, blocks.get(id(node), self.walk.functions[id(function)]))

    # Containers and operators

    def _dict(self, node: ast.Dict, block: Block) -> Value:
        found: dict[str, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item, block)
            if key is None:
                if isinstance(value, dict):
                    found.update(value)
                else:
                    found["..."] = self.unresolved(item)
                continue
            name = self.value(key, block)
            if isinstance(name, str | int | float):
                found[str(name)] = value
            else:
                found["..."] = self.unresolved(key)
        return found

    def _list(self, parts: Sequence[ast.expr], block: Block) -> Value:
        found: list[Value] = []
        for one in parts:
            value = self.value(one.value if isinstance(one, ast.Starred) else one, block)
            if isinstance(one, ast.Starred) and isinstance(value, list):
                found += value
            else:
                found.append(self.unresolved(one) if isinstance(one, ast.Starred) else value)
        return found

    def _item(self, node: ast.Subscript, block: Block) -> Value:
        key = self.value(node.slice, block)
        if isinstance(key, str) and self.dotted(node.value, block) in known.ENVIRONMENTS:
            return Env(key)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            base = self.value(node.value.value, block)
            if isinstance(base, str) and isinstance(key, int) and 0 <= key < 20:
                for _ in range(key + 1):
                    base = known.folder(base)
                return base
        whole = self.value(node.value, block)
        if isinstance(whole, Call) and whole.name == "dotenv_values" and isinstance(key, str):
            return Env(key)
        if isinstance(whole, dict) and isinstance(key, str | int) and str(key) in whole:
            return self.unresolved(node) if "..." in whole else whole[str(key)]
        if isinstance(whole, list) and isinstance(key, int) and -len(whole) <= key < len(whole):
            return whole[key]
        if isinstance(whole, dict) and isinstance(key, Unresolved | Call | Env):
            return self._one_of(node, whole.values())
        return self.unresolved(node)

    def _choice(self, node: ast.BoolOp, block: Block) -> Value:
        if isinstance(node.op, ast.And):
            return self._same(node.values, block, node)
        values = [self.value(one, block) for one in node.values]
        return texts.either(values, self._one_of(node, values, whole=False))

    def _same(self, nodes: Sequence[ast.expr], block: Block, whole: ast.expr) -> Value:
        values = [self.value(one, block) for one in nodes]
        known_all = not any(isinstance(one, Unresolved) for one in values)
        same = all(one == values[0] and type(one) is type(values[0]) for one in values)
        return values[0] if known_all and same else self._one_of(whole, values)

    def _signed(self, node: ast.UnaryOp, block: Block) -> Value:
        value = self.value(node.operand, block)
        if isinstance(value, bool) and isinstance(node.op, ast.Not):
            return not value
        if isinstance(value, int | float) and isinstance(node.op, ast.USub):
            return -value
        return value if isinstance(node.op, ast.UAdd) else self.unresolved(node)

    def _operation(self, node: ast.BinOp, block: Block) -> Value:
        if isinstance(node.op, ast.Add):
            return self._sum(node, block)
        left, right = self.value(node.left, block), self.value(node.right, block)
        if isinstance(node.op, ast.BitOr):
            if isinstance(left, dict) and isinstance(right, dict):
                return {**left, **right}
            return self._piped(node, left, right, block)
        if isinstance(node.op, ast.Div) and isinstance(left, str) and isinstance(right, str):
            return known.joined([left, right])
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            filled = texts.percent(left, [self._hole(one, block) for one in parts])
            return self.unresolved(node) if filled is None else filled
        found = texts.calculated(node.op, left, right)
        return self.unresolved(node) if found is None else found

    def _piped(self, node: ast.BinOp, left: Value, right: Value, block: Block) -> Call:
        made = Call(
            "|", (left, right), {}, None, (), tuple(self.walk.targets.get(id(node), ())),
            block.scope.function, node.lineno, self.source.text(node),
        )  # fmt: skip
        return self._calls.setdefault(id(node), made)

    def _sum(self, node: ast.BinOp, block: Block) -> Value:
        """A chain of ``+``, which may be long."""
        parts: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
            parts.append(left.right)
            left = left.left
        nodes = [left, *reversed(parts)]
        values = [self.value(one, block) for one in nodes]
        if any(isinstance(one, str | Prompt) for one in values):
            filled = texts.combined([self._hole(one, block) for one in nodes])
            return self.unresolved(node) if filled is None else filled
        found = texts.total(values)
        return self.unresolved(node) if found is None else found

    # Texts

    def _hole(self, node: ast.expr, block: Block) -> str | Prompt | None:
        """What an expression adds to a text: a known text, a hole with its name, or None."""
        value = self.value(node, block)
        if isinstance(value, str | Prompt):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str":
            return self._hole(node.args[0], block) if len(node.args) == 1 else None
        return texts.hole(node.id) if isinstance(node, ast.Name) else None

    def _joined(self, node: ast.JoinedStr, block: Block) -> Value:
        parts: list[str | Prompt | None] = []
        for one in node.values:
            if isinstance(one, ast.FormattedValue):
                plain = one.format_spec is None and one.conversion in (-1, ord("s"))
                parts.append(self._hole(one.value, block) if plain else None)
            else:
                found = self.value(one, block)
                parts.append(found if isinstance(found, str) else None)
        filled = texts.combined(parts)
        return self.unresolved(node) if filled is None else filled

    def _formatted(self, template: str, node: ast.Call, block: Block) -> Value:
        named = {
            key.arg: self._hole(key.value, block) for key in node.keywords if key.arg is not None
        }
        spread = len(named) != len(node.keywords)
        listed = [self._hole(one, block) for one in node.args]
        filled = None if spread else texts.formatted(template, listed, named)
        return self.unresolved(node) if filled is None else filled


class Names(Mapping[str, Value]):
    """The names that were assigned once in a file, evaluated when they are asked for."""

    def __init__(self, evaluator: Evaluator) -> None:
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
        return self._evaluator.given(binding, binding.to)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bindings)

    def __len__(self) -> int:
        return len(self._bindings)


def _returns(function: Function) -> Iterator[ast.expr | None]:
    """What the ``return`` statements of a function give; one that yields gives nothing known."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Return):
            yield node.value
        elif isinstance(node, ast.Yield | ast.YieldFrom):
            yield None
            yield None
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))
