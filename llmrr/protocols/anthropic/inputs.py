"""The input of a call of a tool, from JSON that may be cut or wrong: Anthropic's clients read it
while it comes, and fail at a piece that no JSON begins with."""

import json
import re
from typing import Any, Final

_SPACE = re.compile(r"[ \t\r\n]*")
_QUOTED = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")  # one that is not complete
_WORD = re.compile(r"[^\s,:{}\[\]\"]+")
# Python reads no whole number of more than 4300 digits.
_SCALAR = re.compile(r"-?(?:0|[1-9]\d{0,3999})(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_CLOSES: Final = {"{": "}", "[": "]"}
_DEEPEST: Final = 256  # what is nested deeper is no input of a tool, and json may not read it


class Input:
    """Takes an object of JSON as it comes. ``value`` is what of it is complete."""

    def __init__(self) -> None:
        self._held = ""  # what is not yet decided
        self._open: list[str] = []  # the brackets
        self._next = "value"  # or: key, first (a key or the end), item, colon, more, string
        self._key = False  # the string that is under way
        self._taken: list[str] = []
        self._whole = 0  # how many of these have all their values, but for what closes them
        self._over = False  # it is complete, or went wrong

    def push(self, text: str) -> str:
        """Add a piece; what JSON begins with of it comes back. A number comes back when it is
        followed by something."""
        self._held += text
        before, at = len(self._taken), 0
        while at < len(self._held) and not self._over:
            end = self._step(self._held, at)
            if end is None:
                self._over = True
            elif end == at:
                break
            else:
                self._taken.append(self._held[at:end])
                at = end
                if self._next in ("more", "first", "item"):  # a value ended, or may be empty
                    self._whole, self._over = len(self._taken), not self._open
        self._held = self._held[at:]
        return "".join(self._taken[before:])

    @property
    def value(self) -> dict[str, Any]:
        """The object with all its values that are complete."""
        closed = "".join(_CLOSES[one] for one in reversed(self._open))
        text = "".join(self._taken[: self._whole])
        found: dict[str, Any] = json.loads(text + closed or "{}")
        return found

    def _step(self, text: str, at: int) -> int | None:
        """Where the token ends that begins at ``at``: there where more must come, None where it is
        wrong."""
        if self._next == "string":
            return self._string(text, at)
        space = _SPACE.match(text, at)
        if space and space.end() > at:
            return space.end()
        mark = text[at]
        if self._next in ("value", "item") and mark in "{[":
            return at + 1 if self._opens(mark) else None
        if not self._open:
            return None
        if mark == '"' and self._next != "colon" and self._next != "more":
            self._key, self._next = self._next in ("key", "first"), "string"
            return at + 1
        if mark == _CLOSES[self._open[-1]] and self._next in ("first", "item", "more"):
            self._open.pop()
            self._next = "more"
            return at + 1
        if mark == ":" and self._next == "colon":
            self._next = "value"
            return at + 1
        if mark == "," and self._next == "more":
            self._next = "key" if self._open[-1] == "{" else "value"
            return at + 1
        return self._scalar(text, at) if self._next in ("value", "item") else None

    def _opens(self, mark: str) -> bool:
        if (not self._open and mark != "{") or len(self._open) == _DEEPEST:
            return False
        self._open.append(mark)
        self._next = "first" if mark == "{" else "item"
        return True

    def _string(self, text: str, at: int) -> int | None:
        found = _QUOTED.match(text, at)
        assert found
        end = found.end()
        if text.startswith('"', end):
            self._next = "colon" if self._key else "more"
            return end + 1
        is_begun = end == len(text) or _ESCAPE.fullmatch(text, end)
        return end if end > at or is_begun else None

    def _scalar(self, text: str, at: int) -> int | None:
        found = _WORD.match(text, at)
        if not found or found.end() == len(text):
            return at if found else None
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
