"""Beginnings of prompts that are kept beside the sequences of the context: the memory of sequences
whose slot another one took, by bytes, the last used the longest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr.engines.llamacpp.context import Context, State
from llmrr.engines.task import common_prefix

if TYPE_CHECKING:
    from llmrr.engines.llamacpp.saved import Saved

# A state of so many tokens for each that is shared is not worth putting back to cut it.
WORTH: Final = 50


class Kind(NamedTuple):
    """What memory fits into a context: of the same kind of attention. ``cut`` says whether it can
    be cut anywhere; else only a whole one is of use."""

    flash_attention: bool
    cut: bool

    @classmethod
    def of(cls, context: Context) -> "Kind":
        """That of a context."""
        return cls(context.shape.flash_attention, context.goes_back)


@dataclass(slots=True, eq=False)
class Prefix:
    """Tokens, and the memory of a sequence after them: here, or in a file until it is needed."""

    tokens: list[int]
    kind: Kind
    state: State | None
    file: Path | None = None

    @property
    def bytes(self) -> int:
        """What it takes of main memory."""
        return len(self.state) if self.state is not None else 0

    def covers(self, tokens: Sequence[int], kind: Kind) -> bool:
        """Is it of as much use as what is after these tokens would be?"""
        whole = kind.cut or len(self.tokens) == len(tokens)
        return kind == self.kind and whole and common_prefix(self.tokens, tokens) == len(tokens)


class Prefixes:
    """What is kept, in at most ``limit`` bytes of main memory; and what is ``saved`` in files."""

    def __init__(self, limit: int, saved: "Saved | None" = None) -> None:
        self.limit, self._saved = limit, saved
        self.used_bytes = self.hits = 0
        self._kept: list[Prefix] = list(saved.find()) if saved else []  # the last used is last

    def __iter__(self) -> Iterator[Prefix]:
        return iter(list(self._kept))

    def longest(
        self, tokens: Sequence[int], limit: int, kind: Kind
    ) -> tuple[Prefix | None, int]:
        """What shares the most with these tokens, and how many, at most ``limit``."""
        best, most = None, 0
        for one in self._kept:
            if one.kind != kind:
                continue
            shared = min(common_prefix(one.tokens, tokens), limit)
            least = len(one.tokens) / WORTH if kind.cut else len(one.tokens)
            if shared > most and shared >= least:
                best, most = one, shared
        return best, most

    def state(self, prefix: Prefix) -> State | None:
        """The memory of a sequence after it; None where its file turns out to be none."""
        if prefix.state is None and self._saved is not None:
            prefix.state = self._saved.read(prefix)
        return prefix.state

    def used(self, prefix: Prefix) -> None:
        """Count that it was of use."""
        self.hits += 1
        self.drop(prefix)
        self._make_room(prefix.bytes)
        self._put(prefix)

    def takes(self, tokens: Sequence[int], kind: Kind) -> bool:
        """Is it worth keeping, or is as much kept already?"""
        if not self.limit or not tokens:
            return False
        return not any(one.covers(tokens, kind) for one in self._kept)

    def add(self, prefix: Prefix) -> None:
        """Keep it, in place of what it covers, and of what was not used for longest."""
        if prefix.bytes > self.limit:
            return
        for one in self:
            if prefix.covers(one.tokens, one.kind):
                self.drop(one)
        self._make_room(prefix.bytes)
        self._put(prefix)

    @property
    def lasts(self) -> bool:
        """Is it saved at the end?"""
        return self._saved is not None

    def close(self) -> None:
        """Save what is to outlive the process."""
        if self._saved is not None:
            self._saved.save(self)

    def drop(self, prefix: Prefix) -> None:
        """Keep it no longer."""
        self._kept = [one for one in self._kept if one is not prefix]
        self._count()

    def _make_room(self, size: int) -> None:
        for one in self:
            if self.used_bytes + size <= self.limit:
                return
            if one.bytes:
                self.drop(one)

    def _put(self, prefix: Prefix) -> None:
        self._kept.append(prefix)
        self._count()

    def _count(self) -> None:
        self.used_bytes = sum(one.bytes for one in self._kept)
