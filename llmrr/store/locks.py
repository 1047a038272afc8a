"""Who is adding models right now: a command that takes away what nobody needs must not take what
another one has just fetched and not yet noted."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from llmrr import paths


@contextmanager
def adding() -> Iterator[None]:
    """While models are being fetched or imported; any number of commands at once."""
    with _open("adding") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def settling() -> Iterator[None]:
    """While a folder gets its final name and its entry: one command at a time, for a moment."""
    with _open("settling") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_idle() -> bool:
    """Whether no other command is ``adding``."""
    with _open("adding") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _open(name: str) -> BinaryIO:
    path: Path = paths.data_dir() / f"{name}.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("ab")
