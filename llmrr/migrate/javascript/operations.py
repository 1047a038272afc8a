"""Expressions with operators."""

from typing import TYPE_CHECKING

from llmrr.migrate.javascript import literals, operators
from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.known import NotKnown
from llmrr.migrate.javascript.refs import Found, bare
from llmrr.migrate.javascript.scopes import Scope
from llmrr.migrate.values import Call, Env, Unresolved, Value

if TYPE_CHECKING:
    from tree_sitter import Node

    from llmrr.migrate.javascript.evaluator import Evaluator


def binary(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    """Chains of one operator are walked along, not down."""
    spine = []
    while node.type == "binary_expression":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if left is None or right is None or operator is None:
            raise NotKnown
        spine.append((text_of(operator), right))
        node = bare(left) if left.type == "parenthesized_expression" else left
    first = _operand(ev, node, scope, depth, spine[-1][0])
    for operator_text, operand in reversed(spine):
        first = _result(ev, node, operator_text, first,
                        _operand(ev, operand, scope, depth, operator_text))  # fmt: skip
    return first


def _result(ev: "Evaluator", node: "Node", operator: str, left: Value, right: Value) -> Value:
    """What an operator gives; of ``x || "default"`` with an unknown ``x``, the default is known."""
    try:
        return operators.binary(operator, left, right)
    except NotKnown:
        if operator not in ("||", "??"):
            raise
        return ev.one_of(node.parent or node, [left, right], whole=False)


def _operand(ev: "Evaluator", node: "Node", scope: Scope, depth: int, operator: str) -> Value:
    value = ev.value(node, scope, depth)
    if operator == "+" and isinstance(value, Unresolved | Call | Env):
        return literals.as_hole(ev, bare(node))
    return value


def unary(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    operator = node.child_by_field_name("operator")
    argument = node.child_by_field_name("argument")
    if operator is None or argument is None:
        raise NotKnown
    return operators.unary(text_of(operator), ev.value(argument, scope, depth))


def ternary(ev: "Evaluator", node: "Node", scope: Scope, depth: int) -> Found:
    condition, yes, no = (
        node.child_by_field_name(name) for name in ("condition", "consequence", "alternative")
    )
    if condition is None or yes is None or no is None:
        raise NotKnown
    try:
        is_true = operators.truth(ev.value(condition, scope, depth))
    except NotKnown:
        return ev.one_of(node, [ev.value(one, scope, depth) for one in (yes, no)])
    return ev.find(yes if is_true else no, scope, depth)
