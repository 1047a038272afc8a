"""Long texts in pieces whose tokens are those of the whole: what llama.cpp does to find the special
tokens of one text takes the square of their number, so a long conversation would take minutes."""

import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

PIECE: Final = 16_384  # characters
_TRIES: Final = 64  # places that are looked at for the end of a piece


class Cuts:
    """Cuts texts before special tokens: of the texts ``specials``, of which ``strips`` take away
    the space before them. A text is cut where no special token can reach over the cut, and one
    begins that no other one can take the place of."""

    def __init__(self, specials: Collection[str], strips: Collection[str] = ()) -> None:
        self._specials, self._strips = frozenset(specials), frozenset(strips)
        by_length = sorted(self._specials, key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, by_length))) if by_length else None
        self._longest = max(map(len, by_length), default=0)

    def pieces(self, text: str) -> Iterator[str]:
        """The pieces of a text.

        >>> list(Cuts(["<a>"]).pieces("x" * PIECE + "<a>y"))[1:]
        ['<a>y']
        """
        start = 0
        while (cut := self._cut(text, start + PIECE)) is not None:
            yield text[start:cut]
            start = cut
        yield text[start:]

    def _cut(self, text: str, after: int) -> int | None:
        found = self._any.finditer(text, after) if self._any is not None else iter(())
        safe = (one.start() for one in islice(found, _TRIES) if self._is_safe(text, one))
        return next(safe, None)

    def _is_safe(self, text: str, found: re.Match[str]) -> bool:
        begin, end = found.span()
        if found[0] in self._strips and text[begin - 1].isspace():
            return False
        low, high = max(0, begin - self._longest), end + self._longest
        return not any(
            at < begin < at + len(one) or begin < at < end < at + len(one)
            for one in self._specials for at in _places(one, text, low, high)
        )


def _places(word: str, text: str, low: int, high: int) -> Iterator[int]:
    """Where a word stands in a part of a text, also in itself."""
    at = text.find(word, low, high)
    while at >= 0:
        yield at
        at = text.find(word, at + 1, high)
