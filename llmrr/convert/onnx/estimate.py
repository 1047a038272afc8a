"""What an export will take, before it is begun."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from llmrr.formats.tensors import FLOATS, INPUT, Tensor

# Bytes of a number in a matrix, in the token table, and in what has one dimension.
SIZES: Final = {
    "fp32": (4.0, 4, 4), "fp16": (2.0, 2, 2), "int8": (1.0, 1, 4), "q4": (0.5, 4, 4),
    "q4f16": (0.5, 2, 2),
}  # fmt: skip
GRAPH_BYTES: Final = 4000  # of nodes, for each tensor
# Measured with Llama of 135 M parameters on two cores of a server, torch 2.13, optimum-onnx 0.1.0:
# peaks of 2.9 GB in single and 2.0 GB in half precision, 12 to 33 s to export and 10 to 12 s to
# compare, of which 8 s for starting twice.
STARTED_BYTES: Final = 400_000_000
PEAK: Final = {4: 4.7, 2: 5.9}  # times the weights, by bytes of a number as they are exported
START_SECONDS: Final = 8.0
SECONDS: Final = 60e-9  # for each byte of the weights in single precision


class Estimate(NamedTuple):
    """Bytes of the result, peak of memory, seconds; None where the tensors are not known yet."""

    bytes: int | None
    memory_bytes: int | None
    seconds: float | None


def estimate(tensors: Sequence[Tensor], quant: str, group: int, *, writes: bool) -> Estimate:
    """What ``tensors`` will take as ``quant``; of a model that ``writes`` text, the token table
    also stands for a matrix of the output that is not there."""
    floats = [one for one in tensors if one.type in FLOATS]
    if not floats:
        return Estimate(None, None, None)
    tied = list(_tied(floats)) if writes and quant not in ("fp32", "fp16") else []
    size = sum(GRAPH_BYTES + _bytes(one, quant, group) for one in floats)
    size += sum(_bytes(one._replace(name="lm_head.weight"), quant, group) for one in tied)
    count = sum(one.elements for one in floats)
    width = 2 if quant in ("fp16", "q4f16") else 4
    memory = STARTED_BYTES + int(PEAK[width] * width * count)
    return Estimate(int(size), memory, START_SECONDS + SECONDS * 4 * count)


def _bytes(one: Tensor, quant: str, group: int) -> float:
    matrix, table, other = SIZES[quant]
    if len(one.shape) < 2:
        return one.elements * other
    if INPUT.search(one.name):
        return one.elements * table
    scales = (other + 0.5) / group if quant.startswith("q4") else 0
    return one.elements * (matrix + scales)


def _tied(tensors: Iterable[Tensor]) -> Iterable[Tensor]:
    """The largest table, where no output of that shape stands beside it."""
    large = [one for one in tensors if len(one.shape) == 2]
    table = max((one for one in large if INPUT.search(one.name)), key=lambda x: x.elements,
                default=None)  # fmt: skip
    same = [one for one in large if table and one.shape == table.shape]
    return same if len(same) == 1 else []
