"""Reads the header of a GGUF file: metadata and the table of tensors, never the weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
The file is not trusted. Work and memory are bounded by the limits below and by the file's size:
arrays are walked, not built (``Array`` says where one lies; ``Header.strings`` and ``values`` read
it when it is wanted), and so are texts of more than a mebibyte.
"""

import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.gguf_header import Array, Header, Scalar, TensorInfo
from llmrr.formats.gguf_types import ARRAY, SCALARS, STRING, TYPE_NAMES
from llmrr.formats.source import FileSource, Source

MAGIC = b"GGUF"
MAX_KEYS = 65_536
MAX_TENSORS = 262_144
MAX_STRINGS = 8_000_000  # in one array; the largest vocabularies have half a million merges
MAX_NAME = 65_535
MAX_TEXT = 1 << 20  # a longer text is left in the file
MAX_TEXTS = 16 << 20  # so is every text after these bytes
MAX_HEADER = 1 << 30
MAX_DIMENSIONS = 4
BLOCK = 1 << 20
RUN = 64  # texts that are walked at once
MANY = 20_000


def read_header(place: Path | Source) -> Header:
    """Read the header of the GGUF file at ``place``.

    Raises ``DamagedFile`` for what breaks the format or its bounds, ``Unsupported`` for version 1,
    a later one, and big-endian files, ``NotFound`` for what cannot be read.
    """
    return _Reader(FileSource.of(place) if isinstance(place, Path) else place).header()


@cache
def _run_of_texts() -> re.Pattern[bytes]:
    """Matches ``RUN`` texts of 1 to 64 bytes, each after its length as eight bytes: the regular
    expression engine walks them in half the time of a loop, and takes 1 ms to be made."""
    one = (re.escape(bytes((size,))) + b"\\0" * 7 + b".{%d}" % size for size in range(1, 65))
    return re.compile(b"(?s:(?:%s){%d}+)" % (b"|".join(one), RUN))


