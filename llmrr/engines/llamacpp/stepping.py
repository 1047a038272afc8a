"""One step: a batch of what all sequences need next is written, computed, and drawn from."""

import time
from collections.abc import Sequence
from typing import Final

from llmrr.engines.llamacpp.context import Context
from llmrr.engines.llamacpp.pacing import Pace, shares
from llmrr.engines.llamacpp.slots import SHARE_AT_LEAST, Slot, Slots
from llmrr.engines.llamacpp.tally import Tally
from llmrr.engines.llamacpp.task import Task
from llmrr.engines.task import common_prefix
from llmrr.errors import EngineFailed, LlmrrError

# Prompt tokens computed beside running answers at least: with flash attention fewer than 64 are
# three times slower, without it small chunks keep the answers flowing.
LEAST_FLASH: Final = 128
LEAST_PLAIN: Final = 64


class Stepper:
    """Advances the sequences of a context, step by step."""

    def __init__(self, context: Context, slots: Slots, pace: Pace, tally: Tally) -> None:
        self._context, self._slots, self._pace, self._tally = context, slots, pace, tally

    def step(self, waiting: Sequence[Task]) -> None:
        """Compute what is next: the picture that a prompt has come to, else a batch."""
        if self._see():
            return
        context, began = self._context, time.perf_counter()
        added = self._fill(waiting)
        for _, task in self._slots.live:
            task.tell()
        outcome = context.decode()
        context.abort.clear()
        if outcome == "full":
            raise _no_room()
        if outcome == "aborted":
            self._reread()
            return
        read = sum(count for _, task, count in added if not task.answering)
        answering = sum(task.answering for _, task, _ in added)
        self._tally.read += read
        for slot, task, count in added:
            task.done += count
            if task.row >= 0:
                before = task.generated
                self._draw(slot, task)
                self._tally.generated += task.generated - before
        self._pace.learn(time.perf_counter() - began, read, answering)

    # -- what goes into the batch --------------------------------------------------------------

    def _fill(self, waiting: Sequence[Task]) -> list[tuple[Slot, Task, int]]:
        """Write the batch, in ascending order of slots; which task has how many tokens in it that
        are known."""
        batch = self._context.batch
        batch.clear()
        live = self._slots.live
        answering = [task for _, task in live if task.answering]
        reading = [task for _, task in live if not task.answering]
        if self._pace.pauses(len(reading), len(answering)):
            live = [(slot, task) for slot, task in live if not task.answering]
            answering = []
        self._guess(answering)
        rows = len(answering) + sum(len(task.drafted) for task in answering)
        given = self._given(reading, rows, len(answering))
        added = []
        for slot, task in live:
            start, task.row = task.done, -1
            if task.answering:
                tokens = [task.known[-1], *task.drafted]
                task.row = batch.add(slot.number, tokens, start, len(tokens))
                added.append((slot, task, 1))
            elif count := given[task]:
                task.drafted = []
                end = self._boundary(task, start, start + count, waiting)
                complete = end == len(task.known)
                row = batch.add(slot.number, task.known[start:end], start, int(complete))
                task.row = row if complete else -1
                added.append((slot, task, end - start))
        return added

    def _guess(self, answering: Sequence[Task]) -> None:
        """Have the tokens after the next guessed. Sequences of one batch that bring different
        numbers of tokens are computed in several passes: the shortest guess is for all."""
        for task in answering:
            task.guess(self._context.size)
        room = self._context.batch.capacity // (2 * len(answering)) - 1 if answering else 0
        lengths = [len(task.drafted) for task in answering if task.drafted]
        shortest = max(0, min([room, *lengths]))
        for task in answering:
            del task.drafted[shortest:]

    def _given(self, reading: Sequence[Task], rows: int, answering: int) -> dict[Task, int]:
        """How many tokens of each prompt are read."""
        if not reading:
            return {}
        oldest = sorted(reading, key=lambda task: task.arrived)
        remaining = [len(task.known) - task.done for task in oldest]
        least = LEAST_FLASH if self._context.shape.flash_attention else LEAST_PLAIN
        most = max(1, self._context.batch.capacity - rows)
        budget = self._pace.budget(len(reading), answering, min(least, most), most)
        return dict(zip(oldest, shares(remaining, budget, most), strict=True))

    def _boundary(self, task: Task, position: int, end: int, waiting: Sequence[Task]) -> int:
        """Where this prompt's chunk ends: exactly where a waiting newcomer's common prefix ends, so
        that also a memory that cannot go back (recurrent, sliding window) can be copied there."""
        end = task.before_picture(position, min(end, len(task.known)))
        for newcomer in waiting:
            shared = min(common_prefix(task.known, newcomer.known), newcomer.prompt_length - 1)
            if shared >= SHARE_AT_LEAST and position < shared < end:
                end = shared
        return end

    # -- what comes out ------------------------------------------------------------------------

    def _draw(self, slot: Slot, task: Task) -> None:
        """Draw a token, and after each that was guessed right the next."""
        guessed, accepted, ended = task.drafted, 0, False
        error: Exception | None = None
        while True:
            try:
                token = task.sampled(self._context)
            except Exception as caught:  # of this sequence alone: a grammar that cannot go on
                token, error = None, caught
            ended = token is None
            if token is None:
                break
            task.known.append(token)
            if accepted == len(guessed) or token != guessed[accepted]:
                break
            accepted += 1
            task.row += 1
            task.done += 1
        if guessed:
            self._tally.drafted += len(guessed)
            self._tally.accepted += accepted
            task.guessed(accepted)
            if accepted < len(guessed):
                task.done = self._context.truncate(slot.number, task.done)
        if ended:
            self._slots.release(slot, error)

    def _reread(self) -> None:
        """After an abort: the ubatches that were computed stay, so ask how far each one came."""
        for slot, task in self._slots.live:
            reached = min(self._context.length(slot.number), len(task.known) - 1)
            task.done = self._context.truncate(slot.number, task.whole(reached))

    def _see(self) -> bool:
        """Compute the picture that a prompt has come to; False where none has."""
        context = self._context
        for slot, task in self._slots.live:
            if (picture := task.pictures.get(task.done)) is None:
                continue
            try:
                outcome = picture.compute(context, slot.number, task.done)
                if outcome == "full":
                    raise _no_room()
            except LlmrrError as error:  # of this sequence alone
                context.drop(slot.number)
                task.done = 0
                self._slots.release(slot, error)
                return True
            context.abort.clear()
            if outcome == "done":
                task.done += picture.positions
                self._tally.read += picture.positions
            else:
                self._reread()
            return True
        return False


def _no_room() -> EngineFailed:
    return EngineFailed("llama.cpp has no room left in the memory of the context")
