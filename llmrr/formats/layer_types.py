"""What each layer of a model keeps of the past: all of it, a window, a state of fixed size."""

from collections.abc import Sequence
from typing import NamedTuple

from llmrr.formats.model_config import Config

# Every n-th layer sees everything, where the configuration leaves it to the architecture.
PERIODS = {
    "gemma2": 2, "gemma3": 6, "gemma3_text": 6, "gemma3n": 5, "gemma3n_text": 5, "cohere2": 4,
    "gpt_oss": 2, "olmo3": 4, "exaone4": 4, "llama4": 4, "llama4_text": 4,
}  # fmt: skip
RECURRENT = frozenset({
    "mamba", "mamba2", "falcon_mamba", "rwkv", "rwkv5", "rwkv6", "rwkv7", "xlstm", "mamba_ssm",
})  # fmt: skip
STATES = frozenset({"linear_attention", "mamba", "mamba2", "recurrent", "conv", "hybrid", "M"})
NOTHING = frozenset({"mlp", "moe", "-", "E"})
WINDOWS = frozenset({"sliding_attention", "chunked_attention", "local_attention", "local"})
WINDOW = ("sliding_window", "sliding_window_size", "attention_window_size", "attention_chunk_size")
# What llama.cpp calls the sizes of a state, and the names of each in configurations; the formula of
# memory looks for the first.
STATE_SIZES = {
    "ssm.state_size": (
        "state_size", "ssm_state_size", "mamba_d_state", "d_state", "linear_key_head_dim",
    ),
    "ssm.conv_kernel": ("conv_kernel", "mamba_d_conv", "d_conv", "linear_conv_kernel_dim"),
    "ssm.group_count": ("n_groups", "mamba_n_groups", "mamba_ngroups", "linear_num_key_heads"),
    "wkv.head_size": ("head_size",),
    "shortconv.l_cache": ("conv_L_cache",),
}  # fmt: skip
EXPANSION = ("mamba_expand", "expand")


class Layers(NamedTuple):
    """``window`` in tokens and ``sliding``, for each layer whether it sees only that; ``states``,
    for each layer whether it keeps a state in place of keys and values; ``attends``, whether it
    keeps keys and values; ``sizes`` of a state, under the names of GGUF."""

    window: int | None
    sliding: tuple[bool, ...] | None
    states: bool
    attends: tuple[bool, ...]
    sizes: dict[str, int]


def read_layers(config: Config) -> Layers:
    """What ``config`` says of its layers."""
    count = config.layers or 0
    kinds = _kinds(config, count)
    states = config.family in RECURRENT or any(kind in STATES for kind in kinds)
    if config.family in RECURRENT:
        attends = (False,) * count
    elif kinds:
        attends = tuple(kind == "hybrid" or kind not in STATES | NOTHING for kind in kinds)
    else:
        attends = (True,) * count
    # Qwen states a window and does not use it unless it says so.
    used = config.flag("use_sliding_window")
    unused = used is False or (used is None and config.family.startswith("qwen"))
    window = None if unused else config.number(*WINDOW)
    sliding = _sliding(config, kinds, count) if window and count else None
    sizes = _state_sizes(config) if states else {}
    return Layers(window if sliding and any(sliding) else None, sliding, states, attends, sizes)


def _kinds(config: Config, count: int) -> Sequence[str]:
    """The kind of each layer where the configuration says it, in whatever way."""
    if stated := config.names("layer_types", "layers_block_type"):
        return stated
    if isinstance(pattern := config.value("hybrid_override_pattern"), str):
        return pattern[:count]
    if repeated := config.names("block_types"):  # RecurrentGemma, whose attention has a window
        return ["local" if kind == "attention" else kind for kind in (repeated * count)[:count]]
    if interval := config.number("full_attention_interval"):
        return ["full" if (i + 1) % interval == 0 else "linear_attention" for i in range(count)]
    if period := config.number("attn_layer_period"):
        offset = config.value("attn_layer_offset") or 0
        return ["full" if i % period == offset else "mamba" for i in range(count)]
    for key, other in (("full_attn_idxs", "conv"), ("attn_layer_indices", "mamba")):
        if isinstance(full := config.value(key), list) and len(full) <= count:
            return ["full" if i in full else other for i in range(count)]
    return ["hybrid"] * count if config.family == "falcon_h1" else ()


def _sliding(config: Config, kinds: Sequence[str], count: int) -> tuple[bool, ...]:
    if kinds:
        return tuple(kind in WINDOWS for kind in kinds)
    if config.flag("use_sliding_window") and (first := config.number("max_window_layers")):
        return tuple(i >= first for i in range(count))
    if without := config.numbers("no_rope_layers"):
        return tuple(bool(one) for one in without)
    pattern = config.value("sliding_window_pattern", "_sliding_window_pattern")
    if isinstance(pattern, str) and pattern:
        return tuple(pattern[i % len(pattern)] == "L" for i in range(count))
    period = config.number("sliding_window_pattern", "_sliding_window_pattern")
    period = period or PERIODS.get(config.family) or PERIODS.get(str(config.value("model_type")))
    return tuple(period is None or (i + 1) % period != 0 for i in range(count))


def _state_sizes(config: Config) -> dict[str, int]:
    sizes = {name: config.number(*keys) for name, keys in STATE_SIZES.items()}
    width, inner = config.number("hidden_size", "d_model"), config.number("mamba_d_ssm")
    if inner is None and (heads := config.number("mamba_num_heads", "linear_num_value_heads")):
        inner = heads * (config.number("mamba_head_dim", "linear_value_head_dim") or 0)
    if inner is None and (factor := config.number(*EXPANSION)) and width:
        inner = factor * width
    if config.family in ("mamba", "falcon_mamba"):
        inner = config.number("intermediate_size", "d_inner") or inner
    sizes["ssm.inner_size"] = inner
    return {name: size for name, size in sizes.items() if size}
