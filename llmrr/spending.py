"""What was spent, by local day and model: kept beside the runs, in the same transaction, so that
all processes know it, one look finds a month, and no budget forgets what retention took away."""

import time
from typing import TYPE_CHECKING

from llmrr import database
from llmrr.routing.budgets import NOTHING, Spent

if TYPE_CHECKING:
    import sqlite3

_ADD = """INSERT INTO spent VALUES (?, ?, ?, ?) ON CONFLICT (day, model)
    DO UPDATE SET cost = cost + excluded.cost, tokens = tokens + excluded.tokens"""
_OF_MONTH = """SELECT model, sum(iif(day = ?2, cost, 0.0)), sum(cost),
    sum(iif(day = ?2, tokens, 0)), sum(tokens) FROM spent
    WHERE day BETWEEN ?1 AND ?2 GROUP BY model"""


def day_of(at: float) -> str:
    """The local day of a moment (epoch seconds), as ``YYYY-MM-DD``."""
    return time.strftime("%Y-%m-%d", time.localtime(at))


def add(
    connection: "sqlite3.Connection", at: float, model: str, cost: float | None, tokens: int
) -> None:
    """Count a run that began at ``at``."""
    if cost or tokens:
        with database.errors():
            connection.execute(_ADD, (day_of(at), model, cost or 0.0, tokens))


def spent(connection: "sqlite3.Connection", today: str) -> tuple[Spent, dict[str, Spent]]:
    """What was spent up to ``today`` of its month: in all, and by model."""
    with database.errors():
        rows = connection.execute(_OF_MONTH, (f"{today[:8]}01", today)).fetchall()
    by_model = {row[0]: Spent(*row[1:]) for row in rows}
    if not by_model:
        return NOTHING, by_model
    return Spent(*map(sum, zip(*by_model.values(), strict=True))), by_model

