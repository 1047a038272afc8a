"""Qwen 2 and 3, dense and with experts.

``src/models/qwen{2,2moe,3,3moe}.cpp`` in llama.cpp; ``models/qwen*`` in transformers.
"""

from dataclasses import replace

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.architectures.llama import (
    ACTIVATIONS,
    BLOCK,
    COMMON,
    FEED_FORWARD,
    HEAD,
    LAYER,
    NORMS,
    OUTSIDE,
    attention,
    experts,
    slides,
    wide_heads,
)
from llmrr.convert.gguf.entry import Entry, Key, Rule, only, stated, tied
from llmrr.convert.gguf.settings import Values, expert_sizes

DEFAULTS = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
SHARED = LAYER + "mlp.shared_expert"
REFUSED = (only("hidden_act", *ACTIVATIONS), rope.refused("linear", "yarn", "dynamic"))
NO_BIASES = only("attention_bias", False, None)
BIASES = (
    Rule(LAYER + "self_attn.q_proj.bias", BLOCK + "attn_q.bias", "q"),
    Rule(LAYER + "self_attn.k_proj.bias", BLOCK + "attn_k.bias", "k"),
    Rule(LAYER + "self_attn.v_proj.bias", BLOCK + "attn_v.bias", "k"),
)


def _sliding(values: Values) -> str | None:
    return slides(values) if values.flag("use_sliding_window") else None


MOE = {
    **DEFAULTS,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
    "num_experts_per_tok": 4,
    "num_experts": 60,
    "norm_topk_prob": False,
    "decoder_sparse_step": 1,
    "qkv_bias": True,
}
MOE_3 = {
    **MOE,
    "intermediate_size": 6144,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 768,
    "num_experts_per_tok": 8,
    "num_experts": 128,
}
HEAD_NORMS = (
    Rule(LAYER + "self_attn.q_norm.weight", BLOCK + "attn_q_norm.weight", "h"),
    Rule(LAYER + "self_attn.k_norm.weight", BLOCK + "attn_k_norm.weight", "h"),
)
ROUTER = Rule(LAYER + "mlp.gate.weight", BLOCK + "ffn_gate_inp.weight", "e d")
SHARED_EXPERT = (
    Rule(SHARED + ".gate_proj.weight", BLOCK + "ffn_gate_shexp.weight", "s d"),
    Rule(SHARED + ".up_proj.weight", BLOCK + "ffn_up_shexp.weight", "s d"),
    Rule(SHARED + ".down_proj.weight", BLOCK + "ffn_down_shexp.weight", "d s"),
    Rule(SHARED + "_gate.weight", BLOCK + "ffn_gate_inp_shexp.weight", "1 d"),
)
EXPERT_KEYS: dict[str, Key] = {
    **COMMON,
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
# llama.cpp wants an output layer of these, also where the table of tokens is it.
ALWAYS_OUTPUT = (*OUTSIDE, Rule("embed_tokens.weight", "output.weight", "v d", need=tied))


def _shared_sizes(values: Values) -> dict[str, int]:
    return {**expert_sizes(values), "s": values.whole("shared_expert_intermediate_size")}


def _dense_layers(values: Values) -> str | None:
    if values.get("decoder_sparse_step", 1) != 1:
        return "layers without experts (decoder_sparse_step)"
    return "layers without experts (mlp_only_layers)" if values.flag("mlp_only_layers") else None


ENTRIES = (
    Entry(
        name="qwen2",
        classes=("Qwen2ForCausalLM", "Qwen2Model"),
        model_types=("qwen2",),
        defaults=DEFAULTS,
        keys=COMMON,
        rules=(*OUTSIDE, *NORMS, *attention(paired=False), *BIASES, *FEED_FORWARD),
        refused=(*REFUSED, wide_heads),
        notes=(rope.dynamic, _sliding),
    ),
    Entry(
        name="qwen2moe",
        classes=("Qwen2MoeForCausalLM", "Qwen2MoeModel"),
        model_types=("qwen2_moe",),
        defaults=MOE,
        aliases={"num_local_experts": "num_experts"},
        sizes=_shared_sizes,
        keys={
            **EXPERT_KEYS,
            "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        },
        rules=(
            *ALWAYS_OUTPUT,
            *NORMS,
            *attention(paired=False),
            *(replace(rule, need=stated("qkv_bias")) for rule in BIASES),
            ROUTER,
            *experts("mlp", "gate_proj", "up_proj", "down_proj"),
            *SHARED_EXPERT,
        ),
        refused=(*REFUSED, only("norm_topk_prob", False, None), _dense_layers, wide_heads),
        notes=(rope.dynamic, _sliding),
    ),
    Entry(
        name="qwen3",
        classes=("Qwen3ForCausalLM", "Qwen3Model"),
        model_types=("qwen3",),
        defaults={**DEFAULTS, "head_dim": 128},
        keys={**COMMON, **HEAD},
        rules=(
            *OUTSIDE,
            *NORMS,
            *attention(paired=False),
            *HEAD_NORMS,
            *FEED_FORWARD,
        ),
        refused=(*REFUSED, NO_BIASES),
        notes=(rope.dynamic, _sliding),
    ),
    Entry(
        name="qwen3moe",
        classes=("Qwen3MoeForCausalLM", "Qwen3MoeModel"),
        model_types=("qwen3_moe",),
        defaults=MOE_3,
        aliases={"num_local_experts": "num_experts"},
        sizes=expert_sizes,
        keys={**EXPERT_KEYS, **HEAD},
        rules=(
            *OUTSIDE,
            *NORMS,
            *attention(paired=False),
            *HEAD_NORMS,
            ROUTER,
            *experts("mlp", "gate_proj", "up_proj", "down_proj"),
        ),
        refused=(*REFUSED, NO_BIASES, only("norm_topk_prob", True), _dense_layers),
        notes=(rope.dynamic, _sliding),
    ),
)
