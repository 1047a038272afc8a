"""Encoders that make vectors: BERT, RoBERTa and XLM-R, and nomic-bert.

``src/models/bert.cpp`` in llama.cpp; ``models/{bert,roberta,xlm_roberta,nomic_bert}`` in
transformers.
"""

from typing import TYPE_CHECKING

from llmrr.convert.gguf import rope
from llmrr.convert.gguf.architectures.gpt import norm, pair, wide_sizes
from llmrr.convert.gguf.architectures.llama import BLOCK
from llmrr.convert.gguf.entry import Entry, Key, Rule, only, real
from llmrr.convert.gguf.settings import Values

if TYPE_CHECKING:
    from llmrr.convert.gguf.entry import Order

INNER = "encoder.layer.#."
# Heads for other work than vectors.
ASIDE = r"(?:pooler|cls|lm_head|embeddings\.position_ids)(?:\.|$)"


def encoder_sizes(values: Values) -> dict[str, int]:
    """Besides, t types of tokens and n rows of the table of positions."""
    rows = values.whole("max_position_embeddings")
    return {**wide_sizes(values), "t": values.whole_or("type_vocab_size", 1), "n": rows}


def _causal(values: Values) -> bool:
    return False


KEYS: dict[str, Key] = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.causal": _causal,
    "attention.layer_norm_epsilon": real("layer_norm_eps"),
}
DEFAULTS = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512,
    "type_vocab_size": 2, "layer_norm_eps": 1e-12, "position_embedding_type": "absolute",
}  # fmt: skip


def old_norm(source: str, target: str) -> tuple[Rule, ...]:
    """A LayerNorm, also by the names that TensorFlow gave its parts."""
    return (
        *norm(source, target),
        Rule(f"{source}.gamma", f"{target}.weight", "d"),
        Rule(f"{source}.beta", f"{target}.bias", "d"),
    )


TABLES = (
    Rule("embeddings.word_embeddings.weight", "token_embd.weight", "v d"),
    Rule("embeddings.token_type_embeddings.weight", "token_types.weight", "t d"),
    *old_norm("embeddings.LayerNorm", "token_embd_norm"),
)
LAYERS = (
    *pair(INNER + "attention.self.query", BLOCK + "attn_q", "q d", "q"),
    *pair(INNER + "attention.self.key", BLOCK + "attn_k", "q d", "q"),
    *pair(INNER + "attention.self.value", BLOCK + "attn_v", "q d", "q"),
    *pair(INNER + "attention.output.dense", BLOCK + "attn_output", "d q", "d"),
    *old_norm(INNER + "attention.output.LayerNorm", BLOCK + "attn_output_norm"),
    *pair(INNER + "intermediate.dense", BLOCK + "ffn_up", "f d", "f"),
    *pair(INNER + "output.dense", BLOCK + "ffn_down", "d f", "d"),
    *old_norm(INNER + "output.LayerNorm", BLOCK + "layer_output_norm"),
)
REFUSED = (
    only("hidden_act", "gelu", "gelu_new", "gelu_pytorch_tanh"),
    only("position_embedding_type", "absolute", None),
    only("is_decoder", False, None),
)

BERT = Entry(
    name="bert",
    classes=("BertModel", "BertForMaskedLM", "BertForPreTraining", "CamembertModel"),
    model_types=("bert",),
    prefixes=("bert.",),
    defaults=DEFAULTS,
    sizes=encoder_sizes,
    keys={**KEYS, "context_length": "max_position_embeddings"},
    rules=(
        *TABLES,
        Rule("embeddings.position_embeddings.weight", "position_embd.weight", "n d"),
        *LAYERS,
    ),
    aside=ASIDE,
    refused=REFUSED,
    pools=True,
)


# -- RoBERTa -----------------------------------------------------------------------------------


def _first_position(values: Values) -> int:
    """Positions begin after the padding token's id."""
    return values.whole_or("pad_token_id", 1) + 1


def _positions(values: Values, rows: int) -> "Order":
    import numpy as np

    return np.arange(_first_position(values), rows)


ROBERTA = Entry(
    name="bert",
    classes=("RobertaModel", "RobertaForMaskedLM", "XLMRobertaModel", "XLMRobertaForMaskedLM"),
    model_types=("roberta", "xlm-roberta"),
    prefixes=("roberta.",),
    defaults={**DEFAULTS, "pad_token_id": 1},
    sizes=encoder_sizes,
    keys={
        **KEYS,
        "context_length": lambda values: (
            values.whole("max_position_embeddings") - _first_position(values)
        ),
    },
    rules=(
        *TABLES,
        Rule("embeddings.position_embeddings.weight", "position_embd.weight", "n d", _positions),
        *LAYERS,
    ),
    aside=ASIDE,
    refused=REFUSED,
    pools=True,
)


# -- nomic-bert --------------------------------------------------------------------------------

NOMIC = "encoder.layers.#."
TRAINED = 2048  # tokens, of nomic-embed-text v1 and v1.5, whose configuration says 8,192


def _trained_context(values: Values) -> int:
    stated = values.whole("max_position_embeddings")
    return min(stated, values.whole_or("max_trained_positions", TRAINED))


NOMIC_BERT = Entry(
    name="nomic-bert",
    classes=("NomicBertModel",),
    model_types=("nomic_bert",),
    prefixes=("bert.",),
    defaults={
        "vocab_size": 30528, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 8192,
        "layer_norm_eps": 1e-12, "type_vocab_size": 2, "activation_function": "swiglu",
        "rope_theta": 1000.0,
    },
    aliases={
        "n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads",
        "n_inner": "intermediate_size", "n_positions": "max_position_embeddings",
        "layer_norm_epsilon": "layer_norm_eps", "rotary_emb_base": "rope_theta",
    },
    sizes=encoder_sizes,
    keys={
        **KEYS, "context_length": _trained_context, "rope.freq_base": rope.base,
    },
    rules=(
        Rule("embeddings.word_embeddings.weight", "token_embd.weight", "v d"),
        Rule("embeddings.token_type_embeddings.weight", "token_types.weight", "t d"),
        *norm("emb_ln", "token_embd_norm"),
        Rule(NOMIC + "attn.Wqkv.weight", BLOCK + "attn_qkv.weight", "3d d"),
        Rule(NOMIC + "attn.out_proj.weight", BLOCK + "attn_output.weight", "d d"),
        *norm(NOMIC + "norm1", BLOCK + "attn_output_norm"),
        Rule(NOMIC + "mlp.fc11.weight", BLOCK + "ffn_up.weight", "f d"),
        Rule(NOMIC + "mlp.fc12.weight", BLOCK + "ffn_gate.weight", "f d"),
        Rule(NOMIC + "mlp.fc2.weight", BLOCK + "ffn_down.weight", "d f"),
        *norm(NOMIC + "norm2", BLOCK + "layer_output_norm"),
    ),
    aside=ASIDE,
    refused=(
        only("activation_function", "swiglu"), only("hidden_act", "silu", "swish", None),
        rope.refused(), only("prenorm", False, None),
        only("causal", False, None), only("qkv_proj_bias", False, None),
        only("mlp_fc1_bias", False, None), only("mlp_fc2_bias", False, None),
        only("rotary_emb_fraction", 1, 1.0, None), only("rotary_emb_interleaved", False, None),
        only("rotary_emb_scale_base", None), only("moe_every_n_layers", None, 0),
    ),
    pools=True,
)  # fmt: skip

ENTRIES = (BERT, ROBERTA, NOMIC_BERT)
