"""Continuous batching: one thread owns the context and decodes, in one batch, every sequence that
is in flight. One sequence is simply the case of one.

Each step takes a token of every sequence that is answering and, beside them, a chunk of the prompts
that are still being read, so that running answers go on while a newcomer is prefilled. A newcomer
takes the lowest free slot. What it has in common with another sequence is copied and not computed
again; when the other one is still computing it, the newcomer waits. Where requests meet for the
first time, what runs comes to its end, and a context with more slots is opened.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llmrr.engines.later import Later
from llmrr.engines.llamacpp.api import AbortFlag
from llmrr.engines.llamacpp.context import UBATCH, Context, Shape
from llmrr.engines.llamacpp.task import Task
from llmrr.engines.task import common_prefix
from llmrr.errors import EngineFailed, LlmrrError

T = TypeVar("T")

# Prompt tokens computed beside running answers: with flash attention fewer than 64 are three times
# slower, without it small chunks keep the answers flowing.
CHUNK_FLASH, CHUNK_PLAIN = 128, 64
# Most requests begin with the same few tokens of a chat template: nobody waits for those.
SHARE_AT_LEAST = 32


@dataclass(slots=True)
class Slot:
    """A sequence of the context: who has it, and which tokens its memory still holds."""

    number: int
    task: Task | None = None
    kept: list[int] = field(default_factory=list)


class Batching:
    """The thread that decodes. Its public methods may be called from any thread.

    All contexts of ``open_context`` are made with ``abort``, which stops what is being computed.
    ``widened`` is a shape with as many slots as there may be once requests meet.
    """

    def __init__(
        self,
        open_context: Callable[[Shape], Context],
        abort: AbortFlag,
        widened: Callable[[Shape], Shape] = lambda shape: shape,
    ) -> None:
        self._open, self._abort, self._widened = open_context, abort, widened
        self._crowded = self._widens = False  # requests have met; the context is yet too narrow
        self._inbox: queue.SimpleQueue[Task | Later[Any] | None] = queue.SimpleQueue()
        self._waiting: list[Task] = []
        self._slots: list[Slot] = []
        self._context: Context | None = None
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
        running = [slot.task for slot in self._slots if slot.task]
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
        return self._context.size if self._context else None

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
                self._take(block=not any(slot.task for slot in self._slots) and not self._waiting)
                if not self._closing:
                    self._cycle()
        finally:
            with self._lock:
                self._closing = True  # also when it was a bug that ended the thread
            self._take(block=False)
            self._end_all(_closed())
            if self._context is not None:
                self._context.close()
                self._context = None

    def _cycle(self) -> None:
        try:
            self._drop_cancelled()
            self._admit()
            self._close_gaps()
            if any(slot.task for slot in self._slots) and not self._see():
                self._step()
        except LlmrrError as error:
            self._end_all(error)
        except Exception as error:  # a bug of ours must reach the caller, not hang it
            self._end_all(error)

    def _take(self, block: bool) -> None:
        while block or not self._inbox.empty():
            item = self._inbox.get()
            block = False
            if isinstance(item, Task):
                self._waiting.append(item)
            elif item is not None and self._closing:
                item.fail(_closed())
            elif item is not None:
                item.run()

    def _end_all(self, error: BaseException) -> None:
        running = [slot.task for slot in self._slots if slot.task]
        for slot in self._slots:
            slot.task, slot.kept = None, []
            if self._context is not None:
                self._context.truncate(slot.number, 0)
        for task in [*running, *self._waiting]:
            task.finished(error)
        self._waiting.clear()

    def _drop_cancelled(self) -> None:
        for slot in self._slots:
            if slot.task is not None and slot.task.cancelled:
                self._release(slot)
        for task in [task for task in self._waiting if task.cancelled]:
            self._waiting.remove(task)
            task.finished(None)

    def _release(self, slot: Slot, error: BaseException | None = None) -> None:
        task = slot.task
        assert task is not None
        slot.task, slot.kept = None, task.known[: task.done]
        task.finished(error)

    # -- admission -----------------------------------------------------------------------------

    def _admit(self) -> None:
        for task in list(self._waiting):
            try:
                if not self._make_room(task):
                    return
                admitted = self._place(task)
            except LlmrrError as error:
                self._waiting.remove(task)
                task.finished(error)
                continue
            if admitted:
                self._waiting.remove(task)

    def _make_room(self, task: Task) -> bool:
        """Open a context that is large enough; False while a smaller one is in use."""
        if self._context is not None:
            if task.shape.size <= self._context.size and not self._widens:
                return True
            if any(slot.task for slot in self._slots):
                return False
            self._context.close()
            self._context, self._slots = None, []
        self._crowded = self._crowded or len(self._waiting) > 1
        self._context = self._open(self._widened(task.shape) if self._crowded else task.shape)
        self._widens = False
        self._slots = [Slot(number) for number in range(self._context.shape.slots)]
        return True

    def _place(self, task: Task) -> bool:
        """Give the task the lowest free slot and what is already computed of its prompt."""
        free = next((slot for slot in self._slots if slot.task is None), None)
        if free is None:
            self._meet()
            return False
        limit = task.prompt_length - 1  # the last token is always computed: its logits are wanted
        source, shared = self._best_source(task, limit)
        own = min(common_prefix(free.kept, task.known), limit)
        if source is not None and shared > own and shared >= SHARE_AT_LEAST:
            if source.task is not None and source.task.done < shared:
                return False  # it is being computed: wait
            usable = self._copy(source, free, shared)
        else:
            usable = self._truncate(free, own)
        task.done = task.cached = usable
        task.slot = free.number
        free.task, free.kept = task, []
        return True

    def _meet(self) -> None:
        """A request waits for another one's slot: from now on there are more."""
        if not self._crowded and self._context is not None:
            shape, self._crowded = self._context.shape, True
            self._widens = self._widened(shape).slots > shape.slots

    def _best_source(self, task: Task, limit: int) -> tuple[Slot | None, int]:
        best, shared = None, 0
        for slot in self._slots:
            held = slot.task.known if slot.task else slot.kept
            length = min(common_prefix(held, task.known), limit)
            if length > shared:
                best, shared = slot, length
        return best, shared

    def _copy(self, source: Slot, target: Slot, length: int) -> int:
        assert self._context is not None
        if source is target:
            return self._truncate(target, length)
        if not self._context.copy(source.number, target.number):
            return self._truncate(target, 0)
        return self._truncate(target, length)

    def _truncate(self, slot: Slot, length: int) -> int:
        assert self._context is not None
        return self._context.truncate(slot.number, length)

    def _close_gaps(self) -> None:
        """Move the last sequence into a gap: sequences that are not neighbours are computed in
        separate ubatches, which halves the speed. Not while a newcomer is about to take the gap."""
        if self._waiting or self._context is None:
            return
        live = [slot for slot in self._slots if slot.task]
        for gap in self._slots[: live[-1].number] if live else []:
            last = next((slot for slot in reversed(self._slots) if slot.task), gap)
            if gap.task is not None or last.number <= gap.number:
                continue
            task = last.task
            if task is None or not task.answering:
                return
            if not self._context.copy(last.number, gap.number):
                return
            task.slot = gap.number
            gap.task, last.task, gap.kept, last.kept = task, None, [], task.known[: task.done]

    # -- one step ------------------------------------------------------------------------------

    def _see(self) -> bool:
        """Compute the picture that a prompt has come to; False where none has."""
        context = self._context
        assert context is not None
        for slot in self._slots:
            task = slot.task
            if task is None or (picture := task.pictures.get(task.done)) is None:
                continue
            try:
                outcome = picture.compute(context, slot.number, task.done)
                if outcome == "full":
                    raise _no_room()
            except LlmrrError as error:  # of this sequence alone
                context.truncate(slot.number, 0)
                task.done = 0
                self._release(slot, error)
                return True
            self._abort.clear()
            if outcome == "done":
                task.done += picture.positions
            else:
                self._reread(context)
            return True
        return False

    def _step(self) -> None:
        context = self._context
        assert context is not None
        added = self._fill(context)
        for _, task, _ in added:
            task.tell()
        outcome = context.decode()
        self._abort.clear()
        if outcome == "full":
            raise _no_room()
        if outcome == "aborted":
            self._reread(context)
            return
        for slot, task, count in added:
            task.done += count
            if task.row < 0:
                continue
            try:
                token = task.sampled(context)
            except Exception as error:  # of this sequence alone: a grammar that cannot go on
                self._release(slot, error)
                continue
            if token is None:
                self._release(slot)
            else:
                task.known.append(token)

    def _fill(self, context: Context) -> list[tuple[Slot, Task, int]]:
        """Write the batch, in ascending order of slots; which task got how many tokens into it."""
        batch = context.batch
        batch.clear()
        live = [(slot, slot.task) for slot in self._slots if slot.task]
        chunk = CHUNK_FLASH if context.shape.flash_attention else CHUNK_PLAIN
        budget = chunk if any(task.answering for _, task in live) else UBATCH
        added = []
        for slot, task in live:
            position, task.row = task.done, -1
            if task.answering:
                task.row = batch.add_one(slot.number, task.known[-1], position)
                added.append((slot, task, 1))
            elif budget > 0:
                end = self._boundary(task, position, position + budget)
                complete = end == len(task.known)
                row = batch.add(slot.number, task.known[position:end], position, complete)
                task.row = row if complete else -1
                budget -= end - position
                added.append((slot, task, end - position))
        return added

    def _boundary(self, task: Task, position: int, end: int) -> int:
        """Where this prompt's chunk ends: exactly where a waiting newcomer's common prefix ends, so
        that also a memory that cannot go back (recurrent, sliding window) can be copied there."""
        end = task.before_picture(position, min(end, len(task.known)))
        for newcomer in self._waiting:
            shared = min(common_prefix(task.known, newcomer.known), newcomer.prompt_length - 1)
            if shared >= SHARE_AT_LEAST and position < shared < end:
                end = shared
        return end

    def _reread(self, context: Context) -> None:
        """After an abort: the ubatches that were computed stay, so ask how far each one came."""
        for slot in self._slots:
            if (task := slot.task) is not None:
                reached = task.whole(min(context.length(slot.number), len(task.known) - 1))
                task.done = context.truncate(slot.number, reached)


def _no_room() -> EngineFailed:
    return EngineFailed("llama.cpp has no room left in the memory of the context")


def _closed() -> EngineFailed:
    return EngineFailed("the model was closed")
