"""What was spent, by local day and model: kept beside the runs, in the same transaction, so that
all processes know it, one look finds a month, and no budget forgets what retention took away."""

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from llmrr import database
from llmrr.routing.budgets import NOTHING, Spent

if TYPE_CHECKING:
    import sqlite3

_ADD = """INSERT INTO spent VALUES (?, ?, ?, ?) ON CONFLICT (day, model)
    DO UPDATE SET cost = cost + excluded.cost, tokens = tokens + excluded.tokens"""
_OF_DAY = "SELECT model, cost, tokens FROM spent WHERE day = ?"
_OF_DAYS = """SELECT model, sum(cost), sum(tokens) FROM spent WHERE day >= ? AND day < ?
    GROUP BY model"""
_FRESH_S = 1.0


def day_of(at: float) -> str:
    """The local day of a moment (epoch seconds), as ``YYYY-MM-DD``."""
    return time.strftime("%Y-%m-%d", time.localtime(at))


@lru_cache(maxsize=2)
def _day_of_minute(minute: float) -> str:
    return day_of(minute * 60)  # no time zone is off by less than a minute


def add(
    connection: "sqlite3.Connection", at: float, model: str, cost: float | None, tokens: int
) -> None:
    """Count a run that began at ``at``. Within ``database.errors``: it is a part of recording one.
    """
    if cost or tokens:
        connection.execute(_ADD, (_day_of_minute(at // 60), model, cost or 0.0, tokens))


class Ledger:
    """What was spent, as it is read again and again. Today's is read each time; that of the days
    before changes only as what began before midnight ends, and is kept for a second."""

    def __init__(self) -> None:
        self._before: tuple[str, float, dict[str, tuple[float, int]]] = ("", 0.0, {})

    def spent(self, connection: "sqlite3.Connection", today: str) -> tuple[Spent, dict[str, Spent]]:
        """What was spent up to ``today`` of its month: in all, and by model."""
        day, read, before = self._before
        now = time.monotonic()
        with database.errors():
            if day != today or now - read > _FRESH_S:
                rows = connection.execute(_OF_DAYS, (f"{today[:8]}01", today))
                before = {model: (cost, tokens) for model, cost, tokens in rows}
                self._before = (today, now, before)
            of_day = connection.execute(_OF_DAY, (today,)).fetchall()
        by_model = {model: Spent(0.0, cost, 0, tokens) for model, (cost, tokens) in before.items()}
        for model, cost, tokens in of_day:
            past, past_tokens = before.get(model, (0.0, 0))
            by_model[model] = Spent(cost, cost + past, tokens, tokens + past_tokens)
        if not by_model:
            return NOTHING, by_model
        return Spent(*map(sum, zip(*by_model.values(), strict=True))), by_model


def spent(connection: "sqlite3.Connection", today: str) -> tuple[Spent, dict[str, Spent]]:
    """``Ledger.spent``, read once."""
    return Ledger().spent(connection, today)