class _Reader:
    """Walks the header through a window of the file; ``position`` is relative to the window."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.base = self.position = 0
        self.window = b""
        self.texts = 0

    def header(self) -> Header:
        version = self._version()
        tensors, keys = self._count("tensors", MAX_TENSORS, 32), self._count("keys", MAX_KEYS, 13)
        metadata: dict[str, Scalar | Array] = {}
        kinds: dict[str, int] = {}
        for number in range(keys):
            key = self._name(f"key {number + 1}")
            if key in metadata:
                raise self._damaged(f"the key {key!r} stands twice in it")
            kind = self._u32()
            kinds[key] = kind
            metadata[key] = self._value(key, kind)
        table = tuple(self._tensor(number) for number in range(tensors))
        alignment = self._alignment(metadata, kinds)
        end = self.base + self.position
        start = -(-end // alignment) * alignment if tensors else end
        return Header(self.source, version, metadata, kinds, table, alignment, start)

    def _version(self) -> int:
        if self.source.size == 0:
            raise self._damaged("it is empty")
        start = self.source.read(0, 8)
        if start[:4] != MAGIC:
            raise self._damaged(f"it is not a GGUF file: it begins with {start[:4].hex(' ')}")
        self._need(8)
        self.position += 4
        version = self._u32()
        if version & 0xFFFF == 0 and version:
            raise Unsupported(
                f"{self.source} is a big-endian GGUF file, made for another kind of machine",
                "get the little-endian file of the same model",
            )
        if version == 1:
            raise Unsupported(
                f"{self.source} is a GGUF file of version 1, which llama.cpp no longer reads",
                "get a newer conversion of the same model",
            )
        if version not in (2, 3):
            raise Unsupported(
                f"{self.source} is a GGUF file of version {version}; versions 2 and 3 are known",
                "pip install --upgrade llmrr",
            )
        return version

    def _alignment(self, metadata: Mapping[str, Scalar | Array], kinds: Mapping[str, int]) -> int:
        value = metadata.get("general.alignment", 32)
        if kinds.get("general.alignment", 4) != 4 or not isinstance(value, int):
            raise self._damaged("its general.alignment is not a 32-bit number")
        if value == 0 or value & (value - 1):
            raise self._damaged(f"its general.alignment is {value}, not a power of two")
        return value

    def _count(self, what: str, limit: int, smallest: int) -> int:
        count = self._u64()
        possible = self.source.size // smallest
        if count > min(limit, possible):
            known = f"{possible} fit into it" if count > possible else f"{limit} are allowed"
            raise self._damaged(f"it claims {count} {what}, where {known}")
        return count

    def _value(self, key: str, kind: int) -> Scalar | Array:
        if kind == STRING:
            return self._text(key)
        if kind == ARRAY:
            return self._array(key)
        scalar = SCALARS.get(kind)
        if scalar is None:
            raise self._damaged(f"the key {key!r} has the unknown type {kind}")
        self._need(scalar.size)
        value: int | float | bool
        (value,) = scalar.unpack_from(self.window, self.position)
        self.position += scalar.size
        return value

    def _text(self, key: str) -> str | Array:
        length = self._u64()
        start = self.base + self.position
        if length > self.source.size - start:
            raise self._damaged(f"the text {key!r} of {length} bytes reaches beyond its end")
        if length > MAX_TEXT or self.texts + length > MAX_TEXTS:
            self._seek(start + length)
            return Array(0, length, start, start + length)
        self.texts += length
        return self._take(length).decode("utf-8", "replace")

    def _array(self, key: str) -> Array:
        kind, count = self._u32(), self._u64()
        start = self.base + self.position
        left = self.source.size - start
        if kind == STRING:
            if count > min(MAX_STRINGS, left // 8):
                raise self._damaged(f"the array {key!r} claims {count} texts, beyond its end")
            self._skip_strings(key, count)
        elif scalar := SCALARS.get(kind):
            if count > left // scalar.size:
                raise self._damaged(f"the array {key!r} claims {count} items, beyond its end")
            self._seek(start + count * scalar.size)
        else:
            name = TYPE_NAMES.get(kind, str(kind))
            raise self._damaged(f"the array {key!r} has items of the type {name}")
        return Array(kind, count, start, self.base + self.position)

    def _skip_strings(self, key: str, count: int) -> None:
        """Walk ``count`` texts, which is what a large vocabulary costs: 40 ns each in runs of short
        ones, 85 one by one."""
        unpack = struct.Struct("<Q").unpack_from
        run = _run_of_texts() if count >= MANY else None
        while count:
            window, position, done = self.window, self.position, 0
            while run and count >= RUN and (found := run.match(window, position)):
                position = found.end()
                count -= RUN
            with suppress(struct.error, OverflowError):  # at the end of the window
                for _ in range(min(count, RUN)):
                    (length,) = unpack(window, position)
                    position += 8 + length
                    done += 1
            count -= done
            if self.base + position > self.source.size - 8 * count:
                raise self._damaged(f"a text of the array {key!r} reaches beyond its end")
            self._seek(self.base + position)

    def _tensor(self, number: int) -> TensorInfo:
        name = self._name(f"tensor {number + 1}")
        count = self._u32()
        if not 0 < count <= MAX_DIMENSIONS:
            raise self._damaged(f"the tensor {name!r} has {count} dimensions")
        at = self._need(8 * count + 12)
        *dims, kind, offset = struct.unpack_from(f"<{count}QIQ", self.window, at)
        self.position += 8 * count + 12
        return TensorInfo(name, tuple(dims), kind, offset)

    def _name(self, what: str) -> str:
        length = self._u64()
        if not 0 < length <= MAX_NAME:
            raise self._damaged(f"the name of {what} is {length} bytes long")
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise self._damaged(f"the name of {what} is not UTF-8") from exc

    def _u32(self) -> int:
        at = self._need(4)
        self.position += 4
        return int.from_bytes(self.window[at : at + 4], "little")

    def _u64(self) -> int:
        at = self._need(8)
        self.position += 8
        return int.from_bytes(self.window[at : at + 8], "little")

    def _take(self, length: int) -> bytes:
        at = self._need(length)
        self.position += length
        return self.window[at : at + length]

    def _need(self, length: int) -> int:
        """Have ``length`` bytes in the window; return where they begin."""
        if self.position + length > len(self.window):
            self._fill(length)
        return self.position

    def _seek(self, offset: int) -> None:
        position = offset - self.base
        if position > MAX_HEADER:
            raise self._damaged(f"its header is longer than {MAX_HEADER} bytes")
        self.position = position
        if position + 8 > len(self.window):
            self._fill(0)

    def _fill(self, length: int) -> None:
        self.base, self.position = self.base + self.position, 0
        if self.base > MAX_HEADER:
            raise self._damaged(f"its header is longer than {MAX_HEADER} bytes")
        self.window = self.source.read(self.base, max(BLOCK, length))
        if len(self.window) < length:
            raise self._damaged(f"it ends inside its header, after {self.source.size} bytes")

    def _damaged(self, why: str) -> DamagedFile:
        return DamagedFile(f"{self.source} is damaged: {why}", "copy or download the file again")
