"""What something may be that branches of code decide. Pure."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from llmrr.migrate.values import Call, Env, Unresolved, Value

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
        inner = value.choices if isinstance(value, Unresolved) else (value,)
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


def _is_same(one: Value, other: Value) -> bool:
    return type(one) is type(other) and one == other
