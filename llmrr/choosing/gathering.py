"""Runs that end close together, written down together: one transaction for all that came within a
moment costs hardly more than one for each. A process that is killed loses those of that moment.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from llmrr.choosing.watching import logger

T = TypeVar("T")

MOMENT_S: Final = 0.01


class Gathering(Generic[T]):
    """Hands what is added to ``write``, on a thread of its own, until it is closed. Safe to use
    from several threads."""

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self._write = write
        self._items: deque[T] = deque()
        self._lock = threading.Lock()  # while something is written
        self._awake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="llmrr-records", daemon=True)
        self._thread.start()

    def add(self, item: T) -> None:
        """Have it written in a moment; at once where it is closed."""
        self._items.append(item)
        if self._is_closed:
            self.flush()
        elif not self._awake.is_set():  # waking a thread costs more than all the rest
            self._awake.set()

    def flush(self) -> None:
        """Write what there is, here; nothing of it is still being written afterwards."""
        with self._lock:
            if items := [self._items.popleft() for _ in range(len(self._items))]:
                self._write(items)

    def close(self) -> None:
        """Write what there is, and end the thread. Twice is allowed."""
        self._is_closed = True
        self._awake.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._is_closed:
            self._awake.wait()
            if not self._is_closed:
                time.sleep(MOMENT_S)
            self._awake.clear()
            try:
                self.flush()
            except Exception:  # those that come are written none the less
                logger().exception("runs were not written down")
