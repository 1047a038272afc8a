"""Folders of llmrr's own, filled under a temporary name and given their final one in one step."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import paths
from llmrr.errors import DoesNotFit
from llmrr.store import ownership
from llmrr.store.ownership import Mark
from llmrr.store.processes import is_alive
from llmrr.store.records import StoredFile

if TYPE_CHECKING:
    import sqlite3

_STAGED = re.compile(r"\..+\.(?P<process>\d+)-[0-9a-f]{8}")


class Staging:
    """A folder being filled, and the one that it becomes."""

    def __init__(self, connection: "sqlite3.Connection", folder: Path, final: Path) -> None:
        self._connection, self.folder, self.final = connection, folder, final

    def settle(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """Give the folder its final name; the files as they then are."""
        settled = tuple(
            replace(file, path=self.final / file.path.relative_to(self.folder)) for file in files
        )
        for before, after in zip(files, settled, strict=True):
            ownership.note(self._connection, after.path, Mark.of(before.path.lstat()))
        self.folder.replace(self.final)
        return settled


@contextmanager
def staged(
    connection: "sqlite3.Connection", label: str, copied: int
) -> Iterator[Staging]:
    """A new folder that disappears unless it is settled; ``copied`` is how many bytes will be
    written into it. What killed commands left is removed. Raises ``DoesNotFit``."""
    root = paths.models_dir()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = paths.free_bytes(root)
    if copied > free:
        raise DoesNotFit(
            f"{copied / 1e9:.2f} GB are to be copied, and {free / 1e9:.2f} GB are free at {root}",
            "llmrr prune; or import it where it lies, without --copy",
        )
    for stale in left_behind(alone=False):
        shutil.rmtree(stale, ignore_errors=True)
    slug = re.sub(r"[^A-Za-z0-9._+-]+", "-", label).strip(".-")[:80]
    mark = secrets.token_hex(4)
    folder = root / f".{slug}.{os.getpid()}-{mark}"
    folder.mkdir()
    try:
        yield Staging(connection, folder, root / f"{slug}-{mark}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def left_behind(*, alone: bool) -> Iterator[Path]:
    """The folders that commands were filling when they were killed: all, where nobody else is
    adding, else those whose process is gone."""
    for folder in sorted(paths.models_dir().glob(".*")):
        match = _STAGED.fullmatch(folder.name)
        if match and folder.is_dir() and (alone or not is_alive(int(match["process"]))):
            yield folder
