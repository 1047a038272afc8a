"""Work that outlives the answer it belongs to: the other side of a migration, still under way."""

import threading
import time
from collections.abc import Callable

_PATIENCE_S = 2.0  # for what was cancelled to end, and be recorded


class Background:
    """Threads that are waited for before their router is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: dict[threading.Thread, Callable[[], None]] = {}

    def start(self, work: Callable[[], object], cancel: Callable[[], None]) -> None:
        """Do ``work`` on a thread of its own; ``cancel`` ends it soon, from any thread. ``work``
        must not raise."""

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._work.pop(thread, None)

        thread = threading.Thread(target=run, name="llmrr-side", daemon=True)
        with self._lock:
            self._work[thread] = cancel
        thread.start()

    def wait(self) -> None:
        """Wait until all has ended. ``KeyboardInterrupt`` cancels it."""
        try:
            while threads := self._threads():  # one may have started another
                for thread in threads:
                    thread.join()
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """End all of it; what has not ended soon is left behind."""
        with self._lock:
            work = dict(self._work)
        for cancel in work.values():
            cancel()
        until = time.monotonic() + _PATIENCE_S
        for thread in work:
            thread.join(max(0.0, until - time.monotonic()))

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return [one for one in self._work if one is not threading.current_thread()]
