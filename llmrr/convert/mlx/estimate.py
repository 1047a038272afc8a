"""What a conversion will take.

The figures were measured with mlx-lm 0.32 on two cores of a Linux machine, a Llama of 135 million
weights: on Apple silicon nothing is known of the time, and the memory is that of the CPU.
"""

import sys
from dataclasses import dataclass

from llmrr.convert.base import Source
from llmrr.convert.mlx.recipe import Recipe

SHARD = 5 << 30  # mlx-lm writes files of so many bytes, each from memory
START_SECONDS = 3.0  # transformers is imported
START_BYTES = 300 << 20
# Bytes of weights that are read per second, and bytes of memory per weight of the largest tensor.
RATES = {"affine": 170e6, "mxfp4": 23e6, "nvfp4": 23e6, "mxfp8": 100e6, "": 250e6}
SLOW_BITS, SLOW_RATE = frozenset({3, 5, 6}), 38e6  # which do not divide a word
SPREAD = {"affine": 6, "mxfp4": 44, "nvfp4": 80, "mxfp8": 8, "": 4}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of the result, bytes of memory, seconds; None where nothing is known."""

    bytes: int | None
    memory_bytes: int | None
    seconds: float | None


def estimate(source: Source, recipe: Recipe) -> Estimate:
    """What converting ``source`` takes."""
    if not source.tensors:
        return Estimate(None, None, None)
    size = sum(map(recipe.bytes_of, source.tensors))
    largest = max(one.elements for one in source.tensors)
    mode = recipe.mode or ""
    memory = START_BYTES + min(size, SHARD) + SPREAD[mode] * largest
    if sys.platform == "darwin":
        return Estimate(size, memory, None)
    rate = SLOW_RATE if mode == "affine" and recipe.bits in SLOW_BITS else RATES[mode]
    read = sum(one.bytes for one in source.tensors)
    return Estimate(size, memory, START_SECONDS + read / rate)
