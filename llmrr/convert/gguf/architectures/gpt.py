"""Families with biases and LayerNorm: GPT-2, GPT-NeoX, StarCoder 2, Falcon, StableLM.

``src/models/{gpt2,gptneox,starcoder2,falcon,stablelm}.cpp`` in llama.cpp; ``models/{gpt2,gpt_neox,
starcoder2,falcon,stablelm}`` in transformers.
"""

from typing import TYPE_CHECKING

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.architectures.llama import (
    BLOCK,
    FEED_FORWARD,
    LAYER,
    attention,
    heads_kv,
    slides,
)
from llmrr.convert.gguf.entry import Entry, Key, Rows, Rule, only, real, stated, untied
from llmrr.convert.gguf.settings import Values, sizes

if TYPE_CHECKING:
    from llmrr.convert.gguf.entry import Order

H = "h.#."
GELU = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")  # what llama.cpp computes
GELU_EXACT = ("gelu", *GELU)  # by tanh there; off by less than 5e-4
SIZES: dict[str, Key] = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": lambda values: wide_sizes(values)["f"],
    "attention.head_count": "num_attention_heads",
}


def wide_sizes(values: Values) -> dict[str, int]:
    """The usual sizes, with a feed-forward layer of four times the width where none is stated, and
    n positions."""
    width = values.whole_or("intermediate_size", 4 * values.whole("hidden_size"))
    positions = values.whole_or("max_position_embeddings", 2048)
    stand_in = values.having({"intermediate_size": width})
    return {**sizes(stand_in), "n": positions}


def pair(source: str, target: str, shape: str, bias: str, **others: object) -> tuple[Rule, Rule]:
    """A weight and its bias."""
    return (
        Rule(f"{source}.weight", f"{target}.weight", shape, **others),  # type: ignore[arg-type]
        Rule(f"{source}.bias", f"{target}.bias", bias),
    )


def norm(source: str, target: str) -> tuple[Rule, Rule]:
    """A LayerNorm."""
    return pair(source, target, "d", "d")


def grouped(groups: str) -> Rows:
    """Rows of a fused tensor that has, for each of its groups, the queries, one key and one value:
    all queries first, then the keys, then the values. ``groups`` is heads_kv, or heads where each
    head is a group."""

    def order(values: Values, rows: int) -> "Order":
        import numpy as np

        count = values.heads if groups == "heads" else values.heads_kv
        parts = np.arange(rows).reshape(count, -1, values.head)
        chosen = (parts[:, :-2], parts[:, -2:-1], parts[:, -1:])
        return np.concatenate([one.reshape(-1) for one in chosen])

    return order


# -- GPT-2 -------------------------------------------------------------------------------------

GPT2 = Entry(
    name="gpt2",
    classes=("GPT2LMHeadModel", "GPT2Model"),
    model_types=("gpt2",),
    prefixes=("transformer.",),
    defaults={
        "vocab_size": 50257, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "max_position_embeddings": 1024, "intermediate_size": None,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
        "tie_word_embeddings": True,
    },
    aliases={
        "n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads",
        "n_positions": "max_position_embeddings", "n_inner": "intermediate_size",
    },
    sizes=wide_sizes,
    keys={**SIZES, "attention.layer_norm_epsilon": real("layer_norm_epsilon")},
    rules=(
        Rule("wte.weight", "token_embd.weight", "v d"),
        Rule("wpe.weight", "position_embd.weight", "n d"),
        *norm("ln_f", "output_norm"),
        Rule("lm_head.weight", "output.weight", "v d", need=untied),
        *norm(H + "ln_1", BLOCK + "attn_norm"),
        *pair(H + "attn.c_attn", BLOCK + "attn_qkv", "d 3d", "3d", transposed=True),
        *pair(H + "attn.c_proj", BLOCK + "attn_output", "d d", "d", transposed=True),
        *norm(H + "ln_2", BLOCK + "ffn_norm"),
        *pair(H + "mlp.c_fc", BLOCK + "ffn_up", "d f", "f", transposed=True),
        *pair(H + "mlp.c_proj", BLOCK + "ffn_down", "f d", "d", transposed=True),
    ),
    refused=(
        only("activation_function", *GELU),
        only("scale_attn_weights", True, None),
        only("scale_attn_by_inverse_layer_idx", False, None),
        only("add_cross_attention", False, None),
    ),
)  # fmt: skip


# -- GPT-NeoX ----------------------------------------------------------------------------------

