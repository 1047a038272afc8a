"""config.json of a model that only a GGUF file describes.

The table of architectures says which hyperparameters a file has and what they are called in
config.json; it is read the other way round here. What comes of it counts only if it leads to the
file's own hyperparameters and tensors again: then nothing was lost that the file says.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.convert.gguf.architectures import ENTRIES
from llmrr.convert.gguf.entry import Entry, Only
from llmrr.convert.gguf.planning import instances
from llmrr.convert.gguf.settings import Values
from llmrr.convert.safetensors import llama3
from llmrr.errors import LlmrrError, Unsupported
from llmrr.formats.gguf_header import Header
from llmrr.formats.messages import damaged

# What hyperparameters that the table computes are called in config.json; of several names all are
# set that the class in transformers has.
NAMES: dict[str, tuple[str, ...]] = {
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "layer_norm_epsilon"),
    "attention.layer_norm_epsilon": (
        "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps",
    ),
    "attention.head_count": ("num_attention_heads", "n_head"),
    "attention.head_count_kv": ("num_key_value_heads", "num_kv_heads"),
    "attention.key_length": ("head_dim",),
    "attention.sliding_window": ("sliding_window",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "feed_forward_length": ("intermediate_size", "n_inner", "ffn_hidden_size"),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "expert_count": ("num_experts", "num_local_experts"),
    "expert_used_count": ("num_experts_per_tok",),
    "rope.freq_base": ("rope_theta", "rotary_emb_base"),
    "attention.scale": ("attention_multiplier",),
    "embedding_scale": ("embedding_multiplier",),
    "residual_scale": ("residual_multiplier",),
    "logit_scale": ("logits_scaling",),
    "use_parallel_residual": ("use_parallel_residual",),
}  # fmt: skip
SCALING = {
    "rope.scaling.factor": "factor",
    "rope.scaling.original_context_length": "original_max_position_embeddings",
    "rope.scaling.yarn_ext_factor": "extrapolation_factor",
    "rope.scaling.yarn_attn_factor": "attention_factor",
    "rope.scaling.yarn_beta_fast": "beta_fast",
    "rope.scaling.yarn_beta_slow": "beta_slow",
}
BIASES = {
    "attention_bias": "attn_q.bias", "mlp_bias": "ffn_gate.bias", "use_qkv_bias": "attn_q.bias",
    "bias": "attn_qkv.bias", "use_bias": "attn_q.bias",
}  # fmt: skip
LARGE_GEMMAS = (("gemma2", 46), ("gemma3", 62))
MOST_FACTORS = 1 << 16
NEAR = 1e-4  # of what is computed from powers in single precision
ALIKE = 1e-6  # of numbers that the file has in single precision


def rebuild(header: Header, names: frozenset[str]) -> tuple[Entry, dict[str, Any]]:
    """The entry and the config.json for a file whose tensors have these ``names``.

    Raises ``Unsupported`` naming the architecture, or the key that cannot be told in config.json.
    """
    architecture = header.text("general.architecture") or ""
    why: list[str] = []
    for entry in ENTRIES:
        if entry.name != architecture:
            continue
        for config in _candidates(entry, header, names):
            try:
                difference = _difference(entry, config, header, names)
            except LlmrrError as error:
                difference = error.message
            if difference is None:
                return entry, config
            why.append(difference)
    raise Unsupported(
        f"{header.where} is of the architecture {architecture!r}, whose configuration cannot be"
        f" rebuilt: {why[0] if why else 'it is not in the table of architectures'}",
        "get the model's own repository from the hub",
    )


def _candidates(
    entry: Entry, header: Header, names: frozenset[str]
) -> Iterator[dict[str, Any]]:
    """Configurations that may be meant."""
    config = _stated(entry, header, names)
    if "rope_freqs.weight" not in names:
        yield config
        return
    theta = float(config.get("rope_theta", 10000.0))
    for scaling in llama3.candidates(factors(header, "rope_freqs.weight"), theta):
        yield config | {"rope_scaling": scaling}


def _stated(entry: Entry, header: Header, names: frozenset[str]) -> dict[str, Any]:
    known = entry.defaults.keys() | entry.aliases.keys()
    config: dict[str, Any] = {
        "architectures": [entry.classes[0]],
        "model_type": entry.model_types[0],
        "vocab_size": header.count("tokenizer.ggml.tokens"),
        "tie_word_embeddings": "output.weight" not in names,
    }
    for key, source in entry.keys.items():
        value = _value(header, f"{entry.name}.{key}")
        if value is None:
            continue
        stated = (source,) if isinstance(source, str) else NAMES.get(key, ())
        own = [name for name in stated if name in known] or stated[:1]
        config |= dict.fromkeys(own, value)
    if config.get("sliding_window") == 0:
        config["sliding_window"] = None
    for name, tensor in BIASES.items():
        if name in known:
            config[name] = f"blk.0.{tensor}" in names
    config |= _tokens(header) | _scaling(entry, header)
    config |= {key: one for key, one in _computed(header, names).items() if key in known}
    values = Values(config, header.where, entry.defaults, entry.aliases)
    for refuse in entry.refused:  # what it can only have been
        if isinstance(refuse, Only) and refuse(values):
            config[refuse.key] = refuse.allowed[0]
    return config


def _computed(header: Header, names: frozenset[str]) -> dict[str, Any]:
    """What hyperparameters, or tensors, say of other keys."""
    architecture = header.text("general.architecture")

    def whole(key: str) -> int:
        return header.integer(f"{architecture}.{key}") or 0

    heads, width = whole("attention.head_count") or 1, whole("embedding_length")
    head = whole("attention.key_length") or width // heads
    found: dict[str, Any] = {
        "new_decoder_architecture": "blk.0.attn_norm_2.weight" in names,
        "multi_query": whole("attention.head_count_kv") == 1,
        "qk_layernorm": "blk.0.attn_q_norm.weight" in names,
        # llama.cpp scales so; see ``gemma._scaled_otherwise``
        "query_pre_attn_scalar": width // heads
        if (architecture, whole("block_count")) in LARGE_GEMMAS
        else head,
    }
    if rotated := whole("rope.dimension_count"):
        names_of_it = ("partial_rotary_factor", "rotary_pct", "rope_pct")
        found |= dict.fromkeys(names_of_it, rotated / head)
    return found


def _value(header: Header, key: str) -> Any:
    value = header.metadata.get(key)
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(f"{value:.7g}")  # single precision has no more digits
    return None


def _tokens(header: Header) -> dict[str, int | None]:
    found = {
        role: header.integer(f"tokenizer.ggml.{role}_token_id") for role in ("bos", "eos")
    } | {"pad": header.integer("tokenizer.ggml.padding_token_id")}
    return {f"{role}_token_id": one for role, one in found.items()}  # a class has its own else


def _scaling(entry: Entry, header: Header) -> dict[str, Any]:
    kind = header.text(f"{entry.name}.rope.scaling.type")
    if kind in (None, "none", "longrope"):
        return {}
    found: dict[str, Any] = {"rope_type": kind}
    for key, name in SCALING.items():
        if (value := _value(header, f"{entry.name}.{key}")) is not None:
            found[name] = value
    return {"rope_scaling": found}


def _difference(
    entry: Entry, config: Mapping[str, Any], header: Header, names: frozenset[str]
) -> str | None:
    """What of the file the configuration does not lead to."""
    values = Values(config, header.where, entry.defaults, entry.aliases)
    for refuse in entry.refused:
        if why := refuse(values):
            return why
    keys = entry.hyperparameters(values)
    for key in sorted(keys.keys() | _own(entry, header)):
        implied = _implied(key.removeprefix(f"{entry.name}."), values)
        found, become = (
            implied if one is None else one for one in (_found(header, key), keys.get(key))
        )
        if not _alike(become, found):
            return f"{key} is {found!r}, and would become {become!r}"
    made = entry.made(values) if entry.made else {}
    wanted = {target for _, target, _ in instances(entry, values, entry.sizes(values))} | set(made)
    if missing := names - wanted:
        return f"it has no place for {min(missing)}"
    for name, numbers in made.items():
        if name in names and not all(map(_near, factors(header, name), numbers)):
            return f"{name} has other numbers than what {entry.classes[0]} computes"
    return None


def factors(header: Header, name: str) -> tuple[float, ...]:
    """The numbers of a small tensor in single precision. Raises ``DamagedFile``."""
    one = next(one for one in header.tensors if one.name == name)
    if one.type_name != "F32" or one.elements > MOST_FACTORS:
        raise damaged(header.where, f"{name!r} is no list of factors")
    raw = header.source.read(header.data_offset + one.offset, one.bytes)
    return struct.unpack(f"<{one.elements}f", raw)


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=NEAR)


def _own(entry: Entry, header: Header) -> set[str]:
    """The file's hyperparameters, without those that only restate what the tokenizer says."""
    aside = {f"{entry.name}.vocab_size"}
    return {key for key in header.metadata if key.startswith(f"{entry.name}.")} - aside


def _implied(key: str, values: Values) -> Any:
    """What llama.cpp takes where a file does not have the key (``llama_model::load_hparams``)."""
    head = values.whole("hidden_size") // values.heads
    return {
        "vocab_size": values.get("vocab_size"), "attention.head_count_kv": values.heads,
        "attention.key_length": head, "attention.value_length": head,
        "rope.dimension_count": values.head, "rope.freq_base": 10000.0,
    }.get(key)  # fmt: skip


def _found(header: Header, key: str) -> Any:
    values = header.values(key)
    return header.metadata.get(key) if values is None else list(values)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ALIKE, abs_tol=1e-12)
    return bool(one == other)
