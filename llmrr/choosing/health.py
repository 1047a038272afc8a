"""How models are doing, in the database, so that all processes know it: rates and times as
exponentially weighted means, the breaker, and whose turn it was.

A row belongs to a key: the name of a model and the file or service behind it. Every change is one
transaction that reads, computes and writes.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from llmrr import database
from llmrr.database import cache
from llmrr.errors import BreakerOpen
from llmrr.routing import breaker
from llmrr.routing.breaker import Breaker, Rules
from llmrr.routing.candidate import UNKNOWN, Health
from llmrr.store.processes import is_alive
from llmrr.types import Usage

if TYPE_CHECKING:
    import sqlite3

# What is left of the past at every new outcome. Rates remember some 500 outcomes, as telling 98 %
# from 99 % takes hundreds; times some 10 runs, as they change with the load of a machine.
KEPT_OUTCOMES: Final = 0.998
KEPT_TIMES: Final = 0.9

_FORGOTTEN_S: Final = 3600.0
BEGAN: Final = time.time()  # before any request of this process

_COLUMNS: Final = (
    "attempts", "successes", "runs", "load_s", "first_token_s", "token_s", "answer_tokens", "turn",
    "failed", "opened", "probed", "last_error",
)  # fmt: skip
_figures = attrgetter(*_COLUMNS[:8])
_LOAD: Final = f"SELECT {', '.join(_COLUMNS)} FROM health WHERE key = ?"
_SAVE: Final = (
    f"INSERT OR REPLACE INTO health (key, {', '.join(_COLUMNS)}) "
    f"VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"
)


@dataclass(frozen=True, slots=True)
class Record:
    """A row. ``health`` has nothing of the moment (``busy``, when the breaker closes)."""

    health: Health = UNKNOWN
    breaker: Breaker = breaker.CLOSED


def read(
    connection: "sqlite3.Connection", keys: Iterable[str], rules: Rules, now: float | None = None
) -> dict[str, Health]:
    """How the models of these keys are doing, by key; those that were never asked are missing."""
    now = time.time() if now is None else now
    with database.errors():
        rows = _rows(connection, tuple(keys))
    return {key: _at(row, rules, now) for key, row in rows.items()}


def _rows(connection: "sqlite3.Connection", keys: Sequence[str]) -> dict[str, Record]:
    kept: dict[str, Record | None] = cache.kept(connection, "health")
    if missing := [key for key in keys if key not in kept]:
        places = ", ".join("?" * len(missing))
        sql = f"SELECT key, {', '.join(_COLUMNS)} FROM health WHERE key IN ({places})"
        kept |= dict.fromkeys(missing)
        kept |= {row[0]: _record(row[1:]) for row in connection.execute(sql, missing)}
    return {key: row for key in keys if (row := kept[key]) is not None}


def chosen(connection: "sqlite3.Connection", key: str) -> None:
    """Note that it is this model's turn."""
    with database.errors(), database.transaction(connection):
        latest = connection.execute("SELECT coalesce(max(turn), 0) FROM health").fetchone()[0]
        record = _load(connection, key)
        _save(connection, key, replace(record, health=replace(record.health, turn=latest + 1)))


def is_closed(connection: "sqlite3.Connection", key: str) -> bool:
    """Whether the breaker of this model keeps nobody from asking it."""
    with database.errors():
        row = connection.execute("SELECT opened FROM health WHERE key = ?", (key,)).fetchone()
    return row is None or row[0] is None


def claim(
    connection: "sqlite3.Connection", key: str, rules: Rules, now: float | None = None
) -> bool:
    """Whether this model may be asked; of a breaker that is half open, this lets one through."""
    now = time.time() if now is None else now
    if is_closed(connection, key):  # nothing to claim: no lock is taken
        return True
    with database.errors(), database.transaction(connection):
        record = _load(connection, key)
        after = breaker.claimed(record.breaker, rules, now)
        if after is None:
            return False
        _save(connection, key, replace(record, breaker=after))
        return True


def refusal(
    connection: "sqlite3.Connection", name: str, key: str, rules: Rules, now: float | None = None
) -> BreakerOpen:
    """Why this model may not be asked now."""
    now = time.time() if now is None else now
    health = read(connection, [key], rules, now).get(key, UNKNOWN)
    left = max(0.0, (health.closed_at or now) - now)
    said = f": {health.last_error}" if health.last_error else ""
    when = "one request is trying it" if health.probing else f"it is tried again in {left:.0f} s"
    return BreakerOpen(
        f"the breaker of {name} is open after {health.tripped} failures in a row{said}",
        f"{when}; another model can be named", is_tried=not left,
    )


def release(connection: "sqlite3.Connection", key: str) -> None:
    """A request that was let through ended without telling anything of the model: another one may
    try it."""
    cache.forget(connection, "health", key)
    with database.errors():
        connection.execute("UPDATE health SET probed = NULL WHERE key = ?", (key,))


