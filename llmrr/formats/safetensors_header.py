"""The header of a safetensors file: eight bytes with its length, then JSON with the type, shape and
place of every tensor. https://huggingface.co/docs/safetensors#format

The rules are those of its own library: tensors follow each other without gaps up to the end.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from llmrr.formats.json_file import parse_object
from llmrr.formats.messages import damaged
from llmrr.formats.source import Source
from llmrr.formats.tensors import BITS, Tensor

MAX_HEADER = 16 << 20  # the library allows 100 MB; what exists stays below a tenth of this
MAX_ITEMS = 400_000  # eight for each tensor
MAX_DIMENSIONS = 64
FIRST = 1 << 16  # read at once, as most headers are shorter
ONLY_ONNX = frozenset({"C128", "U4", "I4", "U2", "I2"})


class Header(NamedTuple):
    """The tensors in the order of their bytes, and what stands under ``__metadata__``."""

    tensors: tuple[Tensor, ...]
    metadata: Mapping[str, str]


def read_header(source: Source) -> Header:
    """Read and check the header of ``source``. Raises ``DamagedFile``."""
    start = source.read(0, FIRST)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 or length > source.size - 8:
        raise damaged(source, f"it ends inside its header, after {source.size} bytes")
    if length > MAX_HEADER:
        raise damaged(source, f"its header claims {length} bytes, where {MAX_HEADER} are allowed")
    raw = start[8 : 8 + length]
    if len(raw) < length:
        raw += source.read(8 + len(raw), length - len(raw))
    table = parse_object(raw, source, distinct=True, items=MAX_ITEMS)
    metadata = _metadata(source, table.pop("__metadata__", None))
    placed = sorted(_placed(source, name, value) for name, value in table.items())
    end = 0
    for begin, after, tensor in placed:
        if begin != end:
            raise damaged(source, f"{tensor.name[:99]!r} begins at {begin}, where {end} is next")
        end = after
    if end != source.size - 8 - length:
        found = source.size - 8 - length
        raise damaged(source, f"its tensors take {end} bytes, and {found} follow its header")
    return Header(tuple(tensor for _, _, tensor in placed), metadata)


def _metadata(source: Source, value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return value
    raise damaged(source, "its __metadata__ is not a table of texts")


def _placed(source: Source, name: str, value: Any) -> tuple[int, int, Tensor]:
    """A tensor with where it begins and ends."""
    shown = repr(name[:99])
    stated = value if isinstance(value, dict) else {}
    kind, shape, place = (stated.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or kind not in BITS or kind in ONLY_ONNX:
        raise damaged(source, f"{shown} has the type {str(kind)[:20]!r}, which is none")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not _numbers(shape):
        raise damaged(source, f"{shown} has an impossible shape")
    if not isinstance(place, list) or len(place) != 2 or not _numbers(place):
        raise damaged(source, f"{shown} does not say where it lies")
    begin, end = place
    tensor = Tensor(name, kind, tuple(shape), end - begin)
    if tensor.elements * BITS[kind] != 8 * tensor.bytes:
        raise damaged(source, f"{shown} has {tensor.bytes} bytes, which is not its shape of {kind}")
    return begin, end, tensor


def _numbers(values: list[Any]) -> bool:
    return all(type(one) is int and 0 <= one < 2**63 for one in values)
