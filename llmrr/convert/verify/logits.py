"""The check "logits": the whole model, computed from its source by MLX and from the GGUF file by
llama.cpp, where MLX is installed and has the architecture.

MLX computes in float32, so that only the weights of the result are rounded. It stands beside the
check of the first layers, which asks more of them (windows, long contexts) than mlx-lm can.
"""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from llmrr import formats, hardware
from llmrr.convert.base import Check, Told
from llmrr.convert.mlx import process
from llmrr.convert.verify import structure
from llmrr.convert.verify.agreement import of_blocks
from llmrr.engines import room
from llmrr.engines.llamacpp.computing import Computing
from llmrr.engines.mlx import installed, weights
from llmrr.errors import EngineFailed, LlmrrError, Unsupported
from llmrr.formats import gguf
from llmrr.formats.json_file import table

NAME: Final = "logits"
PROMPTS: Final = 2
# Rounding adds up from layer to layer; the tolerances are those of so many.
LAYERS: Final = structure.MOST_LAYERS
UNLIKE: Final = ("longrope", "su")  # mlx-lm takes the long factors for short prompts too


def beside(first: Check, source: Path, result: Path, told: Told, settings: Path) -> list[Check]:
    """``first``, the check of the first layers, after that of the whole model; or alone, with why.

    ``settings`` is the folder with config.json of the safetensors at ``source``."""
    if installed.missing():
        return [first]
    try:
        config = _config(source, settings)
        with tempfile.TemporaryDirectory(dir=result.parent, prefix=".logits-") as scratch:
            found = _check(source, result, config, Path(scratch) / "logits.npy", told)
    except LlmrrError as error:
        return [replace(first, detail=f"{first.detail}; not all layers: {error.message}")]
    return [found, replace(first, detail=first.detail.replace("structure only, ", "", 1))]


def _config(source: Path, settings: Path) -> dict[str, Any]:
    """Raises ``Unsupported`` and its kin for what mlx-lm does not compute as it was meant."""
    config = weights.config_of(settings, weights.tensors_of(weights.weight_files(source)))
    installed.module(config)
    weights.require_readable(config, source)
    scaling = table(config, "rope_scaling")
    if scaling.get("type") in UNLIKE:
        raise Unsupported(f"mlx-lm does not compute {scaling['type']} as transformers does", "")
    info = formats.inspect(source)
    size = 4 * info.parameters if info.parameters else None
    room.require(replace(info, bytes=size), hardware.probe(), source.name, "")
    return config


def _check(
    source: Path, result: Path, config: dict[str, Any], scratch: Path, told: Told
) -> Check:
    import numpy as np

    parts = gguf.read_parts(result)
    tolerance, info = structure.tolerance(parts), gguf.inspect(result)
    layers, vocabulary = info.layers or LAYERS, info.vocabulary or 0
    length = min(structure.POSITIONS, _window(config), info.context_length or structure.POSITIONS)
    known = min(config.get("vocab_size") or vocabulary, vocabulary)
    tokens = np.random.default_rng(0).integers(0, known, (PROMPTS, length)).tolist()
    with Computing(structure.job(result, tokens, vocabulary=known)) as computing:
        process.run("logits", {"source": str(source), "config": config, "tokens": tokens,
                               "target": str(scratch)}, told)  # fmt: skip
        try:
            found = computing.result()
        except EngineFailed as error:
            return Check(NAME, False, error.message)
    expected = np.load(scratch)
    apart = of_blocks([(expected[:, :known], found)])
    allowed = tolerance * max(1.0, math.sqrt(layers / LAYERS))
    detail = f"all {layers} layers, of the source in MLX and of the result in llama.cpp: {apart}"
    passed = apart.sound and apart.error <= allowed
    return Check(NAME, passed, f"{detail} ({allowed:.2g} is allowed)")


def _window(config: dict[str, Any]) -> int:
    """How long a prompt may be where not every model of mlx-lm lets a window slide."""
    stated = config.get("sliding_window")
    return stated if isinstance(stated, int) and stated > 0 else structure.POSITIONS
