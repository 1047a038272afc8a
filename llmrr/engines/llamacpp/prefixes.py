"""Beginnings of prompts that are kept beside the sequences of the context: the memory of sequences
whose slot another one took, by bytes, the last used the longest."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from llmrr.engines.llamacpp.context import State
from llmrr.engines.task import common_prefix

# A state of so many tokens for each that is shared is not worth putting back to cut it.
WORTH: Final = 50


class Prefix(NamedTuple):
    """Tokens, and the memory of a sequence after them."""

    tokens: list[int]
    state: State


class Prefixes:
    """What is kept, in at most ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used_bytes = self.hits = 0
        self._kept: list[Prefix] = []  # the last used is last

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Prefix]:
        return iter(list(self._kept))

    def longest(self, tokens: Sequence[int], limit: int, *, cut: bool) -> tuple[Prefix | None, int]:
        """What shares the most with these tokens, and how many, at most ``limit``. Without ``cut``
        only what is whole a beginning of them: a memory that cannot go back."""
        best, most = None, 0
        for one in self._kept:
            shared = min(common_prefix(one.tokens, tokens), limit)
            usable = WORTH * shared >= len(one.tokens) if cut else shared == len(one.tokens)
            if shared > most and usable:
                best, most = one, shared
        return best, most

    def used(self, prefix: Prefix) -> None:
        """Count that it was of use."""
        self.hits += 1
        self._kept = [*(one for one in self._kept if one is not prefix), prefix]

    def takes(self, tokens: Sequence[int], *, cut: bool) -> bool:
        """Is it worth keeping, or is as much kept already?"""
        if not self.limit or not tokens:
            return False
        return not any(
            common_prefix(one.tokens, tokens) == len(tokens)
            and (cut or len(one.tokens) == len(tokens))
            for one in self._kept
        )

    def add(self, prefix: Prefix, *, cut: bool) -> None:
        """Keep it, in place of what it contains, and of what was not used for longest."""
        if len(prefix.state) > self.limit:
            return
        if cut:
            for one in self:
                if common_prefix(one.tokens, prefix.tokens) == len(one.tokens):
                    self.drop(one)
        while self._kept and self.used_bytes + len(prefix.state) > self.limit:
            self.drop(self._kept[0])
        self._kept.append(prefix)
        self.used_bytes += len(prefix.state)

    def drop(self, prefix: Prefix) -> None:
        """Keep it no longer."""
        self._kept = [one for one in self._kept if one is not prefix]
        self.used_bytes -= len(prefix.state)
