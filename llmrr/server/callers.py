"""Who asks: the owner of a key, or whoever reaches the server where it has none.

What is ``current`` belongs to the request that is being answered: what answers it need not be told.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from llmrr.errors import NotFound
from llmrr.server.aliases import AUTO
from llmrr.server.refusals import KeyLimit
from llmrr.server.whereabouts import without_paths
from llmrr.tomlfile import KeyRules

DAY_S = 86400.0
UNLIMITED = KeyRules()


@dataclass(slots=True)
class Bucket:
    """So many a span of seconds, at most that many at once.

    >>> bucket = Bucket(60, 60.0, now=0.0)
    >>> bucket.take(60, now=0.0), bucket.wait(1, now=0.0), bucket.wait(1, now=1.0)
    (None, 1.0, 0.0)
    """

    most: float
    span: float
    now: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.most

    def wait(self, wanted: float, now: float) -> float:
        """In how many seconds there is so much again; of what is more than it holds, all of it."""
        self.left = min(self.most, self.left + (now - self.now) * self.most / self.span)
        self.now = now
        missing = min(wanted, self.most) - self.left
        return max(0.0, missing * self.span / self.most) if self.most else math.inf

    def take(self, units: float, now: float) -> None:
        """Take so much, though it may not be there."""
        self.wait(0, now)
        self.left -= units


def _bucket(most: int | None, span: float, now: float) -> Bucket | None:
    return None if most is None else Bucket(most, span, now)


class Caller:
    """Who asks, what he may, and what he has used. ``name`` is that of his key, empty without
    one."""

    def __init__(
        self, name: str = "", rules: KeyRules = UNLIMITED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.name, self.rules, self._clock = name, rules, clock
        now = clock()
        self._requests = _bucket(rules.requests_per_minute, 60.0, now)
        self._day = _bucket(rules.tokens_per_day, DAY_S, now)
        minute = _bucket(rules.tokens_per_minute, 60.0, now)
        self._tokens = [found for found in (minute, self._day) if found is not None]
        self._untold = 0  # tokens of the day that are written down nowhere
        self.under_way = 0

    def may_use(self, model: str) -> bool:
        """Whether this model, or group, is one of his."""
        return not self.rules.models or model in self.rules.models

    def enter(self) -> None:
        """Begin a request, which ``leave`` ends. Raises ``KeyLimit`` where he has used what he
        may."""
        now, most = self._clock(), self.rules.concurrent
        if most is not None and self.under_way >= most:
            raise self._limit(f"{most} requests at once", 1.0)
        for bucket in self._tokens:
            if wait := bucket.wait(1, now):
                which = "minute" if bucket.span == 60 else "day"
                raise self._limit(f"{bucket.most:,.0f} tokens a {which}", wait)
        if self._requests is not None:
            if wait := self._requests.wait(1, now):
                raise self._limit(f"{self._requests.most:,.0f} requests a minute", wait)
            self._requests.take(1, now)
        self.under_way += 1

    def leave(self, tokens: int) -> None:
        """A request has ended, and took so many tokens."""
        self.under_way -= 1
        self._untold += tokens
        now = self._clock()
        for bucket in self._tokens:
            bucket.take(tokens, now)

    # -- the day, which outlives the process ---------------------------------------------------

    @property
    def daily(self) -> int | None:
        """How many tokens a day he may use."""
        return self.rules.tokens_per_day

    @property
    def has_untold(self) -> bool:
        """Whether he has used some since ``untold`` was called."""
        return self._untold > 0

    def untold(self) -> int:
        """How many those are. They are told once."""
        found, self._untold = self._untold, 0
        return found

    def keep(self, tokens: int) -> None:
        """Tell these again: they could not be written down."""
        self._untold += tokens

    def has_used(self, tokens: float) -> None:
        """What counts of the day by now, what is untold apart."""
        if self._day is not None:
            self._day.now = self._clock()
            self._day.left = self._day.most - tokens - self._untold

    def _limit(self, what: str, wait: float) -> KeyLimit:
        after = min(math.ceil(wait), DAY_S)
        return KeyLimit(
            f"this key may have {what}", f"again in {after:.0f} s", retry_after=after
        )


ANYONE = Caller()
STRANGER = Caller(rules=KeyRules(models=("",)))  # without a key where one is needed: none is his


@dataclass(slots=True)
class Visit:
    """A request that is being answered: who asks, and by which name for which model."""

    caller: Caller = ANYONE
    model: str = ""


_visit: ContextVar[Visit] = ContextVar("visit")
enter = _visit.set


def visit() -> Visit:
    """The request that is being answered."""
    return _visit.get(None) or Visit()


def current() -> Caller:
    """Who asks what is being answered."""
    return visit().caller


def visible(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a decision that whoever asks may see: those of his own models."""
    may_use, found = current().may_use, dict(decision)
    found["asked"] = [one for one in decision["asked"] if may_use(one)]
    for name in ("candidates", "rejected"):
        found[name] = [one for one in decision[name] if may_use(one["name"])]
    told: dict[str, Any] = without_paths(found)
    return told


def require_default(model: str) -> None:
    """Raise what is raised for a name that means no model, where the one that answers when none is
    named is not for who asks."""
    if not current().may_use(model):
        raise no_model(AUTO)


def no_model(name: str) -> NotFound:
    """The error for a name that means no model to whoever asks: whether it means one to somebody
    else is not said."""
    return NotFound(
        f'there is no model "{name}" here',
        "GET /v1/models lists them, and [serve] aliases gives one of them this name, too",
    )
