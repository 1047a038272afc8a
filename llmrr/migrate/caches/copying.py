"""A database whose last rows lie beside it, in the log of a program that still writes it or was
killed: it is read from a private copy, as reading them in place would write beside the user's file.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

MOST_BYTES: Final = 1_000_000_000  # of a database with its log
_LOGS: Final = ("-wal", "-journal")
_TRIES: Final = 3  # where it is written to meanwhile


class Place:
    """Where to read. ``is_copy`` may be written to; what is not ``is_whole`` lacks the rows that
    lie beside it."""

    def __init__(self, path: Path, *, is_copy: bool = False, is_whole: bool = True) -> None:
        self.path, self.is_copy, self.is_whole = path, is_copy, is_whole


@contextmanager
def whole(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[Place]:
    """The database itself, or where there is a log beside it a copy of both, which goes at the
    end. Raises ``OSError``."""
    path = path.resolve()  # the log is named after the file, not after a link to it
    files = [path, *_beside(path)]
    if len(files) == 1:
        yield Place(path)
        return
    size = sum(one.stat().st_size for one in files)
    if size > min(most_bytes, shutil.disk_usage(gettempdir()).free // 2):
        yield Place(path, is_whole=False)
        return
    with TemporaryDirectory(prefix="llmrr-") as folder:
        made = any(_copied(files, Path(folder)) for _ in range(_TRIES))
        copy = Path(folder, path.name)
        yield Place(copy, is_copy=True) if made else Place(path, is_whole=False)


def _beside(path: Path) -> list[Path]:
    """The logs that hold something."""
    found = [path.with_name(f"{path.name}{ending}") for ending in _LOGS]
    return [one for one in found if one.is_file() and one.stat().st_size > 0]


def _copied(files: list[Path], folder: Path) -> bool:
    """Copy; whether nobody wrote to the files meanwhile."""
    before = [_state(one) for one in files]
    for one in files:
        shutil.copyfile(one, folder / one.name)
    return before == [_state(one) for one in files]


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
