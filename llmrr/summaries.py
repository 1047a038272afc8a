"""What runs took, by model and by local day. SQLite adds up what can be added, out of the index
that is there for it; only the times whose middle is looked for leave it.

All functions take the connection of ``database.open_database`` and raise only the error tree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import database
from llmrr.stats import quantile

if TYPE_CHECKING:
    import sqlite3

# What ``migrate cache`` brought counts in no figure of ours.
_NEXT: Final = "SELECT min(at) FROM runs WHERE import_id IS NULL AND at >= ?"
_TIMED: Final = """error IS NULL AND cache IS NULL AND completion_tokens > 1
    AND total_s > first_token_s"""
_SUMS: Final = f"""SELECT model, count(*), count(error), sum(prompt_tokens), sum(cached_tokens),
    sum(completion_tokens), count(cache), coalesce(sum(CASE WHEN {_TIMED} THEN completion_tokens - 1
    END), 0), coalesce(sum(CASE WHEN {_TIMED} THEN total_s - first_token_s END), 0.0), sum(cost)
    FROM runs WHERE import_id IS NULL AND at >= ? AND at < ? GROUP BY model"""
_TIMES: Final = """SELECT model, first_token_s, total_s FROM runs
    WHERE import_id IS NULL AND at >= ? AND at < ? AND error IS NULL AND cache IS NULL"""

_ANSWERED: Final = """SELECT count(*) FROM runs WHERE import_id IS NULL AND at >= ?
    AND error IS NULL AND finish_reason IS NOT 'cancelled'"""


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """The runs of one model. Times in seconds over the runs that succeeded; ``tokens_per_s`` is
    all generated tokens after the first, over all the time they took. ``cost`` is the dollars of
    the runs whose price is known. Unknown is None. ``hits`` are the runs whose answers the cache
    had, which are in no time."""

    model: str
    runs: int
    errors: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_median_s: float | None
    first_token_p95_s: float | None
    total_median_s: float | None
    total_p95_s: float | None
    tokens_per_s: float | None
    cost: float | None = None
    hits: int = 0


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One day in local time (``YYYY-MM-DD``); days without a run are there too, with zeros.
    ``cost`` is None where no price is known of any run."""

    day: str
    runs: int
    errors: int
    completion_tokens: int
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Models by number of runs, most first; days from the first run to the last."""

    models: tuple[ModelSummary, ...]
    days: tuple[DaySummary, ...]

    @property
    def runs(self) -> int:
        return sum(model.runs for model in self.models)


class _Sums(NamedTuple):
    runs: int
    errors: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    hits: int
    decoded_tokens: int  # after the first
    decoding_s: float
    cost: float | None


class _Taken(NamedTuple):
    """What some runs took; the times are those of the runs that succeeded, and in order."""

    sums: _Sums
    first_token_s: list[float]
    total_s: list[float]


def answered(connection: "sqlite3.Connection", since: float) -> int:
    """How many runs at or after ``since`` (epoch seconds) came to their answer's end."""
    with database.errors():
        return int(connection.execute(_ANSWERED, (since,)).fetchone()[0])


def summary(connection: "sqlite3.Connection", since: float | None = None) -> Summary:
    """Figures per model and per day of the runs at or after ``since`` (epoch seconds)."""
    return daily(connection, since)[0]


def daily(
    connection: "sqlite3.Connection", since: float | None = None
) -> tuple[Summary, dict[str, tuple[ModelSummary, ...]]]:
    """``summary``, and the same figures per model of each local day (``YYYY-MM-DD``) with a run,
    the first day first."""
    with database.errors():
        by_day = _by_day(connection, since or 0.0)
    by_model: dict[str, list[_Taken]] = {}
    for models in by_day.values():
        for model, taken in models.items():
            by_model.setdefault(model, []).append(taken)
    in_all = {model: _together(parts) for model, parts in by_model.items()}
    found = {day.isoformat(): _models(models) for day, models in by_day.items()}
    return Summary(_models(in_all), _days(by_day)), found


def _by_day(
    connection: "sqlite3.Connection", since: float
) -> dict[date, dict[str, _Taken]]:
    """What the runs of each day with one took, by model."""
    found: dict[date, dict[str, _Taken]] = {}
    while (first := connection.execute(_NEXT, (since,)).fetchone()[0]) is not None:
        day = date.fromtimestamp(first)
        end = _midnight(day + timedelta(days=1))
        found[day] = _of_models(connection, first, end)
        since = end
    return found


def _midnight(day: date) -> float:
    """When a local day begins: where clocks are put back to midnight or before it, at the first
    midnight, unless a part of the day before comes again after that."""
    begins = datetime(day.year, day.month, day.day)
    first, last = sorted(begins.replace(fold=fold).timestamp() for fold in (0, 1))
    return first if date.fromtimestamp(last - 1) >= day else last


def _of_models(
    connection: "sqlite3.Connection", begin: float, end: float
) -> dict[str, _Taken]:
    found = {
        model: _Taken(_Sums._make(sums), [], [])
        for model, *sums in connection.execute(_SUMS, (begin, end))
    }
    for model, first_token_s, total_s in connection.execute(_TIMES, (begin, end)):
        if (taken := found.get(model)) is not None:  # it may have been recorded just now
            taken.total_s.append(total_s)
            if first_token_s is not None:
                taken.first_token_s.append(first_token_s)
    for taken in found.values():
        taken.first_token_s.sort()
        taken.total_s.sort()
    return found


def _together(parts: Sequence[_Taken]) -> _Taken:
    *counts, costs = zip(*(one.sums for one in parts), strict=True)
    return _Taken(
        _Sums._make((*map(sum, counts), _sum(costs))),
        sorted(one for part in parts for one in part.first_token_s),
        sorted(one for part in parts for one in part.total_s),
    )


def _models(found: dict[str, _Taken]) -> tuple[ModelSummary, ...]:
    models = [_model_summary(model, taken) for model, taken in found.items()]
    return tuple(sorted(models, key=lambda model: (-model.runs, model.model)))


def _model_summary(model: str, taken: _Taken) -> ModelSummary:
    sums, first, total = taken
    return ModelSummary(
        model=model,
        runs=sums.runs,
        errors=sums.errors,
        prompt_tokens=sums.prompt_tokens,
        cached_tokens=sums.cached_tokens,
        completion_tokens=sums.completion_tokens,
        first_token_median_s=quantile(first, 0.5),
        first_token_p95_s=quantile(first, 0.95),
        total_median_s=quantile(total, 0.5),
        total_p95_s=quantile(total, 0.95),
        tokens_per_s=sums.decoded_tokens / sums.decoding_s if sums.decoding_s else None,
        cost=sums.cost,
        hits=sums.hits,
    )


def _days(by_day: dict[date, dict[str, _Taken]]) -> tuple[DaySummary, ...]:
    if not by_day:
        return ()
    first, last = min(by_day), max(by_day)
    days = (first + timedelta(days=at) for at in range((last - first).days + 1))
    return tuple(_day_summary(day, by_day.get(day, {}).values()) for day in days)


def _day_summary(day: date, models: Iterable[_Taken]) -> DaySummary:
    sums = [one.sums for one in models]
    return DaySummary(
        day.isoformat(),
        sum(one.runs for one in sums),
        sum(one.errors for one in sums),
        sum(one.completion_tokens for one in sums),
        _sum(one.cost for one in sums),
    )


def _sum(costs: Iterable[float | None]) -> float | None:
    """Of what is known; None where nothing is."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
