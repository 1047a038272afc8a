"""What the files beside the weights of a Hugging Face folder say of a model: config.json,
generation_config.json, the tokenizer, the licence in README.md.

https://huggingface.co/docs/transformers/main_classes/configuration
"""

import re
from collections.abc import Sequence
from typing import Any

from llmrr.formats.json_file import read_beside, table
from llmrr.formats.layer_types import Layers, read_layers
from llmrr.formats.model_config import (
    CONTEXT,
    EXPERT_FEED_FORWARD,
    EXPERTS,
    EXPERTS_USED,
    FEED_FORWARD,
    HEAD,
    HEADS,
    HEADS_KV,
    VOCABULARY,
    WIDTH,
    Config,
)
from llmrr.formats.sampling import read_sampling
from llmrr.formats.source import Files
from llmrr.formats.tokenizer import read_tokenizer

FRONT_MATTER = 4096  # bytes of README.md in which its licence is looked for
LICENSE = re.compile(r"^(license|license_name):[ \t]*[\"']?([\w.+-]+)", re.MULTILINE)
POOLING = {
    "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}  # fmt: skip
MAX_KEYS = 1024  # of the metadata
LONG = 1024  # a list or a text that is left out of it


def read_settings(files: Files) -> tuple[Config, dict[str, Any]]:
    """The configuration beside the weights, and the fields of ``ModelInfo`` that do not depend on
    the weights. Raises ``DamagedFile`` for a file that is no JSON object."""
    raw = read_beside(files, "config.json") or _of_genai(files)
    config = Config(raw)
    generation = read_beside(files, "generation_config.json")
    layers = read_layers(config)
    return config, {
        "architecture": config.family,
        "license": _license(files),
        "pooling": pooling(files),
        "sampling": read_sampling(generation or table(raw, "search")),
        "metadata": _metadata(config) | _derived(config, layers),
        **_sizes(config, layers),
        **read_tokenizer(files, (generation, *config.tables)),
    }


def _sizes(config: Config, layers: Layers) -> dict[str, Any]:
    count, width, heads = config.layers, config.number(*WIDTH), config.numbers(*HEADS)
    latent = config.number("kv_lora_rank")
    rotated = config.number("qk_rope_head_dim") or 0
    key = latent + rotated if latent else config.number(*HEAD)
    if key is None and width and any(heads) and width % max(heads) == 0:
        key = width // max(heads)
    return {
        "layers": count,
        "embedding_length": width,
        "vocabulary": config.number(*VOCABULARY),
        "context_length": config.number(*CONTEXT),
        "heads": heads,
        "heads_kv": _heads_kv(config, layers, heads),
        "key_length": key,
        "value_length": latent or key,
        "feed_forward": _feed_forward(config, width),
        "experts": config.number(*EXPERTS),
        "experts_used": config.number(*EXPERTS_USED),
        "sliding_window": layers.window,
        "sliding_pattern": layers.sliding if layers.window else None,
        "recurrent": layers.states,
    }


def _heads_kv(config: Config, layers: Layers, heads: Sequence[int]) -> tuple[int, ...]:
    """Per layer, 0 for one that keeps a state instead."""
    count = config.layers or 1
    if config.number("kv_lora_rank"):
        found: tuple[int, ...] = (1,) * count
    elif config.flag("multi_query") and not config.flag("new_decoder_architecture"):
        found = (1,) * count
    else:
        found = config.numbers(*HEADS_KV) or tuple(heads)
    if all(layers.attends):
        return found
    return tuple(
        one if attends else 0
        for one, attends in zip(found or (0,) * count, layers.attends, strict=False)
    )


def _feed_forward(config: Config, width: int | None) -> tuple[int, ...]:
    if stated := config.numbers(*FEED_FORWARD):
        return stated
    # GPT-2 and its kin state null for four times the width.
    left_out = any(key in config.raw for key in ("n_inner", "intermediate_size"))
    factor = 4 if left_out else config.number("expansion_ratio")
    return (factor * width,) * (config.layers or 1) if factor and width else ()


def _derived(config: Config, layers: Layers) -> dict[str, Any]:
    """Sizes under the keys that GGUF has for them, which the formula of memory looks up."""
    sizes: dict[str, int | None] = dict(layers.sizes)
    sizes["expert_feed_forward_length"] = config.number(*EXPERT_FEED_FORWARD)
    sizes["attention.shared_kv_layers"] = config.number("num_kv_shared_layers")
    if config.number("kv_lora_rank"):
        rotated = config.number("qk_rope_head_dim") or 0
        sizes["attention.key_length_mla"] = (config.number("qk_nope_head_dim") or 0) + rotated
    return {f"{config.family}.{key}": size for key, size in sizes.items() if size is not None}


def _metadata(config: Config) -> dict[str, Any]:
    """The keys of config.json, those of a table inside as TABLE.KEY; long lists are left out."""
    found: dict[str, Any] = {}
    for key, value in config.raw.items():
        inside = value.items() if isinstance(value, dict) else ((None, value),)
        for name, one in inside:
            if len(found) < MAX_KEYS and _short(one):
                full = key if name is None else f"{key}.{name}"
                found[full] = tuple(one) if isinstance(one, list) else one
    return found


def _short(value: Any) -> bool:
    """A text, a number that fits into 64 bits and is finite, or a list of such."""
    if isinstance(value, list):
        return len(value) <= LONG and not any(isinstance(x, list) or not _short(x) for x in value)
    if isinstance(value, str):
        return len(value) <= LONG
    return isinstance(value, int | float) and abs(value) < 2**63  # nor is NaN


def _of_genai(files: Files) -> dict[str, Any]:
    """genai_config.json of ONNX Runtime, with the names of config.json.
    https://onnxruntime.ai/docs/genai/reference/config.html"""
    stated = read_beside(files, "genai_config.json")
    model = table(stated, "model")
    renamed = {
        "model_type": model.get("type"),
        "head_dim": table(model, "decoder").get("head_size"),
        "max_position_embeddings": model.get("context_length"),
        "search": table(stated, "search"),
    }
    return table(model, "decoder") | model | renamed if model else {}


def _license(files: Files) -> str | None:
    """The licence in the front matter of README.md, by its own name where it is none of those that
    the hub lists."""
    if "README.md" not in files.sizes:
        return None
    start = files.source("README.md").read(0, FRONT_MATTER).decode("utf-8", "replace")
    if not start.startswith("---"):
        return None
    front = re.split(r"^---\s*$", start[3:], maxsplit=1, flags=re.MULTILINE)[0]
    found = {key: value for key, value in LICENSE.findall(front)}
    stated = found.get("license")
    return found.get("license_name", stated) if stated == "other" else stated


def pooling(files: Files) -> str | None:
    """How Sentence Transformers make one vector of many."""
    stated = read_beside(files, "1_Pooling/config.json")
    mode = stated.get("pooling_mode")
    if isinstance(mode, str) and mode in ("mean", "cls", "lasttoken"):
        return "last" if mode == "lasttoken" else mode
    return next((name for key, name in POOLING.items() if stated.get(key) is True), None)
