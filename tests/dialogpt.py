"""A tiny GPT-2 as microsoft/DialoGPT-medium is laid out: weights in a pickle, the vocabulary in two
files, and no word of a chat template."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from holdings import COMMIT, HubCache
from layouts import torch_zip
from vocabularies import trained

REPO = "microsoft/DialoGPT-medium"
WIDTH, LAYERS, HEADS, POSITIONS = 32, 2, 4, 128


def folder(path: Path) -> Path:
    """The folder of a snapshot."""
    path.mkdir(parents=True, exist_ok=True)
    for name, value in _settings().items():
        (path / name).write_text(json.dumps(value))
    model = trained("gpt-2")["model"]
    (path / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = "\n".join(" ".join(one) for one in model["merges"])
    (path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    weights = dict(_weights(len(model["vocab"])))
    tensors = {name: ("F32", one.shape) for name, one in weights.items()}
    values = {name: one.astype("<f4").tobytes() for name, one in weights.items()}
    torch_zip(path / "pytorch_model.bin", tensors, values=values)
    return path


def cached(root: Path, made: Path) -> Path:
    """The hub's cache with this folder as the repository, and the snapshot in it."""
    cache = HubCache(root)
    for file in sorted(made.iterdir()):
        cache.add(REPO, file.name, file.read_bytes())
    return cache.folder(REPO) / "snapshots" / COMMIT


def _settings() -> Mapping[str, Any]:
    return {
        "config.json": {
            "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
            "bos_token_id": 0, "eos_token_id": 0, "layer_norm_epsilon": 1e-5,
            "model_type": "gpt2", "n_ctx": POSITIONS, "n_embd": WIDTH, "n_head": HEADS,
            "n_layer": LAYERS, "n_positions": POSITIONS, "vocab_size": len(
                trained("gpt-2")["model"]["vocab"]),
            "task_specific_params": {"conversational": {"max_length": 1000}},
        },
        "generation_config.json": {
            "_from_model_config": True, "bos_token_id": 0, "eos_token_id": 0,
        },
        "tokenizer_config.json": {"model_max_length": POSITIONS},
    }  # fmt: skip


def _weights(vocabulary: int) -> Iterator[tuple[str, "np.ndarray"]]:
    """As the class GPT2LMHeadModel names them, drawn at random; the output is tied."""
    random = np.random.default_rng(3)

    def drawn(*shape: int) -> "np.ndarray":
        return random.standard_normal(shape) * shape[0] ** -0.5

    yield "transformer.wte.weight", random.standard_normal((vocabulary, WIDTH)) * 0.5
    yield "transformer.wpe.weight", random.standard_normal((POSITIONS, WIDTH)) * 0.1
    for layer in range(LAYERS):
        at = f"transformer.h.{layer}."
        yield f"{at}attn.bias", np.tril(np.ones((1, 1, POSITIONS, POSITIONS)))
        for part, wide, high in (("attn.c_attn", WIDTH, 3 * WIDTH), ("attn.c_proj", WIDTH, WIDTH),
                                 ("mlp.c_fc", WIDTH, 4 * WIDTH), ("mlp.c_proj", 4 * WIDTH, WIDTH)):
            yield f"{at}{part}.weight", drawn(wide, high)
            yield f"{at}{part}.bias", random.standard_normal(high) * 0.1
        for part in ("ln_1", "ln_2"):
            yield f"{at}{part}.weight", np.ones(WIDTH)
            yield f"{at}{part}.bias", np.zeros(WIDTH)
    yield "transformer.ln_f.weight", np.ones(WIDTH)
    yield "transformer.ln_f.bias", np.zeros(WIDTH)
