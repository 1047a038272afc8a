"""The MLX engine against mlx-lm's own loops, in alternating pairs in one process.

    python tests/bench/mlx_speed.py [--pairs 7] [--tokens 64] [--prompt 256] [--layers 30]
        [--only decode,prefill,together] [--folder DIR]

Without a folder it makes one: random weights in the shape of a Llama of 135 million, as they are
and in 4 bits. One sequence is measured against ``mlx_lm.generate.generate_step``, which
``stream_generate`` wraps, so without its text; eight at once against ``BatchGenerator``. Both
compute one token ahead of what they give, so they are asked for one less. Prints the median and the
range of the ratio of theirs to ours, above 1 we are faster: by the clock, and in seconds of the
processor, which others on the machine disturb less.
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

from asking import answers, raw, tokens_of

from llmrr import formats
from llmrr.engines.base import Options
from llmrr.engines.local import LocalModel
from llmrr.engines.mlx import ENGINE
from llmrr.types import ModelFiles

Work = Callable[[], object]
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


class Sides:
    """The same work on both sides."""

    def __init__(self, folder: Path, prompt: int, tokens: int) -> None:
        from mlx_lm.utils import load_model

        self.ours: LocalModel = ENGINE.load(
            ModelFiles(folder, formats.detect(folder)), Options(slots=SEQUENCES)
        )
        self.theirs, _ = load_model(folder)
        self.prompt, self.tokens, self.run = prompt, tokens, 0

    def text(self, size: int, number: int = 0) -> str:
        """One that nothing is known of yet, a token for each letter."""
        return f"{self.run:04d} {number} ".ljust(size, "x")

    def decode(self) -> tuple[Work, Work]:
        text = self.text(8)
        return lambda: self._answer(text, self.tokens), lambda: self._loop(text, self.tokens)

    def prefill(self) -> tuple[Work, Work]:
        text = self.text(self.prompt)
        return lambda: self._answer(text, 1), lambda: self._loop(text, 1)

    def together(self) -> tuple[Work, Work]:
        texts = [self.text(self.prompt, number) for number in range(SEQUENCES)]
        return (
            lambda: answers(self.ours, [raw(text, max_tokens=self.tokens) for text in texts]),
            lambda: self._batch(texts),
        )

    def _answer(self, text: str, count: int) -> None:
        assert len(tokens_of(list(self.ours.generate(raw(text, max_tokens=count))))) == count

    def _loop(self, text: str, count: int) -> None:
        import mlx.core as mx
        from mlx_lm.generate import generate_step

        tokens = mx.array(self.ours.tokenize(text))
        made = list(generate_step(tokens, self.theirs, max_tokens=count - 1,
                                  prefill_step_size=self.ours._backend.chunk))  # fmt: skip
        assert len(made) == count - 1

    def _batch(self, texts: list[str]) -> None:
        from mlx_lm.generate import BatchGenerator

        made, ended = 0, 0
        batch = BatchGenerator(self.theirs, max_tokens=self.tokens - 1)
        batch.insert([self.ours.tokenize(text) for text in texts])
        while ended < SEQUENCES:
            found = batch.next()[1]
            made += len(found)
            ended += sum(one.finish_reason is not None for one in found)
        batch.close()
        assert made >= SEQUENCES * (self.tokens - 2)


def timed(work: Work) -> tuple[float, float]:
    """Seconds by the clock, and of this process."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def measure(sides: Sides, what: str, pairs: int) -> dict[str, Any]:
    both = []
    for pair in range(pairs + 1):
        sides.run += 1
        ours, theirs = getattr(sides, what)()
        order = (ours, theirs) if pair % 2 else (theirs, ours)
        found = {work: timed(work) for work in order}
        both.append((*found[ours], *found[theirs]))
    del both[0]  # it was warmed by that
    clock, cpu = (
        sorted(one[2 + kind] / one[kind] for one in both) for kind in (0, 1)
    )  # fmt: skip
    return {
        "what": what,
        "ours_s": round(statistics.median(one[0] for one in both), 3),
        "theirs_s": round(statistics.median(one[2] for one in both), 3),
        "ratio": round(statistics.median(clock), 3),
        "range": [round(clock[0], 3), round(clock[-1], 3)],
        "cpu_ratio": round(statistics.median(cpu), 3),
        "cpu_range": [round(cpu[0], 3), round(cpu[-1], 3)],
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
                found = measure(sides, what, asked.pairs)
                print(json.dumps({"model": folder.name, **found}), flush=True)
            sides.ours.close()


if __name__ == "__main__":
    main()
