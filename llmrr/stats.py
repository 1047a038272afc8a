"""What every run cost, and what was said: append, search, conversations, summaries, retention.

All functions take the connection of ``database.open_database`` and raise only the error tree, so
that a caller can turn a full disk into one warning.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from llmrr import database
from llmrr.types import Message

if TYPE_CHECKING:
    import sqlite3

DAY_S = 86400.0
_PRUNED = "stats.pruned_at"


@dataclass(frozen=True, slots=True)
class Run:
    """One answer. Times in seconds, ``at`` since the epoch; ``first_token_s`` and ``total_s``
    count from the same moment. Without ``prompt`` and ``answer`` the words were not kept. ``cost``
    is in dollars: 0 of a model on this machine, None where no price is known.

    ``cache`` says why nothing was run: there was the answer to the same request (exact), or to one
    that means the same (semantic); such a run took no tokens. ``looked_up`` is whether there might
    have been one."""

    id: int | None
    at: float
    model: str
    source: str
    engine: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    load_s: float = 0.0
    first_token_s: float | None = None
    total_s: float = 0.0
    finish_reason: str | None = None
    error: str | None = None
    conversation: str | None = None
    system: str | None = None
    prompt: str | None = None
    answer: str | None = None
    cost: float | None = None
    cache: str | None = None
    looked_up: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of one conversation, its system prompt first, and the model that answered last
    with its source, which finds it again from another folder."""

    cid: str
    model: str
    messages: tuple[Message, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class ConversationHead:
    """A line in a list of conversations; ``title`` is how the first prompt begins."""

    cid: str
    model: str
    began: float
    last: float
    turns: int
    title: str


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


_COLUMNS = tuple(f.name for f in fields(Run))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM runs"
_values = attrgetter(*_COLUMNS)  # a tenth of the time of ``astuple``, which copies
_WORDS = frozenset(map(_COLUMNS.index, ("system", "prompt", "answer")))
_INSERT = f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


def record(connection: "sqlite3.Connection", run: Run, *, words: bool = True) -> int:
    """Append a run, without ``words`` not what was said; its id."""
    values = _values(run) if words else _without_words(run)
    with database.errors():
        return connection.execute(_INSERT, values).lastrowid or 0


def _without_words(run: Run) -> list[object]:
    return [None if at in _WORDS else one for at, one in enumerate(_values(run))]


def runs(
    connection: "sqlite3.Connection",
    *,
    last: int | None = None,
    query: str | None = None,
    since: float | None = None,
) -> list[Run]:
    """Recorded runs, newest last: the ``last`` so many of those at or after ``since`` (epoch
    seconds) that hold ``query`` in prompt, answer, system prompt or error, in any case."""
    conditions, values = ["1"], []
    if since is not None:
        conditions.append("at >= ?")
        values.append(since)
    if query:
        # SQLite's LIKE knows only ASCII letters; ours finds Ä under ä.
        needle = query.casefold()
        connection.create_function("holds_query", 4, lambda *texts: _holds(needle, texts))
        conditions.append("holds_query(prompt, answer, system, error)")
    sql = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
    with database.errors():
        rows = connection.execute(sql, (*values, -1 if last is None else last)).fetchall()
    return [Run(*row) for row in reversed(rows)]


def hit_rate(connection: "sqlite3.Connection", since: float | None = None) -> float | None:
    """The share of the cache's answers in the runs that asked it, of those at or after ``since``
    (epoch seconds); None where none did."""
    sql = "SELECT count(*), count(cache) FROM runs WHERE at >= ? AND looked_up"
    with database.errors():
        asked, found = connection.execute(sql, (since or 0.0,)).fetchone()
    return found / asked if asked else None


def run(connection: "sqlite3.Connection", run_id: int) -> Run | None:
    """One recorded run by its id."""
    with database.errors():
        row = connection.execute(f"{_SELECT} WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else Run(*row)


def last_used(connection: "sqlite3.Connection") -> dict[str, float]:
    """When each source last ran (epoch seconds), by source."""
    sql = "SELECT source, max(at) FROM runs WHERE import_id IS NULL GROUP BY source"
    with database.errors():
        return dict(connection.execute(sql))


def conversation(connection: "sqlite3.Connection", cid: str | None) -> Conversation | None:
    """A conversation by its id, or the latest one with words; None when there is none.

    Turns whose words were not kept, or that failed before any answer, are left out. The latest
    system prompt that was stated holds for all of it.
    """
    with database.errors():
        if cid is None:
            row = connection.execute(
                "SELECT conversation FROM runs WHERE conversation IS NOT NULL"
                " AND prompt IS NOT NULL AND answer <> '' ORDER BY id DESC LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            cid = str(row[0])
        rows = connection.execute(f"{_SELECT} WHERE conversation = ? ORDER BY id", (cid,))
        turns = [Run(*row) for row in rows]
    if not turns:
        return None
    return Conversation(cid, turns[-1].model, _messages(turns), turns[-1].source)


def conversations(
    connection: "sqlite3.Connection", *, last: int | None = None
) -> list[ConversationHead]:
    """Conversations by when they were last continued, newest last."""
    sql = """SELECT c.cid, latest.model, c.began, c.last, c.turns, first.prompt
        FROM (SELECT conversation AS cid, min(id) AS first_id, max(id) AS last_id,
                min(at) AS began, max(at) AS last, count(*) AS turns
            FROM runs WHERE conversation IS NOT NULL GROUP BY conversation) c
        JOIN runs first ON first.id = c.first_id JOIN runs latest ON latest.id = c.last_id
        ORDER BY c.last_id DESC LIMIT ?"""
    with database.errors():
        rows = connection.execute(sql, (-1 if last is None else last,)).fetchall()
    return [
        ConversationHead(cid, model, began, ended, turns, _title(prompt))
        for cid, model, began, ended, turns, prompt in reversed(rows)
    ]


def summary(connection: "sqlite3.Connection", since: float | None = None) -> Summary:
    """Figures per model and per day of the runs at or after ``since`` (epoch seconds)."""
    return _summary(_facts(connection, since))


def daily(
    connection: "sqlite3.Connection", since: float | None = None
) -> tuple[Summary, dict[str, tuple[ModelSummary, ...]]]:
    """``summary``, and the same figures per model of each local day (``YYYY-MM-DD``) with a run,
    the first day first."""
    from datetime import date

    rows = _facts(connection, since)
    days: dict[int, list[tuple[Any, ...]]] = {}
    for row in rows:
        days.setdefault(date.fromtimestamp(row[1]).toordinal(), []).append(row)
    found = {date.fromordinal(day).isoformat(): _models(days[day]) for day in sorted(days)}
    return _summary(rows), found


def _summary(rows: Sequence[tuple[Any, ...]]) -> Summary:
    return Summary(_models(rows), _days(rows))


def _models(rows: Sequence[tuple[Any, ...]]) -> tuple[ModelSummary, ...]:
    by_model: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        by_model.setdefault(row[0], []).append(row[1:])
    models = [_model_summary(model, of_model) for model, of_model in by_model.items()]
    return tuple(sorted(models, key=lambda model: (-model.runs, model.model)))


def _facts(
    connection: "sqlite3.Connection", since: float | None
) -> list[tuple[Any, ...]]:
    """The runs at or after ``since``, as summaries take them."""
    sql = """SELECT model, at, error IS NOT NULL, prompt_tokens, cached_tokens, completion_tokens,
        first_token_s, total_s, cache IS NOT NULL, cost FROM runs
        WHERE at >= ? AND import_id IS NULL"""
    with database.errors():
        return connection.execute(sql, (since or 0.0,)).fetchall()


def prune(
    connection: "sqlite3.Connection",
    retention: float | None,
    *,
    now: float | None = None,
    at_once: bool = False,
) -> int:
    """Delete runs, alerts, metrics and the pairs of both sides of a migration older than
    ``retention`` seconds (None keeps all), unless ``at_once`` no more than once a day, so that it
    may be called after every run; how many runs went. What was spent is kept until its month is
    over: a budget counts it. What ``migrate cache`` brought is kept: it is old from the start."""
    now = time.time() if now is None else now
    if retention is None:
        return 0
    pruned_at = float(database.recall(connection, _PRUNED) or 0)
    if not at_once and 0 <= now - pruned_at < DAY_S:
        return 0
    with database.errors(), database.transaction(connection):
        oldest = now - retention
        sql = "DELETE FROM runs WHERE at < ? AND import_id IS NULL"
        gone = connection.execute(sql, (oldest,)).rowcount
        for table in ("alerts", "metrics", "pairs"):
            connection.execute(f"DELETE FROM {table} WHERE at < ?", (oldest,))
        days = [time.strftime("%Y-%m-%d", time.localtime(at)) for at in (oldest, now)]
        connection.execute("DELETE FROM spent WHERE day < ?", (min(days[0], f"{days[1][:8]}01"),))
        database.remember(connection, _PRUNED, str(now))
    return gone


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` of ``values`` lies, interpolated linearly between the two
    nearest (type 7 of Hyndman and Fan, as numpy's default); None of nothing.

    >>> quantile([1.0, 2.0, 4.0], 0.5), quantile([1.0, 2.0], 0.95), quantile([], 0.5)
    (2.0, 1.95, None)
    """
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _holds(needle: str, texts: Iterable[str | None]) -> bool:
    return any(needle in text.casefold() for text in texts if text)


def _messages(turns: Sequence[Run]) -> tuple[Message, ...]:
    said = [turn for turn in turns if turn.prompt is not None and turn.answer]
    system = next((turn.system for turn in reversed(said) if turn.system), None)
    messages = [Message("system", system)] if system else []
    for turn in said:
        messages += [Message("user", turn.prompt or ""), Message("assistant", turn.answer or "")]
    return tuple(messages)


def _title(prompt: str | None) -> str:
    words = " ".join((prompt or "").split())
    return words if len(words) <= 60 else words[:59] + "…"


def _model_summary(model: str, rows: Sequence[tuple[Any, ...]]) -> ModelSummary:
    good = [row for row in rows if not row[1] and not row[7]]
    first = [row[5] for row in good if row[5] is not None]
    total = [row[6] for row in good]
    timed = [row for row in good if row[5] is not None and row[4] > 1 and row[6] > row[5]]
    decoding = sum(row[6] - row[5] for row in timed)
    return ModelSummary(
        model=model,
        runs=len(rows),
        errors=sum(row[1] for row in rows),
        prompt_tokens=sum(row[2] for row in rows),
        cached_tokens=sum(row[3] for row in rows),
        completion_tokens=sum(row[4] for row in rows),
        first_token_median_s=quantile(first, 0.5),
        first_token_p95_s=quantile(first, 0.95),
        total_median_s=quantile(total, 0.5),
        total_p95_s=quantile(total, 0.95),
        tokens_per_s=sum(row[4] - 1 for row in timed) / decoding if decoding else None,
        cost=_sum(row[8] for row in rows),
        hits=sum(row[7] for row in rows),
    )


def _sum(costs: Iterable[float | None]) -> float | None:
    """Of what is known; None where nothing is."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


def _days(rows: Sequence[tuple[Any, ...]]) -> tuple[DaySummary, ...]:
    from datetime import date

    counts: dict[int, tuple[int, int, int, float | None]] = {}
    for _model, at, failed, _prompt, _cached, tokens, *_times, cost in rows:
        day = date.fromtimestamp(at).toordinal()
        runs, failures, generated, so_far = counts.get(day, (0, 0, 0, None))
        paid = so_far if cost is None else cost + (so_far or 0.0)
        counts[day] = (runs + 1, failures + failed, generated + tokens, paid)
    if not counts:
        return ()
    return tuple(
        DaySummary(date.fromordinal(day).isoformat(), *counts.get(day, (0, 0, 0)))
        for day in range(min(counts), max(counts) + 1)
    )
