"""How fast models are on this machine, as ``bench`` measured it: kept in the database.

As with scores (``evaluate.scoring``), a speed belongs to a source and to an ``identity``: after a
file was replaced, that of before says nothing.
"""

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

from llmrr import database

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Speed:
    """The means of what was measured; ``at`` is in epoch seconds. ``peak_bytes`` is main memory."""

    at: float
    model: str
    source: str
    identity: str
    quant: str | None
    engine: str
    threads: int | None
    prefill_tokens: int
    prefill_tokens_per_s: float
    decode_tokens: int
    decode_tokens_per_s: float
    first_token_s: float
    load_s: float
    peak_bytes: int | None


_COLUMNS = tuple(f.name for f in fields(Speed))


def record(connection: "sqlite3.Connection", speed: Speed) -> None:
    """Keep a speed."""
    places = ", ".join("?" * len(_COLUMNS))
    with database.errors():
        connection.execute(
            f"INSERT INTO speeds ({', '.join(_COLUMNS)}) VALUES ({places})", astuple(speed)
        )


def latest(connection: "sqlite3.Connection", source: str, identity: str) -> Speed | None:
    """What was measured last of exactly this model; None where nothing was."""
    with database.errors():
        row = connection.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM speeds WHERE source = ? AND identity = ?"
            " ORDER BY at DESC, id DESC LIMIT 1",
            (source, identity),
        ).fetchone()
    return None if row is None else Speed(*row)
