"""What quantizing takes, told before it is done."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from llmrr.convert.quantize.table import QuantType
from llmrr.convert.verify.quality import tokens_for
from llmrr.evaluate.texts import WINDOW
from llmrr.formats.tensors import Tensor

# Weights a second on one core with AVX-512, without and with an importance matrix: measured with
# 20 M random weights, all of one type. What is not here takes no longer than reading it.
RATES: Final[Mapping[str, tuple[float, float]]] = {
    "Q6_K": (42e6, 41e6), "Q5_K": (25e6, 12e6), "Q5_1": (1e9, 13e6), "Q5_0": (1e9, 50e6),
    "Q4_K": (21e6, 12e6), "Q4_1": (1e9, 13e6), "Q4_0": (1e9, 50e6), "IQ4_NL": (6e6, 6e6),
    "IQ4_XS": (6e6, 6e6), "Q3_K": (111e6, 35e6), "IQ3_S": (3.7e6, 3.8e6),
    "IQ3_XXS": (2.7e6, 2.7e6), "Q2_K": (23e6, 10e6), "IQ2_S": (2.8e6, 2.8e6),
    "IQ2_XS": (1.7e6, 1.7e6), "IQ2_XXS": (3.2e6, 3.2e6), "IQ1_M": (2.1e6, 2.1e6),
    "IQ1_S": (1.9e6, 1.9e6),
}  # fmt: skip
READ: Final = 200e6  # weights a second that are read and written: 135 M from BF16 to F16 in 0.66 s
CHECKED: Final = 330e6  # weights a second that are read back and compared, on one core
START: Final = 0.3  # seconds: what 5 MB take
# Weights times tokens a second on one core: both sides of 135 M on two took 9.6 s.
COMPUTED: Final = 6.4e10
TEXT: Final = 4600  # tokens of the texts whose predictions are compared, about
BYTES_PER_TOKEN: Final = 4  # of a text for calibration, about


class Part(NamedTuple):
    """A tensor, as far as time hangs on it: how many weights, and what they become."""

    elements: int
    type: str


def seconds(
    parts: Iterable[Part], threads: int, *, has_imatrix: bool, calibration: int, verifies: bool
) -> float:
    """How long it takes; ``calibration`` is how many bytes of text a matrix is computed from. Of
    models with experts less is computed than this counts."""
    total, quantizing = 0, 0.0
    for part in parts:
        total += part.elements
        if rates := RATES.get(part.type):
            quantizing += part.elements / rates[has_imatrix]
    tokens, checking = calibration / BYTES_PER_TOKEN, 0.0
    if verifies:
        tokens += 2 * min(TEXT, max(WINDOW, tokens_for(total)))
        checking = total / CHECKED
    computing = tokens * total / COMPUTED
    return START + total / READ + checking + (quantizing + computing) / threads


def supposed(tensors: Iterable[Tensor], kind: QuantType) -> list[Part]:
    """The tensors of a file that an earlier step is yet to make: matrices get the type that most
    of them will."""
    return [
        Part(one.elements, kind.tensor if len(one.shape) > 1 else "F32") for one in tensors
    ]
