"""Writes the file: its header through ``gguf``, then tensor after tensor as it is made.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from llmrr.convert.base import Told
from llmrr.convert.gguf.encoding import TYPES, refuse_infinite, refuse_overflow
from llmrr.convert.gguf.planning import Written
from llmrr.convert.gguf.rows import chunks, encoded
from llmrr.convert.gguf.settings import Values
from llmrr.convert.gguf.weights import Reader

if TYPE_CHECKING:
    from gguf import GGUFValueType

ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class Signed:
    """A value of metadata that is a signed whole number in the format: general.sampling.top_k."""

    value: int


def write_header(
    path: Path, architecture: str, metadata: Mapping[str, Any], tensors: Sequence[Written]
) -> None:
    """Write all that stands before the data of the tensors."""
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter

    writer = GGUFWriter(path, architecture)
    for key, value in metadata.items():
        plain, kind = _typed(value)
        writer.add_key_value(key, plain, kind)
    for one in tensors:
        number = GGMLQuantizationType(TYPES[one.kind][0])
        writer.add_tensor_info(one.name, one.shape, np.dtype(np.float32), one.bytes, number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()


def write_tensors(
    path: Path, tensors: Sequence[Written], values: Values, reader: Reader, told: Told
) -> None:
    """Append the data of ``tensors`` to the header at ``path``. Raises ``DamagedFile`` for NaN and
    infinite numbers, ``Unsupported`` for those that the type cannot hold, with the tensor's name.
    """
    import numpy as np

    total, done = sum(one.bytes for one in tensors), 0
    with path.open("ab", buffering=0) as file:
        _pad(file)
        for one in tensors:
            for raw, stored in chunks(one, values, reader):
                where = one.sources[0].name if one.sources else one.name
                refuse_infinite(raw, stored, where)
                found = encoded(raw, stored, one)
                if one.kind != stored:
                    refuse_overflow(found, one.kind, where)
                _write(file, found.reshape(-1).view(np.uint8).data)
                done += found.nbytes
                told(one.name, done, total)
            _pad(file)


def _write(file: BinaryIO, raw: memoryview) -> None:
    while raw:  # an unbuffered file may take less than it is given
        raw = raw[file.write(raw) :]


def _pad(file: BinaryIO) -> None:
    if over := file.tell() % ALIGNMENT:
        _write(file, memoryview(bytes(ALIGNMENT - over)))


def _typed(value: Any) -> "tuple[Any, GGUFValueType]":
    """A value with its type in the format: what numbers, texts and lists of Python stand for."""
    from gguf import GGUFValueType

    if isinstance(value, Signed):
        return value.value, GGUFValueType.INT32
    if isinstance(value, bool):
        return value, GGUFValueType.BOOL
    if isinstance(value, int):
        return value, GGUFValueType.UINT32
    if isinstance(value, float):
        return value, GGUFValueType.FLOAT32
    if isinstance(value, str):
        return value, GGUFValueType.STRING
    return value if isinstance(value, bytes) else list(value), GGUFValueType.ARRAY
