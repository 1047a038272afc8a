"""Expressions with operators."""

from typing import TYPE_CHECKING

from llmrr.migrate.javascript import literals, operators
from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.known import NotKnown
from llmrr.migrate.javascript.refs import Found, bare
from llmrr.migrate.javascript.scopes import Scope
from llmrr.migrate.values import Call, Env, OneOf, Unresolved, Value

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
        second = _operand(ev, operand, scope, depth, operator_text)
        if operator_text in ("||", "??") and _is_unknown(first) and not isinstance(second, Call):
            first = _else(ev, node, first, second)
        else:
            first = operators.binary(operator_text, first, second)
    return first


def _is_unknown(value: Value) -> bool:
    return isinstance(value, Unresolved | Call)


def _else(ev: "Evaluator", node: "Node", first: Value, second: Value) -> Value:
    """``unknown || "x"``, which is "x" unless somebody says otherwise."""
    if isinstance(first, OneOf):
        return first
    if not isinstance(second, str | int | float | Env) or second == "":
        return ev.unresolved(node)
    return OneOf(ev.text(node), node.start_point[0] + 1, (second,), True)


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
    is_true = operators.truth(ev.value(condition, scope, depth))
    return ev.find(yes if is_true else no, scope, depth)
