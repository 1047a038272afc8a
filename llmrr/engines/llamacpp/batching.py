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
from collections.abc import Callable

from llmrr.engines.base import Load
from llmrr.engines.llamacpp.api import AbortFlag
from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.contexts import Contexts
from llmrr.engines.llamacpp.prefixes import Prefixes
from llmrr.engines.llamacpp.tally import Tally
from llmrr.engines.llamacpp.task import Task
from llmrr.engines.owner import Owner, closed
from llmrr.errors import LlmrrError


class Batching(Owner[Task]):
    """The thread that decodes.

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
        super().__init__()
        self._abort = abort
        self._arrivals = itertools.count()
        self._prefixes, self._tally = prefixes or Prefixes(0), Tally()
        self._contexts = Contexts(
            open_context, widened, self._prefixes, self._tally, crowded=crowded
        )
        self.begin("llama.cpp")

    # -- from any thread -----------------------------------------------------------------------

    @property
    def running(self) -> list[Task]:
        """The sequences that have a slot."""
        return [task for _, task in self._contexts.live]

    def abort(self) -> None:
        """Stop what is being computed."""
        self._abort.raise_()

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

    # -- on the thread -------------------------------------------------------------------------

    def advance(self) -> None:
        """Decode one batch."""
        self.drop_cancelled()
        self._admit()
        contexts = self._contexts
        contexts.stretch()
        slots, stepper = contexts.slots, contexts.stepper
        if slots is not None and stepper is not None and slots.live:
            if not self._waiting:  # else a newcomer is about to take the gap
                slots.close_gaps()
            stepper.step(self._waiting[: len(slots)])

    def arrived(self, task: Task) -> None:
        """A sequence has come."""
        task.arrived = next(self._arrivals)
        super().arrived(task)

    def free(self) -> None:
        """Keep what lasts, end every sequence and free the context."""
        if (slots := self._contexts.slots) is not None and self._prefixes.lasts:
            slots.keep_all()
        self.end_all(closed())
        self._prefixes.close()
        self._contexts.close()

    def end_all(self, error: BaseException) -> None:
        """End every sequence, the waiting ones too."""
        tasks = [*self.running, *self._waiting]
        self._waiting.clear()
        if self._contexts.slots is not None:
            self._contexts.slots.clear()
        for task in tasks:
            task.finished(error)

    def drop_cancelled(self) -> None:
        """Free the slots of the sequences that nobody wants any more, and forget the waiting ones.
        """
        for slot, task in self._contexts.live:
            if task.cancelled and self._contexts.slots is not None:
                self._contexts.slots.release(slot)
        super().drop_cancelled()

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