GPT_NEOX = Entry(
    name="gptneox",
    classes=("GPTNeoXForCausalLM", "GPTNeoXModel"),
    model_types=("gpt_neox",),
    prefixes=("gpt_neox.",),
    defaults={
        "vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44,
        "num_attention_heads": 64, "intermediate_size": 24576, "hidden_act": "gelu",
        "partial_rotary_factor": 0.25, "rope_theta": 10000.0, "max_position_embeddings": 2048,
        "layer_norm_eps": 1e-5, "use_parallel_residual": True, "attention_bias": True,
        "tie_word_embeddings": False,
    },
    aliases={"rotary_pct": "partial_rotary_factor", "rotary_emb_base": "rope_theta"},
    sizes=wide_sizes,
    keys={
        **SIZES,
        "attention.layer_norm_epsilon": real("layer_norm_eps"),
        "use_parallel_residual": lambda values: values.flag("use_parallel_residual"),
        "rope.dimension_count": rope.rotated_size,
        "rope.freq_base": rope.base,
    },
    rules=(
        Rule("embed_in.weight", "token_embd.weight", "v d"),
        *norm("final_layer_norm", "output_norm"),
        Rule("embed_out.weight", "output.weight", "v d", need=untied),
        *norm(LAYER + "input_layernorm", BLOCK + "attn_norm"),
        Rule(LAYER + "attention.query_key_value.weight", BLOCK + "attn_qkv.weight", "3d d",
             grouped("heads")),
        Rule(LAYER + "attention.query_key_value.bias", BLOCK + "attn_qkv.bias", "3d",
             grouped("heads")),
        *pair(LAYER + "attention.dense", BLOCK + "attn_output", "d d", "d"),
        *norm(LAYER + "post_attention_layernorm", BLOCK + "ffn_norm"),
        *pair(LAYER + "mlp.dense_h_to_4h", BLOCK + "ffn_up", "f d", "f"),
        *pair(LAYER + "mlp.dense_4h_to_h", BLOCK + "ffn_down", "d f", "d"),
    ),
    refused=(
        only("hidden_act", *GELU_EXACT), only("attention_bias", True, None), rope.refused(),
    ),
)  # fmt: skip


# -- StarCoder 2 -------------------------------------------------------------------------------

STARCODER2 = Entry(
    name="starcoder2",
    classes=("Starcoder2ForCausalLM", "Starcoder2Model"),
    model_types=("starcoder2",),
    defaults={
        "vocab_size": 49152, "hidden_size": 3072, "intermediate_size": 12288,
        "num_hidden_layers": 30, "num_attention_heads": 24, "num_key_value_heads": 2,
        "hidden_act": "gelu_pytorch_tanh", "max_position_embeddings": 4096,
        "norm_epsilon": 1e-5, "rope_theta": 10000.0, "use_bias": True,
        "tie_word_embeddings": True,
    },
    keys={
        **SIZES,
        "attention.head_count_kv": heads_kv,
        "attention.layer_norm_epsilon": real("norm_epsilon"),
        "rope.freq_base": rope.base,
    },
    rules=(
        Rule("embed_tokens.weight", "token_embd.weight", "v d"),
        *norm("norm", "output_norm"),
        Rule("lm_head.weight", "output.weight", "v d", need=untied),
        *norm(LAYER + "input_layernorm", BLOCK + "attn_norm"),
        *pair(LAYER + "self_attn.q_proj", BLOCK + "attn_q", "q d", "q"),
        *pair(LAYER + "self_attn.k_proj", BLOCK + "attn_k", "k d", "k"),
        *pair(LAYER + "self_attn.v_proj", BLOCK + "attn_v", "k d", "k"),
        *pair(LAYER + "self_attn.o_proj", BLOCK + "attn_output", "d q", "d"),
        *norm(LAYER + "post_attention_layernorm", BLOCK + "ffn_norm"),
        *pair(LAYER + "mlp.c_fc", BLOCK + "ffn_up", "f d", "f"),
        *pair(LAYER + "mlp.c_proj", BLOCK + "ffn_down", "d f", "d"),
    ),
    refused=(only("hidden_act", *GELU), only("use_bias", True, None), rope.refused()),
    notes=(slides,),
)  # fmt: skip


# -- Falcon ------------------------------------------------------------------------------------


def falcon_heads_kv(values: Values) -> int:
    """One where all queries share it, else as stated; heads of the first generation have their
    own."""
    if values.flag("new_decoder_architecture"):
        return values.whole_or("num_kv_heads", values.heads)
    return 1 if values.flag("multi_query") else values.heads


def _falcon_sizes(values: Values) -> dict[str, int]:
    found = wide_sizes(values)
    return {**found, "k": falcon_heads_kv(values) * values.head}


def _falcon_rows(values: Values, rows: int) -> "Order":
    stated = values.having({"num_key_value_heads": falcon_heads_kv(values)})
    return grouped("heads_kv")(stated, rows)


def _two_norms(values: Values) -> bool:
    stated = values.get("num_ln_in_parallel_attn", 2)
    return values.flag("new_decoder_architecture") and stated == 2


def _one_norm(values: Values) -> bool:
    return not _two_norms(values)


