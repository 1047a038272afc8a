"""A file of code and the edits of its bytes."""

import codecs
import re
from typing import Final, NamedTuple

_INDENT: Final = re.compile(rb"[ \t]*")


class Edit(NamedTuple):
    """The bytes from ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


class List(NamedTuple):
    """Items between brackets: where the last begins and ends, and where the closing bracket is."""

    last: tuple[int, int] | None
    close: int


class Sheet:
    """Collects edits of a file, and what is to be told of it. Offsets are in bytes after a byte
    order mark, which stays."""

    def __init__(self, data: bytes) -> None:
        self.mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        self.body = data[len(self.mark) :]
        self.edits: list[Edit] = []
        self.told: list[tuple[int, str]] = []  # line and text

    @property
    def newline(self) -> str:
        """What ends its lines."""
        return "\r\n" if b"\r\n" in self.body else "\n"

    @property
    def quote(self) -> str:
        """The quotation mark that it mostly uses."""
        return "'" if self.body.count(b"'") > self.body.count(b'"') else '"'

    def quoted(self, text: str) -> str:
        """A plain text as a literal."""
        return f"{self.quote}{text}{self.quote}"

    def replace(self, start: int, end: int, text: str) -> None:
        """Put a text in the place of bytes, unless it is there."""
        if self.body[start:end] != text.encode():
            self.edits.append(Edit(start, end, text))

    def tell(self, line: int, said: str) -> None:
        """Note what the user has to do."""
        if (line, said) not in self.told:
            self.told.append((line, said))

    def edited(self) -> bytes:
        """The whole file after the edits; of two that overlap the outer one counts."""
        pieces, at = [self.mark], 0
        order = sorted(dict.fromkeys(self.edits), key=lambda one: (one.start, -one.end))
        for edit in order:
            if edit.start >= at:
                pieces += [self.body[at : edit.start], edit.text.encode()]
                at = edit.end
        return b"".join([*pieces, self.body[at:]])

    def indent_at(self, offset: int) -> str:
        """The blanks that begin the line of an offset."""
        start = self.body.rfind(b"\n", 0, offset) + 1
        found = _INDENT.match(self.body, start)
        return found[0].decode() if found else ""

    def begins_line(self, offset: int) -> bool:
        """Whether nothing but blanks stands before an offset on its line."""
        start = self.body.rfind(b"\n", 0, offset) + 1
        return not self.body[start:offset].strip()

    def add_line(self, after: int, text: str, indent: str) -> None:
        """A line of its own after the line in which an offset is."""
        end = self.body.find(b"\n", after)
        if end < 0:
            self.edits.append(Edit(len(self.body), len(self.body), f"{self.newline}{indent}{text}"))
        else:
            self.edits.append(Edit(end + 1, end + 1, f"{indent}{text}{self.newline}"))

    def add_item(self, items: List, text: str, comment: str) -> None:
        """One more item at the end of a list, as the others are written: on a line of its own
        where the last one has one. ``comment`` is what begins a comment to the end of the line."""
        if items.last is None:
            self.edits.append(Edit(items.close, items.close, text))
            return
        start, end = items.last
        end, comma, tail = self._after(end, items.close, comment)
        if self.begins_line(start) and b"\n" in self.body[end : items.close]:
            line = f"{self.newline}{self.indent_at(start)}{text}"
            if comma is None and tail > end:
                self.edits += [Edit(end, end, ","), Edit(tail, tail, line)]
            elif comma is None:
                self.edits.append(Edit(end, end, f",{line}"))
            else:
                self.edits.append(Edit(tail, tail, f"{line},"))
        elif comma is None:
            self.edits.append(Edit(end, end, f", {text}"))
        else:
            self.edits.append(Edit(comma + 1, comma + 1, f" {text},"))

    def _after(self, at: int, close: int, comment: str) -> tuple[int, int | None, int]:
        """After the last item: where it ends with its own brackets, its comma, and the end of what
        stands on that line."""
        end, comma, tail = at, None, at
        is_same_line = True
        while at < close:
            here = self.body[at : at + 1]
            if self.body.startswith(comment.encode(), at):
                at = _end_of_line(self.body, at, close)
                tail = at if is_same_line else tail
                continue
            if comment == "//" and self.body.startswith(b"/*", at):
                stop = self.body.find(b"*/", at, close)
                at = close if stop < 0 else stop + 2
                tail = at if is_same_line else tail
                continue
            if here == b")" and comma is None:
                end = tail = at + 1
                is_same_line = True
            elif here == b",":
                comma, tail = at, at + 1
                is_same_line = True
            elif here == b"\n":
                is_same_line = False
            at += 1
        return end, comma, tail


def _end_of_line(body: bytes, at: int, close: int) -> int:
    end = body.find(b"\n", at, close)
    end = close if end < 0 else end
    return end - 1 if body[end - 1 : end] == b"\r" else end
