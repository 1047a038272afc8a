"""How a process of many threads and many small answers takes memory, and frees it."""

import ctypes
import gc
import os
from typing import Final

_ARENA_MAX: Final = -8  # parameters of mallopt: https://man7.org/linux/man-pages/man3/mallopt.3.html
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1
_LARGE: Final = 4 * 2**20  # more than the logits of a token, which come and go at every step
_YOUNG: Final = 20_000  # objects: those of a few dozen requests, which mostly end without cycles


def tighten() -> None:
    """Have glibc give all threads memory from one arena, and what is large a mapping of its own.

    Else each thread has an arena, up to eight for each core, whose free parts are of no use to the
    others; and once large parts were freed, later ones lie among small ones, which keep them from
    going back to the system. What the environment says of it holds, and other libraries do not
    behave so.
    """
    if _is_glibc() and not any(name.startswith(("MALLOC_", "GLIBC_TUN")) for name in os.environ):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGE)


def settle() -> None:
    """Have the collector look for cycles among what requests make, and not again and again among
    all that was loaded before them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False
