"""The MLX engine against mlx-lm's own loops, in alternating pairs in one process.

    python tests/bench/mlx_speed.py [--pairs 7] [--tokens 64] [--prompt 256] [--layers 30]
        [--only decode,prefill,together] [--folder DIR]

Without a folder it makes one: random weights in the shape of a Llama of 135 million, as they are
and in 4 bits. Decoding is measured against ``mlx_lm.generate.generate_step``, which
``stream_generate`` wraps, so without its text; eight sequences at once against ``BatchGenerator``.
Prints the median and the range of the ratio, ours by theirs: above 1 is faster.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from asking import answers, raw

from llmrr import formats
from llmrr.engines.base import Options
from llmrr.engines.local import LocalModel
from llmrr.engines.mlx import ENGINE
from llmrr.types import ModelFiles

SEQUENCES = 8
SHAPE = {
    "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
    "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152,
    "max_position_embeddings": 2048, "tie_word_embeddings": True,
}  # fmt: skip


def make(folder: Path, layers: int) -> None:
    import decoders
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    decoders.beside(folder)
    torch.manual_seed(0)
    config = LlamaConfig(**{**SHAPE, "num_hidden_layers": layers})  # type: ignore[arg-type]
    LlamaForCausalLM(config).save_pretrained(folder)


def packed(folder: Path, target: Path) -> Path:
    from mlx_lm import convert

    convert(str(folder), str(target), quantize=True, q_bits=4)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((folder / name).read_bytes())
    return target


def decode_of(usage: Any) -> float:
    return float(usage.tokens_per_s)


class Sides:
    """The same work on both sides; each gives tokens per second."""

    def __init__(self, folder: Path, prompt: int, tokens: int) -> None:
        from mlx_lm.utils import load_model

        self.ours: LocalModel = ENGINE.load(
            ModelFiles(folder, formats.detect(folder)), Options(slots=SEQUENCES)
        )
        self.theirs, _ = load_model(folder)
        self.prompt, self.tokens, self.run = prompt, tokens, 0

    def text(self, number: int = 0) -> str:
        """One that nothing is known of yet."""
        self.run += 1
        return f"{self.run:06d} {number} " + "x" * (self.prompt - 9)

    def decode(self) -> tuple[float, float]:
        text = self.text()
        last = list(self.ours.generate(raw(text, max_tokens=self.tokens)))[-1]
        return decode_of(last.usage), self._loop(self.ours.tokenize(text), self.tokens)[1]

    def prefill(self) -> tuple[float, float]:
        text = self.text()
        usage = list(self.ours.generate(raw(text, max_tokens=1)))[-1].usage
        assert usage is not None and usage.first_token_s
        return self.prompt / usage.first_token_s, self._loop(self.ours.tokenize(text), 1)[0]

    def _loop(self, tokens: list[int], count: int) -> tuple[float, float]:
        import mlx.core as mx
        from mlx_lm.generate import generate_step

        began, first = time.perf_counter(), 0.0
        for _ in generate_step(mx.array(tokens), self.theirs, max_tokens=count,
                               prefill_step_size=self.ours._backend.chunk):  # fmt: skip
            first = first or time.perf_counter()
        rest = time.perf_counter() - first
        return len(tokens) / (first - began), (count - 1) / rest if count > 1 else 0.0

    def together(self) -> tuple[float, float]:
        texts = [self.text(number) for number in range(SEQUENCES)]
        began = time.perf_counter()
        answers(self.ours, [raw(text, max_tokens=self.tokens) for text in texts])
        seconds = time.perf_counter() - began
        return SEQUENCES * self.tokens / seconds, self._batch(texts)

    def _batch(self, texts: list[str]) -> float:
        from mlx_lm.generate import BatchGenerator

        began, made = time.perf_counter(), 0
        batch = BatchGenerator(self.theirs, max_tokens=self.tokens)
        batch.insert([self.ours.tokenize(text) for text in texts])
        while made < SEQUENCES * self.tokens:
            found = batch.next()
            responses = found[1] if isinstance(found, tuple) else found
            made += len(responses)
        batch.close()
        return made / (time.perf_counter() - began)


def measure(what: str, work: Callable[[], tuple[float, float]], pairs: int) -> dict[str, Any]:
    work()  # warm
    both = [work() for _ in range(pairs)]
    ratios = sorted(ours / theirs for ours, theirs in both)
    return {
        "what": what,
        "ours": round(statistics.median(ours for ours, _ in both), 1),
        "theirs": round(statistics.median(theirs for _, theirs in both), 1),
        "ratio": round(statistics.median(ratios), 3),
        "range": [round(ratios[0], 3), round(ratios[-1], 3)],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--layers", type=int, default=SHAPE["num_hidden_layers"])
    parser.add_argument("--only", default="decode,prefill,together")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folders = [asked.folder]
        if asked.folder is None:
            make(Path(scratch) / "f32", asked.layers)
            folders = [Path(scratch) / "f32", packed(Path(scratch) / "f32", Path(scratch) / "4bit")]
        for folder in folders:
            sides = Sides(folder, asked.prompt, asked.tokens)
            for what in asked.only.split(","):
                found = measure(f"{folder.name} {what}", getattr(sides, what), asked.pairs)
                print(json.dumps(found), flush=True)
            sides.ours.close()


if __name__ == "__main__":
    main()
