"""Granite, dense and with experts.

``src/models/granite.cpp`` in llama.cpp; ``models/granite*`` in transformers.
"""

from collections.abc import Callable

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.architectures.llama import (
    BLOCK,
    COMMON,
    DEFAULTS,
    FEED_FORWARD,
    FEED_FORWARD_BIASES,
    LAYER,
    NORMS,
    OUTSIDE,
    REFUSED,
    attention,
    attention_biases,
    head,
    wide_heads,
)
from llmrr.convert.gguf.entry import Entry, Key, Rule, half
from llmrr.convert.gguf.settings import Values, expert_sizes

MULTIPLIERS = {
    **DEFAULTS,
    "embedding_multiplier": 1.0,
    "logits_scaling": 1.0,
    "residual_multiplier": 1.0,
    "attention_multiplier": 1.0,
}


def _multiplier(key: str) -> Callable[[Values], float | None]:
    """llama.cpp takes a 0 for nothing stated."""
    return lambda values: values.real(key) or None


def _head_if_wide(values: Values) -> int | None:
    return values.head if wide_heads(values) else None


KEYS: dict[str, Key] = {
    **COMMON,
    "vocab_size": "vocab_size",
    "rope.dimension_count": head,
    "attention.key_length": _head_if_wide,
    "attention.value_length": _head_if_wide,
    "attention.scale": _multiplier("attention_multiplier"),
    "embedding_scale": _multiplier("embedding_multiplier"),
    "residual_scale": _multiplier("residual_multiplier"),
    "logit_scale": _multiplier("logits_scaling"),
}
SPARSE, SHARED = LAYER + "block_sparse_moe.", LAYER + "shared_mlp."
EXPERTS = (
    Rule(SPARSE + "router.layer.weight", BLOCK + "ffn_gate_inp.weight", "e d"),
    Rule(SPARSE + "input_linear.weight", BLOCK + "ffn_gate_exps.weight", "e 2x d", half(0)),
    Rule(SPARSE + "input_linear.weight", BLOCK + "ffn_up_exps.weight", "e 2x d", half(1)),
    Rule(SPARSE + "output_linear.weight", BLOCK + "ffn_down_exps.weight", "e d x"),
)
SHARED_EXPERT = (
    Rule(SHARED + "input_linear.weight", BLOCK + "ffn_gate_shexp.weight", "2s d", half(0)),
    Rule(SHARED + "input_linear.weight", BLOCK + "ffn_up_shexp.weight", "2s d", half(1)),
    Rule(SHARED + "output_linear.weight", BLOCK + "ffn_down_shexp.weight", "d s"),
)
EXPERT_KEYS: dict[str, Key] = {
    **KEYS,
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
}
EXPERT_DEFAULTS = {**MULTIPLIERS, "num_experts": 8, "num_experts_per_tok": 2}
SPARSE_RULES = (
    *OUTSIDE,
    *NORMS,
    *attention(paired=True),
    *attention_biases(paired=True),
    *EXPERTS,
)


def _sizes(values: Values) -> dict[str, int]:
    return {**expert_sizes(values), "s": values.whole("shared_intermediate_size")}


ENTRIES = (
    Entry(
        name="granite",
        classes=("GraniteForCausalLM", "GraniteModel"),
        model_types=("granite",),
        defaults=MULTIPLIERS,
        keys=KEYS,
        rules=(
            *OUTSIDE,
            *NORMS,
            *attention(paired=True),
            *attention_biases(paired=True),
            *FEED_FORWARD,
            *FEED_FORWARD_BIASES,
        ),
        refused=REFUSED,
        notes=(rope.dynamic,),
        made=rope.frequencies,
    ),
    Entry(
        name="granitemoe",
        classes=("GraniteMoeForCausalLM",),
        model_types=("granitemoe",),
        defaults=EXPERT_DEFAULTS,
        aliases={"num_local_experts": "num_experts"},
        sizes=expert_sizes,
        keys=EXPERT_KEYS,
        rules=SPARSE_RULES,
        refused=REFUSED,
        notes=(rope.dynamic,),
        made=rope.frequencies,
    ),
    Entry(
        name="granitemoe",
        classes=("GraniteMoeSharedForCausalLM",),
        model_types=("granitemoeshared",),
        defaults={**EXPERT_DEFAULTS, "shared_intermediate_size": 1024},
        aliases={"num_local_experts": "num_experts"},
        sizes=_sizes,
        keys={
            **EXPERT_KEYS,
            "expert_shared_feed_forward_length": "shared_intermediate_size",
        },
        rules=(*SPARSE_RULES, *SHARED_EXPERT),
        refused=REFUSED,
        notes=(rope.dynamic,),
        made=rope.frequencies,
    ),
)
