"""Who is changing the store right now. Two locks, both files in the data directory:

``adding`` is held by whoever fetches or copies what becomes a model, any number at once, for as
long as it takes; ``alone`` is the same one held by nobody else. ``settling`` is for the moment in
which entries are written and files deleted, one command at a time, so that what was true when it
was looked at still is when it is acted upon.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from llmrr import paths
from llmrr.errors import LlmrrError


@contextmanager
def adding() -> Iterator[None]:
    """While files come that no entry has yet. Waits for who is ``alone``."""
    with _open("adding") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def alone() -> Iterator[bool]:
    """Keep others from ``adding``; False where somebody is at it already. Never waits."""
    with _open("adding") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def settling() -> Iterator[None]:
    """While entries are written, or files that entries may have are deleted; for a moment, and
    never within another one."""
    with _open("settling") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open(name: str) -> BinaryIO:
    path = paths.data_dir() / f"{name}.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as exc:
        raise LlmrrError(
            f"{path} cannot be written: {exc.strerror}",
            "make its folder writable, or set LLMRR_HOME to a folder that is",
        ) from exc
