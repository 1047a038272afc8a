"""What the tensors of the architectures are called, each table as ``Design.names`` without what
stands before them all; many architectures share one."""

from typing import Final

LAYER: Final = "layers.{i}."
GATED: Final = {
    "gate": f"{LAYER}mlp.gate_proj", "up": f"{LAYER}mlp.up_proj", "down": f"{LAYER}mlp.down_proj",
}  # fmt: skip
ATTENTION: Final = {
    "q": f"{LAYER}self_attn.q_proj", "k": f"{LAYER}self_attn.k_proj",
    "v": f"{LAYER}self_attn.v_proj", "o": f"{LAYER}self_attn.o_proj",
}  # fmt: skip
QUERY_NORMS: Final = {"q_norm": f"{LAYER}self_attn.q_norm", "k_norm": f"{LAYER}self_attn.k_norm"}
ENDS: Final = {"embed": "embed_tokens", "final_norm": "norm", "output": "lm_head"}
BEFORE: Final = {
    "attention_in": f"{LAYER}input_layernorm", "mlp_in": f"{LAYER}post_attention_layernorm",
}  # fmt: skip
LLAMA: Final = {**ENDS, **BEFORE, **ATTENTION, **GATED}
GEMMA2: Final = {
    **LLAMA,
    "attention_out": f"{LAYER}post_attention_layernorm",
    "mlp_in": f"{LAYER}pre_feedforward_layernorm",
    "mlp_out": f"{LAYER}post_feedforward_layernorm",
}
MIXTRAL: Final = {
    **ENDS, **BEFORE, **ATTENTION,
    "router": f"{LAYER}block_sparse_moe.gate",
    "expert_gate": f"{LAYER}block_sparse_moe.experts.{{e}}.w1",
    "expert_up": f"{LAYER}block_sparse_moe.experts.{{e}}.w3",
    "expert_down": f"{LAYER}block_sparse_moe.experts.{{e}}.w2",
}  # fmt: skip
QWEN_MOE: Final = {
    **LLAMA,
    "router": f"{LAYER}mlp.gate",
    "expert_gate": f"{LAYER}mlp.experts.{{e}}.gate_proj",
    "expert_up": f"{LAYER}mlp.experts.{{e}}.up_proj",
    "expert_down": f"{LAYER}mlp.experts.{{e}}.down_proj",
}
SHARED: Final = {
    "shared_gate": f"{LAYER}mlp.shared_expert.gate_proj",
    "shared_up": f"{LAYER}mlp.shared_expert.up_proj",
    "shared_down": f"{LAYER}mlp.shared_expert.down_proj",
    "shared_router": f"{LAYER}mlp.shared_expert_gate",
}
PHI3: Final = {
    **ENDS, **BEFORE,
    "qkv": f"{LAYER}self_attn.qkv_proj", "o": f"{LAYER}self_attn.o_proj",
    "gate_up": f"{LAYER}mlp.gate_up_proj", "down": f"{LAYER}mlp.down_proj",
}  # fmt: skip
OLMO2: Final = {
    **ENDS, **ATTENTION, **GATED, **QUERY_NORMS,
    "attention_out": f"{LAYER}post_attention_layernorm",
    "mlp_out": f"{LAYER}post_feedforward_layernorm",
}  # fmt: skip
STARCODER2: Final = {
    **ENDS, **BEFORE, **ATTENTION, "up": f"{LAYER}mlp.c_fc", "down": f"{LAYER}mlp.c_proj",
}  # fmt: skip
GPT2: Final = {
    "embed": "wte", "positions": "wpe", "final_norm": "ln_f", "output": "lm_head",
    "attention_in": "h.{i}.ln_1", "qkv": "h.{i}.attn.c_attn", "o": "h.{i}.attn.c_proj",
    "mlp_in": "h.{i}.ln_2", "up": "h.{i}.mlp.c_fc", "down": "h.{i}.mlp.c_proj",
}  # fmt: skip
GPT_NEOX: Final = {
    "embed": "embed_in", "final_norm": "final_layer_norm", "output": "embed_out", **BEFORE,
    "qkv": f"{LAYER}attention.query_key_value", "o": f"{LAYER}attention.dense",
    "up": f"{LAYER}mlp.dense_h_to_4h", "down": f"{LAYER}mlp.dense_4h_to_h",
}  # fmt: skip
FALCON: Final = {
    "embed": "word_embeddings", "final_norm": "ln_f", "output": "lm_head",
    "attention_in": "h.{i}.input_layernorm", "mlp_in": "h.{i}.post_attention_layernorm",
    "qkv": "h.{i}.self_attention.query_key_value", "o": "h.{i}.self_attention.dense",
    "up": "h.{i}.mlp.dense_h_to_4h", "down": "h.{i}.mlp.dense_4h_to_h",
}  # fmt: skip
ENCODED: Final = "encoder.layer.{i}."
BERT: Final = {
    "embed": "embeddings.word_embeddings", "positions": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings", "embed_norm": "embeddings.LayerNorm",
    "q": f"{ENCODED}attention.self.query", "k": f"{ENCODED}attention.self.key",
    "v": f"{ENCODED}attention.self.value", "o": f"{ENCODED}attention.output.dense",
    "attention_sum": f"{ENCODED}attention.output.LayerNorm",
    "up": f"{ENCODED}intermediate.dense", "down": f"{ENCODED}output.dense",
    "mlp_sum": f"{ENCODED}output.LayerNorm",
}  # fmt: skip
NOMIC: Final = {
    "embed": "embeddings.word_embeddings", "types": "embeddings.token_type_embeddings",
    "embed_norm": "emb_ln",
    "qkv": "encoder.layers.{i}.attn.Wqkv", "o": "encoder.layers.{i}.attn.out_proj",
    "attention_sum": "encoder.layers.{i}.norm1",
    "up": "encoder.layers.{i}.mlp.fc11", "gate": "encoder.layers.{i}.mlp.fc12",
    "down": "encoder.layers.{i}.mlp.fc2", "mlp_sum": "encoder.layers.{i}.norm2",
}  # fmt: skip
