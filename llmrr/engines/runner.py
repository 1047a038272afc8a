"""One thread that owns a backend and advances all sequences in flight in turn.

Each step computes a token of every sequence that is answering and, beside them, a chunk of one
prompt that is still being read, so that running answers go on. A newcomer takes over what a
finished sequence has in common with it, or a copy of what a running one has; when that one is still
computing it, the newcomer waits. It is ``llamacpp.batching`` without a context of fixed size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from llmrr.engines import task
from llmrr.engines.backend import Aborted, Backend
from llmrr.engines.later import Later
from llmrr.engines.owner import Owner, closed
from llmrr.engines.task import common_prefix

if TYPE_CHECKING:
    from llmrr.engines.backend import Logits

T = TypeVar("T")

# Prompt tokens that are computed beside running answers: enough to be worth a step, few enough that
# the answers flow.
CHUNK_BESIDE = 64
# Most requests begin with the same few tokens of a chat template: nobody waits for those.
SHARE_AT_LEAST = 32


class Task(task.Task):
    """One sequence of a backend; subclassed by whoever samples."""

    def sampled(self, logits: "Logits") -> int | None:
        """Draw the next token from a row of logits; None when the answer is complete."""
        raise NotImplementedError


@dataclass(slots=True)
class Slot:
    """Room for a sequence: who has it, its state, and which tokens that holds once it is free."""

    task: Task | None = None
    state: Any = None
    kept: list[int] = field(default_factory=list)

    @property
    def held(self) -> list[int]:
        """The tokens of its sequence, computed or about to be."""
        return self.task.known if self.task else self.kept


class Runner(Owner[Task]):
    """The thread that computes, with a slot for every sequence.

    ``slots`` is how many sequences there are at once, ``most`` how many where requests meet;
    ``context_size`` is how long each may become.
    """

    def __init__(
        self, backend: Backend[Any], slots: int, context_size: int, most: int = 1
    ) -> None:
        super().__init__()
        self._backend, self._context_size, self._most = backend, context_size, most
        self._slots = [Slot() for _ in range(slots)]
        self.begin(backend.engine)

    # -- from any thread -----------------------------------------------------------------------

    @property
    def running(self) -> list[Task]:
        """The sequences that have a slot."""
        return [slot.task for slot in self._slots if slot.task]

    def abort(self) -> None:
        """Stop what is being computed."""
        self._backend.abort()

    def later(self, function: Callable[[], T]) -> Later[T]:
        """``Owner.later``; it is run anew when an abort that was meant for a sequence hits it."""
        return super().later(lambda: self._patiently(function))

    @property
    def context_size(self) -> int:
        """How many tokens a sequence may have."""
        return self._context_size

    # -- on the thread -------------------------------------------------------------------------

    def advance(self) -> None:
        """Compute a token of every sequence, and a chunk of one prompt."""
        try:
            self.drop_cancelled()
            self._admit()
            self._step()
        except Aborted:
            self._backend.resume()

    def free(self) -> None:
        """End every sequence and free the backend."""
        self.end_all(closed())
        self._backend.close()

    def _patiently(self, function: Callable[[], T]) -> T:
        while not self._closing:
            try:
                return function()
            except Aborted:
                self._backend.resume()
        raise closed()

    def end_all(self, error: BaseException) -> None:
        """End every sequence, the waiting ones too."""
        running = self.running
        self._slots[:] = [Slot() for _ in self._slots]
        for one in [*running, *self._waiting]:
            one.finished(error)
        self._waiting.clear()

    def drop_cancelled(self) -> None:
        """Free the slots of the sequences that nobody wants any more, and forget the waiting ones.
        """
        for slot in self._slots:
            if slot.task is not None and slot.task.cancelled:
                self._release(slot)
        super().drop_cancelled()

    def _release(self, slot: Slot, error: BaseException | None = None) -> None:
        """After an error nobody knows what the state holds."""
        ended = slot.task
        assert ended is not None
        slot.task, slot.kept = None, ended.known[: ended.done]
        if error is not None:
            slot.state, slot.kept = None, []
        ended.finished(error)

    # -- admission -----------------------------------------------------------------------------

    def _admit(self) -> None:
        for newcomer in list(self._waiting):
            if all(slot.task for slot in self._slots):
                if len(self._slots) >= self._most:
                    return
                self._slots.append(Slot())
            if self._place(newcomer):
                self._waiting.remove(newcomer)

    def _place(self, newcomer: Task) -> bool:
        """Give it a free slot and what is already computed of its prompt; False: it waits."""
        limit = newcomer.prompt_length - 1  # the last one is always computed: its logits are wanted

        def shared(slot: Slot) -> int:
            return min(common_prefix(slot.held, newcomer.known), limit)

        free = [slot for slot in self._slots if slot.task is None]
        # Of those that are worth nothing to it, the one that holds least.
        own = max(free, key=lambda slot: (shared(slot), -len(slot.kept)))
        running = [slot for slot in self._slots if slot.task]
        other = max(running, key=shared, default=None) if self._backend.forks else None
        if other and other.task and shared(other) > max(shared(own), SHARE_AT_LEAST - 1):
            if other.task.done < shared(other):
                return False  # it is being computed: wait
            least = min(free, key=lambda slot: len(slot.kept))
            return self._begin(newcomer, least, shared(other), other)
        return self._begin(newcomer, own, shared(own), None)

    def _begin(self, newcomer: Task, slot: Slot, length: int, source: Slot | None) -> bool:
        if source is not None:
            slot.state = self._backend.fork(source.state, length)
        elif slot.state is not None and not self._backend.trim(slot.state, length):
            slot.state = None
        if slot.state is None:
            slot.state = self._backend.start()
        newcomer.done = newcomer.cached = slot.state.length
        slot.task, slot.kept = newcomer, []
        return True

    # -- one step ------------------------------------------------------------------------------

    def _step(self) -> None:
        live = [(slot, slot.task) for slot in self._slots if slot.task]
        answering = [(slot, one) for slot, one in live if one.answering]
        reading = [(slot, one) for slot, one in live if not one.answering]
        for _, one in live:
            one.tell()
        for group in _groups(answering, self._backend.together):
            if not any(one.cancelled for _, one in group):
                self._advance(group)
        for slot, one in reading[:1]:
            self._read(slot, one, CHUNK_BESIDE if answering else self._backend.chunk)

    def _advance(self, group: list[tuple[Slot, Task]]) -> None:
        try:
            rows = self._backend.step([(slot.state, one.known[-1]) for slot, one in group])
        except Aborted:
            raise
        except Exception as error:
            for slot, _ in group:
                self._release(slot, error)
            return
        for (slot, one), row in zip(group, rows, strict=True):
            one.done += 1
            self._draw(slot, one, row)

    def _read(self, slot: Slot, one: Task, chunk: int) -> None:
        end = self._boundary(one, one.done, one.done + min(chunk, self._backend.chunk))
        try:
            if end < len(one.known) and self._backend.whole:
                end = len(one.known)
            tokens, row = one.known[one.done : end], None
            if end < len(one.known):
                self._backend.read(slot.state, tokens)
            else:
                row = self._backend.advance(slot.state, tokens)
        except Aborted:
            raise
        except Exception as error:
            self._release(slot, error)
            return
        one.done = end
        if row is not None:
            self._draw(slot, one, row)

    def _draw(self, slot: Slot, one: Task, row: "Logits") -> None:
        try:
            token = one.sampled(row)
        except Exception as error:  # of this sequence alone: a grammar that cannot go on
            self._release(slot, error)
            return
        if token is None:
            self._release(slot)
        else:
            one.known.append(token)

    def _boundary(self, one: Task, position: int, end: int) -> int:
        """Where this prompt's chunk ends: exactly where a waiting newcomer's common prefix ends, so
        that also a state that cannot go back (recurrent, sliding window) can be copied there."""
        end = min(end, len(one.known))
        for newcomer in self._waiting:
            shared = min(common_prefix(one.known, newcomer.known), newcomer.prompt_length - 1)
            if shared >= SHARE_AT_LEAST and position < shared < end:
                end = shared
        return end


def _groups(items: Sequence[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while group := list(islice(left, size)):
        yield group
