"""Ids of answers and of requests."""

import hashlib
import itertools
import os
from typing import Final

_SECRET: Final = os.urandom(32)
_numbers: Final = itertools.count()


def new() -> str:
    """An id that nobody guesses, as 32 hexadecimal digits. The system is not asked for each: the
    event loop would queue up behind all threads that want to run meanwhile."""
    number = next(_numbers).to_bytes(8, "big")
    return hashlib.blake2b(number, key=_SECRET, digest_size=16).hexdigest()
