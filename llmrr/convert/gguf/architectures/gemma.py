"""Gemma, Gemma 2 and Gemma 3 (its text part).

``src/models/gemma{,2,3}.cpp`` in llama.cpp; ``models/gemma*`` in transformers.
"""

from collections.abc import Callable
from typing import Any

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.architectures.llama import (
    BLOCK,
    COMMON,
    FEED_FORWARD,
    HEAD,
    LAYER,
    attention,
    sliding_pattern,
)
from llmrr.convert.gguf.entry import Entry, Key, Rule, add_one, only, real, untied
from llmrr.convert.gguf.settings import Values

DEFAULTS = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}
SECOND = {
    **DEFAULTS,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
}
THIRD = {
    **SECOND,
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
    "rope_theta": 1e6,
    "rope_local_base_freq": 10000.0,
    "final_logit_softcapping": None,
    "attn_logit_softcapping": None,
}


def _other_base(values: Values) -> float | None:
    found = rope.base(values)
    return None if found == 10000 else found  # what llama.cpp takes without being told


def _norm(source: str, target: str, size: str = "d") -> Rule:
    return Rule(source, target, size, change=add_one)


def _scaled_otherwise(layers: int) -> Callable[[Values], str | None]:
    """llama.cpp divides scores by the root of a head's size; with as many layers as the 27B model
    has, of width by heads."""

    def refuse(values: Values) -> str | None:
        wanted = values.whole("query_pre_attn_scalar")
        large = values.layers == layers
        does = values.whole("hidden_size") // values.heads if large else values.head
        return None if wanted == does else f"query_pre_attn_scalar = {wanted}"

    return refuse


def _pattern(every: int) -> Callable[[Values], Any]:
    """Which layers slide, where it is not all but each ``every``-th."""

    def read(values: Values) -> Any:
        found = sliding_pattern(values, every)
        usual = [(layer + 1) % every != 0 for layer in range(values.layers)]
        return None if found == usual or not any(found) else found

    return read


def _window(values: Values) -> int | None:
    return values.whole("sliding_window") if any(sliding_pattern(values, 6)) else None


def _nothing_slides(values: Values) -> str | None:
    slides = any(sliding_pattern(values, 2))
    return None if slides else "no layer with a sliding window"


EMBEDDING = Rule("embed_tokens.weight", "token_embd.weight", "v d")
OUTPUT_NORM = _norm("norm.weight", "output_norm.weight")
NORMS = (
    _norm(LAYER + "input_layernorm.weight", BLOCK + "attn_norm.weight"),
    _norm(LAYER + "post_attention_layernorm.weight", BLOCK + "post_attention_norm.weight"),
    _norm(LAYER + "pre_feedforward_layernorm.weight", BLOCK + "ffn_norm.weight"),
    _norm(LAYER + "post_feedforward_layernorm.weight", BLOCK + "post_ffw_norm.weight"),
)
KEYS: dict[str, Key] = {
    **{key: one for key, one in COMMON.items() if not key.startswith("rope.")},
    **HEAD,
}
REFUSED = (
    only("attention_bias", False, None),
    only("use_bidirectional_attention", False, None),
)
TANH = ("gelu_pytorch_tanh", "gelu_new")

ENTRIES = (
    Entry(
        name="gemma",
        classes=("GemmaForCausalLM", "GemmaModel"),
        model_types=("gemma",),
        defaults=DEFAULTS,
        keys={**KEYS, "rope.freq_base": _other_base},
        rules=(
            EMBEDDING,
            OUTPUT_NORM,
            _norm(LAYER + "input_layernorm.weight", BLOCK + "attn_norm.weight"),
            _norm(LAYER + "post_attention_layernorm.weight", BLOCK + "ffn_norm.weight"),
            *attention(paired=False),
            *FEED_FORWARD,
        ),
        # The first releases say gelu and mean its approximation.
        refused=(
            *REFUSED,
            rope.refused(),
            only("hidden_act", *TANH, "gelu", None),
            only("tie_word_embeddings", True),
        ),
    ),
    Entry(
        name="gemma2",
        classes=("Gemma2ForCausalLM", "Gemma2Model"),
        model_types=("gemma2",),
        defaults=SECOND,
        keys={
            **KEYS,
            "rope.freq_base": _other_base,
            "attn_logit_softcapping": real("attn_logit_softcapping"),
            "final_logit_softcapping": real("final_logit_softcapping"),
            "attention.sliding_window": "sliding_window",
            "attention.sliding_window_pattern": _pattern(2),
        },
        rules=(EMBEDDING, OUTPUT_NORM, *NORMS, *attention(paired=False), *FEED_FORWARD),
        refused=(
            *REFUSED,
            rope.refused(),
            only("hidden_activation", *TANH),
            only("tie_word_embeddings", True),
            _scaled_otherwise(46),
            _nothing_slides,
        ),
    ),
    Entry(
        name="gemma3",
        classes=("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
        model_types=("gemma3_text", "gemma3"),
        defaults=THIRD,
        keys={
            **KEYS,
            **rope.KEYS,
            "rope.freq_base_swa": rope.local_base,
            "final_logit_softcapping": lambda values: (
                values.real("final_logit_softcapping")
                if values.get("final_logit_softcapping")
                else None
            ),
            "attention.sliding_window": _window,
            "attention.sliding_window_pattern": _pattern(6),
        },
        rules=(
            EMBEDDING,
            OUTPUT_NORM,
            Rule("lm_head.weight", "output.weight", "v d", need=untied),
            *NORMS,
            _norm(LAYER + "self_attn.q_norm.weight", BLOCK + "attn_q_norm.weight", "h"),
            _norm(LAYER + "self_attn.k_norm.weight", BLOCK + "attn_k_norm.weight", "h"),
            *attention(paired=False),
            *FEED_FORWARD,
        ),
        refused=(
            *REFUSED,
            rope.refused("linear"),
            only("hidden_activation", *TANH),
            only("attn_logit_softcapping", None),
            _scaled_otherwise(62),
        ),
    ),
)
