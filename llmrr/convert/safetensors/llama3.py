"""Llama 3's scaling of positions, told from the factors that a GGUF file has of it.

``_compute_llama3_parameters`` in modeling_rope_utils.py of transformers: a frequency of wavelength
w is divided by ``factor`` where the trained length T is below ``low`` of them, by 1 where it is
above ``high``, and between by 1 / ((1 - s) / factor + s) with s = (T / w - low) / (high - low).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

# factor, low, high, trained: those that Meta published.
PUBLISHED = ((8.0, 1.0, 4.0, 8192), (32.0, 1.0, 4.0, 8192), (16.0, 1.0, 1.0, 8192))
ENDS = 1e-4  # a factor this close to 1, or to the largest, is one of the ends


def candidates(factors: Sequence[float], theta: float) -> Iterator[dict[str, Any]]:
    """The settings that may have led to ``factors``, one for each frequency of the base ``theta``:
    the published ones, and what the factors in the middle say."""
    for factor, low, high, trained in PUBLISHED:
        yield _settings(factor, low, high, trained)
    yield from _solved(factors, theta)


def _solved(factors: Sequence[float], theta: float) -> Iterator[dict[str, Any]]:
    """s is a line over 1 / w: a / w + b, with a = T / (high - low) and b = -low / (high - low). All
    three can be multiplied by the same number, so low is 1."""
    factor = max(factors, default=1.0)
    middle = [
        (1 / _wavelength(at, len(factors), theta), (1 / one - 1 / factor) / (1 - 1 / factor))
        for at, one in enumerate(factors)
        if 1 + ENDS < one < factor * (1 - ENDS)
    ]
    if len(middle) < 2:
        return
    (x, s), (last_x, last_s) = middle[0], middle[-1]
    a = (s - last_s) / (x - last_x)
    b = s - a * x
    if a > 0 > b:
        high = 1 - 1 / b
        yield _settings(_round(factor), 1.0, _round(high), max(1, round(a * (high - 1))))


def _wavelength(at: int, count: int, theta: float) -> float:
    return float(2 * math.pi * theta ** (at / count))


def _round(number: float) -> float:
    """Single precision has no more digits, and what was stated few."""
    return float(f"{number:.4g}")


def _settings(factor: float, low: float, high: float, trained: int) -> dict[str, Any]:
    return {
        "rope_type": "llama3", "factor": factor, "low_freq_factor": low,
        "high_freq_factor": high, "original_max_position_embeddings": trained,
    }  # fmt: skip
