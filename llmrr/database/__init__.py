"""The one SQLite file: how it is opened, and the small facts that belong to no single part.

``schema`` holds the numbered steps, ``cache`` what is kept of rows that were read, ``checked`` what
checking model files found.

Write-ahead logging lets one process write while others read; ``synchronous=NORMAL`` then costs no
fsync per run, and a power cut loses at most the last runs, never the file. Every error of SQLite
leaves this module, and ``with errors(path):``, as one of ours, so that a caller can say in one
line what failed and go on.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import paths
from llmrr.database import cache
from llmrr.database.schema import STEPS
from llmrr.errors import DamagedFile, DoesNotFit, LlmrrError, Unsupported

if TYPE_CHECKING:
    import sqlite3

BUSY_S = 5.0


def open_database(path: Path | None = None) -> "sqlite3.Connection":
    """Open (and make, readable by this user only) the database; autocommit, any thread. Where it
    may only be read, so it is opened: writing to it is then the error.

    Raises ``DoesNotFit`` for a full disk, ``DamagedFile`` for what is no database, ``Unsupported``
    for one that a newer llmrr wrote, ``LlmrrError`` for a read-only place or a lock that stays.
    """
    import sqlite3

    path = path or paths.database_file()
    with errors(path):
        try:
            return _opened(path)
        except (OSError, sqlite3.OperationalError) as exc:
            connection = _read_only(path) if _is_refused(exc) else None
            if connection is None:
                raise
            return connection


def in_memory() -> "sqlite3.Connection":
    """An empty database that no file holds."""
    import sqlite3

    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for step in STEPS:
        for statement in step:
            connection.execute(statement)
    return connection


@contextmanager
def errors(path: Path | None = None) -> Iterator[None]:
    """Translate what SQLite and the file system say into the error tree."""
    import sqlite3

    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise _translated(exc, path or paths.database_file()) from exc


@contextmanager
def transaction(connection: "sqlite3.Connection") -> Iterator[None]:
    """All statements or none; the write lock is taken at once, so that no upgrade can deadlock. One
    inside another is a part of it."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    cache.within(connection).clear()
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def remember(connection: "sqlite3.Connection", key: str, value: str | None) -> None:
    """Keep a small fact between runs; ``None`` forgets it."""
    with errors():
        if value is None:
            connection.execute("DELETE FROM remembered WHERE key = ?", (key,))
        else:
            connection.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (key, value))


def recall(connection: "sqlite3.Connection", key: str) -> str | None:
    """What ``remember`` kept under ``key``, or None."""
    with errors():
        row = connection.execute("SELECT value FROM remembered WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _opened(path: Path) -> "sqlite3.Connection":
    import sqlite3

    _create_private(path)
    class Connection(sqlite3.Connection):
        kept: cache.Kept

    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, factory=Connection
    )
    connection.kept = cache.Kept()
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_refused(exc: Exception) -> bool:
    """Whether the file or its folder may not be written."""
    import errno

    if isinstance(exc, OSError):
        return exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    name = getattr(exc, "sqlite_errorname", "")
    return name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN"))


def _read_only(path: Path) -> "sqlite3.Connection | None":
    """The database as it is, for reading; None where it cannot be read, or is of another schema.

    In a folder that cannot be written SQLite finds no place for what readers of a write-ahead log
    share, unless it is told that nobody writes: https://www.sqlite.org/wal.html#readonly
    """
    import sqlite3
    from urllib.parse import quote

    for how in ("mode=ro", "mode=ro&immutable=1"):
        address = f"file:{quote(str(path))}?{how}"
        connection = None
        try:
            connection = sqlite3.connect(
                address, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            if _version(connection) == len(STEPS):
                connection.execute("SELECT count(*) FROM models").fetchone()
                return connection
        except sqlite3.Error:
            pass
        if connection is not None:
            connection.close()
    return None


def _create_private(path: Path) -> None:
    """Make the file with 0600 from its first moment; SQLite gives its -wal and -shm the same. One
    that is there is not opened: to close it would drop the locks that other connections of this
    process have on it (https://www.sqlite.org/howtocorrupt.html, 2.2)."""
    target = os.path.realpath(path)
    try:
        _create(target)
    except FileNotFoundError:
        Path(target).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(target)


def _create(target: str) -> None:
    import errno

    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        wrong = errno.EISDIR if Path(target).is_dir() else errno.EACCES
        if wrong == errno.EISDIR or not os.access(target, os.W_OK):
            raise OSError(wrong, os.strerror(wrong), target) from None


def _prepare(connection: "sqlite3.Connection", path: Path) -> None:
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    if _version(connection) == len(STEPS):
        return
    with transaction(connection):
        # Read again under the lock: another process may have just done it.
        version = _version(connection)
        if version > len(STEPS):
            raise Unsupported(
                f"{path} was written by a newer llmrr (schema {version}; this one knows "
                f"{len(STEPS)})",
                "update llmrr: pip install --upgrade llmrr",
            )
        for step in STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")


def _write_ahead(connection: "sqlite3.Connection") -> None:
    """Switch to WAL (nothing to do after the first time). SQLite does not wait by itself when two
    processes switch at once: it answers "locked" immediately."""
    import sqlite3

    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _version(connection: "sqlite3.Connection") -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _translated(exc: Exception, path: Path) -> LlmrrError:
    import errno
    import sqlite3

    name = getattr(exc, "sqlite_errorname", "") or ""
    number = exc.errno if isinstance(exc, OSError) else None
    if name.startswith("SQLITE_FULL") or number in (errno.ENOSPC, errno.EDQUOT):
        return DoesNotFit(
            f"no space left for the database {path}",
            f"free some space, or put it elsewhere with LLMRR_HOME (it lies in {path.parent})",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DamagedFile(
            f"the database {path} is damaged: {exc}",
            f"put it aside, a new one is made: mv {path} {path}.damaged",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LlmrrError(
            f"the database {path} stayed locked for {BUSY_S:.0f} seconds",
            "another program holds it: wait for it to end, or end it",
        )
    reason = exc.strerror if isinstance(exc, OSError) else exc
    if isinstance(exc, sqlite3.ProgrammingError):
        raise exc  # a bug of ours, not a state of the file
    return LlmrrError(
        f"cannot use the database {path}: {reason}",
        "make its folder writable, or set LLMRR_HOME to a folder that is",
    )
