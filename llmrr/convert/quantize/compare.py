"""Compares the numbers of a quantized file with those of its source, without llama.cpp.

What keeps its type must be the same to the last bit. Of what became another type a sample of rows
is read back and compared: all of a tensor of up to ``SAMPLE`` numbers, else ``RUNS`` runs of rows,
evenly spread from the first row to the last, of that many numbers in all.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmrr.convert.quantize.dequantize import floats, row_bytes, rows
from llmrr.formats.gguf_header import Header, TensorInfo

if TYPE_CHECKING:
    import numpy as np

SAMPLE = 1 << 18  # numbers of a tensor
RUNS = 16
BLOCK = 1 << 24  # bytes that are compared at once
# The largest error that a sound result may have, by type: the root mean square of what is lost over
# that of the weights. Measured with ggml's own quantizers on sixteen rows of 1024 numbers of many
# distributions (normal, Laplace, Student's t with 3 and 1.5 degrees of freedom, uniform, ternary,
# shifted, single columns or rows far larger), without importances, with log-normal ones and with
# a fiftieth of them a million times the rest; the worst of these and a quarter more, and never as
# much as the 1 that a tensor of zeros has. On normal weights the errors are a third to a half.
BOUNDS = {
    "F16": 0.001, "BF16": 0.004, "Q8_0": 0.02, "Q6_K": 0.1, "Q5_K": 0.26, "Q5_1": 0.26,
    "Q5_0": 0.19, "Q4_K": 0.41, "Q4_1": 0.2, "Q4_0": 0.2, "IQ4_NL": 0.6, "IQ4_XS": 0.6,
    "MXFP4": 0.3, "NVFP4": 0.3, "Q3_K": 0.3, "IQ3_S": 0.95, "IQ3_XXS": 0.9, "Q2_K": 0.8,
    "IQ2_S": 0.95, "IQ2_XS": 0.95, "IQ2_XXS": 0.97, "Q2_0": 0.95, "TQ2_0": 0.98, "TQ1_0": 0.98,
    "IQ1_M": 0.98, "IQ1_S": 0.98, "Q1_0": 0.98,
}  # fmt: skip
# Scales are half precision, and those of K-quants are multiplied by up to 63 times 15: weights
# smaller than this on average may be lost to the smallest step that there is.
SMALLEST = 3e-5


@dataclass(frozen=True, slots=True)
class Error:
    """How far a tensor of the result is from its source; ``relative`` None: it cannot be read."""

    name: str
    type: str
    relative: float | None
    allowed: bool


def errors(
    source: Sequence[Header], result: Sequence[Header], names: Mapping[str, str]
) -> Iterator[Error]:
    places = {tensor.name: (part, tensor) for part in result for tensor in part.tensors}
    for part in source:
        for tensor in part.tensors:
            if tensor.name in names:
                yield _error(part, tensor, *places[names[tensor.name]])


def _error(old: Header, was: TensorInfo, new: Header, became: TensorInfo) -> Error:
    if was.type == became.type:
        same = _same_bytes(old, was, new, became)
        return Error(became.name, became.type_name, 0.0 if same else math.inf, same)
    lost = size = numbers = 0.0
    try:
        for first, count in _runs(was):
            before = floats(rows(old, was, first, count), was.type_name).astype("f8")
            after = floats(rows(new, became, first, count), became.type_name).astype("f8")
            lost += _squares(after - before)
            size += _squares(before)
            numbers += before.size
    except NotImplementedError:
        return Error(became.name, became.type_name, None, True)
    floor = SMALLEST * math.sqrt(numbers)
    allowed = math.sqrt(lost) <= BOUNDS.get(became.type_name, 1e-6) * math.sqrt(size) + floor
    relative = math.sqrt(lost / size) if size else 0.0 if lost == 0 else math.inf
    return Error(became.name, became.type_name, relative, allowed and math.isfinite(lost))


def _squares(values: "np.ndarray[Any, Any]") -> float:
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.vdot(values, values))


def _runs(tensor: TensorInfo) -> Iterator[tuple[int, int]]:
    """First row and number of rows of what is compared."""
    width = tensor.dims[0]
    total = tensor.elements // width
    if tensor.elements <= SAMPLE or total <= RUNS:
        yield 0, total
        return
    length = min(max(1, SAMPLE // width // RUNS), total // RUNS)
    last = total - length
    yield from ((last * run // (RUNS - 1), length) for run in range(RUNS))


def _same_bytes(old: Header, was: TensorInfo, new: Header, became: TensorInfo) -> bool:
    width = row_bytes(was)
    total, step = was.elements // was.dims[0], max(1, BLOCK // width)
    return all(
        (rows(old, was, first, min(step, total - first))
         == rows(new, became, first, min(step, total - first))).all()
        for first in range(0, total, step)
    )  # fmt: skip
