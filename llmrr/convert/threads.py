"""How many threads may compute, and how they wait for each other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# What the runtime of OpenMP reads when it is loaded, llama.cpp with it.
WAITS = "OMP_WAIT_POLICY"


def usable_threads() -> int:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def patient() -> Iterator[None]:
    """A llama.cpp that is loaded while this lasts lets threads sleep that wait, unless the user has
    said otherwise. They spin else: the quality of a model of 135 M parameters, on two cores that
    others used too, took 63 s instead of 175, and 17 s of processor time instead of 44."""
    if WAITS in os.environ:
        yield
        return
    os.environ[WAITS] = "passive"
    try:
        yield
    finally:
        os.environ.pop(WAITS, None)
