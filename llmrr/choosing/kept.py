"""The answers that are kept, in the database: found by their key or by what was meant, and removed
when they are too old, or the least recently used where all together grow too large.

Nothing of a request is written but digests, and for the comparison by meaning a vector.
"""

import time
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import database
from llmrr.routing import cache
from llmrr.types import Chunk

if TYPE_CHECKING:
    import sqlite3

_ROW_BYTES: Final = 200  # of a row besides its texts, about
_COMPARED: Final = 5_000  # answers of one family, the last used of them


class Kept(NamedTuple):
    """An answer that is kept. ``family`` and ``vector``, of length 1, are of the comparison by
    meaning."""

    key: str
    engine: str
    answer: tuple[Chunk, ...]
    family: str | None = None
    vector: Sequence[float] = ()


def find(
    connection: "sqlite3.Connection", key: str, ttl: float | None, now: float | None = None
) -> Kept | None:
    """The answer of that key, if it is not too old."""
    now = time.time() if now is None else now
    sql = f"SELECT key, engine, answer FROM answers WHERE key = ? AND {_FRESH}"
    with database.errors():
        row = connection.execute(sql, (key, *_fresh(ttl, now))).fetchone()
    answer = cache.unpacked(row[2]) if row else None
    return Kept(row[0], row[1], answer) if answer else None


def nearest(
    connection: "sqlite3.Connection",
    family: str,
    vector: Sequence[float],
    ttl: float | None,
    now: float | None = None,
) -> tuple[float, Kept] | None:
    """The answer to what was meant most alike, with how alike that is."""
    now = time.time() if now is None else now
    sql = f"""SELECT key, vector FROM answers WHERE family = ? AND {_FRESH}
        ORDER BY used DESC LIMIT {_COMPARED}"""
    with database.errors():
        rows = connection.execute(sql, (family, *_fresh(ttl, now))).fetchall()
    scores = [(cache.nearness(vector, _vector(packed)), key) for key, packed in rows]
    if not scores:
        return None
    score, key = max(scores)
    found = find(connection, key, ttl, now)
    return (score, found) if found else None


def keep(
    connection: "sqlite3.Connection",
    kept: Kept,
    ttl: float | None,
    max_bytes: int,
    now: float | None = None,
) -> None:
    """Keep an answer, in place of one of that key; what is too old goes, and what is too much."""
    now = time.time() if now is None else now
    text, vector = cache.packed(kept.answer), array("f", kept.vector).tobytes()
    size = len(text.encode()) + len(vector) + _ROW_BYTES
    with database.errors(), database.transaction(connection):
        connection.execute("DELETE FROM answers WHERE key = ? OR expires <= ?", (kept.key, now))
        if size > max_bytes:
            return
        connection.execute(
            "INSERT INTO answers (key, at, expires, used, bytes, engine, answer, family, vector)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (kept.key, now, None if ttl is None else now + ttl, now, size, kept.engine, text,
             kept.family, vector),
        )  # fmt: skip
        _shrink(connection, max_bytes)


def touch(connection: "sqlite3.Connection", key: str, now: float | None = None) -> None:
    """Note that an answer was given again."""
    now = time.time() if now is None else now
    with database.errors():
        connection.execute("UPDATE answers SET used = ? WHERE key = ?", (now, key))


def size(connection: "sqlite3.Connection") -> tuple[int, int]:
    """How many answers are kept, and the bytes that they take."""
    with database.errors():
        count = connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        return count, _bytes(connection)


def clear(connection: "sqlite3.Connection") -> tuple[int, int]:
    """Remove all of them, and their words from the disk; how many that were, and their bytes."""
    with database.errors():
        with database.transaction(connection):
            found = size(connection)
            connection.execute("DELETE FROM answers")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return found


# Of this moment or before: a clock that was set back makes what it wrote too old.
_FRESH: Final = "(expires IS NULL OR expires > ?) AND at <= ? AND at > ?"


def _fresh(ttl: float | None, now: float) -> tuple[float, float, float]:
    return now, now, -1.0 if ttl is None else now - ttl


def _vector(packed: bytes) -> "array[float]":
    found = array("f")
    found.frombytes(packed)
    return found


def _bytes(connection: "sqlite3.Connection") -> int:
    return int(connection.execute("SELECT bytes FROM answers_size").fetchone()[0])


def _shrink(connection: "sqlite3.Connection", max_bytes: int) -> None:
    """Remove the least recently used until the rest is small enough."""
    over = _bytes(connection) - max_bytes
    if over <= 0:
        return
    gone = []
    for key, taken in connection.execute("SELECT key, bytes FROM answers ORDER BY used"):
        if over <= 0:
            break
        gone.append((key,))
        over -= taken
    connection.executemany("DELETE FROM answers WHERE key = ?", gone)
