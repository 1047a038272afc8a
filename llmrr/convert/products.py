"""Products of numpy on one thread. OpenBLAS lets its threads wait by spinning: on two cores that
others used too, two threads took 15 s for the matrices that one multiplied in 1.9, with 13 s of
processor time instead of 0.9; for sums of squares 41 s instead of 2.9."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

PREFIXES = (("scipy_openblas_", "64_"), ("openblas_", "64_"), ("scipy_openblas_", ""),
            ("openblas_", ""))  # fmt: skip


@contextmanager
def one_thread() -> Iterator[None]:
    """While this lasts, where the numpy that is installed carries OpenBLAS; else nothing changes.
    """
    found = _functions()
    if found is None:
        yield
        return
    count, set_count = found
    before = count()
    set_count(1)
    try:
        yield
    finally:
        set_count(before)


@cache
def _functions() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """OpenBLAS's functions that tell and set the number of threads."""
    import numpy as np

    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in folder.glob("*openblas*"):
            library = ctypes.CDLL(str(path))  # loaded already: this is another name for it
            for prefix, end in PREFIXES:
                count = getattr(library, f"{prefix}get_num_threads{end}", None)
                set_count = getattr(library, f"{prefix}set_num_threads{end}", None)
                if count and set_count:
                    return count, set_count
    return None
