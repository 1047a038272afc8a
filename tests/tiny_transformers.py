"""Tiny random models of transformers, with sizes that let mistakes show: heads that share keys,
heads that are wider or narrower than width / heads, norms and biases that are not 1 and 0.

``FAMILIES`` maps a name to the configuration's model_type and what is not usual in it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMMON = {
    "vocab_size": 384, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
LONG = {
    "rope_type": "longrope", "short_factor": [1.0 + 0.1 * i for i in range(6)],
    "long_factor": [2.0 + i for i in range(6)],
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
GEMMA = {"head_dim": 24, "query_pre_attn_scalar": 24, "sliding_window": 20}
FALCON = {"num_key_value_heads": None, "intermediate_size": None, "ffn_hidden_size": 256}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"head_dim": 24, "rms_norm_eps": 1e-5}),
    "llama-llama3": ("llama", {"rope_theta": 5e5, "rope_scaling": LLAMA3}),
    "llama-linear": ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    "llama-bias": ("llama", {"attention_bias": True, "mlp_bias": True,
                             "tie_word_embeddings": True}),
    "mistral": ("mistral", {"head_dim": 24}),
    "mixtral": ("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True, "rope_theta": 1e6}),
    "qwen2-yarn": ("qwen2", {"rope_scaling": YARN}),
    "qwen2moe": ("qwen2_moe", {
        "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 64,
    }),
    "qwen3": ("qwen3", {"head_dim": 24}),
    "qwen3moe": ("qwen3_moe", {
        "head_dim": 24, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
        "norm_topk_prob": True,
    }),
    "gemma": ("gemma", {"head_dim": 24}),
    "gemma2": ("gemma2", {**GEMMA, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 2.0}),
    "gemma3": ("gemma3_text", {**GEMMA, "num_hidden_layers": 7}),
    "gemma3-linear": ("gemma3_text", {
        **GEMMA, "num_hidden_layers": 7, "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    }),
    "phi3": ("phi3", {}),
    "phi3-longrope": ("phi3", {
        "partial_rotary_factor": 0.75, "max_position_embeddings": 4096, "rope_scaling": LONG,
        "original_max_position_embeddings": 512, "tie_word_embeddings": True,
    }),
    "smollm3": ("smollm3", {"num_hidden_layers": 5}),
    "granite": ("granite", {
        "embedding_multiplier": 3.0, "attention_multiplier": 0.1, "residual_multiplier": 0.3,
        "logits_scaling": 2.0,
    }),
    "olmo2": ("olmo2", {}),
    "olmo3": ("olmo3", {"num_hidden_layers": 5, "sliding_window": 20}),
    "stablelm": ("stablelm", {"use_qkv_bias": True, "partial_rotary_factor": 0.5}),
    "stablelm-parallel": ("stablelm", {"use_parallel_residual": True, "qk_layernorm": True,
                                       "partial_rotary_factor": 0.5}),
    "gpt2": ("gpt2", {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 512}),
    "gptneox": ("gpt_neox", {}),
    "gptneox-serial": ("gpt_neox", {"use_parallel_residual": False}),
    "starcoder2": ("starcoder2", {}),
    "falcon": ("falcon", {**FALCON, "multi_query": True}),
    "falcon-heads": ("falcon", {**FALCON, "multi_query": False}),
    "falcon-groups": ("falcon", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-one-norm": ("falcon", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2,
                                   "num_ln_in_parallel_attn": 1}),
    "bert": ("bert", {"type_vocab_size": 2, "num_key_value_heads": None}),
    "nomic": ("nomic_bert", {
        "head_dim": 16, "type_vocab_size": 2, "num_key_value_heads": None,
    }),
}  # fmt: skip
ENCODERS = ("bert", "nomic")


def make(folder: Path, name: str, seed: int = 0, **more: Any) -> Any:
    """Make the model ``name``, save it into ``folder`` and return it, in float32."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    kind, own = FAMILIES[name]
    stated: Mapping[str, Any] = {**COMMON, **own, **more}
    if kind == "gpt2":
        stated = {"vocab_size": COMMON["vocab_size"], **own, **more}
    config = AutoConfig.for_model(
        kind, **{key: one for key, one in stated.items() if one is not None},
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(seed)
    auto = AutoModel if name in ENCODERS else AutoModelForCausalLM
    model = auto.from_config(config, attn_implementation="eager").float().eval()
    plain = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, one in model.named_parameters():
            drawn = torch.randn(one.shape, generator=plain)
            if one.dim() > 1:
                one.copy_(drawn * (0.5 if "emb" in key or "wte" in key else one.shape[-1] ** -0.5))
            else:
                centre = 1.0 if one.dim() == 1 and one.mean() > 0.5 else 0.0
                one.copy_(centre + 0.2 * drawn)
    model.save_pretrained(folder)
    return model


def config_of(folder: Path) -> dict[str, Any]:
    """What was saved as config.json."""
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found
