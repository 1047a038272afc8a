"""What every run cost, and what was said: append, search, conversations, retention.

All functions take the connection of ``database.open_database`` and raise only the error tree, so
that a caller can turn a full disk into one warning.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING

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
