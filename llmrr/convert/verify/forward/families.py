"""The architectures: one entry each, from transformers' configuration and modelling files."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from llmrr.convert.verify.forward import naming
from llmrr.convert.verify.forward.design import Design, Experts, Layer
from llmrr.convert.verify.forward.settings import Settings, text_part
from llmrr.errors import DamagedFile, Unsupported

PREFIXES: Final = (
    "model.", "", "transformer.", "gpt_neox.", "bert.", "language_model.model.",
    "model.language_model.", "language_model.", "nomic_bert.",
)  # fmt: skip
EPSILON: Final = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
ACTIVATION: Final = ("hidden_activation", "hidden_act", "activation_function", "activation")
OUTSIDE: Final = ("", "language_model.", "model.")  # where the output matrix may stand


@dataclass(frozen=True, slots=True)
class Family:
    """An architecture. ``names`` as in ``Design``, without what stands before them all;
    ``facts`` gives the fields of ``Design`` that are not the usual ones. The others are what the
    class of its configuration takes where config.json says nothing."""

    names: Mapping[str, str]
    facts: Callable[[Settings], dict[str, Any]] = lambda settings: {}
    defaults: Mapping[str, Any] = field(default_factory=dict)
    epsilon: float = 1e-6
    activation: str = "silu"


def design_of(config: Mapping[str, Any], tensors: Collection[str]) -> Design:
    """What the model with this config.json and these tensors computes.

    Raises ``Unsupported`` for an architecture that has no entry here, or something in it that no
    entry knows, ``DamagedFile`` for a configuration that does not describe it.
    """
    stated = text_part(config)
    name = str(stated.get("model_type"))
    family = FAMILIES.get(name)
    if family is None:
        raise Unsupported(f"the architecture {name[:40]!r} is not known here")
    try:
        return _design(family, Settings(stated, family.defaults), tensors)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as exc:
        raise DamagedFile(f"config.json does not describe a model of {name}: {exc!r}") from exc


def _design(family: Family, settings: Settings, tensors: Collection[str]) -> Design:
    facts = family.facts(settings)
    names = facts.pop("names", family.names)
    usual: dict[str, Any] = {
        "width": settings.width,
        "heads": settings.heads,
        "heads_kv": int(settings.get("num_key_value_heads") or settings.heads),
        "head": settings.head,
        "epsilon": settings.get(*EPSILON) or family.epsilon,
        "activation": settings.get(*ACTIVATION) or family.activation,
        "scale": 1 / math.sqrt(settings.head),
        "tied": bool(settings.get("tie_word_embeddings")),
        "context": settings.get("max_position_embeddings", "n_positions"),
    }  # fmt: skip
    if "layers" not in facts:
        usual["layers"] = (Layer(settings.rope()),) * settings.layers
    return Design(names=_placed(names, tensors), **{**usual, **facts})


def _placed(names: Mapping[str, str], tensors: Collection[str]) -> dict[str, str]:
    """The names with what stands before them in this model."""
    inside = f"{names['embed']}.weight"
    before = next((one for one in PREFIXES if one + inside in tensors), PREFIXES[0])
    found = {role: before + name for role, name in names.items()}
    if output := names.get("output"):
        places = (one + output for one in (*OUTSIDE, before))
        found["output"] = next((one for one in places if f"{one}.weight" in tensors), output)
    return found


# -- what is not usual, by architecture ------------------------------------------------------------


def _mixture(settings: Settings, normalised: bool) -> dict[str, Any]:
    """Every layer a mixture, but for those that a Qwen leaves plain."""
    plain = settings.get("mlp_only_layers") or ()
    step = settings.get("decoder_sparse_step") or 1
    experts = Experts(
        int(settings.get("num_local_experts", "num_experts")),
        int(settings.get("num_experts_per_tok")),
        normalised,
    )
    rope = settings.rope()
    return {
        "layers": tuple(
            Layer(rope, experts=None if i in plain or (i + 1) % step else experts)
            for i in range(settings.layers)
        )
    }


def _mixtral(settings: Settings) -> dict[str, Any]:
    return _mixture(settings, True)


def _qwen_moe(settings: Settings) -> dict[str, Any]:
    return _mixture(settings, bool(settings.get("norm_topk_prob")))


def _gemma(settings: Settings) -> dict[str, Any]:
    activation = settings.get("hidden_activation") or "gelu_pytorch_tanh"  # hidden_act is wrong
    return {"norm_offset": 1.0, "embedding_scale": math.sqrt(settings.width),
            "activation": activation}  # fmt: skip


def _gemma2(settings: Settings) -> dict[str, Any]:
    rope, window = settings.rope(), settings.get("sliding_window")
    return {
        **_gemma(settings),
        "scale": 1 / math.sqrt(settings.get("query_pre_attn_scalar")),
        "softcap": settings.get("attn_logit_softcapping"),
        "final_softcap": settings.get("final_logit_softcapping"),
        "layers": tuple(Layer(rope, window if one else None) for one in settings.kinds(2)),
    }


def _gemma3(settings: Settings) -> dict[str, Any]:
    near = settings.get("rope_local_base_freq")
    full = Layer(settings.rope())
    sliding = Layer(
        settings.rope("sliding_attention", base=near, scaled=False), settings.get("sliding_window")
    )
    period = settings.get("sliding_window_pattern", "_sliding_window_pattern") or 6
    kinds = settings.kinds(int(period))
    return {**_gemma2(settings), "layers": tuple(sliding if one else full for one in kinds)}


def _smollm3(settings: Settings) -> dict[str, Any]:
    rope, step = settings.rope(), settings.get("no_rope_layer_interval")
    rotated = settings.get("no_rope_layers") or [(i + 1) % step for i in range(settings.layers)]
    return {"layers": tuple(Layer(rope if one else None) for one in rotated)}


def _granite(settings: Settings) -> dict[str, Any]:
    return {
        "scale": settings.get("attention_multiplier"),
        "embedding_scale": settings.get("embedding_multiplier"),
        "residual_scale": settings.get("residual_multiplier"),
        "logit_scale": 1 / settings.get("logits_scaling"),
    }


def _olmo2(settings: Settings) -> dict[str, Any]:
    return {"query_norm": "whole"}


def _olmo3(settings: Settings) -> dict[str, Any]:
    full = Layer(settings.rope())
    sliding = Layer(
        settings.rope("sliding_attention", scaled=False), settings.get("sliding_window")
    )
    kinds = settings.kinds(4)
    return {"query_norm": "whole", "layers": tuple(sliding if one else full for one in kinds)}


def _stablelm(settings: Settings) -> dict[str, Any]:
    names = dict(naming.LLAMA)
    parallel = bool(settings.get("use_parallel_residual"))
    if parallel:
        names["mlp_in"] = names["attention_in"]
    if settings.get("qk_layernorm"):
        for role in ("q", "k"):
            names[f"{role}_norm"] = f"{naming.LAYER}self_attn.{role}_layernorm.norms.{{h}}"
    return {"norm": "layer", "parallel": parallel, "names": names}


def _starcoder2(settings: Settings) -> dict[str, Any]:
    return {"norm": "layer"}


def _gpt2(settings: Settings) -> dict[str, Any]:
    if settings.get("scale_attn_by_inverse_layer_idx"):
        raise Unsupported("attention that is scaled by the number of its layer is not known")
    scale = 1 / math.sqrt(settings.head) if settings.get("scale_attn_weights") else 1.0
    return {"norm": "layer", "turned": True, "scale": scale, "heads_kv": settings.heads,
            "layers": (Layer(),) * settings.layers}  # fmt: skip


def _gpt_neox(settings: Settings) -> dict[str, Any]:
    parallel = bool(settings.get("use_parallel_residual"))
    return {"norm": "layer", "fused": "grouped", "parallel": parallel,
            "heads_kv": settings.heads}  # fmt: skip


def _falcon(settings: Settings) -> dict[str, Any]:
    later = bool(settings.get("new_decoder_architecture"))
    single = bool(settings.get("multi_query")) and not later
    kv = settings.get("num_kv_heads", "n_head_kv") or settings.heads
    norms = settings.get("num_ln_in_parallel_attn") or (2 if later else 1)
    names = dict(naming.FALCON)
    parallel = later or bool(settings.get("parallel_attn"))
    if parallel and norms == 2:
        names |= {"attention_in": "h.{i}.ln_attn", "mlp_in": "h.{i}.ln_mlp"}
    elif parallel:
        names["mlp_in"] = names["attention_in"]
    if settings.get("alibi"):
        raise Unsupported("positions by ALiBi are not known")
    return {
        "norm": "layer",
        "names": names,
        "parallel": parallel,
        "heads_kv": 1 if single else int(kv) if later else settings.heads,
        "fused": "stacked" if single else "grouped",
        "layers": (Layer(settings.rope()),) * settings.layers,
    }


def _bert(settings: Settings) -> dict[str, Any]:
    if settings.get("position_embedding_type") not in (None, "absolute"):
        raise Unsupported("positions that are relative are not known of BERT")
    return {"norm": "layer", "causal": False, "layers": (Layer(),) * settings.layers}


def _nomic(settings: Settings) -> dict[str, Any]:
    if settings.get("prenorm") or (settings.get("num_experts") or 0) > 1:
        raise Unsupported("a nomic-bert with norms first or with experts is not known")
    return {"norm": "layer", "causal": False, "heads_kv": settings.heads}


_GEMMA: Final = {"head_dim": 256, "tie_word_embeddings": True, "num_hidden_layers": 26,
                 "hidden_size": 2304, "num_attention_heads": 8, "num_key_value_heads": 4,
                 "query_pre_attn_scalar": 256, "sliding_window": 4096}  # fmt: skip

FAMILIES: Final[Mapping[str, Family]] = {
    "llama": Family(naming.LLAMA),
    "mistral": Family(naming.LLAMA, defaults={"num_key_value_heads": 8}),
    "mixtral": Family(naming.MIXTRAL, _mixtral, {
        "rope_theta": 1e6, "num_local_experts": 8, "num_experts_per_tok": 2,
        "num_key_value_heads": 8,
    }, epsilon=1e-5),
    "qwen2": Family(naming.LLAMA),
    "qwen2_moe": Family({**naming.QWEN_MOE, **naming.SHARED}, _qwen_moe, {
        "num_experts": 60, "num_experts_per_tok": 4,
    }),
    "qwen3": Family({**naming.LLAMA, **naming.QUERY_NORMS}, defaults={"head_dim": 128}),
    "qwen3_moe": Family({**naming.QWEN_MOE, **naming.QUERY_NORMS}, _qwen_moe, {
        "num_experts": 128, "num_experts_per_tok": 8, "num_key_value_heads": 4,
    }),
    "gemma": Family(naming.LLAMA, _gemma, {"head_dim": 256, "tie_word_embeddings": True}),
    "gemma2": Family(naming.GEMMA2, _gemma2, {
        **_GEMMA, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
    }),
    "gemma3_text": Family({**naming.GEMMA2, **naming.QUERY_NORMS}, _gemma3, {
        **_GEMMA, "rope_theta": 1e6, "rope_local_base_freq": 10000.0,
    }),
    "phi3": Family(naming.PHI3, defaults={
        "original_max_position_embeddings": 4096, "max_position_embeddings": 4096,
    }, epsilon=1e-5),
    "smollm3": Family(naming.LLAMA, _smollm3, {
        "rope_theta": 2e6, "no_rope_layer_interval": 4, "tie_word_embeddings": True,
        "num_key_value_heads": 4,
    }),
    "granite": Family(naming.LLAMA, _granite, {
        "attention_multiplier": 1.0, "embedding_multiplier": 1.0, "residual_multiplier": 1.0,
        "logits_scaling": 1.0,
    }),
    "olmo2": Family(naming.OLMO2, _olmo2, epsilon=1e-5),
    "olmo3": Family(naming.OLMO2, _olmo3, {
        "sliding_window": 4096, "rope_theta": 500000.0,
    }, epsilon=1e-5),
    "stablelm": Family(naming.LLAMA, _stablelm, {"partial_rotary_factor": 0.25}, epsilon=1e-5),
    "starcoder2": Family(naming.STARCODER2, _starcoder2, {
        "num_key_value_heads": 2, "tie_word_embeddings": True,
    }, epsilon=1e-5, activation="gelu_pytorch_tanh"),
    "gpt2": Family(naming.GPT2, _gpt2, {
        "n_embd": 768, "n_layer": 12, "n_head": 12, "scale_attn_weights": True,
        "tie_word_embeddings": True,
    }, epsilon=1e-5, activation="gelu_new"),
    "gpt_neox": Family(naming.GPT_NEOX, _gpt_neox, {
        "rotary_pct": 0.25, "use_parallel_residual": True,
    }, epsilon=1e-5, activation="gelu"),
    "falcon": Family(naming.FALCON, _falcon, {
        "multi_query": True, "parallel_attn": True, "tie_word_embeddings": True,
    }, epsilon=1e-5, activation="gelu"),
    "bert": Family(naming.BERT, _bert, {
        "num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12,
        "max_position_embeddings": 512,
    }, epsilon=1e-12, activation="gelu"),
    "nomic_bert": Family(naming.NOMIC, _nomic, {"rotary_emb_base": 1000.0}, epsilon=1e-12),
}  # fmt: skip
