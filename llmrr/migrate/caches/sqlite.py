"""A database that another program wrote, read as data: it is opened to be read and nothing else, no
view, trigger or virtual table of it is used, and neither time nor memory is without bound."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from llmrr.errors import DamagedFile
from llmrr.migrate.caches import copying

MAGIC: Final = b"SQLite format 3\0"
LONGEST: Final = 8_000_000  # bytes of a value
MOST_ROWS: Final = 500_000
SECONDS: Final = 180.0  # of computing, for all
_STEPS: Final = 10_000  # of SQLite's machine, between two looks at the clock


class Database:
    """An open one: its plain tables with their stored columns. What is not ``is_whole`` lacks the
    rows that lie beside it, in its log."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, is_whole: bool = True
    ) -> None:
        self._connection, self.path, self.is_whole = connection, path, is_whole
        self.tables = self._tables()

    def has(self, table: str, *columns: str) -> bool:
        """Whether there is such a table with at least these columns."""
        return {*columns} <= self.tables.get(table, set())

    def rows(
        self, table: str, columns: Sequence[str], where: str = "", values: Sequence[Any] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """The rows, in the order they lie; a column that there is not is None in each. Raises
        ``DamagedFile`` where they end before their end."""
        known = self.tables[table]
        names = ", ".join(_quoted(one) if one in known else "NULL" for one in columns)
        sql = f"SELECT {names} FROM {_quoted(table)} {where} LIMIT {MOST_ROWS}"
        try:
            yield from self._connection.execute(sql, values)
        except (sqlite3.Error, OverflowError) as error:
            raise _damaged(self.path, error) from error

    def count(self, table: str) -> int:
        """How many rows there are."""
        sql = f"SELECT count(*) FROM {_quoted(table)}"
        return int(self._connection.execute(sql).fetchone()[0])

    def _tables(self) -> dict[str, set[str]]:
        found = self._connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' LIMIT 1000"
        ).fetchall()
        plain = [
            name for name, sql in found
            if isinstance(name, str) and isinstance(sql, str)
            and sql.lstrip()[:13].upper().startswith("CREATE TABLE")
        ]  # fmt: skip
        return {name: self._columns(name) for name in plain}

    def _columns(self, table: str) -> set[str]:
        """Those that are stored: one that is computed runs an expression of the file."""
        info = self._connection.execute(f"PRAGMA table_xinfo({_quoted(table)})")
        return {str(row[1]) for row in info if row[6] == 0}


@contextmanager
def opened(
    path: Path, seconds: float = SECONDS, most_copied: int = copying.MOST_BYTES
) -> Iterator[Database]:
    """Open; one with a log beside it, as far as it is no larger than ``most_copied`` bytes, from a
    copy. Raises ``DamagedFile``, also for what goes wrong in the block with its content, and where
    that takes more than ``seconds`` of computing."""
    try:
        with copying.whole(path, most_copied) as place, _connected(place, seconds) as connection:
            yield Database(connection, path, is_whole=place.is_whole)
    except (sqlite3.Error, OverflowError, OSError) as error:
        raise _damaged(path, error) from error


@contextmanager
def _connected(place: copying.Place, seconds: float) -> Iterator[sqlite3.Connection]:
    how = "mode=rw" if place.is_copy else "mode=ro&immutable=1"
    address = f"file:{quote(str(place.path.absolute()))}?{how}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    until = time.thread_time() + seconds
    try:
        connection.text_factory = lambda data: data.decode(errors="replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_progress_handler(lambda: time.thread_time() > until, _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        yield connection
    finally:
        connection.close()


def _damaged(path: Path, error: Exception) -> DamagedFile:
    said = "it took too long" if "interrupted" in str(error) else str(error)
    return DamagedFile(f"{path} cannot be read as a database: {said}", f"ls -l {path}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
