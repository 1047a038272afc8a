"""The input of a call of a tool, from JSON that may be cut or wrong: Anthropic's clients read it
while it comes, and fail at a piece that no JSON begins with."""

import json
import re
from typing import Any, Final

_SPACE = re.compile(r"[ \t\r\n]*")
_QUOTED = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")  # one that is not complete
_WORD = re.compile(r"[^\s,:{}\[\]\"]+")
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_CLOSES: Final = {"{": "}", "[": "]"}


class Input:
    """Takes an object of JSON as it comes. ``value`` is what of it is complete."""

    def __init__(self) -> None:
        self._held = ""  # what is not yet decided
        self._open: list[str] = []  # the brackets
        self._next = "value"  # or: key, first (a key or the end), item, colon, more, string
        self._key = False  # the string that is under way
        self._taken: list[str] = []
        self._whole = (0, "")  # how many of these have all their values, and what closes them
        self._over = False  # it is complete, or went wrong

    def push(self, text: str) -> str:
        """Add a piece; what JSON begins with of it comes back. A number comes back when it is
        followed by something."""
        self._held += text
        before = len(self._taken)
        while self._held and not self._over:
            used = self._step(self._held)
            if used is None:
                self._over = True
            elif used == 0:
                break
            else:
                self._taken.append(self._held[:used])
                self._held = self._held[used:]
                if self._next in ("more", "first", "item"):
                    self._note()
        return "".join(self._taken[before:])

    @property
    def value(self) -> dict[str, Any]:
        """The object with all its values that are complete."""
        count, closed = self._whole
        found: dict[str, Any] = json.loads("".join(self._taken[:count]) + closed or "{}")
        return found

    def _note(self) -> None:
        """A value is complete, or one has begun that may be empty."""
        closed = "".join(_CLOSES[one] for one in reversed(self._open))
        self._whole = len(self._taken), closed
        self._over = not self._open

    def _step(self, text: str) -> int | None:
        """How much of the text the next token has: 0 where more must come, None where it is wrong.
        """
        if self._next == "string":
            return self._string(text)
        space = _SPACE.match(text)
        if space and space.end():
            return space.end()
        mark = text[0]
        if self._next in ("value", "item") and mark in "{[":
            return self._opened(mark)
        if not self._open:
            return None
        if mark == '"' and self._next != "colon" and self._next != "more":
            self._key, self._next = self._next in ("key", "first"), "string"
            return 1
        if mark == _CLOSES[self._open[-1]] and self._next in ("first", "item", "more"):
            self._open.pop()
            self._next = "more"
            return 1
        if mark == ":" and self._next == "colon":
            self._next = "value"
            return 1
        if mark == "," and self._next == "more":
            self._next = "key" if self._open[-1] == "{" else "value"
            return 1
        return self._scalar(text) if self._next in ("value", "item") else None

    def _opened(self, mark: str) -> int | None:
        if not self._open and mark != "{":
            return None
        self._open.append(mark)
        self._next = "first" if mark == "{" else "item"
        return 1

    def _string(self, text: str) -> int | None:
        found = _QUOTED.match(text)
        assert found
        end = found.end()
        if text.startswith('"', end):
            self._next = "colon" if self._key else "more"
            return end + 1
        if end == len(text) or _ESCAPE.fullmatch(text, end):
            return end
        return end or None

    def _scalar(self, text: str) -> int | None:
        found = _WORD.match(text)
        if not found or found.end() == len(text):
            return 0 if found else None
        if not _SCALAR.fullmatch(found.group()):
            return None
        self._next = "more"
        return found.end()


def input_of(arguments: str) -> dict[str, Any]:
    """The input that arguments are. Of an object that is cut or broken, what is complete of it, as
    a stream would give it; what is none at all stands in one.

    >>> input_of('{"a": [1, 2], "b": "x'), input_of("oops")
    ({'a': [1, 2]}, {'arguments': 'oops'})
    """
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if not arguments.lstrip().startswith("{"):
        return {"arguments": arguments}
    taken = Input()
    taken.push(arguments)
    return taken.value
