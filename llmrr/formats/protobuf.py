"""The fields of protobuf messages, walked where they lie; what is not asked for is passed over.
https://protobuf.dev/programming-guides/encoding/"""

from collections.abc import Iterator
from typing import NamedTuple

from llmrr.formats.messages import damaged
from llmrr.formats.source import Source

MAX_FIELDS = 500_000  # of a whole file; a graph of 20,000 nodes has half of them
BLOCK = 1 << 16
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field: ``value`` of a number; where bytes lie, and how many they are."""

    number: int
    wire: int
    value: int
    offset: int
    length: int


class Reader:
    """Reads the messages of a file through a window that moves forward, at most ``fields``."""

    def __init__(self, source: Source, fields: int | None = None) -> None:
        self.source, self.base, self.window = source, 0, b""
        self.most = self.left = MAX_FIELDS if fields is None else fields

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message from ``start`` to ``end``. Raises ``DamagedFile``."""
        position = start
        while position < end:
            field, position = self._field(position)
            if position > end:
                raise damaged(self.source, f"a field reaches beyond its message, at {start}")
            yield field

    def bytes(self, field: Field, limit: int) -> bytes:
        """What ``field`` holds. Raises ``DamagedFile`` where that is longer than ``limit``."""
        if field.length > limit:
            where = f"a text of {field.length} bytes is in it, at {field.offset}"
            raise damaged(self.source, where)
        begin = self._at(field.offset, field.length)
        return self.window[begin : begin + field.length]

    def text(self, field: Field, limit: int = 1 << 16) -> str:
        """The text that ``field`` holds."""
        return self.bytes(field, limit).decode("utf-8", "replace")

    def numbers(self, field: Field) -> list[int]:
        """The numbers of a repeated field, packed or a single one."""
        if field.wire == VARINT:
            return [field.value]
        raw, found, at = self.bytes(field, 1 << 10), [], 0
        while at < len(raw):
            value, at = varint(raw, at)
            found.append(value)
        return found

    def _field(self, position: int) -> tuple[Field, int]:
        self.left -= 1
        if self.left < 0:
            raise damaged(self.source, f"it has more than {self.most} fields")
        at = self._at(position, 20)
        tag, after = varint(self.window, at)
        if after == at:
            raise damaged(self.source, "it became shorter while it was read")
        number, wire, value, length = tag >> 3, tag & 7, 0, 0
        if wire == VARINT:
            value, after = varint(self.window, after)
        elif wire == BYTES:
            length, after = varint(self.window, after)
        elif wire in (FIXED_32, FIXED_64):
            length = 4 if wire == FIXED_32 else 8
        else:
            raise damaged(self.source, f"a field of the kind {wire} is in it, at {position}")
        offset = position + after - at
        return Field(number, wire, value, offset, length), offset + length

    def _at(self, position: int, length: int) -> int:
        """Where ``position`` is in the window, with ``length`` bytes after it if there are."""
        at = position - self.base
        if not 0 <= at <= len(self.window) - length:
            self.base, at = position, 0
            self.window = self.source.read(position, max(BLOCK, length))
        return at


def varint(raw: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends; at the end of ``raw`` what there is."""
    value = shift = 0
    while position < len(raw) and shift < 70:
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    return value, position
