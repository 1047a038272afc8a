"""OLMo, OLMo 2 and OLMo 3.

``src/models/olmo{,2}.cpp`` in llama.cpp; ``models/olmo*`` in transformers.
"""

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.architectures.llama import (
    ACTIVATIONS,
    BLOCK,
    COMMON,
    DEFAULTS,
    FEED_FORWARD,
    LAYER,
    OUTSIDE,
    attention,
    sliding_pattern,
    wide_heads,
)
from llmrr.convert.gguf.entry import Entry, Rule, only, tied
from llmrr.convert.gguf.settings import Values

OLMO = {**DEFAULTS, "vocab_size": 50304}
SECOND = {**OLMO, "rms_norm_eps": 1e-5}
THIRD = {**SECOND, "sliding_window": 4096, "rope_theta": 500000.0}
REFUSED = (only("hidden_act", *ACTIVATIONS), only("attention_bias", False, None), wide_heads)
RULES = (
    *OUTSIDE,
    Rule("embed_tokens.weight", "output.weight", "v d", need=tied),  # llama.cpp wants both
    Rule(LAYER + "post_attention_layernorm.weight", BLOCK + "post_attention_norm.weight", "d"),
    Rule(LAYER + "post_feedforward_layernorm.weight", BLOCK + "post_ffw_norm.weight", "d"),
    Rule(LAYER + "self_attn.q_norm.weight", BLOCK + "attn_q_norm.weight", "q"),
    Rule(LAYER + "self_attn.k_norm.weight", BLOCK + "attn_k_norm.weight", "k"),
    *attention(paired=False),
    *FEED_FORWARD,
)


def _clip(values: Values) -> float | None:
    return None if values.get("clip_qkv") is None else values.real("clip_qkv")


def _local_base(values: Values) -> float | None:
    """Only what differs, and what configurations of kinds of layers state."""
    nested = rope.SLIDING in values.table("rope_parameters")
    return rope.local_base(values) if nested else None


ENTRIES = (
    Entry(
        name="olmo",
        classes=("OlmoForCausalLM", "OLMoForCausalLM"),
        model_types=("olmo",),
        defaults=OLMO,
        keys={
            **{key: one for key, one in COMMON.items() if "rms" not in key},
            "attention.layer_norm_epsilon": lambda values: 1e-5,
            "attention.clamp_kqv": _clip,
        },
        rules=(
            *(rule for rule in OUTSIDE if rule.source != "norm.weight"),
            *attention(paired=True),
            *FEED_FORWARD,
        ),
        refused=(*REFUSED, rope.refused("linear", "yarn", "dynamic")),
        notes=(rope.dynamic,),
    ),
    Entry(
        name="olmo2",
        classes=("Olmo2ForCausalLM", "Olmo2Model"),
        model_types=("olmo2",),
        defaults=SECOND,
        keys=COMMON,
        rules=RULES,
        refused=(*REFUSED, rope.refused("linear", "yarn", "dynamic")),
        notes=(rope.dynamic,),
    ),
    Entry(
        name="olmo2",
        classes=("Olmo3ForCausalLM", "Olmo3Model"),
        model_types=("olmo3",),
        defaults=THIRD,
        keys={
            **COMMON,
            "rope.freq_base_swa": _local_base,
            "attention.sliding_window": "sliding_window",
            "attention.sliding_window_pattern": lambda values: sliding_pattern(values, 4),
        },
        rules=RULES,
        refused=(*REFUSED, rope.refused("yarn")),
    ),
)
