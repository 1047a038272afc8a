"""Products of numpy on one thread. OpenBLAS lets its threads wait by spinning: on two cores that
others used too, two threads took 15 s for the matrices that one multiplied in 1.9, with 13 s of
processor time instead of 0.9; for sums of squares 41 s instead of 2.9."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """While this lasts, where numpy's library can be told."""
    import numpy as np  # noqa: F401 (only a library that is loaded can be limited)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
