"""The sequences of a context: who has each, and what its memory still holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from llmrr.engines.llamacpp.context import Context, State
from llmrr.engines.llamacpp.prefixes import Kind, Prefix, Prefixes
from llmrr.engines.llamacpp.tally import Tally
from llmrr.engines.llamacpp.task import Task
from llmrr.engines.task import common_prefix

# Most requests begin with the same few tokens of a chat template: nobody waits for those.
SHARE_AT_LEAST = 32


@dataclass(slots=True)
class Slot:
    """A sequence of the context: who has it, and which tokens its memory still holds."""

    number: int
    task: Task | None = None
    kept: list[int] = field(default_factory=list)

    @property
    def held(self) -> list[int]:
        """The tokens of its sequence, computed or about to be."""
        return self.task.known if self.task else self.kept


class Carried(NamedTuple):
    """A sequence on its way into another context."""

    task: Task | None
    tokens: list[int]
    state: State | None
    kind: Kind


class Slots:
    """The sequences of an open context. What is lost when one is taken goes to ``prefixes``."""

    def __init__(self, context: Context, prefixes: Prefixes, tally: Tally) -> None:
        self._context, self._prefixes, self._tally = context, prefixes, tally
        self._kind = Kind.of(context)
        self._slots = [Slot(number) for number in range(context.shape.slots)]
        self._saved: tuple[Slot, int, State | None] | None = None  # for newcomers that share it

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def live(self) -> list[tuple[Slot, Task]]:
        """Those that are in use, in ascending order."""
        return [(slot, slot.task) for slot in self._slots if slot.task]

    @property
    def free(self) -> Slot | None:
        """The lowest that is free."""
        return next((slot for slot in self._slots if slot.task is None), None)

    @property
    def kept_tokens(self) -> int:
        """How many tokens of others are there to go on with."""
        beside = sum(len(one.tokens) for one in self._prefixes if one.kind == self._kind)
        return sum(len(slot.kept) for slot in self._slots) + beside

    def release(self, slot: Slot, error: BaseException | None = None) -> None:
        """Free a sequence, and keep what its memory holds until somebody takes it."""
        task = slot.task
        assert task is not None
        slot.task, slot.kept = None, task.known[: task.done]
        task.finished(error)

    def clear(self) -> None:
        """Free all, whose tasks have ended, and keep nothing."""
        for slot in self._slots:
            slot.task, slot.kept = None, []
            self._context.drop(slot.number)

    # -- a newcomer ----------------------------------------------------------------------------

    def place(self, task: Task, free: Slot) -> bool:
        """Give it a free slot and what is already computed of its prompt; False: it waits for what
        another one is computing."""
        limit = task.prompt_length - 1  # the last token is always computed: its logits are wanted
        source, shared = self._best(task, limit)
        own = min(common_prefix(free.kept, task.known), limit)
        prefix, kept = self._prefixes.longest(task.known, limit, self._kind)
        least = max(own, SHARE_AT_LEAST - 1)
        if source is not None and source is not free and shared > least and shared >= kept:
            if source.task is not None and source.task.done < shared:
                return False
            self._keep(free, own)
            usable = self._copied(source, free, shared)
        elif prefix is not None and kept > least:
            self._keep(free, own)
            usable = self._restored(prefix, free, kept)
        else:
            self._keep(free, own)
            usable = self._context.truncate(free.number, own)
        task.done = task.cached = usable
        self._tally.cached += usable
        free.task, free.kept = task, []
        return True

    def settled(self) -> None:
        """All newcomers have come: nobody else wants what was copied for them."""
        self._saved = None

    def _best(self, task: Task, limit: int) -> tuple[Slot | None, int]:
        best, most = None, 0
        for slot in self._slots:
            shared = min(common_prefix(slot.held, task.known), limit)
            if shared > most:
                best, most = slot, shared
        return best, most

    def _copied(self, source: Slot, target: Slot, length: int) -> int:
        done = source.task.done if source.task else len(source.kept)
        if self._saved is None or self._saved[:2] != (source, done):
            self._saved = source, done, self._context.save(source.number)
        state = self._saved[2]
        if state is None or not self._context.restore(target.number, state):
            self._context.drop(target.number)
            return 0
        return self._context.truncate(target.number, length)

    def _restored(self, prefix: Prefix, target: Slot, length: int) -> int:
        state = self._prefixes.state(prefix)
        if state is None or not self._context.restore(target.number, state):
            self._prefixes.drop(prefix)
            return 0
        self._prefixes.used(prefix)
        return self._context.truncate(target.number, length)

    def _keep(self, slot: Slot, own: int) -> None:
        """Keep what a free slot holds before another sequence takes it, if that is most of it and
        nobody else holds it."""
        kept = slot.kept
        if len(kept) < 2 * max(own, SHARE_AT_LEAST // 2):
            return
        if not self._prefixes.takes(kept, self._kind):
            return
        shared = (common_prefix(other.held, kept) for other in self._slots if other is not slot)
        if 2 * max(shared, default=0) <= len(kept):
            self._save(slot)

    def keep_all(self) -> None:
        """Keep what all free slots hold: the context will be closed."""
        for slot in self._slots:
            if len(slot.kept) >= SHARE_AT_LEAST and self._prefixes.takes(slot.kept, self._kind):
                self._save(slot)

    def _save(self, slot: Slot) -> None:
        if (state := self._context.save(slot.number)) is not None:
            self._prefixes.add(Prefix(list(slot.kept), self._kind, state))

    # -- order ---------------------------------------------------------------------------------

    def close_gaps(self) -> None:
        """Move the last sequence into a gap: sequences that are not neighbours are computed in
        separate ubatches, which halves the speed."""
        live = self.live
        for gap in self._slots[: live[-1][0].number] if live else []:
            last, task = self.live[-1]
            if gap.task is not None or last.number <= gap.number:
                continue
            if not task.answering:
                return
            self._keep(gap, 0)
            state = self._context.save(last.number)
            if state is None or not self._context.restore(gap.number, state):
                gap.kept = []
                return
            gap.task, last.task, gap.kept, last.kept = task, None, [], task.known[: task.done]

    # -- another context -----------------------------------------------------------------------

    def leave(self) -> list[Carried]:
        """All that is to go on in another context, those in use first."""
        idle = [slot for slot in self._slots if slot.task is None and slot.kept]
        return [
            Carried(slot.task, slot.kept, self._context.save(slot.number), self._kind)
            for slot in (*(slot for slot, _ in self.live), *idle)
        ]

    def enter(self, carried: Sequence[Carried]) -> None:
        """Go on with what comes from another context, as far as there are slots: what is in use has
        one for certain, and is computed anew where it cannot be taken over."""
        for slot, one in zip(self._slots, carried, strict=False):
            state = one.state if one.kind == self._kind else None
            taken = state is not None and self._context.restore(slot.number, state)
            slot.task, slot.kept = one.task, one.tokens if taken else []
            if one.task is not None and not taken:
                one.task.done = 0
        for place, one in enumerate(carried):
            left = place >= len(self._slots) or one.kind != self._kind
            if left and one.state is not None and self._prefixes.takes(one.tokens, one.kind):
                self._prefixes.add(Prefix(one.tokens, one.kind, one.state))
