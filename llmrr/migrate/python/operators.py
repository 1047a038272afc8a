"""Operators, and texts that are put together."""

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmrr.migrate.alternatives import one_of, with_calls
from llmrr.migrate.python import known, texts
from llmrr.migrate.python.nodes import dotted_name
from llmrr.migrate.python.scopes import Block
from llmrr.migrate.values import OneOf, Prompt, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.evaluation import Evaluator


class Operators:
    """What operators give, f-strings and ``format`` among them."""

    def __init__(self, evaluator: "Evaluator") -> None:
        self._evaluator = evaluator

    def choice(self, node: ast.BoolOp, block: Block) -> Value:
        if isinstance(node.op, ast.And):
            return self.same(node.values, block, node)
        values = [self._evaluator.value(one, block) for one in node.values]
        found = texts.either(values, self._evaluator.unresolved(node))
        return one_of(values, found, whole=False) if type(found) is Unresolved else found

    def branches(self, node: ast.IfExp, block: Block) -> Value:
        """``a if test else b``: with ``a is not None`` as the test it is ``a or b``."""
        yes, no = node.body, node.orelse
        tested = {dotted_name(one) for one in ast.walk(node.test) if isinstance(one, ast.expr)}
        for first, second in ((yes, no), (no, yes)):
            name = dotted_name(first)
            if name is not None and name in tested:
                value = self._evaluator.value(first, block)
                if isinstance(value, OneOf):
                    rest = self._evaluator.value(second, block)
                    return texts.either([value, rest], self._evaluator.unresolved(node))
        same = self.same([yes, no], block, node)
        if not isinstance(same, Unresolved) or isinstance(same, OneOf):
            return same
        values = [self._evaluator.value(one, block) for one in (yes, no)]
        return with_calls(texts.one_of(values, same), values)

    def same(self, nodes: Sequence[ast.expr], block: Block, whole: ast.expr) -> Value:
        values = [self._evaluator.value(one, block) for one in nodes]
        known_all = not any(isinstance(one, Unresolved) for one in values)
        same = all(one == values[0] and type(one) is type(values[0]) for one in values)
        return values[0] if known_all and same else self._evaluator.unresolved(whole)

    def signed(self, node: ast.UnaryOp, block: Block) -> Value:
        value = self._evaluator.value(node.operand, block)
        if isinstance(value, bool) and isinstance(node.op, ast.Not):
            return not value
        if isinstance(value, int | float) and isinstance(node.op, ast.USub):
            return -value
        return value if isinstance(node.op, ast.UAdd) else self._evaluator.unresolved(node)

    def operation(self, node: ast.BinOp, block: Block) -> Value:
        if isinstance(node.op, ast.Add):
            return self._sum(node, block)
        left, right = (self._evaluator.value(one, block) for one in (node.left, node.right))
        if isinstance(node.op, ast.BitOr):
            if isinstance(left, dict) and isinstance(right, dict):
                return {**left, **right}
            return self._evaluator.calls.piped(node, left, right, block)
        if isinstance(node.op, ast.Div) and isinstance(left, str) and isinstance(right, str):
            return known.joined([left, right])
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            filled = texts.percent(left, [self._hole(one, block) for one in parts])
            return self._evaluator.unresolved(node) if filled is None else filled
        found = texts.calculated(node.op, left, right)
        return self._evaluator.unresolved(node) if found is None else found

    def _sum(self, node: ast.BinOp, block: Block) -> Value:
        """A chain of ``+``, which may be long."""
        parts: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
            parts.append(left.right)
            left = left.left
        nodes = [left, *reversed(parts)]
        values = [self._evaluator.value(one, block) for one in nodes]
        if any(isinstance(one, str | Prompt) for one in values):
            filled = texts.combined([self._hole(one, block) for one in nodes])
            return self._evaluator.unresolved(node) if filled is None else filled
        if any(isinstance(one, list) for one in values):
            return self._listed(nodes, values)
        found = texts.total(values)
        return self._evaluator.unresolved(node) if found is None else found

    def _listed(self, nodes: Sequence[ast.expr], values: Sequence[Value]) -> Value:
        """Lists added: of one that is not known, one entry that is not."""
        found: list[Value] = []
        for node, value in zip(nodes, values, strict=True):
            found += value if isinstance(value, list) else [self._evaluator.unresolved(node)]
        return found

    def _hole(self, node: ast.expr, block: Block) -> str | Prompt | None:
        """What an expression adds to a text: a known text, a hole with its name, or None."""
        value = self._evaluator.value(node, block)
        if isinstance(value, str | Prompt):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str":
            return self._hole(node.args[0], block) if len(node.args) == 1 else None
        return texts.hole(node.id) if isinstance(node, ast.Name) else None

    def joined(self, node: ast.JoinedStr, block: Block) -> Value:
        parts: list[str | Prompt | None] = []
        for one in node.values:
            if isinstance(one, ast.FormattedValue):
                plain = one.format_spec is None and one.conversion in (-1, ord("s"))
                parts.append(self._hole(one.value, block) if plain else None)
            else:
                found = self._evaluator.value(one, block)
                parts.append(found if isinstance(found, str) else None)
        filled = texts.combined(parts)
        return self._evaluator.unresolved(node) if filled is None else filled

    def formatted(self, template: str, node: ast.Call, block: Block) -> Value:
        named = {
            key.arg: self._hole(key.value, block) for key in node.keywords if key.arg is not None
        }
        spread = len(named) != len(node.keywords)
        listed = [self._hole(one, block) for one in node.args]
        filled = None if spread else texts.formatted(template, listed, named)
        return self._evaluator.unresolved(node) if filled is None else filled
