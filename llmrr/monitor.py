"""Tells of memory that runs short, from a thread that looks at it now and then.

    >>> from llmrr import MemoryMonitor, Router                               # doctest: +SKIP
    >>> with Router() as router, MemoryMonitor(router) as monitor:            # doctest: +SKIP
    ...     monitor.on("high-usage", lambda use: router.unload_unused())
    ...     ...
"""

import threading
from collections.abc import Callable
from typing import Final, Protocol

from llmrr.config import Config
from llmrr.errors import InvalidRequest, UsageError, nearest
from llmrr.pool import MemoryUse

EVENTS: Final = ("high-usage", "normal-usage")

Listener = Callable[[MemoryUse], object]


class Watched(Protocol):
    """What a monitor looks at: a ``Router``."""

    @property
    def config(self) -> Config: ...

    def memory(self) -> MemoryUse | None: ...


class MemoryMonitor:
    """Calls listeners when the share of memory in use rises above ``threshold``, by default that of
    ``[memory]`` (``high-usage``), and when it is below again (``normal-usage``): once each time,
    and not at every look. It looks every ``interval`` seconds, by default that of ``[memory]``.

    It begins with the first listener, and ends with ``stop`` or the block that it is used in. A
    listener runs on the monitor's thread; what it raises ends nothing, and is given to ``failed``,
    without which it is shown as any thread's error is.
    """

    def __init__(
        self,
        router: Watched,
        *,
        threshold: float | None = None,
        interval: float | None = None,
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        if not callable(getattr(router, "memory", None)):
            raise InvalidRequest(
                f"a memory monitor watches a Router, and {router!r:.60} is none",
                "MemoryMonitor(router)",
            )
        self._router, self._threshold, self._interval = router, threshold, interval
        self._failed = failed or _show
        self._listeners: dict[str, list[Listener]] = {event: [] for event in EVENTS}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_high = False

    def on(self, event: str, listener: Listener) -> "MemoryMonitor":
        """Have ``listener`` called with the figures, bytes in use, the limit and the share. Raises
        ``UsageError`` for an event that there is not, and for what cannot be called."""
        if event not in self._listeners:
            near = nearest(event, EVENTS)
            raise UsageError(
                f'a memory monitor has no event "{event}"',
                f"did you mean {near}?" if near else f"there are {' and '.join(EVENTS)}",
            )
        if not callable(listener):
            raise InvalidRequest(
                f"the listener of {event!r} cannot be called", "on(EVENT, FUNCTION)"
            )
        with self._lock:
            self._listeners[event].append(listener)
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="llmrr-memory", daemon=True
                )
                self._thread.start()
        return self

    def check(self) -> MemoryUse | None:
        """Look now, and tell the listeners; the figures, None where the system does not say."""
        use = self._router.memory()
        if use is None:
            return None
        with self._lock:
            before, self._is_high = self._is_high, use.share > self._limit
            event = EVENTS[not self._is_high]
            told = list(self._listeners[event]) if before != self._is_high else []
        for listener in told:
            try:
                listener(use)
            except Exception as error:
                self._failed(error)
        return use

    def stop(self) -> None:
        """End its thread. Twice is allowed, and from a listener too."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> "MemoryMonitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _limit(self) -> float:
        stated = self._threshold
        return stated if stated is not None else self._configured("threshold")

    def _configured(self, name: str) -> float:
        value = self._router.config.value(f"memory.{name}")
        assert isinstance(value, float)
        return value

    def _run(self) -> None:
        while not self._stop.is_set():
            self.check()
            stated = self._interval
            self._stop.wait(stated if stated is not None else self._configured("interval"))


def _show(error: Exception) -> None:
    threading.excepthook(
        threading.ExceptHookArgs(
            (type(error), error, error.__traceback__, threading.current_thread())
        )
    )
