"""What the record of runs says about the use of models: read once, summed up in pure functions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import database
from llmrr.errors import error_types
from llmrr.optimize import masks
from llmrr.stats import quantile

if TYPE_CHECKING:
    import sqlite3

_POPULAR: Final = 20  # shapes that are told, at most
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class ModelUse:
    """How one model was used and did, under one source. ``failures`` are those that a better model
    would not have had: a request that was wrong, and an answer that was broken off by the user, are
    neither failure nor success. Seconds and tokens are means over the successes."""

    model: str
    source: str
    runs: int
    successes: int
    failures: int
    mean_s: float | None
    p95_s: float | None
    prompt_tokens: float | None
    completion_tokens: float | None
    first_token_s: float | None
    token_s: float | None

    @property
    def judged(self) -> int:
        """The runs that say something about it."""
        return self.successes + self.failures

    @property
    def success(self) -> float | None:
        """The share of them that succeeded."""
        return self.successes / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class Counted:
    """A text that many have in common, and how many those are."""

    text: str
    runs: int


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How many of the runs that the cache could have answered it did answer."""

    hits: int
    asked: int

    @property
    def rate(self) -> float:
        return self.hits / self.asked


@dataclass(frozen=True, slots=True)
class History:
    """The facts of the runs at or after ``since`` (epoch seconds). ``errors`` are patterns of
    failures, ``refused`` of what was wrong with requests; ``shapes`` are of ``worded`` runs, whose
    words were kept; ``hours`` are the runs of each hour of the day, local time; ``at_once`` is how
    many runs were under way together at most; ``cache`` is None where it was not asked."""

    since: float
    runs: int
    models: tuple[ModelUse, ...]
    errors: tuple[Counted, ...]
    refused: tuple[Counted, ...]
    shapes: tuple[Counted, ...]
    worded: int
    hours: tuple[int, ...]
    at_once: int
    cache: CacheUse | None = None

    def model(self, name: str, source: str) -> ModelUse | None:
        """How a model did under this source."""
        return next(
            (one for one in self.models if (one.model, one.source) == (name, source)), None
        )

    @property
    def peaks(self) -> tuple[int, ...]:
        """The busiest hours, at most three, the busiest first."""
        ranked = sorted(range(24), key=lambda hour: (-self.hours[hour], hour))
        return tuple(hour for hour in ranked[:3] if self.hours[hour])


class Row(NamedTuple):
    """What is read of a run."""

    model: str
    source: str
    at: float
    load_s: float
    first_token_s: float | None
    total_s: float
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str | None
    error: str | None
    cache: str | None = None
    looked_up: bool = False
    shape: str | None = None


def read(
    connection: "sqlite3.Connection", since: float, cached_since: float = 0.0
) -> History:
    """The facts of the runs at or after ``since``; those of the cache at or after ``cached_since``,
    too."""
    sql = f"""SELECT model, source, at, load_s, first_token_s, total_s, prompt_tokens,
        completion_tokens, finish_reason, substr(error, 1, {_LONGEST_ERROR}), cache,
        looked_up, substr(prompt, 1, {masks.LONGEST_READ + 1}) FROM runs
        WHERE at >= ? AND import_id IS NULL"""
    with database.errors():
        rows = [  # shapes only: all prompts would fill the memory
            Row._make((*row, masks.shape(prompt) if prompt else None))
            for *row, prompt in connection.execute(sql, (since,))
        ]
    return summed(rows, since, cached_since)


