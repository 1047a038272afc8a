"""Numbers out of a GGUF file, whatever type they are stored as."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmrr.formats.gguf_header import Header, TensorInfo
from llmrr.formats.gguf_types import TENSOR_TYPES

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
else:
    Array = Any

_PLAIN = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "i1", "I16": "<i2", "I32": "<i4",
          "I64": "<i8"}  # fmt: skip


def row_bytes(tensor: TensorInfo) -> int:
    """What a row of a tensor takes in its file."""
    _, block, size = TENSOR_TYPES[tensor.type]
    return tensor.dims[0] // block * size


def rows(header: Header, tensor: TensorInfo, first: int, count: int) -> Array:
    """Rows of a tensor as they are stored, (count, bytes). Raises ``NotFound``."""
    import numpy as np

    width = row_bytes(tensor)
    start = header.data_offset + tensor.offset + first * width
    raw = np.frombuffer(header.source.read(start, count * width), np.uint8)
    return raw.reshape(-1, width)


def can_read(tensor_type: str) -> bool:
    """Does ``floats`` know this type?"""
    import numpy as np

    size = next((size for name, _, size in TENSOR_TYPES.values() if name == tensor_type), 0)
    try:
        floats(np.zeros((1, size), np.uint8), tensor_type)
    except NotImplementedError:
        return False
    return size > 0


def floats(stored: Array, tensor_type: str) -> Array:
    """The numbers of stored rows, (rows, columns), float32 for all that is quantized.

    Raises ``NotImplementedError`` for a type that neither gguf nor this module reads.
    """
    import gguf
    import numpy as np

    if plain := _PLAIN.get(tensor_type):
        return np.ascontiguousarray(stored).view(plain)
    if own := _OWN.get(tensor_type):
        return own(stored)
    numbers = (number for number, (name, _, _) in TENSOR_TYPES.items() if name == tensor_type)
    try:
        kind = gguf.GGMLQuantizationType(next(numbers, -1))
    except ValueError as error:
        raise NotImplementedError(tensor_type) from error
    found: Array = gguf.quants.dequantize(stored, kind)
    return found


def _q1_0(stored: Array) -> Array:
    """Blocks of 128: a scale, then a bit for each number's sign."""
    import numpy as np

    scales, packed = _blocks(stored, 18)
    signs = np.unpackbits(packed, axis=-1, bitorder="little").astype(np.float32) * 2 - 1
    return (signs * scales).reshape(len(stored), -1)


def _q2_0(stored: Array) -> Array:
    """Blocks of 64: a scale, then two bits for each number, -1 to 2."""
    import numpy as np

    scales, packed = _blocks(stored, 18)
    shifts = np.array([0, 2, 4, 6], np.uint8)
    quarters = (packed[..., None] >> shifts & 3).astype(np.float32) - 1
    return (quarters.reshape(*packed.shape[:2], -1) * scales).reshape(len(stored), -1)


def _blocks(stored: Array, size: int) -> tuple[Array, Array]:
    """Half-precision scales, (rows, blocks, 1), and the bytes that follow each."""
    import numpy as np

    blocks = np.ascontiguousarray(stored).reshape(len(stored), -1, size)
    scales = np.ascontiguousarray(blocks[..., :2]).view("<f2").astype(np.float32)
    return scales, blocks[..., 2:]


# What gguf 0.19 does not read: dequantize_row_q1_0 and _q2_0 of ggml/src/ggml-quants.c.
_OWN: dict[str, Callable[[Array], Array]] = {"Q1_0": _q1_0, "Q2_0": _q2_0}
