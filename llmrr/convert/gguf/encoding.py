"""Numbers as safetensors stores them, as GGUF stores them, and the way from one to the other.

Q8_0: blocks of 32 numbers, a scale in half precision and 32 signed bytes, rounded as
``quantize_row_q8_0_ref`` of ggml-quants.c does.
"""

from typing import TYPE_CHECKING, Any

from llmrr.errors import DamagedFile, Unsupported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[Any]
    Floats = NDArray[np.float32]
    Bytes = NDArray[np.uint8]

# general.file_type by the name of the type that is asked for.
FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7}
# By ggml's name: its number, numbers and bytes of a block.
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2), "Q8_0": (8, 32, 34)}
# How numbers of a safetensors type lie in memory; as whole numbers, which bits are not the sign,
# and from where on these mean infinity or no number.
STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
LIMITS = {
    "F32": ("<u4", 0x7FFF_FFFF, 0x7F80_0000),
    "F16": ("<u2", 0x7FFF, 0x7C00),
    "BF16": ("<u2", 0x7FFF, 0x7F80),
}
BLOCK = 32
ALMOST_HALF = 0.49999997  # the number before 0.5: added, it rounds halves away from zero


def row_bytes(kind: str, row: int) -> int:
    """The bytes of a row of so many numbers."""
    _, numbers, size = TYPES[kind]
    return row // numbers * size


def floats(raw: "Numbers", stored: str) -> "Floats":
    """What was read, as numbers of single precision."""
    import numpy as np

    if stored == "BF16":
        wide = raw.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    with np.errstate(over="ignore"):  # of F64; see ``refuse_overflow``
        return raw.astype(np.float32, copy=False)


def encode(raw: "Numbers", stored: str, kind: str) -> "Numbers":
    """Rows of numbers of the safetensors type ``stored`` as ggml's type ``kind``; what is of that
    type already stays as it is."""
    if stored == kind:
        return raw
    return pack(floats(raw, stored), kind)


def pack(numbers: "Floats", kind: str) -> "Numbers":
    """Rows of numbers as ggml's type ``kind``."""
    import numpy as np

    if kind == "F32":
        return numbers
    if kind == "Q8_0":
        return _q8_0(numbers)
    if kind == "F16":
        with np.errstate(over="ignore"):  # ``refuse_infinite`` says so with the tensor's name
            return numbers.astype(np.float16)
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    rounded = (bits >> 16) & 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    return rounded.astype(np.uint16)


def _q8_0(numbers: "Floats") -> "Bytes":
    import numpy as np

    blocks = numbers.reshape(-1, BLOCK)
    scale = np.maximum(blocks.max(axis=1), -blocks.min(axis=1))
    scale /= np.float32(127)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.float32(1) / scale
        inverse[~np.isfinite(inverse)] = 0
        halves = scale.astype(np.float16)
    scaled = blocks * inverse[:, None]
    scaled += np.copysign(np.float32(ALMOST_HALF), scaled)
    found = np.empty((len(blocks), 34), np.uint8)
    found[:, :2] = halves.view(np.uint8).reshape(-1, 2)
    found[:, 2:] = scaled.astype(np.int8).view(np.uint8)  # the cast cuts off towards zero
    return found.reshape(len(numbers), -1)


def unpack(found: "Numbers", kind: str) -> "Floats":
    """The numbers that rows of a written tensor stand for."""
    import numpy as np

    if kind != "Q8_0":
        return floats(found, kind)
    blocks = np.ascontiguousarray(found).reshape(-1, 34)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    whole = np.ascontiguousarray(blocks[:, 2:]).view(np.int8)
    return (scale * whole).reshape(len(found), -1)


def refuse_infinite(raw: "Numbers", stored: str, where: str) -> None:
    """Raises ``DamagedFile`` where one of the numbers that were read is infinite or none."""
    if _infinite(raw, stored):
        raise DamagedFile(
            f"{where} holds NaN or infinite numbers", "get the weights again: a model cannot run so"
        )


def refuse_overflow(packed: "Numbers", kind: str, where: str) -> None:
    """Raises ``Unsupported`` where a number was too large for ggml's type ``kind``."""
    scales = packed.reshape(-1, 34)[:, :2].copy().view("<u2") if kind == "Q8_0" else packed
    if _infinite(scales, "F16" if kind == "Q8_0" else kind):
        raise Unsupported(
            f"{where} holds numbers that are too large for {kind.lower()}",
            "--quant bf16 or --quant f32",
        )


def _infinite(raw: "Numbers", stored: str) -> bool:
    import numpy as np

    if stored == "F64":
        return not bool(np.isfinite(raw).all())
    kind, unsigned, limit = LIMITS[stored]
    bits = raw.view(kind)
    return bool(bits.size) and bool((bits & unsigned).max() >= limit)
