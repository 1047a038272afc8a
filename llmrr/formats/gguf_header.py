"""Reads the header of a GGUF file: metadata and the table of tensors, never the weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
The file is not trusted. Work and memory are bounded by the limits below and by the file's size:
arrays are walked, not built (``Array`` says where one lies, and ``Header.array`` reads it when it
is wanted), and so are texts of more than a mebibyte.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from llmrr.errors import DamagedFile, NotFound, Unsupported

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

STRING, ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
TYPE_NAMES = {
    0: "u8",
    1: "i8",
    2: "u16",
    3: "i16",
    4: "u32",
    5: "i32",
    6: "f32",
    7: "bool",
    8: "string",
    9: "array",
    10: "u64",
    11: "i64",
    12: "f64",
}

# ggml's number of a tensor type: its name, numbers per block, bytes per block. From ggml.h and
# ggml-common.h; the numbers that are not here were removed or never given out.
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}

Scalar = int | float | bool | str


class Source(Protocol):
    """Where a header is read from: a file, or ranges of one that lies elsewhere."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at ``offset``; fewer than ``length`` at the end."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on this machine. It is opened for each read, so that nothing stays open."""

    path: Path
    size: int

    @classmethod
    def of(cls, path: Path) -> "FileSource":
        """Raises ``NotFound`` for what is not a readable file."""
        try:
            return cls(path, path.stat().st_size)
        except OSError as exc:
            raise NotFound(f"{path} cannot be read: {exc.strerror}") from exc

    def read(self, offset: int, length: int) -> bytes:
        """Raises ``NotFound`` when the file is gone or may not be read."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(length)
        except OSError as exc:
            raise NotFound(f"{self.path} cannot be read: {exc.strerror}") from exc

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Array:
    """An array, or a long text, that was left in the file: ``count`` items of GGUF type ``kind``
    from ``offset`` to ``end``."""

    kind: int
    count: int
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One row of the table of tensors. ``dims`` has the row length first; ``offset`` counts from
    the start of the data."""

    name: str
    dims: tuple[int, ...]
    type: int
    offset: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        product = 1
        for size in self.dims:
            product *= size
        return product

    @property
    def type_name(self) -> str:
        """The type as people write it (Q4_K, F16), or #N where nobody knows the number."""
        known = TENSOR_TYPES.get(self.type)
        return known[0] if known else f"#{self.type}"

    @property
    def bytes(self) -> int:
        """What it takes in the file, without padding. 0 for an unknown type."""
        _, block, size = TENSOR_TYPES.get(self.type, ("", 1, 0))
        return self.elements // block * size


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says before its weights begin.

    ``metadata`` has scalars and texts as values and arrays as ``Array``, ``kinds`` each key's GGUF
    type; ``data_offset`` is where the weights begin.
    """

    source: Source = field(repr=False)
    version: int
    metadata: Mapping[str, Scalar | Array] = field(repr=False)
    kinds: Mapping[str, int] = field(repr=False)
    tensors: tuple[TensorInfo, ...] = field(repr=False)
    alignment: int
    data_offset: int

    @property
    def where(self) -> str:
        """The file's name, for messages."""
        return str(self.source)

    def text(self, key: str) -> str | None:
        """The text under ``key``; None where there is none, or something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str) -> int | None:
        """The whole number under ``key``; None where there is none, or something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, key: str) -> float | None:
        """The number under ``key``; None where there is none, or something else."""
        value = self.metadata.get(key)
        return float(value) if isinstance(value, int | float) else None

    def count(self, key: str) -> int | None:
        """How many items the array under ``key`` has; None where there is none."""
        value = self.metadata.get(key)
        return value.count if isinstance(value, Array) else None

    def strings(self, key: str) -> list[bytes] | None:
        """The texts of the array under ``key``, as bytes; None where there is no such array."""
        array = self.metadata.get(key)
        if not isinstance(array, Array) or array.kind != STRING:
            return None
        raw = self._bytes(array)
        unpack, position, texts = struct.Struct("<Q").unpack_from, 0, []
        for _ in range(array.count):
            (length,) = unpack(raw, position)
            start = position + 8
            position = start + length
            texts.append(raw[start:position])
        return texts

    def values(self, key: str) -> tuple[int | float | bool, ...] | None:
        """The numbers of the array under ``key``; None where there is no such array."""
        array = self.metadata.get(key)
        if not isinstance(array, Array) or array.kind == STRING:
            return None
        return struct.unpack(f"<{array.count}{_SCALARS[array.kind].format[1:]}", self._bytes(array))

    def _bytes(self, array: Array) -> bytes:
        raw = self.source.read(array.offset, array.end - array.offset)
        if len(raw) != array.end - array.offset:
            raise DamagedFile(f"{self.where} became shorter while it was read")
        return raw


def read_header(place: Path | Source) -> Header:
    """Read the header of the GGUF file at ``place``.

    Raises ``DamagedFile`` for what breaks the format or its bounds, ``Unsupported`` for version 1,
    a later one, and big-endian files, ``NotFound`` for what cannot be read.
    """
    return _Reader(FileSource.of(place) if isinstance(place, Path) else place).header()


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
            raise self._damaged(f"it is not a GGUF file: it begins with {start[:4]!r}")
        self._need(8)
        self.position += 4
        version = self._u32()
        if version & 0xFFFF == 0 and version:
            raise Unsupported(
                f"{self.source} is a big-endian GGUF file, made for another kind of machine",
                "pull the little-endian file of the same model",
            )
        if version == 1:
            raise Unsupported(
                f"{self.source} is a GGUF file of version 1, which llama.cpp no longer reads",
                "pull a newer conversion of the same model",
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
        scalar = _SCALARS.get(kind)
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
        elif scalar := _SCALARS.get(kind):
            if count > left // scalar.size:
                raise self._damaged(f"the array {key!r} claims {count} items, beyond its end")
            self._seek(start + count * scalar.size)
        else:
            name = TYPE_NAMES.get(kind, str(kind))
            raise self._damaged(f"the array {key!r} has items of the type {name}")
        return Array(kind, count, start, self.base + self.position)

    def _skip_strings(self, key: str, count: int) -> None:
        """Walk ``count`` texts. The inner loop is what a large vocabulary costs: 90 ns a token."""
        unpack = struct.Struct("<Q").unpack_from
        while count:
            window, position, done = self.window, self.position, 0
            try:
                for done in range(count):  # noqa: B007 - how far it came is wanted below
                    (length,) = unpack(window, position)
                    position += 8 + length
            except (struct.error, OverflowError):
                count -= done
            else:
                count = 0
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
        return DamagedFile(f"{self.source} is damaged: {why}", "pull or copy the file again")
