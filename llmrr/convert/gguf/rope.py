"""Rotary positions: the same settings in the places where configurations keep them, and what
llama.cpp is told of them.

``rope_parameters`` (of all layers, or of each kind of layer) is what transformers 5 writes,
``rope_theta`` and ``rope_scaling`` what was written before.
https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from llmrr.convert.gguf.settings import Values

FULL, SLIDING = "full_attention", "sliding_attention"


def parameters(values: Values, kind: str = FULL) -> dict[str, Any]:
    """What holds for layers of this ``kind``, with ``rope_type`` and ``rope_theta``."""
    found = values.table("rope_parameters") or values.table("rope_scaling")
    if FULL in found or SLIDING in found:
        inner = found.get(kind)
        found = inner if isinstance(inner, dict) else {}
    found = {key: one for key, one in found.items() if one is not None}
    found["rope_type"] = str(found.get("rope_type", found.get("type", "default"))).lower()
    found.setdefault("rope_theta", values.get("rope_theta", 10000.0))
    return found


def number(
    values: Values, found: Mapping[str, Any], key: str, default: float | None = None
) -> float:
    """A number of ``parameters``. Raises ``DamagedFile`` for something else."""
    one = found.get(key, values.get(key, default))
    if isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one):
        return float(one)
    raise values.wrong(f"rope_parameters.{key}", one, "a number belongs")


def rotated_size(values: Values) -> int:
    """How many numbers of a head are rotated."""
    return int(values.head * number(values, parameters(values), "partial_rotary_factor", 1.0))


def base(values: Values) -> float:
    """The base of the frequencies."""
    return number(values, parameters(values), "rope_theta")


def local_base(values: Values) -> float:
    """The base of the frequencies in layers that slide."""
    if SLIDING in values.table("rope_parameters"):
        return number(values, parameters(values, SLIDING), "rope_theta")
    return values.real("rope_local_base_freq")


def _of(kinds: tuple[str, ...], read: Callable[[Values, dict[str, Any]], Any]) -> Any:
    def key(values: Values) -> Any:
        found = parameters(values)
        return read(values, found) if found["rope_type"] in kinds else None

    return key


def _optional(*names: str) -> Callable[[Values, dict[str, Any]], float | None]:
    def read(values: Values, found: dict[str, Any]) -> float | None:
        key = next((name for name in names if name in found), None)
        return None if key is None else number(values, found, key)

    return read


def original_context(values: Values, found: dict[str, Any]) -> int:
    """The length of context before it was extended."""
    context = values.get("max_position_embeddings")
    return int(number(values, found, "original_max_position_embeddings", context))


NAMES = {"linear": "linear", "yarn": "yarn", "longrope": "longrope", "su": "longrope"}
# What an entry with rotary positions has among its keys.
KEYS: dict[str, Callable[[Values], Any]] = {
    "rope.freq_base": base,
    "rope.scaling.type": _of(tuple(NAMES), lambda values, found: NAMES[found["rope_type"]]),
    "rope.scaling.factor": _of(("linear", "yarn"), lambda v, found: number(v, found, "factor")),
    "rope.scaling.original_context_length": _of(("yarn",), original_context),
    "rope.scaling.yarn_ext_factor": _of(("yarn",), _optional("extrapolation_factor")),
    "rope.scaling.yarn_attn_factor": _of(("yarn",), _optional("attention_factor", "attn_factor")),
    "rope.scaling.yarn_beta_fast": _of(("yarn",), _optional("beta_fast")),
    "rope.scaling.yarn_beta_slow": _of(("yarn",), _optional("beta_slow")),
}


def refused(*kinds: str) -> Callable[[Values], str | None]:
    """Refuses all kinds of scaling but ``kinds`` and none."""

    def refuse(values: Values) -> str | None:
        found = parameters(values)["rope_type"]
        return None if found in ("default", *kinds) else f"rotary scaling of the type {found!r}"

    return refuse


def dynamic(values: Values) -> str | None:
    """llama.cpp has no scaling that begins where the trained context ends."""
    if parameters(values)["rope_type"] != "dynamic":
        return None
    trained = values.get("max_position_embeddings")
    return f"dynamic scaling of positions, which begins after {trained} tokens, is left out"


def frequencies(values: Values) -> dict[str, tuple[float, ...]]:
    """Llama 3's scaling as the tensor that llama.cpp divides its frequencies by.

    ``_compute_llama3_parameters`` in modeling_rope_utils.py of transformers.
    """
    found = parameters(values)
    if found["rope_type"] != "llama3":
        return {}
    import numpy as np

    factor = number(values, found, "factor", 8.0)
    low = number(values, found, "low_freq_factor", 1.0)
    high = number(values, found, "high_freq_factor", 4.0)
    trained = number(values, found, "original_max_position_embeddings", 8192)
    size = values.head
    exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    waves = 2 * np.pi * np.power(np.float32(base(values)), exponents)
    with np.errstate(divide="ignore", invalid="ignore"):  # low = high: nothing between them
        smooth = np.clip((trained / waves - low) / (high - low), 0, 1)
    factors = np.where(
        waves < trained / high,
        1.0,
        np.where(waves > trained / low, factor, 1 / ((1 - smooth) / factor + smooth)),
    )
    return {"rope_freqs.weight": tuple(map(float, factors))}
