"""Phi-3 and Phi-4, which is built like it.

``src/models/phi3.cpp`` in llama.cpp; ``models/phi3`` in transformers.
"""

import math
from typing import Any

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.architectures.llama import (
    ACTIVATIONS,
    BLOCK,
    COMMON,
    LAYER,
    NORMS,
    OUTSIDE,
    slides,
    wide_heads,
)
from llmrr.convert.gguf.entry import Entry, Rule, only
from llmrr.convert.gguf.settings import Values

DEFAULTS = {
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 1.0,
    "tie_word_embeddings": False,
}
# The names that were there before transformers called it longrope, the last one wrongly.
LONG = ("longrope", "su", "yarn")


def _original(values: Values) -> int:
    return rope.original_context(values, rope.parameters(values))


def _factors(values: Values, key: str) -> tuple[float, ...]:
    found: Any = rope.parameters(values).get(key)
    size = rope.rotated_size(values) // 2
    numbers = isinstance(found, list) and all(isinstance(one, int | float) for one in found)
    if not numbers or len(found) != size:
        raise values.wrong(f"rope_scaling.{key}", found, f"{size} numbers belong")
    return tuple(map(float, found))


def _long_factors(values: Values) -> dict[str, tuple[float, ...]]:
    if rope.parameters(values)["rope_type"] not in LONG:
        return {}
    return {
        "rope_factors_long.weight": _factors(values, "long_factor"),
        "rope_factors_short.weight": _factors(values, "short_factor"),
    }


def _attention_factor(values: Values) -> float | None:
    """``_compute_longrope_parameters`` in modeling_rope_utils.py of transformers."""
    found = rope.parameters(values)
    if found["rope_type"] not in LONG:
        return None
    if "attention_factor" in found:
        return rope.number(values, found, "attention_factor")
    original = _original(values)
    scale = values.whole("max_position_embeddings") / original
    return math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0


def _window(values: Values) -> int:
    return values.whole("sliding_window") if values.get("sliding_window") else 0


ENTRIES = (
    Entry(
        name="phi3",
        classes=("Phi3ForCausalLM", "Phi3Model", "Phi4ForCausalLM"),
        model_types=("phi3",),
        defaults=DEFAULTS,
        keys={
            **{key: one for key, one in COMMON.items() if not key.startswith("rope.")},
            "rope.dimension_count": rope.rotated_size,
            "rope.freq_base": rope.base,
            "rope.scaling.original_context_length": _original,
            "rope.scaling.attn_factor": _attention_factor,
            "attention.sliding_window": _window,
        },
        rules=(
            *OUTSIDE,
            *NORMS,
            Rule(LAYER + "self_attn.qkv_proj.weight", BLOCK + "attn_qkv.weight", "q+2k d"),
            Rule(LAYER + "self_attn.o_proj.weight", BLOCK + "attn_output.weight", "d q"),
            Rule(LAYER + "mlp.gate_up_proj.weight", BLOCK + "ffn_up.weight", "2f d"),
            Rule(LAYER + "mlp.down_proj.weight", BLOCK + "ffn_down.weight", "d f"),
        ),
        refused=(only("hidden_act", *ACTIVATIONS), rope.refused(*LONG), wide_heads),
        notes=(slides,),
        made=_long_factors,
    ),
)
