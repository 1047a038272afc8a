"""The rows of a tensor that is written, a chunk at a time, read from its sources in bounded memory:
a chunk, and whole matrices only where they are stored transposed."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llmrr.convert.gguf.encoding import STORED, encode, floats, pack
from llmrr.convert.gguf.planning import Written
from llmrr.convert.gguf.settings import Values
from llmrr.convert.gguf.weights import Reader
from llmrr.formats.tensors import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[Any]
    Order = NDArray[np.int64]

CHUNK = 1 << 20  # numbers that are read and encoded at once: 2 to 4 MB, which a cache holds


def chunks(written: Written, values: Values, reader: Reader) -> Iterator["tuple[Numbers, str]"]:
    """The numbers of ``written`` in rows, in order, each chunk with the safetensors type that it is
    of."""
    import numpy as np

    if not written.sources:
        yield np.array([written.values], np.float32), "F32"
    for source in written.sources:
        yield from ((raw, source.type) for raw in _of(source, written, values, reader))


def encoded(raw: "Numbers", stored: str, written: Written) -> "Numbers":
    """A chunk as it is written."""
    if written.rule is None or written.rule.change is None:
        return encode(raw, stored, written.kind)
    return pack(written.rule.change(floats(raw, stored)), written.kind)


def _of(
    source: Tensor, written: Written, values: Values, reader: Reader
) -> Iterator["Numbers"]:
    rule = written.rule
    assert rule is not None
    *outer, rows, width = (1, 1, *source.shape) if len(source.shape) == 1 else source.shape
    if rule.transposed:
        rows, width = width, rows
    flat = len(source.shape) == 1
    if flat and rule.rows:
        rows, width = width, rows  # numbers are picked, not rows
    order = rule.rows(values, rows) if rule.rows else None
    if rule.dealt > 1:
        yield from _dealt(_read(source, 0, rows, width, reader), rule.dealt, order)
        return
    for matrix in range(math.prod(outer)):
        if rule.transposed:
            found = _transposed(source, matrix, rows, width, reader, order)
        elif order is None:
            found = _straight(source, matrix * rows, rows, width, reader)
        else:
            found = _picked(source, matrix * rows, width, reader, order)
        yield from (raw.reshape(1, -1) for raw in found) if flat else found


def _read(source: Tensor, first: int, rows: int, width: int, reader: Reader) -> "Numbers":
    """``rows`` rows from the row ``first`` on."""
    import numpy as np

    raw = np.empty((rows, width), STORED[source.type])
    size = raw.itemsize
    reader.fill(source.name, first * width * size, raw.reshape(-1).view(np.uint8).data)
    return raw


def _straight(
    source: Tensor, first: int, rows: int, width: int, reader: Reader
) -> Iterator["Numbers"]:
    step = max(1, CHUNK // width)
    for start in range(0, rows, step):
        yield _read(source, first + start, min(step, rows - start), width, reader)


def _picked(
    source: Tensor, first: int, width: int, reader: Reader, order: "Order"
) -> Iterator["Numbers"]:
    """Rows in another order. They lie close to each other, in one head, so what lies between the
    first and the last one of a chunk is read at once."""
    step = max(1, CHUNK // width)
    for start in range(0, len(order), step):
        wanted = order[start : start + step]
        low, high = int(wanted.min()), int(wanted.max())
        yield _read(source, first + low, high - low + 1, width, reader)[wanted - low]


def _dealt(
    whole: "Numbers", count: int, order: "Order | None"
) -> Iterator["Numbers"]:
    import numpy as np

    for first in range(count):
        part = whole[:, first::count]
        yield np.ascontiguousarray(part if order is None else part[order])


def _transposed(
    source: Tensor, matrix: int, rows: int, width: int, reader: Reader, order: "Order | None"
) -> Iterator["Numbers"]:
    import numpy as np

    whole = _read(source, matrix * width, width, rows, reader).T
    step = max(1, CHUNK // width)
    for start in range(0, rows if order is None else len(order), step):
        wanted = slice(start, start + step) if order is None else order[start : start + step]
        yield np.ascontiguousarray(whole[wanted])
