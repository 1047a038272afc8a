"""Vectors of texts from encoders: what our engine makes with the converted GGUF file against what
transformers makes of the folder, from the text on: the same tokenizer, positions and pooling."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import write_json
from test_convert_gguf_models import convert_folder
from vocabularies import wordpiece_json, words

from llmrr.types import Format, ModelFiles

pytestmark = pytest.mark.mlx

TEXTS = (
    "hello", "What is the capital of France?", "the quick brown fox jumps over the lazy dog",
    "Ünïcode, 你好 and 12,345 numbers", "def f(x): return x + 1", "the lazy dog jumps. " * 12, "",
)  # fmt: skip
SIZES = {
    "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 6,
    "max_position_embeddings": 256,
}  # fmt: skip
CLOSE = 0.9999


@dataclass(frozen=True)
class Case:
    """An encoder by its configuration in transformers. ``others`` are keys of config.json that
    take the place of those that transformers writes, as the published model has them."""

    config: str
    values: dict[str, Any]
    pooling: str
    byte_level: bool = False
    others: dict[str, Any] | None = None


NOMIC = {**SIZES, "rope_parameters": {"rope_type": "default", "rope_theta": 700.0}}
# What nomic-embed-text's config.json calls it, which belongs to its own code.
PUBLISHED = {
    "n_embd": 96, "n_inner": 160, "n_layer": 3, "n_head": 6, "n_positions": 256,
    "rotary_emb_base": 700, "layer_norm_epsilon": 1e-12, "activation_function": "swiglu",
    "prenorm": False, "causal": False, "qkv_proj_bias": False, "mlp_fc1_bias": False,
    "mlp_fc2_bias": False, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None, "max_trained_positions": 2048,
}  # fmt: skip
CASES = {
    "bert-mean": Case("BertConfig", SIZES, "mean"),
    "bert-cls": Case("BertConfig", {**SIZES, "layer_norm_eps": 1e-5}, "cls"),
    "bert-tanh": Case("BertConfig", {**SIZES, "hidden_act": "gelu_new"}, "mean"),
    "roberta-mean": Case("RobertaConfig", {**SIZES, "type_vocab_size": 1}, "mean", byte_level=True),
    "roberta-cls": Case("RobertaConfig", SIZES, "cls", byte_level=True),
    "nomic-mean": Case("NomicBertConfig", NOMIC, "mean"),
    "nomic-cls": Case("NomicBertConfig", NOMIC, "cls"),
    "nomic-published": Case("NomicBertConfig", NOMIC, "mean", others=PUBLISHED),
}


def word_pieces(folder: Path) -> int:
    """A tokenizer of BERT's kind; how many tokens it has."""
    lines = words()
    write_json(folder / "tokenizer.json", wordpiece_json(lines))
    roles = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    stated = {f"{role}_token": text for role, text in roles.items()}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", **stated})
    return len(lines)


def byte_level(folder: Path) -> int:
    """One of RoBERTa's kind."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {"bos": "<s>", "eos": "</s>", "sep": "</s>", "cls": "<s>", "unk": "<unk>",
             "pad": "<pad>", "mask": "<mask>"}  # fmt: skip
    stated = {f"{role}_token": text for role, text in roles.items()}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer", **stated})
    return tokenizer.get_vocab_size()


def encoder(folder: Path, case: Case) -> Any:
    """Save a random model, and return it."""
    import torch
    import transformers

    folder.mkdir()
    size = byte_level(folder) if case.byte_level else word_pieces(folder)
    roles = {"pad_token_id": 1 if case.byte_level else 0, "bos_token_id": 0, "eos_token_id": 2}
    stated = {**case.values, **(roles if case.byte_level else {"pad_token_id": 0})}
    config = getattr(transformers, case.config)(vocab_size=size, **stated)
    model = transformers.AutoModel.from_config(config).float().eval()
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, one in model.named_parameters():
            drawn = torch.randn(one.shape, generator=random)
            if one.dim() > 1:
                one.copy_(drawn * (0.7 if "embeddings" in name else one.shape[-1] ** -0.5))
            else:
                one.copy_((1.0 if name.endswith("weight") else 0.0) + 0.2 * drawn)
    model.save_pretrained(folder)
    if case.others:
        shown = {"architectures": ["NomicBertModel"], "model_type": "nomic_bert",
                 "vocab_size": size, "type_vocab_size": 2}  # fmt: skip
        write_json(folder / "config.json", {**shown, **case.others})
    mode = {f"pooling_mode_{name}": name.startswith(case.pooling) for name in
            ("mean_tokens", "cls_token")}  # fmt: skip
    write_json(folder / "1_Pooling" / "config.json", mode)
    return model


def reference(model: Any, folder: Path, pooling: str) -> Any:
    """The vectors of ``TEXTS`` as Sentence Transformers make them."""
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = []
    for text in TEXTS:
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        one = hidden.mean(0) if pooling == "mean" else hidden[0]
        found.append((one / one.norm()).numpy())
    return np.stack(found)


@pytest.mark.parametrize("name", CASES)
def test_vectors_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp import ENGINE

    case, folder = CASES[name], tmp_path / "model"
    expected = reference(encoder(folder, case), folder, case.pooling)
    target = convert_folder(folder, tmp_path / "model.gguf")
    loaded = ENGINE.load(ModelFiles(target, Format.GGUF), Options())
    try:
        found = np.array(loaded.embed(list(TEXTS)))
    finally:
        loaded.close()
    cosines = (found * expected).sum(1)
    between = expected @ expected.T - np.eye(len(TEXTS))
    print(f"{name}: smallest cosine {cosines.min():.6f}, between texts at most {between.max():.3f}")
    assert between.max() < 0.999  # else other texts would do as well
    assert cosines.min() >= CLOSE, json.dumps(cosines.tolist())
