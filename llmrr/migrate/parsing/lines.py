"""Where in a text something stands: data files lose that when they are parsed."""

import re
from bisect import bisect_right
from functools import cached_property

_TRIES = 200  # places of a word
_BEFORE = 300  # characters before it
_WORD = frozenset("_.-")


class Lines:
    """The lines of a text. What is looked for in the order of the file is found in that order, so
    that a name which stands twice is found at both places. Lines of comments do not count."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def next(self, word: object, *, key: bool = False, of: str | None = None) -> int | None:
        """The line of the next place where a word stands, from 1; where there is none behind the
        last one that was found, the first of all. A ``key`` has a colon behind it; a value ``of``
        a key has that before it, where there is such a line.

        >>> lines = Lines("# gpt-4\\na: gpt-4o\\nb: gpt-4\\nc: gpt-4")
        >>> lines.next("gpt-4"), lines.next("gpt-4"), lines.next("gpt-4"), lines.next("x")
        (3, 4, 3, None)
        >>> Lines("a: b\\nb: c").next("b", key=True)
        2
        """
        found = None if of is None else self._of(str(word), self._at, of)
        if found is None:
            found = self._from(str(word), self._at, key)
        if found is None:
            found = self._from(str(word), 0, key) if self._at else None
            return None if found is None else self._number(found)
        self._at = found + len(str(word))
        return self._number(found)

    def first(self, word: object, *, key: bool = False) -> int | None:
        """The line of the first place where a word stands.

        >>> Lines("a:\\n  key: x").first("key")
        2
        """
        found = self._from(str(word), 0, key)
        return None if found is None else self._number(found)

    @cached_property
    def _ends(self) -> list[int]:
        return [at for at, letter in enumerate(self._text) if letter == "\n"]

    def _number(self, at: int) -> int:
        return bisect_right(self._ends, at - 1) + 1 if at else 1

    def _from(self, word: str, start: int, key: bool) -> int | None:
        at = self._text.find(word, start) if word and "\n" not in word else -1
        while at >= 0:
            if self._stands(at, at + len(word), key):
                return at
            at = self._text.find(word, at + 1)
        return None

    def _of(self, word: str, start: int, name: str) -> int | None:
        """The next place where a word is the value of a key."""
        before = re.compile(rf"(?:^|[\s{{,'\"]){re.escape(name)}['\"]?\s*[:=]\s*[^,{{}}]*")
        at = self._from(word, start, False)
        for _ in range(_TRIES):
            if at is None:
                break
            line = self._text[max(self._text.rfind("\n", 0, at) + 1, at - _BEFORE) : at]
            if any(found.end() == len(line) for found in before.finditer(line)):
                return at
            at = self._from(word, at + 1, False)
        return None

    def _stands(self, start: int, end: int, key: bool) -> bool:
        """Whether a place is a word of its own, and in no comment."""
        around = self._text[start - 1 : start] + self._text[end : end + 1]
        if any(letter.isalnum() or letter in _WORD for letter in around):
            return False
        if key and not self._text[end : end + 4].lstrip("'\" \t").startswith((":", "=")):
            return False
        line = self._text[self._text.rfind("\n", 0, start) + 1 : start].lstrip()
        return not line.startswith(("#", "//"))
