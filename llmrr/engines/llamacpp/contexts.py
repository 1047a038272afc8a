"""The context that sequences run in: opened for the first of them, and exchanged for another one
where they need more than it has. What runs then goes on in that."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.pacing import Pace
from llmrr.engines.llamacpp.prefixes import Prefixes
from llmrr.engines.llamacpp.slots import Carried, Slot, Slots
from llmrr.engines.llamacpp.stepping import Stepper
from llmrr.engines.llamacpp.tally import Tally
from llmrr.engines.llamacpp.task import Task
from llmrr.errors import LlmrrError

# Cells of the memory that are cleared, for a token of a prompt that is better read in another
# context. (500m on one core: 0.65 s for 32,768 cells; a prompt of 600 tokens and its answer of 64
# are 0.04 s faster.)
CLEARED_PER_TOKEN = 4


class Contexts:
    """The context that is open, if any, with its slots and what steps through them. For the thread
    that computes; ``current`` and ``live`` may be looked at from any.

    ``widened`` is a shape with as many slots as there may be once requests meet, with ``crowded``
    from the beginning; ``prefixes`` keeps what slots hold when others take them.
    """

    def __init__(
        self,
        open_context: Callable[[Shape], Context],
        widened: Callable[[Shape], Shape],
        prefixes: Prefixes,
        tally: Tally,
        *,
        crowded: bool,
    ) -> None:
        self._open, self._widened = open_context, widened
        self._prefixes, self._tally, self._pace = prefixes, tally, Pace()
        self._crowded = crowded  # requests have met
        self._against = 0  # tokens of the last prompts, for which the context is not the best one
        self.current: Context | None = None
        self.slots: Slots | None = None
        self.stepper: Stepper | None = None

    @property
    def live(self) -> list[tuple[Slot, Task]]:
        """The sequences that are in use, in ascending order."""
        slots = self.slots
        return slots.live if slots else []

    def free(self) -> Slot | None:
        """A slot for a newcomer; where there is none for the first time, there will be more."""
        assert self.slots is not None
        assert self.current is not None
        if self.slots.free is None and not self._crowded:
            self._crowded, shape = True, self.current.shape
            wide = self._widened(shape)
            if wide.slots > shape.slots:
                self._reopen(wide)
        return self.slots.free

    def room_for(self, task: Task, *, meets: bool) -> bool:
        """Open a context that is large enough for a newcomer, who ``meets`` others; False while
        more are running than it would have slots."""
        if self.current is None:
            self._crowded = self._crowded or meets
            self._enter(self._widened(task.shape) if self._crowded else task.shape, [])
            return True
        shape, live = task.shape, self.live
        enough = shape.size <= self.current.size
        if enough and (live or not self._unlike(task)):
            return True
        shape = replace(shape, size=max(shape.size, self.current.size))
        if live:
            shape = replace(shape, flash_attention=self.current.shape.flash_attention)
        return self._grow(shape)

    def _unlike(self, task: Task) -> bool:
        """Would the other kind of attention be better, and for more tokens by now than are kept
        here, and than it takes to clear the memory of another context? What is computed does not
        go along into that."""
        assert self.current is not None
        assert self.slots is not None
        if task.shape.flash_attention == self.current.shape.flash_attention:
            self._against = 0
            return False
        self._against += len(task.known)
        clearing = self.current.shape.size * self.current.shape.slots // CLEARED_PER_TOKEN
        return self._against > self.slots.kept_tokens + clearing

    def _grow(self, shape: Shape) -> bool:
        """Have a context of this size, if it has slots for what is running."""
        wide = self._widened(shape) if self._crowded else shape
        if len(self.live) > wide.slots:
            return False
        self._reopen(wide)
        return True

    def stretch(self) -> None:
        """Have a larger context where an answer has come to the end of this one, and may go on."""
        context = self.current
        if context is None:
            return
        ending = [
            task for _, task in self.live if len(task.known) + task.spare + 1 >= context.size
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
        assert self.current is not None
        assert self.slots is not None
        before, carried = self.current.shape, self.slots.leave()
        self.current.close()  # first: there may not be room for both
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
        self.current = self.slots = self.stepper = None
        self.current = context = self._open(shape)
        self._against = 0
        self.slots = slots = Slots(context, self._prefixes, self._tally)
        slots.enter(carried)
        self.stepper = Stepper(context, slots, self._pace, self._tally)

    def close(self) -> None:
        """Free it. Twice is allowed."""
        if self.current is not None:
            self.current.close()
        self.current = self.slots = self.stepper = None
