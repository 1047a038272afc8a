"""What may be spent, what is, and whether one more request is within it. Pure: what was spent, the
day and the price of the request are passed in.

What is under way in the same process counts as if it were spent; between processes budgets may be
exceeded by what is under way in the others.

Dollars and tokens, of a day and of a calendar month in local time, of all models together and of
one. From 80 % on there is a warning, at 100 % the model is not asked. A model that costs nothing is
left alone by dollars; one whose price nobody stated cannot be counted, and is only stopped once the
dollars are gone.
"""

from collections.abc import Iterator, Mapping, Sequence
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
    tokens_today: float = 0
    tokens_month: float = 0


NOTHING: Final = Spent()


class Use(NamedTuple):
    """How far one budget is used once a request is counted: ``key`` is the setting, ``of`` the
    model that it is for (None: all), ``spent`` what was recorded before, ``under_way`` what others
    are about to take. ``resets`` is the day that it begins anew."""

    key: str
    of: str | None
    limit: float
    spent: float
    expected: float
    resets: date
    under_way: float = 0.0

    @property
    def share(self) -> float:
        """Of the limit; 1 is all of it.

        >>> Use("daily", None, 5.0, 4.0, 0.5, date(2026, 12, 1)).share
        0.9
        """
        total = self.spent + self.under_way + self.expected
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
            spent, limit, under_way, more = (f"{one:,.0f}" for one in self._amounts)
            what = f"tokens of {when} are spent"
        else:
            spent, limit, under_way, more = _alike(self._amounts)
            what = f"of {when} are spent"
        others = f", {under_way} are under way" if self.under_way else ""
        this = f", and this takes about {more}" if self.expected else ""
        return f"{spent} of {limit} {what}{others}{this}"

    @property
    def _amounts(self) -> tuple[float, float, float, float]:
        return self.spent, self.limit, self.under_way, self.expected

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
    """The limits and what was spent, on one day; ``own`` and what ends in ``by`` are by
    model. Unless it ``is_known`` what was spent is at least that much."""

    today: date
    limits: Limits = NO_LIMITS
    own: Mapping[str, Limits] = field(default_factory=dict)
    spent: Spent = NOTHING
    spent_by: Mapping[str, Spent] = field(default_factory=dict)
    under_way: Spent = NOTHING
    under_way_by: Mapping[str, Spent] = field(default_factory=dict)
    is_known: bool = True
    _dollars: float = field(init=False, repr=False)  # what is left for all models
    _tokens: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        left = [
            inf if limit is None else limit * _FULL - so_far - more
            for limit, so_far, more in zip(self.limits, self.spent, self.under_way, strict=True)
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
        yield from self._of(None, self.limits, (self.spent, self.under_way), cost, tokens)
        if (limits := self.own.get(name)) is not None:
            used = (self.spent_by.get(name, NOTHING), self.under_way_by.get(name, NOTHING))
            yield from self._of(name, limits, used, cost, tokens)

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
        self,
        name: str | None,
        limits: Limits,
        used: tuple[Spent, Spent],
        cost: float | None,
        tokens: float,
    ) -> Iterator[Use]:
        for key, limit, so_far, more in zip(WORDS, limits, *used, strict=True):
            if limit is None or (cost == 0 and not key.startswith("tokens")):
                continue
            expected = tokens if key.startswith("tokens") else cost or 0.0
            resets = self.today + timedelta(1) if key.endswith("daily") else _next(self.today)
            yield Use(key, name, limit, so_far, expected, resets, more)


def dollars(amount: float) -> str:
    """An amount as people write it; small ones with two digits that count.

    >>> dollars(1234.5), dollars(0.0000123), dollars(0)
    ('$1,234.50', '$0.000012', '$0.00')
    """
    if amount == 0 or abs(amount) >= 0.01:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if abs(amount) >= 1e-4 else f"${amount:.6f}"


def _alike(amounts: Sequence[float]) -> list[str]:
    """Amounts that are compared: with as many digits as show how they add up.

    >>> _alike((0.015, 0.02, 0.006)), _alike((2.0, 1.0, 0.5))
    (['$0.015', '$0.020', '$0.006'], ['$2.00', '$1.00', '$0.50'])
    """
    digits = next(
        (some for some in range(2, 6)
         if all(abs(round(one, some) - one) <= one * 0.005 for one in amounts if one >= 1e-4)), 6
    )  # fmt: skip
    return [dollars(one) if 0 < one < 1e-4 else f"${one:,.{digits}f}" for one in amounts]


def _next(day: date) -> date:
    """The first day of the next month."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
