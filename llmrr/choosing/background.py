"""Work that outlives the answer it belongs to: the other side of a migration, still under way."""

import threading
from collections.abc import Callable
from contextvars import copy_context

NOTICE_S = 1.0  # how long is waited before that is said
_PATIENCE_S = 2.0  # for what was cancelled to end, and be recorded


class Background:
    """Work on threads that are waited for before their router is closed."""

    def __init__(self) -> None:
        # Not Thread.join: one that Ctrl-C interrupts takes the thread for ended (Python 3.11).
        self._changed = threading.Condition()
        self._work: dict[threading.Thread, tuple[str, Callable[[], None]]] = {}

    def start(self, work: Callable[[], object], cancel: Callable[[], None], what: str) -> bool:
        """Do ``work`` on a thread of its own; ``cancel`` ends it soon, from any thread; ``what`` it
        is, is said to who waits for it. False where the system has no thread to give."""

        def run() -> None:
            try:
                work()
            finally:
                forget()

        def forget() -> None:
            with self._changed:
                self._work.pop(thread, None)
                self._changed.notify_all()

        thread = threading.Thread(
            target=copy_context().run, args=(run,), name="llmrr-side", daemon=True
        )
        with self._changed:
            self._work[thread] = what, cancel
        try:
            thread.start()
        except RuntimeError:
            forget()
            return False
        return True

    def wait(self, tell: Callable[[str], None]) -> None:
        """Wait until all has ended; where that takes long, ``tell`` is given a line that says so.
        ``KeyboardInterrupt`` cancels it."""
        try:
            if not self._wait(NOTICE_S):
                with self._changed:
                    named = sorted({what for what, _ in self._work.values()})
                tell(f"waiting for {' and '.join(named)}, which is recorded too: Ctrl-C ends it")
                self._wait(None)
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """End all of it; what has not ended soon is left behind."""
        with self._changed:
            work = list(self._work.values())
        for _, cancel in work:
            cancel()
        self._wait(_PATIENCE_S)

    def _wait(self, seconds: float | None) -> bool:
        own = threading.current_thread()
        with self._changed:
            return self._changed.wait_for(lambda: not self._work.keys() - {own}, seconds)
