"""The logits of a whole model that is not converted; in the helper process."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmrr.engines.mlx import weights


def logits(task: Mapping[str, Any], say: Callable[[Any], None]) -> None:
    """Write those after each of the tokens of all prompts, in float32, to the .npy file ``target``.
    """
    import mlx.core as mx
    import numpy as np

    say({"told": ["loading the source", 0, 1]})
    files = weights.weight_files(Path(task["source"]))
    model = weights.build(weights.module(task["config"]), task["config"], files)
    model.set_dtype(mx.float32)
    rows = []
    for done, prompt in enumerate(task["tokens"]):
        say({"told": ["computing the source", done, len(task["tokens"])]})
        rows.append(np.array(model(mx.array([prompt]))[0].astype(mx.float32)))
    np.save(task["target"], np.concatenate(rows))
