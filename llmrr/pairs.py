"""What the old and the new side of a migration said to the same request: append, list, compare.

As in ``stats``, all functions take the connection of ``database.open_database`` and raise only the
error tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmrr import database

if TYPE_CHECKING:
    import sqlite3

PROMPT_CHARACTERS: Final = 100  # of a prompt are kept


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one side. ``model`` answered, or was asked last; ``latency_s`` is from when the
    side was asked to the end of its answer, None where the cache had that; ``error`` is why it
    failed, None where it did not. Without ``text`` the words were not kept."""

    success: bool
    model: str | None = None
    tokens: int | None = None
    latency_s: float | None = None
    text: str | None = None
    error: str | None = None

    @property
    def is_own(self) -> bool:
        """Whether the side was asked for it."""
        return not self.success or self.latency_s is not None


@dataclass(frozen=True, slots=True)
class Pair:
    """One request. A side is None where it was not asked, or was stopped; ``answered`` is the side
    whose answer was handed over, ``prompt`` how the prompt begins, ``similarity`` that of the two
    answers, 0 to 1."""

    at: float
    mode: str
    answered: str | None = None
    prompt: str | None = None
    new: Outcome | None = None
    legacy: Outcome | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Performance:
    """Mean seconds of an answer over the requests that both sides answered in a known time;
    ``improvement`` is 1 - new_avg / old_avg."""

    old_avg: float | None
    new_avg: float | None
    improvement: float | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How good the answers are, 0 to 1; unknown where nobody measured it."""

    old_score: float | None = None
    new_score: float | None = None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Failures over the requests that a side was asked; what the cache had is none of them."""

    old_error_rate: float | None
    new_error_rate: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The old side against the new one. ``similarity`` is the mean over the requests that both
    ``compared``, of ``samples`` in all. Unknown is None."""

    performance: Performance
    accuracy: Accuracy
    reliability: Reliability
    similarity: float | None
    samples: int
    compared: int


_SIDE: Final = ("success", "model", "tokens", "latency_s", "text", "error")
_COLUMNS: Final = (
    "at", "mode", "answered", "prompt",
    *(f"new_{name}" for name in _SIDE), *(f"legacy_{name}" for name in _SIDE), "similarity",
)  # fmt: skip
_INSERT: Final = (
    f"INSERT INTO pairs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
)


def record(connection: "sqlite3.Connection", pair: Pair) -> None:
    """Append a pair. ``stats.prune`` deletes it with the runs of its time."""
    prompt = None if pair.prompt is None else pair.prompt[:PROMPT_CHARACTERS]
    values = (pair.at, pair.mode, pair.answered, prompt, *_row(pair.new), *_row(pair.legacy))
    with database.errors():
        connection.execute(_INSERT, (*values, pair.similarity))


def pairs(
    connection: "sqlite3.Connection", *, since: float | None = None, last: int | None = None
) -> list[Pair]:
    """Recorded pairs, newest last: the ``last`` so many of those at or after ``since`` (epoch
    seconds)."""
    sql = f"SELECT {', '.join(_COLUMNS)} FROM pairs WHERE at >= ? ORDER BY at DESC, id DESC LIMIT ?"
    with database.errors():
        rows = connection.execute(sql, (since or 0.0, -1 if last is None else last)).fetchall()
    return [_pair(row) for row in reversed(rows)]


def summary(connection: "sqlite3.Connection", since: float | None = None) -> Comparison:
    """The old side against the new one, over the pairs at or after ``since`` (epoch seconds)."""
    return compare(pairs(connection, since=since))


def compare(found: Sequence[Pair]) -> Comparison:
    """The old side against the new one.

    >>> fast, slow = Outcome(True, latency_s=1.0), Outcome(True, latency_s=4.0)
    >>> both = Pair(0.0, "hybrid", new=fast, legacy=slow, similarity=0.5)
    >>> seen = compare([both, Pair(0.0, "hybrid", new=Outcome(False), legacy=slow)])
    >>> seen.performance, seen.reliability.new_error_rate, seen.samples, seen.compared
    (Performance(old_avg=4.0, new_avg=1.0, improvement=0.75), 0.5, 2, 1)
    """
    both = [
        (one.legacy, one.new) for one in found
        if one.new and one.new.success and one.legacy and one.legacy.success
    ]  # fmt: skip
    timed = [pair for pair in both if None not in (pair[0].latency_s, pair[1].latency_s)]
    old = _mean([one.latency_s for one, _ in timed])
    new = _mean([one.latency_s for _, one in timed])
    improvement = 1.0 - new / old if old and new is not None else None
    return Comparison(
        performance=Performance(old, new, improvement),
        accuracy=Accuracy(),
        reliability=Reliability(
            _error_rate([one.legacy for one in found]), _error_rate([one.new for one in found])
        ),
        similarity=_mean([one.similarity for one in found]),
        samples=len(found),
        compared=len(both),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None


def _error_rate(outcomes: Sequence[Outcome | None]) -> float | None:
    return _mean([float(not one.success) for one in outcomes if one is not None and one.is_own])


def _row(one: Outcome | None) -> tuple[Any, ...]:
    return tuple(None if one is None else getattr(one, name) for name in _SIDE)


def _pair(row: tuple[Any, ...]) -> Pair:
    middle = 4 + len(_SIDE)
    at, mode, answered, prompt = row[:4]
    new, legacy = _outcome(row[4:middle]), _outcome(row[middle:-1])
    return Pair(at, mode, answered, prompt, new, legacy, row[-1])


def _outcome(row: tuple[Any, ...]) -> Outcome | None:
    return None if row[0] is None else Outcome(bool(row[0]), *row[1:])
