"""Which model files were checked, and what that found."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr.database import errors

if TYPE_CHECKING:
    import sqlite3


def record(
    connection: "sqlite3.Connection", path: Path, stat: os.stat_result, *, by: str, found: str
) -> None:
    """Record what checking a model file found. ``stat`` is from before the check began; ``by``
    names the checker with its version, because another version may judge differently."""
    with errors():
        connection.execute(
            "INSERT OR REPLACE INTO checked_files VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*_key(path, stat, by), found, time.time()),
        )


def verdict(
    connection: "sqlite3.Connection", path: Path, stat: os.stat_result, *, by: str
) -> str | None:
    """The verdict on exactly this file (same place, size, time and inode), or None."""
    with errors():
        row = connection.execute(
            "SELECT verdict FROM checked_files WHERE path = ? AND checked_by = ?"
            " AND size = ? AND mtime_ns = ? AND inode = ?",
            _key(path, stat, by),
        ).fetchone()
    return None if row is None else str(row[0])


def _key(path: Path, stat: os.stat_result, by: str) -> tuple[str, str, int, int, int]:
    return str(path.resolve()), by, stat.st_size, stat.st_mtime_ns, stat.st_ino
