"""One thread that owns what computes. Sequences and calls are handed to it from any thread."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from llmrr.engines.later import Later
from llmrr.engines.task import Task
from llmrr.errors import EngineFailed

K = TypeVar("K", bound=Task)
T = TypeVar("T")


class Owner(Generic[K]):
    """The thread and its inbox; subclassed by what computes. Its public methods may be called from
    any thread, the others are for the thread alone."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[K | Later[Any] | None] = queue.SimpleQueue()
        self._waiting: list[K] = []
        self._closing = False
        self._lock = threading.Lock()  # so that nothing is put in after the last look
        self.thread: threading.Thread

    def begin(self, name: str) -> None:
        """Start the thread, once there is all that it needs."""
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    # -- what a subclass has -------------------------------------------------------------------

    @property
    def running(self) -> list[K]:
        """The sequences that are being computed; from any thread."""
        raise NotImplementedError

    def abort(self) -> None:
        """Stop what is being computed; from any thread."""
        raise NotImplementedError

    def advance(self) -> None:
        """Take one step."""
        raise NotImplementedError

    def free(self) -> None:
        """End every sequence, and free what the thread owns."""
        raise NotImplementedError

    def end_all(self, error: BaseException) -> None:
        """End every sequence, the waiting ones too."""
        raise NotImplementedError

    # -- from any thread -----------------------------------------------------------------------

    def submit(self, tasks: Sequence[K]) -> None:
        """Begin with sequences as soon as there is room for them."""
        for task in tasks:
            if not self._post(task):
                task.finished(closed())

    def cancel(self, tasks: Sequence[K]) -> None:
        """Free the sequences within one step; at once when nothing else is running."""
        for task in tasks:
            task.cancelled = True
        running = self.running
        if running and all(task.cancelled for task in running):
            self.abort()
        self._inbox.put(None)

    def later(self, function: Callable[[], T]) -> Later[T]:
        """Run ``function`` on the thread, between two steps."""
        later = Later(function)
        if not self._post(later):
            later.fail(closed())
        return later

    def close(self) -> None:
        """End every sequence and free what the thread owns. Twice is allowed."""
        with self._lock:
            self._closing = True
        self.abort()
        self._inbox.put(None)
        if threading.current_thread() is not self.thread:
            self.thread.join()

    @property
    def closing(self) -> bool:
        """Is it being closed? Then what takes long should end."""
        return self._closing

    def _post(self, item: "K | Later[Any]") -> bool:
        """Hand something to the thread; False when it will not come to it any more."""
        with self._lock:
            if not self._closing:
                self._inbox.put(item)
            return not self._closing

    # -- on the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                self._take(block=not self.running and not self._waiting)
                if not self._closing:
                    self._cycle()
        finally:
            with self._lock:
                self._closing = True  # also when it was a bug that ended the thread
            self._take(block=False)
            self.free()

    def _cycle(self) -> None:
        try:
            self.advance()
        except Exception as error:  # a bug of ours must reach the caller, not hang it
            self.end_all(error)

    def _take(self, block: bool) -> None:
        while block or not self._inbox.empty():
            item = self._inbox.get()
            block = False
            if isinstance(item, Task):
                self.arrived(item)
            elif item is not None and self._closing:
                item.fail(closed())
            elif item is not None:
                item.run()

    def arrived(self, task: K) -> None:
        """A sequence has come."""
        self._waiting.append(task)

    def drop_cancelled(self) -> None:
        """Forget the waiting sequences that nobody wants any more."""
        for task in [task for task in self._waiting if task.cancelled]:
            self._waiting.remove(task)
            task.finished(None)


def closed() -> EngineFailed:
    """What is said of it afterwards."""
    return EngineFailed("the model was closed")
