"""The frequencies of rotated positions, with the ways to stretch them to longer contexts.

Formulas: ``modeling_rope_utils.py`` of https://github.com/huggingface/transformers; llama3 as in
https://github.com/meta-llama/llama-models, YaRN https://arxiv.org/abs/2309.00071, LongRoPE
https://arxiv.org/abs/2402.13753.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llmrr.convert.verify.forward.design import Rope
from llmrr.errors import Unsupported


def rope_of(stated: Mapping[str, Any], dims: int, base: float, context: int | None) -> Rope:
    """``stated`` is ``rope_scaling`` or ``rope_parameters`` of config.json, ``dims`` how many
    dimensions of a head are rotated, ``context`` what the model was made for (which LongRoPE and
    YaRN take the factor from). Raises ``Unsupported`` for a kind of scaling that is not known."""
    kind = stated.get("rope_type") or stated.get("type") or "default"
    base = float(stated.get("rope_theta") or base)
    plain = [base ** (-2 * i / dims) for i in range(dims // 2)]
    if kind in ("default", "none", "dynamic"):  # dynamic: changes nothing up to the context
        return Rope(tuple(plain))
    if kind == "linear":
        return Rope(tuple(one / stated["factor"] for one in plain))
    if kind == "llama3":
        return Rope(tuple(_llama3(plain, stated)))
    if kind == "yarn":
        return _yarn(plain, base, stated, context)
    if kind in ("longrope", "su"):
        return _longrope(plain, stated, context)
    raise Unsupported(f"the rope scaling {str(kind)[:40]!r} is not known")


def _llama3(plain: Sequence[float], stated: Mapping[str, Any]) -> list[float]:
    factor, low, high = (stated[key] for key in ("factor", "low_freq_factor", "high_freq_factor"))
    original = stated["original_max_position_embeddings"]
    found = []
    for one in plain:
        turns = original * one / (2 * math.pi)  # in the original context
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        found.append((1 - share) * one / factor + share * one)
    return found


def _yarn(
    plain: Sequence[float], base: float, stated: Mapping[str, Any], context: int | None
) -> Rope:
    original = stated.get("original_max_position_embeddings") or context or 0
    factor = stated.get("factor") or (context or 0) / original
    dims = 2 * len(plain)

    def place(turns: float) -> float:
        return dims * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = place(stated.get("beta_fast") or 32), place(stated.get("beta_slow") or 1)
    if stated.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dims - 1)
    inverse = []
    for i, one in enumerate(plain):
        share = min(1.0, max(0.0, (i - low) / ((high - low) or 0.001)))
        inverse.append(share * one / factor + (1 - share) * one)
    return Rope(tuple(inverse), _yarn_scale(stated, factor))


def _yarn_scale(stated: Mapping[str, Any], factor: float) -> float:
    if (found := stated.get("attention_factor")) is not None:
        return float(found)

    def scale(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    one, all_ = stated.get("mscale"), stated.get("mscale_all_dim")
    return scale(one) / scale(all_) if one and all_ else scale(1.0)


def _longrope(plain: Sequence[float], stated: Mapping[str, Any], context: int | None) -> Rope:
    original = stated.get("original_max_position_embeddings") or context or 0
    factor = stated.get("factor") or (context or 0) / original
    scale = stated.get("attention_factor")
    if scale is None:
        scale = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    short, long = (
        tuple(one / by for one, by in zip(plain, stated[f"{key}_factor"], strict=True))
        for key in ("short", "long")
    )
    return Rope(short, float(scale), long)