FALCON = Entry(
    name="falcon",
    classes=("FalconForCausalLM", "RWForCausalLM", "FalconModel"),
    model_types=("falcon", "RefinedWebModel", "RefinedWeb"),
    prefixes=("transformer.",),
    defaults={
        "vocab_size": 65024, "hidden_size": 4544, "num_hidden_layers": 32,
        "num_attention_heads": 71, "layer_norm_epsilon": 1e-5, "multi_query": True,
        "parallel_attn": True, "bias": False, "alibi": False, "new_decoder_architecture": False,
        "max_position_embeddings": 2048, "rope_theta": 10000.0, "activation": "gelu",
        "tie_word_embeddings": True, "num_kv_heads": None, "intermediate_size": None,
    },
    aliases={
        "n_layer": "num_hidden_layers", "n_head": "num_attention_heads",
        "n_head_kv": "num_kv_heads", "ffn_hidden_size": "intermediate_size",
    },
    sizes=_falcon_sizes,
    keys={
        **SIZES,
        "tensor_data_layout": lambda values: "jploski",  # the rows of fused tensors in order
        "attention.head_count_kv": falcon_heads_kv,
        "attention.layer_norm_epsilon": real("layer_norm_epsilon"),
        "rope.freq_base": rope.base,
    },
    rules=(
        Rule("word_embeddings.weight", "token_embd.weight", "v d"),
        *norm("ln_f", "output_norm"),
        Rule("lm_head.weight", "output.weight", "v d", need=untied),
        *(Rule(H + f"input_layernorm.{one}", BLOCK + f"attn_norm.{one}", "d", need=_one_norm)
          for one in ("weight", "bias")),
        *(Rule(H + f"ln_mlp.{one}", BLOCK + f"attn_norm.{one}", "d", need=_two_norms)
          for one in ("weight", "bias")),
        *(Rule(H + f"ln_attn.{one}", BLOCK + f"attn_norm_2.{one}", "d", need=_two_norms)
          for one in ("weight", "bias")),
        Rule(H + "self_attention.query_key_value.weight", BLOCK + "attn_qkv.weight", "q+2k d",
             _falcon_rows),
        Rule(H + "self_attention.dense.weight", BLOCK + "attn_output.weight", "d q"),
        Rule(H + "mlp.dense_h_to_4h.weight", BLOCK + "ffn_up.weight", "f d"),
        Rule(H + "mlp.dense_4h_to_h.weight", BLOCK + "ffn_down.weight", "d f"),
    ),
    refused=(
        only("alibi", False, None), only("bias", False, None), only("parallel_attn", True),
        only("activation", *GELU_EXACT), rope.refused(),
    ),
)  # fmt: skip


# -- StableLM ----------------------------------------------------------------------------------


def _two_steps(values: Values) -> bool:
    return not values.flag("use_parallel_residual")


STABLELM = Entry(
    name="stablelm",
    classes=("StableLmForCausalLM", "StableLMEpochForCausalLM", "StableLmModel"),
    model_types=("stablelm", "stablelm_epoch"),
    defaults={
        "vocab_size": 50304, "hidden_size": 2560, "intermediate_size": 6912,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "hidden_act": "silu", "max_position_embeddings": 4096, "layer_norm_eps": 1e-5,
        "partial_rotary_factor": 0.25, "rope_theta": 10000.0, "use_parallel_residual": False,
        "use_qkv_bias": False, "qk_layernorm": False, "tie_word_embeddings": False,
    },
    aliases={"rope_pct": "partial_rotary_factor", "norm_eps": "layer_norm_eps"},
    keys={
        **SIZES,
        "attention.head_count_kv": heads_kv,
        "attention.layer_norm_epsilon": real("layer_norm_eps"),
        "use_parallel_residual": lambda values: values.flag("use_parallel_residual"),
        "rope.dimension_count": rope.rotated_size,
        "rope.freq_base": rope.base,
    },
    rules=(
        Rule("embed_tokens.weight", "token_embd.weight", "v d"),
        *norm("norm", "output_norm"),
        Rule("lm_head.weight", "output.weight", "v d", need=untied),
        *norm(LAYER + "input_layernorm", BLOCK + "attn_norm"),
        *attention(paired=False),
        *(Rule(LAYER + f"self_attn.{one}_proj.bias", BLOCK + f"attn_{one}.bias", size,
               need=stated("use_qkv_bias")) for one, size in (("q", "q"), ("k", "k"), ("v", "k"))),
        Rule(LAYER + "self_attn.q_layernorm.norms.*.weight", BLOCK + "attn_q_norm.weight", "h",
             need=stated("qk_layernorm"), stacked="a"),
        Rule(LAYER + "self_attn.k_layernorm.norms.*.weight", BLOCK + "attn_k_norm.weight", "h",
             need=stated("qk_layernorm"), stacked="b"),
        *(Rule(LAYER + f"post_attention_layernorm.{one}", BLOCK + f"ffn_norm.{one}", "d",
               need=_two_steps) for one in ("weight", "bias")),
        *FEED_FORWARD,
    ),
    sizes=lambda values: {**sizes(values), "a": values.heads, "b": values.heads_kv},
    refused=(only("hidden_act", "silu", "swish"), rope.refused()),
)  # fmt: skip

ENTRIES = (GPT2, GPT_NEOX, STARCODER2, FALCON, STABLELM)
