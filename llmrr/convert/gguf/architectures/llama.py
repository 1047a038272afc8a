"""Llama and what is built like it: Mistral, Mixtral, SmolLM3.

``src/models/{llama,smollm3}.cpp`` in llama.cpp; ``models/{llama,mistral,mixtral,smollm3}`` in
transformers.
"""

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.entry import Entry, Key, Rule, half, only, real, rotated, stated, untied
from llmrr.convert.gguf.settings import Values, expert_sizes

LAYER, BLOCK = "layers.#.", "blk.#."
ACTIVATIONS = ("silu", "swish")


def heads(values: Values) -> int:
    """Heads of queries."""
    return values.heads


def heads_kv(values: Values) -> int:
    """Heads of keys and values."""
    return values.heads_kv


def head(values: Values) -> int:
    """Numbers in a head."""
    return values.head


COMMON: dict[str, Key] = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": heads_kv,
    "attention.layer_norm_rms_epsilon": real("rms_norm_eps"),
    **rope.KEYS,
}
HEAD: dict[str, Key] = {"attention.key_length": head, "attention.value_length": head}
OUTSIDE = (
    Rule("embed_tokens.weight", "token_embd.weight", "v d"),
    Rule("norm.weight", "output_norm.weight", "d"),
    Rule("lm_head.weight", "output.weight", "v d", need=untied),
)
NORMS = (
    Rule(LAYER + "input_layernorm.weight", BLOCK + "attn_norm.weight", "d"),
    Rule(LAYER + "post_attention_layernorm.weight", BLOCK + "ffn_norm.weight", "d"),
)
FEED_FORWARD = (
    Rule(LAYER + "mlp.gate_proj.weight", BLOCK + "ffn_gate.weight", "f d"),
    Rule(LAYER + "mlp.up_proj.weight", BLOCK + "ffn_up.weight", "f d"),
    Rule(LAYER + "mlp.down_proj.weight", BLOCK + "ffn_down.weight", "d f"),
)
FEED_FORWARD_BIASES = (
    Rule(LAYER + "mlp.gate_proj.bias", BLOCK + "ffn_gate.bias", "f", need=stated("mlp_bias")),
    Rule(LAYER + "mlp.up_proj.bias", BLOCK + "ffn_up.bias", "f", need=stated("mlp_bias")),
    Rule(LAYER + "mlp.down_proj.bias", BLOCK + "ffn_down.bias", "d", need=stated("mlp_bias")),
)


def attention(*, paired: bool) -> tuple[Rule, ...]:
    """Its weights; ``paired`` where llama.cpp rotates neighbours and not halves."""
    q, k = (rotated(heads), rotated(heads_kv)) if paired else (None, None)
    return (
        Rule(LAYER + "self_attn.q_proj.weight", BLOCK + "attn_q.weight", "q d", q),
        Rule(LAYER + "self_attn.k_proj.weight", BLOCK + "attn_k.weight", "k d", k),
        Rule(LAYER + "self_attn.v_proj.weight", BLOCK + "attn_v.weight", "k d"),
        Rule(LAYER + "self_attn.o_proj.weight", BLOCK + "attn_output.weight", "d q"),
    )


def attention_biases(*, paired: bool, output: bool = True) -> tuple[Rule, ...]:
    """Its biases, where ``attention_bias`` is set."""
    need = stated("attention_bias")
    q, k = (rotated(heads), rotated(heads_kv)) if paired else (None, None)
    found = (
        Rule(LAYER + "self_attn.q_proj.bias", BLOCK + "attn_q.bias", "q", q, need),
        Rule(LAYER + "self_attn.k_proj.bias", BLOCK + "attn_k.bias", "k", k, need),
        Rule(LAYER + "self_attn.v_proj.bias", BLOCK + "attn_v.bias", "k", need=need),
        Rule(LAYER + "self_attn.o_proj.bias", BLOCK + "attn_output.bias", "d", need=need),
    )
    return found if output else found[:3]


def experts(place: str, gate: str, up: str, down: str) -> tuple[Rule, ...]:
    """Experts one by one, as they are published, or fused, as transformers 5 keeps them."""
    one, fused = LAYER + place + ".experts.*.", LAYER + place + ".experts."
    return (
        Rule(one + gate + ".weight", BLOCK + "ffn_gate_exps.weight", "x d"),
        Rule(one + up + ".weight", BLOCK + "ffn_up_exps.weight", "x d"),
        Rule(one + down + ".weight", BLOCK + "ffn_down_exps.weight", "d x"),
        Rule(fused + "gate_up_proj", BLOCK + "ffn_gate_exps.weight", "e 2x d", half(0)),
        Rule(fused + "gate_up_proj", BLOCK + "ffn_up_exps.weight", "e 2x d", half(1)),
        Rule(fused + "down_proj", BLOCK + "ffn_down_exps.weight", "e d x"),
    )


