"""What is kept of rows that were read or written, so that they need not be read again."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3


class Kept:
    """What is kept of tables, and of which version of the file; of the transaction, besides."""

    __slots__ = ("tables", "version", "within")

    def __init__(self) -> None:
        self.version = -1
        self.within: dict[tuple[str, str], Any] = {}
        self.tables: dict[str, dict[str, Any]] = {}


def kept(connection: "sqlite3.Connection", table: str) -> dict[str, Any]:
    """What was kept of a table's rows, by their keys, so that only those that changed are read
    again: nothing once another connection has written. Whoever writes through this one calls
    ``forget``."""
    found: Kept | None = getattr(connection, "kept", None)
    if found is None:
        return {}
    version = connection.execute("PRAGMA data_version").fetchone()[0]
    if version != found.version:
        found.version, found.tables = version, {}
    return found.tables.setdefault(table, {})


def within(connection: "sqlite3.Connection") -> dict[tuple[str, str], Any]:
    """What this transaction has written, by table and key, to be read again without a statement: a
    new one begins with nothing."""
    found: Kept | None = getattr(connection, "kept", None)
    return {} if found is None else found.within


def forget(connection: "sqlite3.Connection", table: str, key: str) -> None:
    """A row is about to change. If that is undone, it is read again for nothing."""
    found: Kept | None = getattr(connection, "kept", None)
    if found is not None:
        found.tables.get(table, {}).pop(key, None)
        found.within.pop((table, key), None)