def begin(connection: "sqlite3.Connection", key: str, now: float | None = None) -> int:
    """Note that a request is under way at this model; what ``finish`` takes."""
    now = time.time() if now is None else now
    sql = "INSERT INTO under_way (key, process, began) VALUES (?, ?, ?)"
    with database.errors():
        return connection.execute(sql, (key, os.getpid(), now)).lastrowid or 0


def finish(connection: "sqlite3.Connection", number: int) -> None:
    """That request has ended."""
    with database.errors():
        connection.execute("DELETE FROM under_way WHERE id = ?", (number,))


def under_way(connection: "sqlite3.Connection", now: float | None = None) -> Counter[str]:
    """How many requests are under way by key, over all processes that live. What a process left
    when it was killed is taken away, and what is older than an hour with it."""
    now = time.time() if now is None else now
    with database.errors():
        rows = connection.execute("SELECT id, key, process, began FROM under_way").fetchall()
        alive = {process: is_alive(process) for process in {row[2] for row in rows}}
        living = [
            row for row in rows
            if alive[row[2]] and abs(now - row[3]) < _FORGOTTEN_S and not _is_before(*row[2:])
        ]  # fmt: skip
        for number in {row[0] for row in rows} - {row[0] for row in living}:
            finish(connection, number)
    return Counter(row[1] for row in living)


def _is_before(process: int, began: float) -> bool:
    """Whether that is of a process that had our number before us, as in a container that is started
    anew."""
    return process == os.getpid() and began < BEGAN


def note(
    connection: "sqlite3.Connection",
    key: str,
    rules: Rules,
    *,
    usage: Usage | None = None,
    error: str | None = None,
    trips: bool = True,
    late: bool = False,
    now: float | None = None,
) -> None:
    """Note how a request ended: with ``usage``, or with an ``error``, which counts for the breaker
    if it ``trips`` it. ``late`` is what was only known after the model was let go."""
    now = time.time() if now is None else now
    with database.errors(), database.transaction(connection):
        record = cache.within(connection).get(("health", key)) or _load(connection, key)
        state = record.breaker
        if late:  # had it tried a breaker that is half open, it would still be doing so
            state = breaker.claimed(state, rules, now) or state
        after = state._replace(probed=None)
        if error is None or trips:
            after = breaker.after(state, rules, now, failed=error is not None)
        record = Record(outcome(record.health, usage, error), after)
        _save(connection, key, record)
        cache.within(connection)["health", key] = record


def outcome(health: Health, usage: Usage | None, error: str | None = None) -> Health:
    """The figures after one more request; without ``usage`` it failed, with an ``error``."""
    attempts = health.attempts * KEPT_OUTCOMES + 1.0
    successes = health.successes * KEPT_OUTCOMES
    if usage is None:
        return replace(health, attempts=attempts, successes=successes, last_error=error)
    runs = health.runs * KEPT_TIMES + 1.0
    first = usage.total_s if usage.first_token_s is None else usage.first_token_s
    later = usage.completion_tokens - 1
    return replace(
        health,
        attempts=attempts,
        successes=successes + 1.0,
        runs=runs,
        # Only the first answer after loading has this time; half of the figure is the last one.
        load_s=_mean(health.load_s, usage.load_s, 2.0) if usage.load_s else health.load_s,
        first_token_s=_mean(health.first_token_s, first, runs),
        token_s=_mean(health.token_s, max(0.0, usage.total_s - first) / later, runs)
        if later > 0
        else health.token_s,
        answer_tokens=_mean(health.answer_tokens, float(usage.completion_tokens), runs),
        last_error=error,
    )


def _mean(before: float | None, value: float, runs: float) -> float:
    return value if before is None else before + (value - before) / runs


def _at(record: Record, rules: Rules, now: float) -> Health:
    """The figures with what the breaker says at this moment."""
    state = record.breaker
    if state.opened is None:
        return record.health
    closed_at = breaker.closed_at(state, rules)
    if state.opened > now:  # the clock was set back
        closed_at = now
    probing = breaker.probing(state, rules, now)
    return replace(record.health, closed_at=closed_at, probing=probing)


def _record(row: tuple[Any, ...]) -> Record:
    failed = () if row[8] == "[]" else tuple(json.loads(row[8]))
    facts = (*row[:7], 0, row[7], None, len(failed), False, row[11])
    return Record(Health(*facts), Breaker(failed, row[9], row[10]))


def _load(connection: "sqlite3.Connection", key: str) -> Record:
    row = connection.execute(_LOAD, (key,)).fetchone()
    return Record() if row is None else _record(row)


def _save(connection: "sqlite3.Connection", key: str, record: Record) -> None:
    cache.forget(connection, "health", key)
    health, state = record.health, record.breaker
    failed = json.dumps(state.failed) if state.failed else "[]"
    values = (*_figures(health), failed, state.opened, state.probed, health.last_error)
    connection.execute(_SAVE, (key, *values))
