"""The check of what was written: every tensor is read back and compared with its source.

The file is read with ``formats.gguf`` and both sides through memory maps, by numpy's own indexing,
so that nothing of how it was written takes part but the order of rows and the encoding.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.convert.base import Check, Told
from llmrr.convert.gguf.encoding import STORED, encode, floats, row_bytes, unpack
from llmrr.convert.gguf.planning import Written
from llmrr.convert.gguf.rows import CHUNK
from llmrr.convert.gguf.settings import Values
from llmrr.convert.gguf.weights import Place
from llmrr.formats.gguf import read_header
from llmrr.formats.gguf_header import Header

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[Any]

NAME = "tensors"
DROP = 16 << 20  # bytes after which the pages of the maps are let go


def compare(
    target: Path, tensors: Sequence[Written], values: Values, found: dict[str, Place], told: Told
) -> Check:
    """Every tensor of the file at ``target`` against ``tensors`` and the sources at ``found``."""
    header = read_header(target)
    if why := _table(header, tensors):
        return Check(NAME, False, why)
    total, done, worst = sum(one.bytes for one in tensors), 0, 0.0
    offsets = {info.name: header.data_offset + info.offset for info in header.tensors}
    maps = _Maps(target, found)
    for one in tensors:
        start = offsets[one.name]
        for raw, stored in _expected(one, values, maps):
            size = raw.shape[0] * row_bytes(one.kind, raw.shape[-1])
            error = _error(one, raw, stored, maps.target(start, size))
            if error is None:
                return Check(NAME, False, f"{one.name} differs from its source")
            worst = max(worst, error)
            start, done = start + size, done + size
            told(one.name, done, total)
    exact = "every number as it was" if not worst else f"off by at most {worst:.2f} of a step"
    return Check(NAME, True, f"{len(tensors)} tensors read back, {total} bytes: {exact}")


def _table(header: Header, tensors: Sequence[Written]) -> str | None:
    """What is wrong with names, types and shapes, if anything."""
    there = {info.name: (info.dims, info.type_name) for info in header.tensors}
    wanted = {one.name: (one.shape[::-1], one.kind) for one in tensors}
    if there == wanted:
        return None
    name = min(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))
    return f"{name} is {there.get(name, 'missing')}, where {wanted.get(name, 'nothing')} belongs"


def _error(one: Written, raw: "Numbers", stored: str, written: "Numbers") -> float | None:
    """By how many steps of the type the written rows are off, 0 where all bits are right; None for
    more than the type explains."""
    import numpy as np

    if one.rule and one.rule.change:
        raw, stored = one.rule.change(floats(raw, stored)), "F32"
    packed = encode(raw, stored, one.kind)
    if not np.array_equal(packed.reshape(-1).view(np.uint8), written):
        return None
    if one.kind != "Q8_0":
        return 0.0
    blocks = floats(raw, stored).reshape(-1, 32)
    step = np.abs(blocks).max(axis=1) / 127
    off = np.abs(unpack(written.reshape(len(raw), -1), "Q8_0").reshape(-1, 32) - blocks).max(axis=1)
    # Half a step by rounding; the scale in half precision is off by 2**-11, 127 times, or by 2**-25
    # where it is too small for that precision.
    bound = step * (0.5 + 127 * 2.0**-11) + 127 * 2.0**-25
    if (off > bound * 1.001).any():
        return None
    return float((off / np.where(step == 0, 1, step)).max()) if len(step) else 0.0


def _expected(
    one: Written, values: Values, maps: "_Maps"
) -> Iterator["tuple[Numbers, str]"]:
    """The rows of the sources in the order of the file, with their safetensors type."""
    import numpy as np

    if one.rule is None:
        yield np.array([one.values], np.float32), "F32"
        return
    for source in one.sources:
        whole = maps.source(source.name)
        if whole.ndim == 1:
            picked = whole if one.rule.rows is None else whole[one.rule.rows(values, len(whole))]
            yield picked.reshape(1, -1), source.type
            continue
        count = one.rule.dealt
        matrices = whole.reshape(-1, *whole.shape[-2:])
        if count > 1:
            matrices = np.moveaxis(whole.reshape(len(whole), -1, count), 2, 0)
        for matrix in matrices:
            matrix = matrix.T if one.rule.transposed else matrix
            order = one.rule.rows(values, len(matrix)) if one.rule.rows else None
            step = max(1, CHUNK // matrix.shape[1])
            for start in range(0, len(matrix) if order is None else len(order), step):
                rows = slice(start, start + step)
                wanted = matrix[rows] if order is None else matrix[order[rows]]
                yield np.ascontiguousarray(wanted), source.type


class _Maps:
    """Memory maps of the file that was written and of the sources, whose pages are let go again:
    they would count as memory of this process."""

    def __init__(self, target: Path, found: dict[str, Place]) -> None:
        self._found, self._used = found, 0
        self._open: dict[Path, mmap.mmap] = {}
        self._target = target

    def source(self, name: str) -> "Numbers":
        """A tensor of the checkpoint, as it lies in its file."""
        import numpy as np

        place = self._found[name]
        kind = np.dtype(STORED[place.tensor.type])
        flat = np.frombuffer(self._map(place.path), kind, place.tensor.elements, place.offset)
        return flat.reshape(place.tensor.shape)

    def target(self, start: int, size: int) -> "Numbers":
        """Bytes of the file that was written."""
        import numpy as np

        self._let_go(size)
        return np.frombuffer(self._map(self._target), np.uint8, size, start)

    def _map(self, path: Path) -> mmap.mmap:
        if path not in self._open:
            with path.open("rb") as file:
                self._open[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._open[path]

    def _let_go(self, size: int) -> None:
        self._used += size
        if self._used >= DROP and hasattr(mmap, "MADV_DONTNEED"):
            self._used = 0
            for one in self._open.values():
                one.madvise(mmap.MADV_DONTNEED)
