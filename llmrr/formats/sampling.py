"""generation_config.json: how its author wants a model to be sampled."""

from collections.abc import Mapping
from typing import Any

from llmrr.types import Sampling

FIELDS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repeat_penalty",
}
ONLY_DRAWN = ("temperature", "top_k", "top_p", "min_p", "typical_p")


def read_sampling(table: Mapping[str, Any]) -> Sampling:
    """The sampling that a generation_config.json recommends.

    Without ``do_sample: true`` transformers ignores temperature and its kin and is greedy. What was
    derived from an old config.json (``_from_model_config``) is nobody's recommendation.
    """
    if table.get("_from_model_config") is True:
        return Sampling()
    values = {ours: _number(table.get(theirs)) for theirs, ours in FIELDS.items()}
    drawn = table.get("do_sample")
    stated = {name: value for name, value in values.items() if value is not None}
    if drawn is not True and (drawn is False or any(name in stated for name in ONLY_DRAWN)):
        stated = {name: value for name, value in stated.items() if name not in ONLY_DRAWN}
        stated["temperature"] = 0.0
    if "top_k" in stated:
        stated["top_k"] = int(stated["top_k"])
    return Sampling(**stated)  # type: ignore[arg-type]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value < 1e9 else None  # not NaN either
