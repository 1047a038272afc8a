"""What PEFT's adapter_config.json says of a LoRA, and what it asks for that llama.cpp does not do.

https://github.com/huggingface/peft/blob/main/src/peft/tuners/lora/config.py
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import Unsupported
from llmrr.formats.json_file import read_object, table, text
from llmrr.formats.layout import ADAPTER_CONFIG
from llmrr.formats.messages import damaged
from llmrr.formats.source import FileSource

MERGE: Final = "merge it into its model: merge_and_unload of peft, then convert that"
WRAPPED: Final = ".base_layer"  # what PEFT calls the module that it put another around
# How A and B began; every other way changes the weights of the base with it.
BEGINNINGS: Final = (True, False, None, "true", "false", "gaussian", "eva", "orthogonal", "mica")
# Keys that, where they are set, make the adapter compute something else than W x + s B A x.
OTHERWISE: Final = {
    "use_dora": "DoRA, which scales the columns of the weights",
    "use_qalora": "QA-LoRA, which pools its input",
    "use_bdlora": "block-diagonal LoRA",
    "kasa_config": "KaSA",
    "arrow_config": "Arrow, which routes between adapters",
    "alora_invocation_tokens": "activated LoRA, which begins within the prompt",
    "invocation_string": "activated LoRA, which begins within the prompt",
    "layer_replication": "layers that are in it several times",
    "trainable_token_indices": "tokens with other vectors",
    "lora_bias": "a bias of its own",
}


class Settings:
    """A LoRA's configuration. Raises ``Unsupported`` for what is no LoRA, or none that llama.cpp
    computes; ``DamagedFile``."""

    def __init__(self, folder: Path) -> None:
        self.where = f"{folder / ADAPTER_CONFIG}"
        self.raw = read_object(FileSource.of(folder / ADAPTER_CONFIG))
        _refuse(self.raw, self.where)
        self.base = text(self.raw, "base_model_name_or_path") or None
        self._rank = self._whole("r", self.raw.get("r"))
        self._alpha = self._real("lora_alpha", self.raw.get("lora_alpha"))
        self._ranks = table(self.raw, "rank_pattern")
        self._alphas = table(self.raw, "alpha_pattern")
        self._rooted = bool(self.raw.get("use_rslora"))

    def rank(self, module: str) -> int:
        """The rows of A for a module, which is named as in the base."""
        found = _of_pattern(self._ranks, module, self.where)
        return self._rank if found is None else self._whole("rank_pattern", found)

    def alpha(self, module: str) -> float:
        """What llama.cpp has to be told, so that alpha / rank is PEFT's factor for this module."""
        found = _of_pattern(self._alphas, module, self.where)
        stated = self._alpha if found is None else self._real("alpha_pattern", found)
        return stated * math.sqrt(self.rank(module)) if self._rooted else stated

    def _whole(self, key: str, value: object) -> int:
        if type(value) is int and 0 < value < 1 << 20:
            return value
        raise damaged(self.where, f"its {key} is {str(value)[:40]!r}, where a rank belongs")

    def _real(self, key: str, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            if value:
                return float(value)
            raise Unsupported(
                f"{self.where} turns its adapter off by {key} = 0, which llama.cpp reads as 1",
                "give an alpha that is not 0",
            )
        raise damaged(self.where, f"its {key} is {str(value)[:40]!r}, where a number belongs")


def _refuse(raw: Mapping[str, Any], where: str) -> None:
    kind = raw.get("peft_type", "LORA")
    if "fine_tune_type" in raw and "peft_type" not in raw:
        raise Unsupported(
            f"{where} was written by mlx-lm, whose adapters are not converted here",
            "mlx_lm.fuse merges it into its model; convert that",
        )
    if kind != "LORA":
        raise Unsupported(
            f"{where} is of the type {str(kind)[:40]!r}; llama.cpp has adapters of the type LORA",
            MERGE,
        )
    begun = raw.get("init_lora_weights")
    if not any(begun is one or (isinstance(one, str) and begun == one) for one in BEGINNINGS):
        raise Unsupported(
            f"{where} has init_lora_weights = {str(begun)[:40]!r}, which changes the base too",
            "save it with path_initial_model_for_weight_conversion, as peft describes; or "
            f"{MERGE}",
        )
    if raw.get("bias", "none") != "none":
        raise Unsupported(f"{where} trained biases (bias = {str(raw['bias'])[:40]!r})", MERGE)
    for key, what in OTHERWISE.items():
        if raw.get(key):
            raise Unsupported(f"{where} asks for {what} ({key})", MERGE)


def _of_pattern(patterns: Mapping[str, Any], module: str, where: str) -> Any:
    """What the first pattern that is the end of a module's name says, as PEFT's
    ``get_pattern_key`` matches; None for none."""
    plain = re.sub(rf"(?:{re.escape(WRAPPED)})+$", "", module)
    for pattern, value in patterns.items():
        try:
            found = re.match(rf"(?:.*\.)?(?:{pattern})$", plain)
        except re.error as exc:
            raise damaged(where, f"{pattern[:99]!r} is no pattern: {exc}") from exc
        if found:
            return value
    return None
