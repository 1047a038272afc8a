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
from dataclasses import replace
from typing import Any, TypeVar

from llmrr.engines.base import Load
from llmrr.engines.later import Later
from llmrr.engines.llamacpp.api import AbortFlag
from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.pacing import Pace
from llmrr.engines.llamacpp.prefixes import Prefixes
from llmrr.engines.llamacpp.slots import Carried, Slot, Slots
from llmrr.engines.llamacpp.stepping import Stepper
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
        self._open, self._abort, self._widened = open_context, abort, widened
        self._crowded = crowded  # requests have met
        self._against = 0  # tokens of the last prompts, for which the context is not the best one
        self._inbox: queue.SimpleQueue[Task | Later[Any] | None] = queue.SimpleQueue()
        self._waiting: list[Task] = []
        self._arrivals = itertools.count()
        self._context: Context | None = None
        self._slots: Slots | None = None
        self._stepper: Stepper | None = None
        self._prefixes = prefixes or Prefixes(0)
        self._pace = Pace()
        self._tally = Tally()
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
        running = [task for _, task in self._live()]
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
        context = self._context
        return context.size if context else None

    @property
    def load(self) -> Load:
        """What is under way, and what has been since it began."""
        context, tally = self._context, self._tally
        return Load(
            slots=context.shape.slots if context else 0,
            busy=len(self._live()),
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

    def _live(self) -> list[tuple[Slot, Task]]:
        slots = self._slots
        return slots.live if slots else []

    # -- on the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                self._take(block=not self._live() and not self._waiting)
                if not self._closing:
                    self._cycle()
        finally:
            with self._lock:
                self._closing = True  # also when it was a bug that ended the thread
            self._take(block=False)
            if self._slots is not None and self._prefixes.lasts:
                self._slots.keep_all()
            self._end_all(_closed())
            self._prefixes.close()
            self._leave()

    def _cycle(self) -> None:
        try:
            self._drop_cancelled()
            self._admit()
            self._stretch()
            if self._slots is not None and self._stepper is not None and self._slots.live:
                if not self._waiting:  # else a newcomer is about to take the gap
                    self._slots.close_gaps()
                self._stepper.step(self._waiting[: len(self._slots)])
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
        tasks = [*(task for _, task in self._live()), *self._waiting]
        self._waiting.clear()
        if self._slots is not None:
            self._slots.clear()
        for task in tasks:
            task.finished(error)

    def _drop_cancelled(self) -> None:
        for slot, task in self._live():
            if task.cancelled and self._slots is not None:
                self._slots.release(slot)
        for task in [task for task in self._waiting if task.cancelled]:
            self._waiting.remove(task)
            task.finished(None)

    # -- admission -----------------------------------------------------------------------------

    def _admit(self) -> None:
        for task in list(self._waiting):
            try:
                if not self._make_room(task):
                    break
                free = self._free()
                if free is None:
                    break
                admitted = self._slots is not None and self._slots.place(task, free)
            except LlmrrError as error:
                self._waiting.remove(task)
                task.finished(error)
                continue
            if admitted:
                self._waiting.remove(task)
        if self._slots is not None:
            self._slots.settled()

    def _free(self) -> Slot | None:
        """A slot for a newcomer; where there is none for the first time, there will be more."""
        assert self._slots is not None
        assert self._context is not None
        if self._slots.free is None and not self._crowded:
            self._crowded, shape = True, self._context.shape
            wide = self._widened(shape)
            if wide.slots > shape.slots:
                self._reopen(wide)
        return self._slots.free

    # -- the context ---------------------------------------------------------------------------

    def _make_room(self, task: Task) -> bool:
        """Open a context that is large enough; False while more are running than it would have
        slots."""
        if self._context is None:
            self._crowded = self._crowded or len(self._waiting) > 1
            self._enter(self._widened(task.shape) if self._crowded else task.shape, [])
            return True
        shape, live = task.shape, self._live()
        enough = shape.size <= self._context.size
        if enough and (live or not self._unlike(task)):
            return True
        shape = replace(shape, size=max(shape.size, self._context.size))
        if live:
            shape = replace(shape, flash_attention=self._context.shape.flash_attention)
        return self._grow(shape)

    def _unlike(self, task: Task) -> bool:
        """Would the other kind of attention be better, and for more tokens by now than are kept
        here? What is computed does not go along into such a context."""
        assert self._context is not None
        assert self._slots is not None
        if task.shape.flash_attention == self._context.shape.flash_attention:
            self._against = 0
            return False
        self._against += len(task.known)
        return self._against > self._slots.kept_tokens

    def _grow(self, shape: Shape) -> bool:
        """Have a context of this size, if it has slots for what is running."""
        wide = self._widened(shape) if self._crowded else shape
        if len(self._live()) > wide.slots:
            return False
        self._reopen(wide)
        return True

    def _stretch(self) -> None:
        """Have a larger context where an answer has come to the end of this one, and may go on."""
        context = self._context
        if context is None:
            return
        ending = [
            task for _, task in self._live() if len(task.known) + task.spare + 1 >= context.size
        ]
        if not any(task.most > context.size for task in ending):
            return
        most = max(task.most for task in ending)
        shape = replace(ending[0].shape, flash_attention=context.shape.flash_attention)
        try:
            grown = self._grow(replace(shape, size=min(most, 2 * context.size)))
        except LlmrrError:
            grown = False
        if not grown:
            for task in ending:
                task.most = context.size  # it ends here

    def _reopen(self, shape: Shape) -> None:
        """Another context, in which all goes on. Where it cannot be had, the one there was stays,
        and the error is raised."""
        assert self._context is not None
        assert self._slots is not None
        before, carried = self._context.shape, self._slots.leave()
        self._context.close()  # first: there may not be room for both
        try:
            self._enter(shape, carried)
        except LlmrrError:
            self._return(before, carried)
            raise

    def _return(self, shape: Shape, carried: Sequence[Carried]) -> None:
        try:
            self._enter(shape, carried)
        except LlmrrError as error:  # nothing is left to go on in
            for one in carried:
                if one.task is not None:
                    one.task.finished(error)
            raise

    def _enter(self, shape: Shape, carried: Sequence[Carried]) -> None:
        self._context = self._slots = self._stepper = None
        self._context = context = self._open(shape)
        self._against = 0
        self._slots = slots = Slots(context, self._prefixes, self._tally)
        slots.enter(carried)
        self._stepper = Stepper(context, slots, self._pace, self._tally)

    def _leave(self) -> None:
        if self._context is not None:
            self._context.close()
        self._context = self._slots = self._stepper = None


def _closed() -> EngineFailed:
    return EngineFailed("the model was closed")
