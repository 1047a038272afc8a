"""Tiny random models as transformers saves them, and what transformers and llama.cpp's own script
make of them. Needs torch and transformers.

Nothing in them is 0 or 1 that could be left out unnoticed: norms are not ones, biases not zeros.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TEXT = "the quick brown fox jumps over the lazy dog, 1234 times! Ünïcode 你好 def f(x): return x\n"
LAST = 256  # the positions at which logits are compared

# Run by the interpreter of the tests, on its own as it brings its own package gguf. Two things are
# not as in a plain run of the script: none of its hashes fits a tokenizer that was made here, so
# get_vocab_base_pre is overridden; and several models are converted in one process.
SCRIPT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import convert_hf_to_gguf as script
from conversion import base, get_model_class
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
for folder, kind, out in json.loads(sys.argv[2]):
    kinds = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0",
             "auto": "GUESSED"}
    hparams = base.ModelBase.load_hparams(Path(folder), False)
    name = base.get_model_architecture(hparams, base.ModelType.TEXT)
    made = get_model_class(name)
    made(Path(folder), getattr(base.gguf.LlamaFileType, kinds[kind]), Path(out)).write()
"""


def bpe_tokenizer(folder: Path, size: int) -> None:
    """A byte-level BPE of ``size`` tokens, as Qwen splits text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        "eos_token": "<|endoftext|>",
        "bos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def sentencepiece_tokenizer(folder: Path, size: int) -> None:
    """A SentencePiece BPE of ``size`` tokens with bytes to fall back to, as Gemma has."""
    import sentencepiece

    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join([TEXT.strip()] * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "tokenizer"), vocab_size=size,
        model_type="bpe", byte_fallback=True, character_coverage=1.0,
        normalization_rule_name="identity", hard_vocab_limit=False,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, minloglevel=2,
    )  # fmt: skip
    corpus.unlink()
    (folder / "tokenizer.vocab").unlink()
    config = {"tokenizer_class": "GemmaTokenizer", "eos_token": "</s>", "bos_token": "<s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def checkpoint(
    folder: Path, config: Any, *, kind: str = "float32", seed: int = 1, model_class: str = ""
) -> Path:
    """Save a random model of ``config`` to ``folder``, with a tokenizer beside it."""
    import torch
    import transformers

    torch.manual_seed(seed)
    text = getattr(config, "text_config", config)
    spm = "gemma" in text.model_type
    for part in (config, text):  # those of the tokenizers here
        part.bos_token_id, part.eos_token_id, part.pad_token_id = (2, 1, 0) if spm else (0, 0, None)
    maker = getattr(transformers, model_class) if model_class else None
    if maker is None:
        model = transformers.AutoModelForCausalLM.from_config(config)
    else:
        model = maker(config)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if name.endswith("bias"):
                one.normal_(0, 0.1)
            elif one.ndim == 1:
                centre = one.mean().item()  # 1, or 0 where 1 is added
                one.normal_(centre, 0.2)
            else:
                one.normal_(0, one.shape[-1] ** -0.5)
    model.to(getattr(torch, kind)).save_pretrained(folder)
    (sentencepiece_tokenizer if spm else bpe_tokenizer)(folder, text.vocab_size)
    return folder


def tokens(vocabulary: int, count: int = LAST) -> list[int]:
    """A fixed sequence of token ids."""
    import random

    numbers = random.Random(7)
    return [numbers.randrange(vocabulary) for _ in range(count)]


def logits(folder: Path, ids: Sequence[int], model_class: str = "") -> Any:
    """What transformers computes, in single precision: (tokens, vocabulary)."""
    import torch
    import transformers

    maker = getattr(transformers, model_class or "AutoModelForCausalLM")
    model = maker.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        found = model.eval()(input_ids=torch.tensor([list(ids)]), use_cache=False).logits
    return found[0].float().numpy()


def by_llama_cpp(jobs: Sequence[tuple[Path, str, Path]], source: str) -> None:
    """Convert folders with llama.cpp's script: folder, type, file."""
    listed = json.dumps([[str(folder), kind, str(out)] for folder, kind, out in jobs])
    env = {**os.environ, "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, source, listed],
        env=env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def same_first_choice(found: Any, expected: Any) -> None:
    """Assert the same largest logit at all positions, (positions, vocabulary), except where those
    that were expected have their two best closer together than twice the largest difference at that
    position: at that accuracy, no first choice is defined there. Where there is one it follows from
    the difference, so what this proves is that it is defined at 95 of 100 positions at least."""
    import numpy as np

    best = np.sort(expected, axis=1)[:, -2:]
    undefined = best[:, 1] - best[:, 0] < 2 * np.abs(found - expected).max(axis=1)
    same = found.argmax(1) == expected.argmax(1)
    assert (same | undefined).all(), np.flatnonzero(~(same | undefined))
    assert undefined.mean() <= 0.05, np.flatnonzero(undefined)
