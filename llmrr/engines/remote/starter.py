"""Starts a moment later what may have been started by then: answers that nobody reads at once."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MOMENT: Final = 0.01  # seconds: longer than from a call to the first look at its answer

_waiting: deque[Callable[[], None]] = deque()
_awake = threading.Event()
_thread: threading.Thread | None = None
_lock = threading.Lock()


def soon(start: Callable[[], None]) -> None:
    """Call it in a moment, on another thread. It must not raise."""
    _waiting.append(start)
    if not _awake.is_set():  # waking a thread costs more than all the rest
        _awake.set()
    if _thread is None or not _thread.is_alive():  # there is none after a fork
        _begin()


def _begin() -> None:
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="llmrr-starter", daemon=True)
            _thread.start()


def _run() -> None:
    while True:
        _awake.wait()
        time.sleep(MOMENT)
        _awake.clear()
        while _waiting:
            _waiting.popleft()()
