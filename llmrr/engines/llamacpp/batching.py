"""Continuous batching: one thread owns the context and decodes, in one batch, every sequence that
is in flight. One sequence is simply the case of one.

Each step takes a token of every sequence that is answering and, beside them, a part of the prompts
that are still being read, so that running answers go on while newcomers are prefilled. A newcomer
takes the lowest free slot. What it has in common with another sequence, or with one that was kept,
is copied and not computed again; when another one is still computing it, the newcomer waits. Where
requests meet for the first time, or one needs more than the context has, another context is opened,
and what runs goes on in that.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llmrr.engines.base import Load
from llmrr.engines.later import Later
from llmrr.engines.llamacpp.api import AbortFlag
from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.contexts import Contexts
from llmrr.engines.llamacpp.prefixes import Prefixes
from llmrr.engines.llamacpp.tally import Tally
from llmrr.engines.llamacpp.task import Task
from llmrr.errors import EngineFailed, LlmrrError

T = TypeVar("T")


class Batching:
    """The thread that decodes. Its public methods may be called from any thread.

    All contexts of ``open_context`` are made with ``abort``, which stops what is being computed.
    ``widened`` is a shape with as many slots as there may be once requests meet, with ``crowded``
    from the beginning; ``prefixes`` keeps what slots hold when others take them.
    """

    def __init__(
        self,
        open_context: Callable[[Shape], Context],
        abort: AbortFlag,
        widened: Callable[[Shape], Shape] = lambda shape: shape,
        prefixes: Prefixes | None = None,
        *,
        crowded: bool = False,
    ) -> None:
        self._abort = abort
        self._inbox: queue.SimpleQueue[Task | Later[Any] | None] = queue.SimpleQueue()
        self._waiting: list[Task] = []
        self._arrivals = itertools.count()
        self._prefixes, self._tally = prefixes or Prefixes(0), Tally()
        self._contexts = Contexts(
            open_context, widened, self._prefixes, self._tally, crowded=crowded
        )
        self._closing = False
        self._lock = threading.Lock()  # so that nothing is put in after the last look
        self.thread = threading.Thread(target=self._run, name="llama.cpp", daemon=True)
        self.thread.start()

    # -- from any thread -----------------------------------------------------------------------

    def submit(self, tasks: Sequence[Task]) -> None:
        """Put sequences into the next batch that has room for them."""
        for task in tasks:
            if not self._post(task):
                task.finished(_closed())

    def cancel(self, tasks: Sequence[Task]) -> None:
        """Free the sequences within one step; at once when nothing else is running."""
        for task in tasks:
            task.cancelled = True
        running = [task for _, task in self._contexts.live]
        if running and all(task.cancelled for task in running):
            self._abort.raise_()
        self._inbox.put(None)

    def later(self, function: Callable[[], T]) -> Later[T]:
        """Run ``function`` on the thread that owns the context, between two steps."""
        later = Later(function)
        if not self._post(later):
            later.fail(_closed())
        return later

    def close(self) -> None:
        """End every sequence and free the context. Twice is allowed."""
        with self._lock:
            self._closing = True
        self._abort.raise_()
        self._inbox.put(None)
        if threading.current_thread() is not self.thread:
            self.thread.join()

    @property
    def closing(self) -> bool:
        """Is it being closed? Then what is computed is aborted."""
        return self._closing

    @property
    def context_size(self) -> int | None:
        """Tokens per sequence of the context that is open, or None."""
        context = self._contexts.current
        return context.size if context else None

    @property
    def load(self) -> Load:
        """What is under way, and what has been since it began."""
        context, tally = self._contexts.current, self._tally
        return Load(
            slots=context.shape.slots if context else 0,
            busy=len(self._contexts.live),
            waiting=len(self._waiting) + self._inbox.qsize(),
            prompt_tokens=tally.read,
            cached_tokens=tally.cached,
            generated_tokens=tally.generated,
            drafted_tokens=tally.drafted,
            accepted_tokens=tally.accepted,
            prefix_bytes=self._prefixes.used_bytes,
            prefix_hits=self._prefixes.hits,
            context=self.context_size,
        )

    def _post(self, item: "Task | Later[Any]") -> bool:
        """Hand something to the thread; False when it will not come to it any more."""
        with self._lock:
            if not self._closing:
                self._inbox.put(item)
            return not self._closing

    # -- on the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                self._take(block=not self._contexts.live and not self._waiting)
                if not self._closing:
                    self._cycle()
        finally:
            with self._lock:
                self._closing = True  # also when it was a bug that ended the thread
            self._take(block=False)
            if (slots := self._contexts.slots) is not None and self._prefixes.lasts:
                slots.keep_all()
            self._end_all(_closed())
            self._prefixes.close()
            self._contexts.close()

    def _cycle(self) -> None:
        try:
            self._drop_cancelled()
            self._admit()
            contexts = self._contexts
            contexts.stretch()
            slots, stepper = contexts.slots, contexts.stepper
            if slots is not None and stepper is not None and slots.live:
                if not self._waiting:  # else a newcomer is about to take the gap
                    slots.close_gaps()
                stepper.step(self._waiting[: len(slots)])
        except Exception as error:  # a bug of ours must reach the caller, not hang it
            self._end_all(error)

    def _take(self, block: bool) -> None:
        while block or not self._inbox.empty():
            item = self._inbox.get()
            block = False
            if isinstance(item, Task):
                item.arrived = next(self._arrivals)
                self._waiting.append(item)
            elif item is not None and self._closing:
                item.fail(_closed())
            elif item is not None:
                item.run()

    def _end_all(self, error: BaseException) -> None:
        tasks = [*(task for _, task in self._contexts.live), *self._waiting]
        self._waiting.clear()
        if self._contexts.slots is not None:
            self._contexts.slots.clear()
        for task in tasks:
            task.finished(error)

    def _drop_cancelled(self) -> None:
        for slot, task in self._contexts.live:
            if task.cancelled and self._contexts.slots is not None:
                self._contexts.slots.release(slot)
        for task in [task for task in self._waiting if task.cancelled]:
            self._waiting.remove(task)
            task.finished(None)

    # -- admission -----------------------------------------------------------------------------

    def _admit(self) -> None:
        contexts = self._contexts
        for task in list(self._waiting):
            try:
                if not contexts.room_for(task, meets=len(self._waiting) > 1):
                    break
                free = contexts.free()
                if free is None:
                    break
                admitted = contexts.slots is not None and contexts.slots.place(task, free)
            except LlmrrError as error:
                self._waiting.remove(task)
                task.finished(error)
                continue
            if admitted:
                self._waiting.remove(task)
        if contexts.slots is not None:
            contexts.slots.settled()


def _closed() -> EngineFailed:
    return EngineFailed("the model was closed")
