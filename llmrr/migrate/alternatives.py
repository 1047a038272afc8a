"""What something may be that branches of code decide. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from llmrr.migrate.values import Call, Env, OneOf, Unresolved, Value

_MOST: Final = 12  # of what a name may be; of more nothing is said
_WIDEST: Final = 64  # values that are looked at


def alternatives(values: Iterable[Value], *, whole: bool = True) -> tuple[Value, ...]:
    """What something may be that is one of these, each once. Calls count though another is not
    known; plain values only where all are, or where they are defaults (not ``whole``).

    >>> alternatives(["a", "b", "a", None]), alternatives(["a", Unresolved("x")])
    (('a', 'b'), ())
    >>> alternatives([Unresolved("x"), "a"], whole=False)
    ('a',)
    """
    found: list[Value] = []
    complete = True
    given = list(islice(values, _WIDEST + 1))
    for value in given:
        inner = _inside(value)
        complete = complete and bool(inner)
        for one in inner:
            kept = isinstance(one, str | int | float | Env | Call) and one != ""
            if kept and not any(_is_same(one, other) for other in found):
                found.append(one)
        if len(found) > _MOST:
            return ()
    if len(given) > _WIDEST:
        return ()
    if not complete and whole:
        found = [one for one in found if isinstance(one, Call)]
    return tuple(found)


def one_of(values: Iterable[Value], unknown: Unresolved, *, whole: bool = True) -> Unresolved:
    """``unknown`` with what it may be: calls of which one gave it, or else plain values."""
    found = alternatives(values, whole=whole)
    calls = tuple(one for one in found if isinstance(one, Call))
    if calls or not found:
        return replace(unknown, calls=calls)
    return OneOf(unknown.text, unknown.line, found, not whole)


def with_calls(found: Unresolved, values: Iterable[Value]) -> Unresolved:
    """What is not known, with the calls among the values that it may have."""
    if found.calls:
        return found
    calls = tuple(one for one in alternatives(values) if isinstance(one, Call))
    return replace(found, calls=calls) if calls else found


def _inside(value: Value) -> tuple[Value, ...]:
    if isinstance(value, OneOf):
        return (*value.stated, *value.calls)
    if isinstance(value, Call) and _is_looked_up(value):
        return ()  # settings.get("model")
    return value.calls if isinstance(value, Unresolved) else (value,)


def _is_looked_up(call: Call) -> bool:
    return call.name == "get" and bool(call.args) and isinstance(call.args[0], str)


def _is_same(one: Value, other: Value) -> bool:
    return type(one) is type(other) and one == other
