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
from llmrr.errors import DoesNotFit, LlmrrError
from llmrr.store import locks, records
from llmrr.store.records import StoredFile

if TYPE_CHECKING:
    import sqlite3


class Staging:
    """A folder being filled, and the one that it becomes."""

    def __init__(self, connection: "sqlite3.Connection", folder: Path, final: Path) -> None:
        self._connection, self.folder, self.final = connection, folder, final

    def settle(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """Give the folder its final name; the files as they then are. Raises ``LlmrrError`` when
        somebody was faster."""
        settled = tuple(
            replace(file, path=self.final / file.path.relative_to(self.folder)) for file in files
        )
        if self.final.exists():
            raise LlmrrError(
                f"{self.final.name} was imported by another command in the meantime", "llmrr list"
            )
        for file in settled:
            records.own(self._connection, file.path, file.bytes, file.digest)
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
    free = shutil.disk_usage(root).free
    if copied > free:
        raise DoesNotFit(
            f"{copied / 1e9:.2f} GB are to be copied, and {free / 1e9:.2f} GB are free at {root}",
            "llmrr prune; or import it where it lies, without --copy",
        )
    slug = re.sub(r"[:/]", "--", label)
    with locks.settling():
        _sweep(connection, root, slug)
    folder = root / f".{slug}.{os.getpid()}-{secrets.token_hex(2)}"
    folder.mkdir()
    try:
        yield Staging(connection, folder, root / slug)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(connection: "sqlite3.Connection", root: Path, slug: str) -> None:
    """Remove the folders of commands that were killed: while they filled it, or before they noted
    the model."""
    used = {file.path for entry in records.entries(connection) for file in entry.files}
    if (root / slug).exists() and not any(path.is_relative_to(root / slug) for path in used):
        shutil.rmtree(root / slug)
    for stale in root.glob(f".{slug}.*-????"):
        process = stale.name.removeprefix(f".{slug}.").partition("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(stale, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