def summed(rows: Sequence[Row], since: float, cached_since: float = 0.0) -> History:
    """The facts of these runs."""
    verdicts = _Verdicts()
    asked = [row for row in rows if row.cache is None]  # of a model, not answered by the cache
    by_model: dict[tuple[str, str], list[Row]] = {}
    for row in asked:
        by_model.setdefault((row.model, row.source), []).append(row)
    models = [_use(name, source, of, verdicts) for (name, source), of in by_model.items()]
    models.sort(key=lambda one: (-one.runs, one.model, one.source))
    errors, refused = _patterns(rows, verdicts)
    shapes = Counter(row.shape for row in rows if row.shape)
    return History(
        since=since,
        runs=len(rows),
        models=tuple(models),
        errors=errors,
        refused=refused,
        shapes=tuple(one for one in _counted(shapes)[:_POPULAR] if one.runs > 1),
        worded=shapes.total(),
        hours=_hours(rows),
        at_once=most_at_once((row.at, row.at + row.load_s + row.total_s) for row in asked),
        cache=_cache([row for row in rows if row.at >= cached_since]),
    )


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """How many spans of time (begin, end) overlap at most; one that ends as another begins does
    not overlap it.

    >>> most_at_once([(0, 2), (1, 3), (2, 4), (5, 6)]), most_at_once([])
    (2, 0)
    """
    known = list(spans)
    begins = sorted(begin for begin, _ in known)
    ends = sorted(end for _, end in known)
    most = ended = 0
    for begun, begin in enumerate(begins, 1):
        while ended < len(ends) and ends[ended] <= begin:
            ended += 1
        most = max(most, begun - ended)
    return most


class _Verdicts(dict[str, bool]):
    """Whether an error, as it is recorded, says something about the model."""

    def __init__(self) -> None:
        super().__init__()
        self.of_request = {kind.__name__ for kind in error_types() if kind.is_of_request}

    def __missing__(self, error: str) -> bool:
        self[error] = error.partition(":")[0] not in self.of_request
        return self[error]


def _use(name: str, source: str, rows: Sequence[Row], verdicts: Mapping[str, bool]) -> ModelUse:
    good = [row for row in rows if row.error is None and row.finish_reason != "cancelled"]
    total = [row.total_s for row in good]
    first = [row.first_token_s for row in good if row.first_token_s is not None]
    timed = [
        (row.total_s - row.first_token_s, row.completion_tokens - 1) for row in good
        if row.first_token_s is not None and row.completion_tokens > 1
    ]  # fmt: skip
    tokens = sum(many for _, many in timed)
    return ModelUse(
        model=name,
        source=source,
        runs=len(rows),
        successes=len(good),
        failures=sum(1 for row in rows if row.error is not None and verdicts[row.error]),
        mean_s=_mean(total),
        p95_s=quantile(total, 0.95),
        prompt_tokens=_mean([row.prompt_tokens for row in good]),
        completion_tokens=_mean([row.completion_tokens for row in good]),
        first_token_s=_mean(first),
        token_s=sum(seconds for seconds, _ in timed) / tokens if tokens else None,
    )


def _patterns(
    rows: Sequence[Row], verdicts: Mapping[str, bool]
) -> tuple[tuple[Counted, ...], tuple[Counted, ...]]:
    """The patterns of failures, and those of wrong requests, the most frequent first."""
    texts = Counter((row.error, row.model, row.source) for row in rows if row.error is not None)
    failures: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for (error, model, source), many in texts.items():
        pattern = masks.error_pattern(error, source, model)
        (failures if verdicts[error] else refused)[pattern] += many
    return _counted(failures), _counted(refused)


def _counted(found: "Counter[str]") -> tuple[Counted, ...]:
    return tuple(Counted(text, many) for text, many in found.most_common())


def _cache(rows: Sequence[Row]) -> CacheUse | None:
    asked = [row for row in rows if row.looked_up]
    hits = sum(1 for row in asked if row.cache is not None)
    return CacheUse(hits, len(asked)) if asked else None


def _hours(rows: Sequence[Row]) -> tuple[int, ...]:
    import time

    # An hour begins where a quarter of one does, in every time zone.
    quarters = Counter(int(row.at // 900) for row in rows)
    hours = [0] * 24
    for quarter, many in quarters.items():
        hours[time.localtime(quarter * 900).tm_hour] += many
    return tuple(hours)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
