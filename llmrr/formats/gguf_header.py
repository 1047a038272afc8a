"""What the header of a GGUF file holds."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmrr.errors import DamagedFile
from llmrr.formats.gguf_types import SCALARS, STRING, TENSOR_TYPES
from llmrr.formats.source import Source

Scalar = int | float | bool | str


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
    def shape(self) -> tuple[int, ...]:
        """``dims`` without ones at the end, which mean nothing, and which ggml forgets."""
        dims = self.dims
        while len(dims) > 1 and dims[-1] == 1:
            dims = dims[:-1]
        return dims

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        product = 1
        for size in self.dims:
            product *= size
        return product

    @property
    def layer(self) -> int | None:
        """The layer that it belongs to, from 0: 12 for blk.12.attn_q.weight. None for what stands
        outside, image encoders (v.blk.3…) included."""
        begin, dot, rest = self.name.partition("blk.")
        number = rest.split(".", 1)[0]
        sound = dot and number.isascii() and number.isdecimal() and len(number) < 10
        return int(number) if sound and begin in ("", "enc.", "dec.") else None

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

    def key(self, name: str) -> str:
        """The key under which the architecture keeps ``name``."""
        return f"{self.text('general.architecture')}.{name}"

    def own(self, name: str) -> int | None:
        """The whole number that the architecture keeps under ``name``; None where there is none."""
        return self.integer(self.key(name))

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
        return struct.unpack(f"<{array.count}{SCALARS[array.kind].format[1:]}", self._bytes(array))

    def _bytes(self, array: Array) -> bytes:
        raw = self.source.read(array.offset, array.end - array.offset)
        if len(raw) != array.end - array.offset:
            raise DamagedFile(f"{self.where} became shorter while it was read")
        return raw
