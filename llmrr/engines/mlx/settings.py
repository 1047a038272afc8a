"""config.json as mlx-lm is to read it.

Some names differ. And two things that it would get silently wrong are set right here: since version
5 transformers puts what concerns rotary positions under ``rope_parameters``, which most modules of
mlx-lm do not look at; and several of them take embeddings for tied where config.json does not say
it, which in transformers depends on the class: whether there is a matrix of the output decides.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from llmrr.errors import NotFound
from llmrr.formats.json_file import read_object, table
from llmrr.formats.messages import damaged
from llmrr.formats.source import FileSource

# What rope_parameters holds beside the scaling, and the older names of the same.
MOVED = {
    "rope_theta": ("rope_theta", "rotary_emb_base"),
    "partial_rotary_factor": ("partial_rotary_factor", "rotary_pct"),
    "original_max_position_embeddings": ("original_max_position_embeddings",),
}
# Keys that mlx-lm demands, and how transformers 5 writes the same number.
OTHER_NAMES = {"num_experts": "num_local_experts", "n_ctx": "n_positions"}
TYPED = ("full_attention", "sliding_attention")  # Gemma 3 has one table for each kind of layer
BARE = {"type", "rope_type", "rope_theta", "partial_rotary_factor"}
OUTPUT = ("lm_head.weight", "embed_out.weight", "output.weight")
FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}


def read_config(folder: Path, tensors: Collection[str] = ()) -> dict[str, Any]:
    """The settings of the model in ``folder``, whose weights have the names ``tensors``.

    Raises ``NotFound`` without a config.json, ``DamagedFile`` for one that is no JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise NotFound(
            f"{folder} has no config.json", "name the folder that holds it: --config DIR",
            is_file=True,
        )
    source = FileSource.of(path)
    raw = read_object(source)
    if not isinstance(raw.get("model_type"), str):
        raise damaged(source, "it does not state a model_type")
    config: dict[str, Any] = _floats(raw)
    generation = folder / "generation_config.json"
    stated = read_object(FileSource.of(generation)) if generation.is_file() else {}
    if ends := stated.get("eos_token_id"):
        config["eos_token_id"] = ends
    return plain(config, tensors)


def plain(config: Mapping[str, Any], tensors: Collection[str] = ()) -> dict[str, Any]:
    """``config`` with the keys that mlx-lm looks up.

    >>> plain({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}})["rope_theta"]
    500000.0
    """
    found = _rope(config)
    for key, other in OTHER_NAMES.items():
        if other in found:
            found.setdefault(key, found[other])
    for part in ("text_config", "llm_config", "language_config"):
        if isinstance(inside := config.get(part), dict):
            found[part] = plain(inside, tensors)
    if tensors and "tie_word_embeddings" not in found:
        found["tie_word_embeddings"] = not any(name.endswith(OUTPUT) for name in tensors)
    return found


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys before there was ``rope_parameters``; what is stated already stays."""
    found, rope = dict(config), table(config, "rope_parameters")
    by_kind = {kind: rope[kind] for kind in TYPED if isinstance(rope.get(kind), dict)}
    if by_kind:
        rope = by_kind.get("full_attention", {})
        local = by_kind.get("sliding_attention", {}).get("rope_theta")
        if local is not None:
            found.setdefault("rope_local_base_freq", local)
    for key, names in MOVED.items():
        if (value := rope.get(key)) is not None:
            for name in names:
                if found.get(name) is None:
                    found[name] = value
    kind = rope.get("rope_type") or rope.get("type")
    if kind not in (None, "default") and found.get("rope_scaling") is None:
        found["rope_scaling"] = {**rope, "type": kind, "rope_type": kind}
    scaling = found.get("rope_scaling")
    if isinstance(scaling, dict) and "rope_type" in scaling:
        scaling = found["rope_scaling"] = {"type": scaling["rope_type"], **scaling}
    if isinstance(scaling, dict) and scaling.get("type") == "default" and scaling.keys() <= BARE:
        found["rope_scaling"] = None  # Phi-3's module takes any table for a scaling
    return found


def _floats(value: Any) -> Any:
    """transformers writes a number that JSON does not have as {"__float__": "Infinity"}."""
    if isinstance(value, dict):
        if set(value) == {"__float__"} and value["__float__"] in FLOATS:
            return FLOATS[value["__float__"]]
        return {key: _floats(one) for key, one in value.items()}
    return [_floats(one) for one in value] if isinstance(value, list) else value
