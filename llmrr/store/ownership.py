"""The files that llmrr wrote itself, or was told to move: what may be deleted as its own.

Each is noted before it gets its final name (what the client fetched by chunks, right after), as the
very file that it is then (size, time, inode): outside of llmrr's own folder, what another program
has put in its place since is not llmrr's. A link is noted like a file.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmrr import database, paths

if TYPE_CHECKING:
    import sqlite3


class Mark(NamedTuple):
    """What tells a file from another one in its place; a partial one has neither size nor time."""

    inode: int
    bytes: int | None = None
    mtime_ns: int | None = None

    @classmethod
    def of(cls, status: os.stat_result) -> "Mark":
        """That of a whole file."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


def place(path: Path) -> Path:
    """The one spelling of a file's path; of a link that of the link itself."""
    return paths.real(path.parent) / path.name


def content(path: Path) -> Path:
    """Where the bytes of a file lie: what a link leads to."""
    return paths.real(path)


def note(
    connection: "sqlite3.Connection", path: Path, mark: Mark, instead_of: Path | None = None
) -> None:
    """``path`` is llmrr's own, or will be in a moment, under the name that ``instead_of`` gives up.
    """
    with database.errors():
        connection.execute(
            "INSERT OR REPLACE INTO owned_files VALUES (?, ?, ?, ?)", (str(place(path)), *mark)
        )
    if instead_of is not None:
        forget(connection, [instead_of])


def forget(connection: "sqlite3.Connection", gone: Iterable[Path]) -> None:
    """These are no longer llmrr's own."""
    with database.errors():
        connection.executemany(
            "DELETE FROM owned_files WHERE path = ?", [(str(place(path)),) for path in gone]
        )


def noted(connection: "sqlite3.Connection") -> Mapping[Path, Mark]:
    """All of them, by the one spelling of their paths."""
    with database.errors():
        rows = connection.execute("SELECT path, inode, bytes, mtime_ns FROM owned_files").fetchall()
    return {place(Path(path)): Mark(*mark) for path, *mark in rows}


def is_own(marks: Mapping[Path, Mark], path: Path) -> bool:
    """Whether what lies there is what llmrr wrote, or was until it was deleted. In the folder of
    models that is whatever has the name."""
    path = place(path)
    mark = marks.get(path)
    if mark is None or paths.models_dir() in path.parents:
        return mark is not None
    try:
        found = Mark.of(os.lstat(path))
    except OSError:
        return not os.path.lexists(path)
    return mark in (found, Mark(found.inode))