def slides(values: Values) -> str | None:
    """llama.cpp lets no layer of these families slide."""
    window, context = values.get("sliding_window"), values.whole("max_position_embeddings")
    if not isinstance(window, int) or not 0 < window < context:
        return None
    return f"llama.cpp has no sliding window here: past {window} tokens, attention is to all"


def wide_heads(values: Values) -> str | None:
    """For architectures of which llama.cpp takes the width to be that of all heads."""
    usual = values.head * values.heads == values.whole("hidden_size")
    return None if usual else f"head_dim = {values.head}"


def sliding_pattern(values: Values, every: int) -> list[bool]:
    """Which layers slide: as ``layer_types`` lists them, else all but each n-th."""
    layers = values.layers
    if kinds := values.names("layer_types"):
        if len(kinds) != layers:
            raise values.wrong("layer_types", list(kinds), f"{layers} kinds belong")
        return [kind == rope.SLIDING for kind in kinds]
    every = values.whole_or("_sliding_window_pattern", every)  # so transformers 5 calls it
    every = values.whole_or("sliding_window_pattern", every)
    return [(layer + 1) % every != 0 for layer in range(layers)]


def _stated_head(values: Values) -> int | None:
    return None if values.get("head_dim") is None else values.head


def _other_positions(values: Values) -> str | None:
    """llama.cpp leaves out the rotation of each fourth layer of SmolLM3."""
    stated = values.get("no_rope_layers")
    if stated is None:
        every = values.whole("no_rope_layer_interval")
        return None if every == 4 else f"no_rope_layer_interval = {every}"
    usual = [int((layer + 1) % 4 != 0) for layer in range(values.layers)]
    return None if stated == usual else f"no_rope_layers = {str(stated)[:40]}"


DEFAULTS = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
}
MISTRAL = {
    **DEFAULTS,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
}
MIXTRAL = {
    **MISTRAL,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e6,
    "sliding_window": None,
    "num_experts_per_tok": 2,
    "num_experts": 8,
}
SMOLLM = {
    **DEFAULTS,
    "vocab_size": 128256,
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "rope_theta": 2e6,
    "no_rope_layer_interval": 4,
    "tie_word_embeddings": True,
}
STATED_HEAD: dict[str, Key] = {
    "attention.key_length": _stated_head,
    "attention.value_length": _stated_head,
}
KEYS: dict[str, Key] = {
    **COMMON,
    **HEAD,
    "vocab_size": "vocab_size",
    "rope.dimension_count": head,
}
REFUSED = (only("hidden_act", *ACTIVATIONS), rope.refused("linear", "yarn", "llama3", "dynamic"))
RULES = (
    *OUTSIDE,
    *NORMS,
    *attention(paired=True),
    *attention_biases(paired=True),
    *FEED_FORWARD,
    *FEED_FORWARD_BIASES,
)

ENTRIES = (
    Entry(
        name="llama",
        classes=("LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"),
        model_types=("llama",),
        defaults=DEFAULTS,
        keys=KEYS,
        rules=RULES,
        refused=REFUSED,
        notes=(rope.dynamic,),
        made=rope.frequencies,
    ),
    Entry(
        name="llama",
        classes=("MistralForCausalLM", "MistralModel"),
        model_types=("mistral",),
        defaults=MISTRAL,
        keys=KEYS,
        rules=(*OUTSIDE, *NORMS, *attention(paired=True), *FEED_FORWARD),
        refused=REFUSED,
        notes=(rope.dynamic, slides),
        made=rope.frequencies,
    ),
    Entry(
        name="llama",
        classes=("MixtralForCausalLM", "MixtralModel"),
        model_types=("mixtral",),
        defaults=MIXTRAL,
        aliases={"num_local_experts": "num_experts"},
        sizes=expert_sizes,
        keys={
            **KEYS,
            **STATED_HEAD,
            "expert_count": "num_experts",
            "expert_used_count": "num_experts_per_tok",
        },
        rules=(
            *OUTSIDE,
            *NORMS,
            *attention(paired=True),
            Rule(LAYER + "block_sparse_moe.gate.weight", BLOCK + "ffn_gate_inp.weight", "e d"),
            Rule(LAYER + "mlp.gate.weight", BLOCK + "ffn_gate_inp.weight", "e d"),
            *experts("block_sparse_moe", "w1", "w3", "w2"),
            *experts("mlp", "w1", "w3", "w2"),
        ),
        refused=REFUSED,
        notes=(rope.dynamic, slides),
        made=rope.frequencies,
    ),
    Entry(
        name="smollm3",
        classes=("SmolLM3ForCausalLM", "SmolLM3Model"),
        model_types=("smollm3",),
        defaults=SMOLLM,
        keys={**KEYS, **STATED_HEAD},
        rules=(*OUTSIDE, *NORMS, *attention(paired=True), *FEED_FORWARD),
        refused=(
            only("hidden_act", *ACTIVATIONS),
            only("attention_bias", False, None),
            only("mlp_bias", False, None),
            only("use_sliding_window", False, None),
            rope.refused("linear", "yarn", "dynamic"),
            _other_positions,
        ),
        notes=(rope.dynamic,),
    ),
)
