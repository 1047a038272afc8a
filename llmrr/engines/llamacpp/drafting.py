"""Guessing how an answer goes on: as it did after the same words before (prompt lookup decoding,
https://github.com/apoorvumang/prompt-lookup-decoding). What is guessed is computed in one batch,
and stands only as far as the sampler draws the same."""

from collections.abc import Sequence
from typing import Final

WORDS: Final = (3, 2)  # tokens that must be the same, the longer first
MISSES: Final = 3  # guesses in a row that were all wrong, after which it pauses
PAUSE: Final = 16  # tokens


class Drafter:
    """The guesses for one sequence, ``most`` tokens each at most: fewer after wrong ones."""

    def __init__(self, most: int) -> None:
        self._most = self._length = most
        self._after: dict[tuple[int, ...], int] = {}  # where what follows these tokens stands
        self._seen = 0
        self._missed = self._pause = 0

    def draft(self, known: Sequence[int], room: int) -> list[int]:
        """What may follow, ``room`` tokens at most; empty for no idea."""
        self._look(known)
        if self._pause:
            self._pause -= 1
            return []
        for size in WORDS:
            if place := self._after.get(tuple(known[-size:])):
                guess = list(known[place : place + min(room, self._length)])
                return guess[: next((at for at, one in enumerate(guess) if one < 0), None)]
        return []

    def learn(self, drafted: int, accepted: int) -> None:
        """Note how many of a guess were right."""
        if accepted:
            self._missed = 0
            whole = accepted == drafted
            self._length = min(self._most, 2 * self._length if whole else accepted + 1)
            return
        self._length = max(1, self._length // 2)
        self._missed += 1
        if self._missed >= MISSES:
            self._pause, self._missed = PAUSE, 0

    def _look(self, known: Sequence[int]) -> None:
        """Remember what follows what; not yet of the last token, which nothing follows."""
        for place in range(max(self._seen, 1), len(known)):
            for size in WORDS:
                if place >= size:
                    self._after[tuple(known[place - size : place])] = place
        self._seen = len(known)
