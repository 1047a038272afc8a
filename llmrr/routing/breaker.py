"""When a model that keeps failing is left alone for a while, and when one request tries it again.

Closed until so many failures in a row fall into the window; then open for the cooldown; then half
open: one request is let through, which closes it or opens it anew. A request that never came back
(its process was killed) is waited for as long as a cooldown.

In a row, not in all: a sound model that is asked a hundred times a second and fails once in a
hundred has five failures in any window, and none that nobody answers has a success in between. The
window keeps failures of long ago, between which nobody asked, from adding up.
"""

from typing import NamedTuple


class Rules(NamedTuple):
    """``[breaker]``; seconds."""

    failures: int = 5
    window: float = 60.0
    cooldown: float = 30.0


class Breaker(NamedTuple):
    """``failed`` are the epoch seconds of the failures since the last success, at most as many as
    open it; ``opened`` when it opened, ``probed`` when a request was last let through."""

    failed: tuple[float, ...] = ()
    opened: float | None = None
    probed: float | None = None


CLOSED = Breaker()


def closed_at(breaker: Breaker, rules: Rules) -> float | None:
    """When an open one lets a request through; None while it is closed.

    >>> closed_at(Breaker((1.0,), 1.0), Rules(cooldown=30))
    31.0
    """
    return None if breaker.opened is None else breaker.opened + rules.cooldown


def probing(breaker: Breaker, rules: Rules, now: float) -> bool:
    """Whether a request is trying it right now."""
    return breaker.probed is not None and 0 <= now - breaker.probed < rules.cooldown


def claimed(breaker: Breaker, rules: Rules, now: float) -> Breaker | None:
    """The state once a request is let through; None where it must not be. A clock that was set back
    keeps nothing shut."""
    if breaker.opened is None:
        return breaker
    waited = now - breaker.opened
    if 0 <= waited < rules.cooldown or probing(breaker, rules, now):
        return None
    return breaker._replace(probed=now)


def after(breaker: Breaker, rules: Rules, now: float, *, failed: bool) -> Breaker:
    """The state once a request has come back.

    >>> rules = Rules(failures=2, window=10)
    >>> once = after(CLOSED, rules, 1.0, failed=True)
    >>> once.opened, after(once, rules, 5.0, failed=True).opened
    (None, 5.0)
    >>> after(once, rules, 15.0, failed=True).opened is None
    True
    """
    if not failed:
        return CLOSED
    recent = tuple(at for at in breaker.failed if abs(now - at) < rules.window)
    times = (*recent, now)[-rules.failures :]
    if breaker.opened is not None:  # a late failure of before does not prolong it
        is_probe = breaker.probed is not None
        return Breaker(times, now) if is_probe else breaker._replace(failed=times)
    return Breaker(times, now if len(times) >= rules.failures else None)
