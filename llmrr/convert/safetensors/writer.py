"""Writes a safetensors file whose tensors come one after the other, so that one of them is in
memory at a time. https://huggingface.co/docs/safetensors#format"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llmrr.formats.tensors import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 64 << 20  # bytes that are handed over at once


def header(tensors: Iterable[Tensor], metadata: Mapping[str, str]) -> bytes:
    """The header of a file with these tensors in this order, padded to eight bytes."""
    table: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for one in tensors:
        table[one.name] = {
            "dtype": one.type, "shape": list(one.shape), "data_offsets": [end, end + one.bytes],
        }  # fmt: skip
        end += one.bytes
    raw = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


@contextmanager
def writing(
    path: Path, tensors: Iterable[Tensor], metadata: Mapping[str, str]
) -> Iterator[BinaryIO]:
    """A new file with its header; the tensors' bytes are to be written into it in order."""
    with path.open("xb") as out:
        out.write(header(tensors, metadata))
        yield out


def shard_name(number: int, count: int) -> str:
    """The name of one of ``count`` files.

    >>> shard_name(0, 1), shard_name(1, 3)
    ('model.safetensors', 'model-00002-of-00003.safetensors')
    """
    if count == 1:
        return "model.safetensors"
    return f"model-{number + 1:05d}-of-{count:05d}.safetensors"


def write_index(folder: Path, places: Mapping[str, str], size: int, count: int) -> None:
    """Write which file has which tensor, where there are several."""
    if count > 1:
        index = {"metadata": {"total_size": size}, "weight_map": dict(places)}
        text = json.dumps(index, indent=2) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def put(out: BinaryIO, array: "NDArray[np.generic]") -> None:
    """Write the items of a contiguous array."""
    flat = array.reshape(-1).view("u1").data
    for start in range(0, len(flat), BLOCK):
        out.write(flat[start : start + BLOCK])
