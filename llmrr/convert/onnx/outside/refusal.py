"""Why a job could not be done, in the words that go to the process that asked for it."""

import errno
from typing import Literal

Kind = Literal["unsupported", "damaged", "room", "network", "failed"]
LONG = 400


class Refused(Exception):
    """What is wrong, in one sentence."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def translated(error: BaseException) -> tuple[Kind, str]:
    """The kind of any other error, and its last line that says something.

    >>> translated(ValueError("first\\n\\n  a shape is wrong\\n"))
    ('failed', 'ValueError: a shape is wrong')
    >>> translated(MemoryError())[0]
    'room'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
    said = said if len(said) <= LONG else said[:LONG] + "…"
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        return "room", said
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "room", said
    return "failed", said
