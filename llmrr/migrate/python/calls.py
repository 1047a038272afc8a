"""Calls: what is called, on what, with what, and what it gives."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from llmrr.migrate.alternatives import with_calls
from llmrr.migrate.python import known
from llmrr.migrate.python.choosing import BRANCHES, holding
from llmrr.migrate.python.nodes import Function, span_of
from llmrr.migrate.python.scopes import Binding, Block
from llmrr.migrate.values import Call, OneOf, Prompt, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.evaluation import Evaluator


class Calls:
    """The calls of a file; every node is one call, which is kept."""

    def __init__(self, evaluator: "Evaluator") -> None:
        self._evaluator = evaluator
        self._calls: dict[int, Call] = {}
        self._returned: dict[int, tuple[ast.expr, ...]] = {}

    def call(self, node: ast.Call, block: Block) -> Call:
        """A call as it stands there."""
        if id(node) in self._calls:
            return self._calls[id(node)]
        callee, receiver = self._callee(node.func, block)
        args: list[Value] = []
        rest: list[Unresolved] = []
        for one in node.args:
            if isinstance(one, ast.Starred):
                spread = self._evaluator.value(one.value, block)
                if isinstance(spread, list):
                    args += spread
                else:
                    rest.append(self._evaluator.unresolved(one.value))
            else:
                args.append(self._evaluator.value(one, block))
        fields: dict[str, Value] = {}
        for key in node.keywords:
            value = self._evaluator.value(key.value, block)
            if key.arg is not None:
                fields[key.arg] = value
            elif isinstance(value, dict):
                fields.update(value)
            else:
                rest.append(self._evaluator.unresolved(key.value))
        targets = self._evaluator.walk.targets.get(id(node), ())
        made = Call(
            callee, tuple(args), fields, receiver, tuple(rest), tuple(targets),
            block.scope.function, node.lineno, self._evaluator.source.text(node), span_of(node),
            self._among(node.func, block),
        )  # fmt: skip
        return self._calls.setdefault(id(node), made)

    def _among(self, func: ast.expr, block: Block) -> tuple[Call, ...]:
        """The calls of which one gave what is called, or what a method is called on."""
        on = func.value if isinstance(func, ast.Attribute) else func
        if not isinstance(func, ast.Attribute | ast.Name):
            return ()
        found = self._evaluator.value(on, block)
        return found.calls if isinstance(found, Unresolved) else ()

    def _callee(self, func: ast.expr, block: Block) -> tuple[str, Call | None]:
        """The dotted name of what is called, and the call that it is called on."""
        rest: list[str] = []
        node = func
        while True:
            if not isinstance(node, ast.Name) or block.scope.holding(node.id):
                base = self._evaluator.value(node, block)
                if isinstance(base, Unresolved) and isinstance(node, ast.Call) and rest:
                    base = self.call(node, block)  # of a function that gives one of several
                if isinstance(base, Call):
                    return ".".join(reversed(rest)), base
            if isinstance(node, ast.Name) and rest and len(rest) < 20:
                alias = self._attribute(node, block)
                if alias is not None and alias.to is not node:
                    assert isinstance(alias.to, ast.Attribute)
                    node, block = alias.to, alias.block
                    continue
            if not isinstance(node, ast.Attribute):
                break
            rest.append(node.attr)
            node = node.value
        dotted = self._evaluator.variables.dotted(func, block)
        if dotted is not None:
            return self._through(func, dotted, block)
        first = ["str"] if isinstance(self._evaluator.value(node, block), str | Prompt) else []
        return ".".join((*first, *reversed(rest))), None

    def _attribute(self, node: ast.Name, block: Block) -> Binding | None:
        """The attribute that a name stands for: ``completions = client.chat.completions``."""
        scope = block.scope.holding(node.id)
        if scope is None:
            return None
        chosen = holding(scope.bindings[node.id], block, (node.lineno, node.col_offset))
        return chosen if chosen is not None and isinstance(chosen.to, ast.Attribute) else None

    def _through(self, func: ast.expr, dotted: str, block: Block) -> tuple[str, Call | None]:
        """A method that was given another name is that method."""
        if isinstance(func, ast.Name) and (scope := block.scope.holding(func.id)):
            chosen = holding(scope.bindings[func.id], block, (func.lineno, func.col_offset))
            if chosen is not None and isinstance(chosen.to, ast.Attribute):
                with self._evaluator.nested() as allowed:
                    return self._callee(chosen.to, chosen.block) if allowed else (dotted, None)
        return dotted, None

    def result(self, node: ast.Call, block: Block) -> Value:
        """What a call gives: for what is known the value, else the call itself."""
        call = self.call(node, block)
        found = known.result(call)
        if found is not None:
            return found.value
        if isinstance(node.func, ast.Attribute) and call.receiver is None:
            base = self._evaluator.value(node.func.value, block)
            if node.func.attr == "format" and isinstance(base, str):
                return self._evaluator.operators.formatted(base, node, block)
            if (found := known.method(base, node.func.attr, call)) is not None:
                return found.value
            if isinstance(base, dict) and node.func.attr == "get" and call.args:
                return with_calls(self._evaluator.unresolved(node),
                                  [*base.values(), *call.args[1:2]])  # fmt: skip
            if (default := self._default(node, call)) is not None:
                return default
        local = self.local(node.func, block)
        if local is not None:
            returned = self.returned(local)
            if isinstance(returned, Unresolved) and returned.calls:
                return replace(self._evaluator.unresolved(node), calls=returned.calls)
            if returned is not None and not isinstance(returned, Unresolved):
                return returned
        made = self._evaluator.variables.made(call)
        return call if made is None else made

    def _default(self, node: ast.Call, call: Call) -> Value:
        """``settings.get("model", "x")``, which is "x" unless somebody says otherwise."""
        if call.name != "get" or len(call.args) != 2 or not isinstance(call.args[0], str):
            return None
        if not isinstance(call.args[1], str | int | float) or call.args[1] == "":
            return None
        unknown = self._evaluator.unresolved(node)
        return OneOf(unknown.text, unknown.line, (call.args[1],), True)

    def local(self, func: ast.expr, block: Block) -> Function | None:
        """The function of this file that is called."""
        if isinstance(func, ast.Name) and (scope := block.scope.holding(func.id)):
            chosen = holding(scope.bindings[func.id], block, (func.lineno, func.col_offset))
            if chosen is not None and isinstance(chosen.to, Function):
                return chosen.to
        if isinstance(func, ast.Attribute):
            return self._evaluator.classes.method(func, block)
        return None

    def returned(self, function: Function) -> Value:
        """What a function gives that yields nothing: of several calls it is not known which."""
        key = id(function)
        if key not in self._returned:
            every = list(_returns(function))
            found = tuple(one for one in every if one is not None)
            self._returned[key] = found if len(every) - len(found) < 2 else ()
        found = self._returned[key]
        if not found or len(found) > BRANCHES:
            return None
        blocks, own = self._evaluator.walk.returns, self._evaluator.walk.functions[key]
        values = [self._evaluator.value(one, blocks.get(id(one), own)) for one in found]
        if len(values) == 1:
            return values[0]
        return with_calls(self._evaluator.unresolved(found[0]), values)

    def piped(self, node: ast.BinOp, left: Value, right: Value, block: Block) -> Call:
        """``left | right`` as a call."""
        made = Call(
            "|", (left, right), {}, None, (), tuple(self._evaluator.walk.targets.get(id(node), ())),
            block.scope.function, node.lineno, self._evaluator.source.text(node),
        )  # fmt: skip
        return self._calls.setdefault(id(node), made)


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
