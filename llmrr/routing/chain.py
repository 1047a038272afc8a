"""In which order models are asked when one fails, and how long to wait before it is asked again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from llmrr.routing.draws import uniform


class RetryRules(NamedTuple):
    """``[retry]``; ``attempts`` in all, delays in seconds."""

    attempts: int = 3
    backoff: str = "exponential"
    initial_delay: float = 0.5
    max_delay: float = 10.0


def chain(first: str, own: Mapping[str, Sequence[str]], then: Iterable[str]) -> list[str]:
    """The chosen model, the fallbacks of its own, each followed by its own, then the rest; each
    once.

    >>> chain("a", {"a": ["b"], "b": ["c"]}, ["c", "d", "a"])
    ['a', 'b', 'c', 'd']
    """
    order: dict[str, None] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop(0)
        if name not in order:
            order[name] = None
            waiting = [*own.get(name, ()), *waiting]
    return list(dict.fromkeys((*order, *then)))


def delay(rules: RetryRules, tried: int, seed: int, asked: float | None = None) -> float:
    """Seconds to wait after the ``tried``-th attempt, between half of what the backoff says and all
    of it, so that many do not come back at once; at least what the provider ``asked`` for.

    >>> 1.0 <= delay(RetryRules(initial_delay=1.0), 2, seed=7) <= 2.0
    True
    >>> delay(RetryRules(), 1, seed=7, asked=20.0)
    20.0
    """
    grown = tried if rules.backoff == "linear" else 2.0 ** min(tried - 1, 60)
    longest = min(rules.max_delay, rules.initial_delay * grown)
    return max(longest * (0.5 + 0.5 * uniform(seed, tried)), asked or 0.0)


def may_wait(
    rules: RetryRules, seconds: float, left: float | None, took: float = 0.0, *,
    others: Callable[[], bool],
) -> bool:  # fmt: skip
    """Whether to wait so long for the same model: not beyond what is ``left`` of the time. Where
    there are others, not longer than the longest delay either, nor where what is left then would
    not do for another attempt that takes what the last one ``took``."""
    if left is not None and seconds >= left:
        return False
    if seconds <= rules.max_delay and (left is None or seconds + took <= left):
        return True
    return not others()
