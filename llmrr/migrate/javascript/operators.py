"""What operators make of known values. Pure."""

import math
from collections.abc import Callable
from typing import Final

from llmrr.migrate.javascript.known import NotKnown, joined, number_of
from llmrr.migrate.javascript.texts import whole_number
from llmrr.migrate.values import Call, Env, Prompt, Unresolved, Value


def binary(operator: str, left: Value, right: Value) -> Value:
    """The value of ``left operator right``. Raises ``NotKnown``.

    >>> binary("*", 2, 1024), binary("+", "a", 1), binary("||", Env("M"), "gpt-4o")
    (2048, 'a1', Env(name='M', default='gpt-4o'))
    """
    if operator in ("||", "??"):
        return either(left, right, is_nullish=operator == "??")
    if operator == "&&":
        return right if truth(left) else left
    if operator in ("===", "==", "!==", "!="):
        if not (_is_plain(left) and _is_plain(right)):
            raise NotKnown
        is_same = left == right and isinstance(left, bool) == isinstance(right, bool)
        return is_same == operator.startswith("=")
    if operator == "+" and (isinstance(left, str | Prompt) or isinstance(right, str | Prompt)):
        return joined([left, right])
    return _computed(operator, left, right)


def either(left: Value, right: Value, *, is_nullish: bool) -> Value:
    """``left || right``, or ``left ?? right``. Raises ``NotKnown``."""
    if isinstance(left, Env):
        return _with_default(left, right)
    if isinstance(left, Unresolved) and isinstance(right, Call):
        return right  # a client that is kept somewhere: what it is made of counts
    if is_nullish:
        if isinstance(left, Unresolved | Call):
            raise NotKnown
        return right if left is None else left
    return left if truth(left) else right


def _with_default(left: Env, right: Value) -> Value:
    if left.default is None:
        return Env(left.name, None if right == "" else right)
    if isinstance(left.default, Env):
        return Env(left.name, _with_default(left.default, right))
    return left


def unary(operator: str, value: Value) -> Value:
    """The value of ``operator value``. Raises ``NotKnown``.

    >>> unary("-", 1), unary("!", ""), unary("+", "7")
    (-1, True, 7)
    """
    if operator == "!":
        return not truth(value)
    if operator == "void":
        return None
    number = number_of(value)
    if operator == "+":
        return number
    if operator != "-" or not isinstance(number, int | float):
        raise NotKnown
    return -number


def truth(value: Value) -> bool:
    """Whether a value counts as true. Raises ``NotKnown``."""
    if isinstance(value, Env | Unresolved | Call):
        raise NotKnown
    return isinstance(value, list | dict | Prompt) or bool(value)


def _is_plain(value: Value) -> bool:
    return value is None or isinstance(value, str | int | float)


def _computed(operator: str, left: Value, right: Value) -> Value:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        raise NotKnown
    function = _ARITHMETIC.get(operator)
    if function is None or max(abs(left), abs(right)) > 2**53:
        raise NotKnown
    try:
        found = whole_number(function(left, right))
    except (ArithmeticError, ValueError, TypeError):
        raise NotKnown from None
    if found is None or abs(found) > 2**53:
        raise NotKnown
    return found


def _shifted(left: float, right: float) -> float:
    return math.ldexp(int(left), int(right) % 32)


_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right, "-": lambda left, right: left - right,
    "*": lambda left, right: left * right, "/": lambda left, right: left / right,
    "%": math.fmod, "**": lambda left, right: float(left) ** right, "<<": _shifted,
}  # fmt: skip
