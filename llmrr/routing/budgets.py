"""What may be spent, what is, and whether one more request is within it. Pure: what was spent, the
day and the price of the request are passed in.

Dollars and tokens, of a day and of a calendar month in local time, of all models together and of
one. From 80 % on there is a warning, at 100 % the model is not asked. A model that costs nothing is
left alone by dollars; one whose price nobody stated cannot be counted, and is only stopped once the
dollars are gone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import inf
from typing import Final, NamedTuple

from llmrr.errors import OverBudget
from llmrr.strategies import Limits

WARNED_AT: Final = 0.8
_FULL: Final = 1.0 - 1e-9  # sums of dollars are not exact


WORDS: Final = Limits._fields
NO_LIMITS: Final = Limits()


class Spent(NamedTuple):
    """Dollars and tokens of today and of this month."""

    today: float = 0.0
    month: float = 0.0
    tokens_today: int = 0
    tokens_month: int = 0


NOTHING: Final = Spent()


class Use(NamedTuple):
    """How far one budget is used once a request is counted: ``key`` is the setting, ``of`` the
    model that it is for (None: all), ``spent`` what was recorded before. ``resets`` is the day that
    it begins anew."""

    key: str
    of: str | None
    limit: float
    spent: float
    expected: float
    resets: date

    @property
    def share(self) -> float:
        """Of the limit; 1 is all of it.

        >>> Use("daily", None, 5.0, 4.0, 0.5, date(2026, 12, 1)).share
        0.9
        """
        total = self.spent + self.expected
        return total / self.limit if self.limit else inf

    @property
    def is_over(self) -> bool:
        """Whether the request must not be sent."""
        return self.share >= _FULL

    @property
    def figures(self) -> str:
        """What was spent of what.

        >>> Use("tokens_monthly", None, 5000, 4000, 500, date(2026, 12, 1)).figures
        '4,000 of 5,000 tokens of this month are spent, and this takes about 500'
        """
        when = "today" if self.key.endswith("daily") else "this month"
        if self.key.startswith("tokens"):
            of = f"{self.spent:,.0f} of {self.limit:,.0f} tokens of {when} are spent"
            more = f"{self.expected:,.0f}"
        else:
            of = f"{dollars(self.spent)} of {dollars(self.limit)} of {when} are spent"
            more = dollars(self.expected)
        return f"{of}, and this takes about {more}" if self.expected else of

    @property
    def why(self) -> str:
        """The reason that a model is left out for."""
        return f"over budget: {self.figures}"

    @property
    def hint(self) -> str:
        """When it is better, and what says so."""
        own = f"budgets.{self.of}" if self.of else "budgets"
        return f"it begins anew on {self.resets.isoformat()}; the limit is {self.key} of [{own}]"

    def error(self, name: str) -> OverBudget:
        """What to raise where this model is asked for."""
        return OverBudget(f"{name}: {self.why}", self.hint)


@dataclass(frozen=True, slots=True)
class Budgets:
    """The limits and what was spent, on one day; ``own`` and ``spent_by`` are by model."""

    today: date
    limits: Limits = NO_LIMITS
    own: Mapping[str, Limits] = field(default_factory=dict)
    spent: Spent = NOTHING
    spent_by: Mapping[str, Spent] = field(default_factory=dict)
    _dollars: float = field(init=False, repr=False)  # what is left for all models
    _tokens: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        left = [
            inf if limit is None else limit * _FULL - so_far
            for limit, so_far in zip(self.limits, self.spent, strict=True)
        ]
        object.__setattr__(self, "_dollars", min(left[:2]))
        object.__setattr__(self, "_tokens", min(left[2:]))

    def uses(self, name: str, cost: float | None, tokens: float) -> Iterator[Use]:
        """How far each budget that a model falls under is used by a request that is expected to
        take so much. ``cost`` 0 is not held against dollars; None is not known.

        >>> budgets = Budgets(date(2026, 11, 29), Limits(daily=1.0), spent=Spent(today=0.5))
        >>> [use.share for use in budgets.uses("m", 0.25, 100)], list(budgets.uses("m", 0.0, 100))
        ([0.75], [])
        """
        yield from self._of(None, self.limits, self.spent, cost, tokens)
        if (limits := self.own.get(name)) is not None:
            yield from self._of(name, limits, self.spent_by.get(name, NOTHING), cost, tokens)

    def over(self, name: str, cost: float | None, tokens: float) -> Use | None:
        """The budget that this request would exceed most, or None: it may be sent."""
        if name not in self.own and tokens < self._tokens and (
            cost == 0 or (cost or 0.0) < self._dollars
        ):
            return None
        use = self.fullest(name, cost, tokens)
        return use if use is not None and use.is_over else None

    def fullest(self, name: str, cost: float | None, tokens: float) -> Use | None:
        """The budget that is used most, or None where none applies."""
        return max(self.uses(name, cost, tokens), key=lambda use: use.share, default=None)

    def _of(
        self, name: str | None, limits: Limits, spent: Spent, cost: float | None, tokens: float
    ) -> Iterator[Use]:
        rows = zip(WORDS, limits, spent, strict=True)
        for key, limit, so_far in rows:
            if limit is None or (cost == 0 and not key.startswith("tokens")):
                continue
            expected = tokens if key.startswith("tokens") else cost or 0.0
            resets = self.today + timedelta(1) if key.endswith("daily") else _next(self.today)
            yield Use(key, name, limit, so_far, expected, resets)


def dollars(amount: float) -> str:
    """An amount as people write it; small ones with two digits that count.

    >>> dollars(1234.5), dollars(0.0000123), dollars(0)
    ('$1,234.50', '$0.000012', '$0.00')
    """
    if amount == 0 or abs(amount) >= 0.01:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if abs(amount) >= 1e-4 else f"${amount:.6f}"


def _next(day: date) -> date:
    """The first day of the next month."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
