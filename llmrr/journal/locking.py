"""A lock among all processes of this user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmrr.errors import LlmrrError
from llmrr.journal import files

LOCK_S = 10.0


@contextmanager
def alone(file: Path, doing: str) -> Iterator[None]:
    """Hold this lock, among all processes of this user; it dies with its process. Raises
    ``LlmrrError`` where another goes on ``doing`` that."""
    import fcntl
    import time

    deadline = time.monotonic() + LOCK_S
    with files.errors():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LlmrrError(
                        f"another llmrr has been {doing} for {LOCK_S:.0f} seconds",
                        "wait for it to end, and try again",
                    ) from None
                time.sleep(0.02)
        yield
