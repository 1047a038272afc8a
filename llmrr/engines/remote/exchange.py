"""A request and its answer under way, ended from any thread, or by the clock.

A limit on reading from a connection holds for one read: whoever sends a byte now and then, outside
of what is an answer, keeps a reader for ever. So one thread looks after all exchanges, and closes
the connection of one that is waited for beyond its time.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

STEP: Final = 0.25  # seconds between two looks: the limits of reads are what mostly ends it


class Exchange:
    """A request and its answer. ``close`` ends it from any thread; ``expired`` says that the clock
    did."""

    def __init__(self) -> None:
        self.cancelled = self.expired = False
        self.passed: Callable[[], bool] | None = None  # while it is waited for: is it too late?
        self._socket: socket.socket | None = None
        self._seconds: float | None = -1.0  # the limit that the connection has; -1 without one
        self._lock = threading.Lock()

    def close(self) -> None:
        """End it: whoever reads from the connection gets an error at once. Twice is allowed."""
        with self._lock:
            self.cancelled = True
            self._shut()

    def expire(self) -> None:
        """End it where it is too late."""
        with self._lock:
            passed = self.passed
            if passed is not None and passed():
                self.expired = True
                self._shut()

    def uses(self, found: socket.socket | None) -> None:
        """The connection that it runs over."""
        with self._lock:
            self._socket, self._seconds = found, found.gettimeout() if found else -1.0
            if self.cancelled or self.expired:
                self._shut()

    def wait_at_most(self, seconds: float | None) -> None:
        """How long a read may take, within 2 %: setting it costs more than a piece of an answer."""
        known = self._seconds
        if seconds == known or (seconds and known and abs(seconds - known) < 0.02 * known):
            return
        self._seconds = seconds
        with suppress(OSError):
            if self._socket is not None:
                self._socket.settimeout(seconds)

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError, TypeError):
                # Not SSLSocket's own, which takes the cipher away from under who reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


@contextmanager
def watched(exchange: Exchange) -> Iterator[None]:
    """Look after an exchange meanwhile."""
    exchange.expired = False
    _under_way.add(exchange)
    if not _awake.is_set():  # waking a thread costs more than all the rest
        _awake.set()
    if _thread is None or not _thread.is_alive():  # there is none after a fork
        _begin()
    try:
        yield
    finally:
        exchange.passed = None
        _under_way.discard(exchange)


_under_way: set[Exchange] = set()
_awake = threading.Event()
_thread: threading.Thread | None = None
_lock = threading.Lock()


def _begin() -> None:
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="llmrr-clock", daemon=True)
            _thread.start()


def _run() -> None:
    while True:
        _awake.wait()
        time.sleep(STEP)
        look()
        if not _under_way:
            _awake.clear()
            if _under_way:  # one came in between
                _awake.set()


def look() -> None:
    """End what is too late."""
    for exchange in tuple(_under_way):
        exchange.expire()
