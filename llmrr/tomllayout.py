"""Where things stand in TOML text: the spans of values, the lines of tables.

For text that is valid: it is read for where things end (strings of four kinds, arrays over several
lines, inline tables, dotted and quoted keys, comments, both kinds of line ends), not for errors.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

Place = tuple[str | int, ...]

# Patterns are texts: compiled when first used, not at every start.
_BLANK = r"[ \t\r\n]*(?:#[^\n]*[ \t\r\n]*)*"  # white space, line ends, comments
_KEY_PART = r""""(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+"""
_DOTTED = rf"[ \t]*({_KEY_PART})[ \t]*(\.?)"
_STRING = "|".join((
    r'"""(?s:[^\\]|\\.)*?"{3,5}', r"'{3}(?s:.)*?'{3,5}", r'"(?:[^"\\]|\\.)*"', r"'[^']*'",
))  # fmt: skip
_BARE = r"[^,\]}#\r\n]*"


class Span(NamedTuple):
    """Where a value stands. ``key`` is where its key begins, dotted or not; ``header`` the place of
    the table that its statement belongs to. A value of an array has no key: it begins itself."""

    key: int
    start: int
    end: int
    header: Place = ()


@dataclass(slots=True)
class Layout:
    """Where everything stands: values by place, and of each ``[header]`` where its line ends."""

    values: dict[Place, Span] = field(default_factory=dict)
    headers: dict[Place, tuple[int, int]] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)  # of the last statement of each
    first_header: int | None = None

    def line(self, text: str, place: Place) -> int | None:
        """The line, from 1, where the key at ``place`` is written, or else the nearest table around
        it; None where there is none.

        >>> text = "[a]\\nb = 1\\n[[c]]\\n[[c]]\\nd.e = 2"
        >>> layout(text).line(text, ("c", 1, "d", "e")), layout(text).line(text, ("c", 0, "x"))
        (5, 3)
        """
        starts = [(start, here) for here, (start, _) in self.headers.items()]
        starts += [(span.key, here) for here, span in self.values.items()]
        found, depth = None, 0
        for start, here in sorted(starts, key=lambda one: one[0]):
            shared = min(len(here), len(place))  # a header may lie deeper than what is looked for
            if shared > depth and here[:shared] == place[:shared]:
                found, depth = start, shared
        return None if found is None else text.count("\n", 0, found) + 1


def layout(text: str) -> Layout:
    """Where everything stands in a text that is valid TOML."""
    reader = _Reader(text)
    reader.document()
    return reader.found


def line_end(text: str, at: int) -> int:
    """Where the next line begins."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


class _Reader:
    """Reads a text that is known to be valid: it looks for ends, not for errors."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.found = text, 0, Layout()
        self.arrays: dict[Place, int] = {}
        self.header: Place = ()

    def take(self, pattern: str) -> "re.Match[str]":
        """Go behind what matches here, which may be nothing."""
        match = re.compile(pattern).match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return match

    def document(self) -> None:
        """All statements."""
        self.take(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                self.table()
            else:
                self.pair(self.header)
            self.take(_BLANK)

    def table(self) -> None:
        """``[name]`` or ``[[name]]``."""
        start = self.at
        brackets = self.take(r"\[\[?")[0]
        *above, name = self.keys()
        self.take(r"[ \t]*\]\]?")
        place = (*self.indexed(above), name)
        if brackets == "[[":
            self.arrays[place] = self.arrays.get(place, -1) + 1
            place = (*place, self.arrays[place])
        self.header = place
        if self.found.first_header is None:
            self.found.first_header = start
        self.found.headers[place] = (start, line_end(self.text, self.at))

    def indexed(self, names: Iterable[str]) -> Place:
        """The place that names mean: of an array of tables its last one."""
        place: Place = ()
        for name in names:
            place = (*place, name)
            if place in self.arrays:
                place = (*place, self.arrays[place])
        return place

    def keys(self) -> list[str]:
        """The parts of a dotted key."""
        parts = []
        while True:
            match = self.take(_DOTTED)
            parts.append(_plain_key(match[1]))
            if not match[2]:
                return parts

    def pair(self, above: Place) -> None:
        """``key = value``."""
        key = self.at
        place = (*above, *self.keys())
        self.take(r"[ \t]*=[ \t]*")
        self.value(place, key)
        if above == self.header:
            self.found.ends[above] = self.at

    def value(self, place: Place, key: int | None = None) -> None:
        """A value of any kind, with what is in it."""
        start = self.at
        opening = self.text[start]
        if opening in "[{":
            self.inside(place, opening)
        elif opening in "\"'":
            self.take(_STRING)
        else:
            found = self.take(_BARE)[0]
            self.at -= len(found) - len(found.rstrip())
        self.found.values[place] = Span(start if key is None else key, start, self.at, self.header)

    def inside(self, place: Place, opening: str) -> None:
        """What an array or an inline table holds, up to its end."""
        self.at += 1
        index = 0
        self.take(_BLANK)
        while self.text[self.at] not in "]}":
            if opening == "{":
                self.pair(place)
            else:
                self.value((*place, index))
                index += 1
            self.take(rf"{_BLANK},?{_BLANK}")
        self.at += 1


def _plain_key(written: str) -> str:
    import tomllib

    return next(iter(tomllib.loads(f"{written} = 0"))) if written[0] in "\"'" else written
