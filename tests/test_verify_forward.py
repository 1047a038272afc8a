"""The forward pass in numpy against transformers', for tiny random models of each architecture."""

from pathlib import Path

import numpy as np
import pytest
from tiny_transformers import ENCODERS, FAMILIES, config_of, make

from llmrr.convert.verify.forward.decoder import Pass
from llmrr.convert.verify.forward.families import design_of
from llmrr.convert.verify.forward.weights import Weights

TOKENS = np.random.default_rng(3).integers(3, 380, (2, 48))


def ours(folder: Path) -> np.ndarray:
    weights = Weights(folder)
    design = design_of(config_of(folder), weights.names)
    run = Pass(design, weights)
    hidden = run.hidden(TOKENS)
    if not design.causal:
        return hidden
    return np.concatenate([block for _, block in run.logits(hidden)], -1)


@pytest.mark.mlx
@pytest.mark.parametrize("name", FAMILIES)
def test_it_computes_what_transformers_does(tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = make(tmp_path, name)
    with torch.no_grad():
        found = model(torch.tensor(TOKENS))
    theirs = (found.last_hidden_state if name in ENCODERS else found.logits).numpy()
    mine = ours(tmp_path)
    assert mine.shape == theirs.shape
    assert theirs.std() > 0.1
    print(name, np.abs(mine - theirs).max(), theirs.std(), [*Weights(tmp_path).names][:0])
    assert np.abs(mine - theirs).max() <= 1e-3
