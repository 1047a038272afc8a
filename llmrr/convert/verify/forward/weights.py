"""The weights of a Hugging Face model, read from safetensors as float32 by rows.

Nothing is kept: a matrix passes through in blocks, so that memory stays bounded however large the
model is.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.layout import of_file, of_folder
from llmrr.formats.messages import damaged
from llmrr.formats.safetensors_header import read_header
from llmrr.formats.source import FileSource, FolderFiles
from llmrr.formats.tensors import Tensor
from llmrr.types import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BLOCK_BYTES = 8 << 20  # of float32 that are read at once
DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies: its file, and the offset of its first byte."""

    path: Path
    offset: int
    tensor: Tensor


class Weights:
    """The tensors of a safetensors file, or of all those of a folder."""

    def __init__(self, path: Path) -> None:
        """Raises ``DamagedFile``, and ``Unsupported`` where the weights are no safetensors."""
        self.path = path

    @cached_property
    def _places(self) -> Mapping[str, _Place]:
        found: dict[str, _Place] = {}
        for file in _files(self.path):
            source = FileSource.of(file)
            tensors = read_header(source).tensors
            offset = source.size - sum(tensor.bytes for tensor in tensors)
            for tensor in tensors:
                found[_current(tensor.name)] = _Place(file, offset, tensor)
                offset += tensor.bytes
        return found

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def names(self) -> Sequence[str]:
        """All tensors."""
        return tuple(self._places)

    @property
    def types(self) -> frozenset[str]:
        """Those of all tensors."""
        return frozenset(place.tensor.type for place in self._places.values())

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def shape(self, name: str) -> tuple[int, ...]:
        """Rows first. Raises ``DamagedFile`` for a tensor that is not there."""
        return self._place(name).tensor.shape

    def whole(self, name: str) -> "Floats":
        """All of it, in its shape."""
        shape = self.shape(name)
        return self._read(name, 0, math.prod(shape)).reshape(shape)

    def rows(self, name: str, numbers: "Sequence[int] | NDArray[np.int64]") -> "Floats":
        """Some rows of a matrix."""
        import numpy as np

        width = math.prod(self.shape(name)[1:])
        return np.stack([self._read(name, int(number) * width, width) for number in numbers])

    def blocks(
        self, name: str, part: int | None = None, most: int | None = None
    ) -> Iterator[tuple[int, "Floats"]]:
        """A matrix from its first row to its last, or only its ``most`` first ones, each block with
        the number of its first row. ``part`` is which of the matrices to take where several are
        stacked to one tensor."""
        shape = self.shape(name)
        count, *inner = shape if part is None else shape[1:]
        width = math.prod(inner)
        first = (part or 0) * count * width
        step = max(1, BLOCK_BYTES // (4 * max(1, width)))
        end = count if most is None else min(count, most)
        for start in range(0, end, step):
            rows = min(step, end - start)
            found = self._read(name, first + start * width, rows * width)
            yield start, found.reshape(rows, *inner)

    def _place(self, name: str) -> _Place:
        place = self._places.get(name)
        if place is None:
            raise DamagedFile(
                f"{self.path} has no tensor {name!r}, which its architecture needs",
                "get the model again, whole",
            )
        return place

    def _read(self, name: str, start: int, count: int) -> "Floats":
        """``count`` numbers from the number ``start`` on. They are read, not mapped: what is mapped
        stays in memory as long as there is room."""
        import numpy as np

        place = self._place(name)
        dtype = DTYPES.get(place.tensor.type)
        if dtype is None:
            raise Unsupported(
                f"{name!r} has the type {place.tensor.type}, which is no plain number"
            )
        size = np.dtype(dtype).itemsize
        raw = FileSource.of(place.path).read(place.offset + start * size, count * size)
        if len(raw) != count * size:
            raise damaged(place.path, f"it ended while {name[:99]!r} was read")
        return _as_float32(np.frombuffer(raw, dtype), place.tensor.type)


def _current(name: str) -> str:
    """The name as it is today: BERT's norms came with those of TensorFlow.

    >>> _current("bert.embeddings.LayerNorm.gamma")
    'bert.embeddings.LayerNorm.weight'
    """
    parts = ((".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias"))
    for old, new in parts:
        name = name.replace(old, new)
    return name


def _as_float32(raw: Any, type_: str) -> "Floats":
    import numpy as np

    if type_ == "BF16":  # the upper half of a float32
        wide = raw.astype(np.uint32)
        wide <<= 16
        found: Floats = wide.view(np.float32)
        return found
    return np.ascontiguousarray(raw, np.float32)


def _files(path: Path) -> Sequence[Path]:
    folder = path if path.is_dir() else path.parent
    files = FolderFiles(folder, depth=2 if path.is_dir() else 0)
    layout = of_folder(files) if path.is_dir() else of_file(files, path.name)
    if layout.format is not Format.SAFETENSORS or layout.adapter:
        raise Unsupported(f"{path} has no weights in safetensors of Hugging Face")
    return [folder / name for name in layout.weights]
