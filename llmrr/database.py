"""The one SQLite file: connection, numbered schema steps, and two small tables that belong to no
single part (what was remembered, which model files were checked).

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
from typing import TYPE_CHECKING, Any

from llmrr import paths
from llmrr.errors import DamagedFile, DoesNotFit, LlmrrError, Unsupported

if TYPE_CHECKING:
    import sqlite3

BUSY_S = 5.0

# Step n takes a database from user_version n to n + 1. Steps are only ever appended.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            model TEXT NOT NULL,
            source TEXT NOT NULL,
            engine TEXT NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            load_s REAL NOT NULL,
            first_token_s REAL,
            total_s REAL NOT NULL,
            finish_reason TEXT,
            error TEXT,
            conversation TEXT,
            system TEXT,
            prompt TEXT,
            answer TEXT)""",
        "CREATE INDEX runs_at ON runs (at)",
        "CREATE INDEX runs_conversation ON runs (conversation, id)",
        "CREATE TABLE remembered (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE checked_files (
            path TEXT NOT NULL,
            checked_by TEXT NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            inode INTEGER NOT NULL,
            verdict TEXT NOT NULL,
            checked_at REAL NOT NULL,
            PRIMARY KEY (path, checked_by)) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE models (
            name TEXT NOT NULL COLLATE NOCASE,
            tag TEXT NOT NULL COLLATE NOCASE,
            kind TEXT,
            format TEXT,
            quant TEXT,
            path TEXT NOT NULL,
            bytes INTEGER,
            digest TEXT,
            origin TEXT NOT NULL,
            revision TEXT,
            added REAL NOT NULL,
            used REAL,
            files TEXT NOT NULL,
            recipe TEXT,
            is_made INTEGER NOT NULL,
            PRIMARY KEY (name, tag)) WITHOUT ROWID""",
        """CREATE TABLE owned_files (
            path TEXT PRIMARY KEY,
            inode INTEGER NOT NULL,
            bytes INTEGER,
            mtime_ns INTEGER) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE scores (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            model TEXT NOT NULL,
            source TEXT NOT NULL,
            identity TEXT NOT NULL,
            quant TEXT,
            name TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            whole INTEGER NOT NULL,
            questions INTEGER NOT NULL,
            correct INTEGER NOT NULL)""",
        "CREATE INDEX scores_source ON scores (source, at)",
    ),
    (
        """CREATE TABLE speeds (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            model TEXT NOT NULL,
            source TEXT NOT NULL,
            identity TEXT NOT NULL,
            quant TEXT,
            engine TEXT NOT NULL,
            threads INTEGER,
            prefill_tokens INTEGER NOT NULL,
            prefill_tokens_per_s REAL NOT NULL,
            decode_tokens INTEGER NOT NULL,
            decode_tokens_per_s REAL NOT NULL,
            first_token_s REAL NOT NULL,
            load_s REAL NOT NULL,
            peak_bytes INTEGER)""",
        "CREATE INDEX speeds_source ON speeds (source, at)",
    ),
    (
        """CREATE TABLE health (
            key TEXT PRIMARY KEY,
            attempts REAL NOT NULL,
            successes REAL NOT NULL,
            runs REAL NOT NULL,
            load_s REAL,
            first_token_s REAL,
            token_s REAL,
            answer_tokens REAL,
            turn INTEGER NOT NULL,
            failed TEXT NOT NULL,
            opened REAL,
            probed REAL,
            last_error TEXT) WITHOUT ROWID""",
        """CREATE TABLE under_way (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL,
            process INTEGER NOT NULL,
            began REAL NOT NULL)""",
    ),
    # What each day cost; the words and times of a run may be gone before its month is over.
    ("ALTER TABLE runs ADD COLUMN cost REAL",),
    (
        """CREATE TABLE spent (
            day TEXT NOT NULL,
            model TEXT NOT NULL,
            cost REAL NOT NULL,
            tokens INTEGER NOT NULL,
            PRIMARY KEY (day, model)) WITHOUT ROWID""",
        """INSERT INTO spent SELECT date(at, 'unixepoch', 'localtime') AS day, model, 0.0,
            sum(prompt_tokens + completion_tokens) FROM runs GROUP BY day, model""",
    ),
    (
        """CREATE TABLE alerts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            event TEXT NOT NULL,
            model TEXT NOT NULL,
            value REAL,
            bound REAL,
            message TEXT NOT NULL)""",
        "CREATE INDEX alerts_at ON alerts (at)",
    ),
    (
        """CREATE TABLE metrics (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            event TEXT NOT NULL,
            value REAL NOT NULL,
            labels TEXT NOT NULL)""",
        "CREATE INDEX metrics_at ON metrics (at)",
    ),
    (
        """CREATE TABLE answers (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            at REAL NOT NULL,
            expires REAL,
            used REAL NOT NULL,
            bytes INTEGER NOT NULL,
            engine TEXT NOT NULL,
            answer TEXT NOT NULL,
            family TEXT,
            vector BLOB NOT NULL)""",
        "CREATE INDEX answers_used ON answers (used)",
        "CREATE INDEX answers_expires ON answers (expires)",
        "CREATE INDEX answers_family ON answers (family, used) WHERE family IS NOT NULL",
        # What all of them take: adding that up at every new one takes longer than finding one.
        "CREATE TABLE answers_size (bytes INTEGER NOT NULL)",
        "INSERT INTO answers_size VALUES (0)",
        """CREATE TRIGGER answers_added AFTER INSERT ON answers BEGIN
            UPDATE answers_size SET bytes = bytes + new.bytes; END""",
        """CREATE TRIGGER answers_removed AFTER DELETE ON answers BEGIN
            UPDATE answers_size SET bytes = bytes - old.bytes; END""",
    ),
    (
        "ALTER TABLE runs ADD COLUMN cache TEXT",
        "ALTER TABLE runs ADD COLUMN looked_up INTEGER NOT NULL DEFAULT 0",
    ),
    (
        """CREATE TABLE pairs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            mode TEXT NOT NULL,
            answered TEXT,
            prompt TEXT,
            new_success INTEGER,
            new_model TEXT,
            new_tokens INTEGER,
            new_latency_s REAL,
            new_text TEXT,
            new_error TEXT,
            legacy_success INTEGER,
            legacy_model TEXT,
            legacy_tokens INTEGER,
            legacy_latency_s REAL,
            legacy_text TEXT,
            legacy_error TEXT,
            similarity REAL)""",
        "CREATE INDEX pairs_at ON pairs (at)",
    ),
    (
        """CREATE TABLE migrations (
            id TEXT PRIMARY KEY,
            at REAL NOT NULL,
            ended REAL,
            state TEXT NOT NULL,
            plan TEXT NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE migration_steps (
            migration TEXT NOT NULL,
            number INTEGER NOT NULL,
            state TEXT NOT NULL,
            said TEXT NOT NULL,
            undo TEXT NOT NULL,
            PRIMARY KEY (migration, number)) WITHOUT ROWID""",
        """CREATE TABLE migration_notes (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            fields TEXT NOT NULL)""",
        """CREATE TABLE migration_ticks (
            item TEXT PRIMARY KEY,
            at REAL NOT NULL,
            note TEXT NOT NULL) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE validations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            configuration TEXT NOT NULL,
            new TEXT,
            passed INTEGER NOT NULL,
            facts TEXT NOT NULL)""",
        """CREATE TABLE promotions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            subject TEXT NOT NULL,
            before TEXT NOT NULL,
            after TEXT NOT NULL,
            validation INTEGER,
            forced INTEGER NOT NULL,
            entry TEXT NOT NULL)""",
    ),
    # Runs that another tool kept; they count in no figure of ours.
    (
        "ALTER TABLE runs ADD COLUMN import_id TEXT",
        "ALTER TABLE runs ADD COLUMN import_digest TEXT",
        "CREATE UNIQUE INDEX runs_imported ON runs (import_digest) WHERE import_digest IS NOT NULL",
        """CREATE TABLE cache_models (
            import_id TEXT NOT NULL,
            label TEXT NOT NULL,
            source TEXT NOT NULL,
            PRIMARY KEY (import_id, label)) WITHOUT ROWID""",
    ),
    # What figures of runs are made of: the rows themselves are as long as what was said.
    (
        """CREATE INDEX runs_figures ON runs (import_id, at, model, error, cache, total_s,
            first_token_s, load_s, prompt_tokens, cached_tokens, completion_tokens, cost)""",
    ),
    # What clients of a server may go on with. ``used`` before what is long: it is looked for.
    (
        """CREATE TABLE responses (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            used REAL NOT NULL,
            bytes INTEGER NOT NULL,
            response TEXT NOT NULL,
            messages TEXT NOT NULL,
            items TEXT NOT NULL)""",
        "CREATE INDEX responses_used ON responses (owner, used, bytes, id)",
    ),
)


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
    within(connection).clear()
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class _Kept:
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
    found: _Kept | None = getattr(connection, "kept", None)
    if found is None:
        return {}
    version = connection.execute("PRAGMA data_version").fetchone()[0]
    if version != found.version:
        found.version, found.tables = version, {}
    return found.tables.setdefault(table, {})


def within(connection: "sqlite3.Connection") -> dict[tuple[str, str], Any]:
    """What this transaction has written, by table and key, to be read again without a statement: a
    new one begins with nothing."""
    found: _Kept | None = getattr(connection, "kept", None)
    return {} if found is None else found.within


def forget(connection: "sqlite3.Connection", table: str, key: str) -> None:
    """A row is about to change. If that is undone, it is read again for nothing."""
    found: _Kept | None = getattr(connection, "kept", None)
    if found is not None:
        found.tables.get(table, {}).pop(key, None)
        found.within.pop((table, key), None)


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


def remember_checked(
    connection: "sqlite3.Connection", path: Path, stat: os.stat_result, *, by: str, verdict: str
) -> None:
    """Record what checking a model file found. ``stat`` is from before the check began; ``by``
    names the checker with its version, because another version may judge differently."""
    with errors():
        connection.execute(
            "INSERT OR REPLACE INTO checked_files VALUES (?, ?, ?, ?, ?, ?, ?)",
            (_key(path), by, stat.st_size, stat.st_mtime_ns, stat.st_ino, verdict, time.time()),
        )


def was_checked(
    connection: "sqlite3.Connection", path: Path, stat: os.stat_result, *, by: str
) -> str | None:
    """The verdict on exactly this file (same place, size, time and inode), or None."""
    with errors():
        row = connection.execute(
            "SELECT verdict FROM checked_files WHERE path = ? AND checked_by = ?"
            " AND size = ? AND mtime_ns = ? AND inode = ?",
            (_key(path), by, stat.st_size, stat.st_mtime_ns, stat.st_ino),
        ).fetchone()
    return None if row is None else str(row[0])


def _opened(path: Path) -> "sqlite3.Connection":
    import sqlite3

    _create_private(path)
    class Connection(sqlite3.Connection):
        kept: _Kept

    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, factory=Connection
    )
    connection.kept = _Kept()
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


def _key(path: Path) -> str:
    return str(path.resolve())


def _create_private(path: Path) -> None:
    """Make the file with 0600 from its first moment; SQLite gives its -wal and -shm the same."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


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
