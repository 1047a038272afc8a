"""Work on many things at once, and have the results in the order of the things."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD: Final = 8  # things for each thread that may wait behind one that takes long


def in_order(
    work: Callable[[T], R],
    things: Iterable[T],
    threads: int,
    *,
    weight: Callable[[T], int] = lambda thing: 0,
    most: int = 256 << 20,
) -> Iterator[tuple[T, R]]:
    """Each thing with what ``work`` makes of it, in their order. So many threads work; at most
    ``AHEAD`` things for each of them are taken ahead, which weigh at most ``most`` together. What
    ``work`` raises is raised here; then, or where the iterator is closed, nothing more is begun.

    >>> list(in_order(len, ["a", "bc", ""], 2))
    [('a', 1), ('bc', 2), ('', 0)]
    """
    crew = _Crew(work, threads)
    pending: deque[tuple[T, int, Future[R]]] = deque()
    heavy = 0
    try:
        for thing in things:
            pending.append((thing, weight(thing), crew.give(thing)))
            heavy += pending[-1][1]
            while pending and (
                len(pending) >= AHEAD * threads or heavy > most or pending[0][2].done()
            ):
                first, light, future = pending.popleft()
                heavy -= light
                yield first, future.result()
        while pending:
            first, _, future = pending.popleft()
            yield first, future.result()
    finally:
        crew.dismiss()


class _Crew(Generic[T, R]):
    """Threads, each begun when there is work for it. The process does not wait for their end."""

    def __init__(self, work: Callable[[T], R], most: int) -> None:
        self._work, self._most = work, most
        self._threads: list[threading.Thread] = []
        self._tasks: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()
        self._over = False

    def give(self, thing: T) -> "Future[R]":
        """Have a thing worked on."""
        future: Future[R] = Future()
        self._tasks.put((thing, future))
        if len(self._threads) < self._most:
            self._threads.append(threading.Thread(target=self._run, daemon=True))
            self._threads[-1].start()
        return future

    def dismiss(self) -> None:
        """Begin nothing more."""
        self._over = True
        for _ in self._threads:
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None and not self._over:
            thing, future = task
            try:
                future.set_result(self._work(thing))
            except BaseException as error:
                future.set_exception(error)
