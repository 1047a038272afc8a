"""Decode speed of the ONNX engine against optimum and onnxruntime-genai, in turn within one run.

    python tests/bench/onnx_speed.py [--shape 135m] [--quant fp32,int8,q4] [--rounds 7]
        [--tokens 128] [--threads 2] [--only optimum,genai,builder] [--work DIR]

Makes models of random weights in a real shape with transformers and exports them with ``llmrr
convert``'s own steps. ``optimum`` is ``ORTModelForCausalLM`` on that graph, ``genai``
onnxruntime-genai on that graph, ``builder`` onnxruntime-genai on a graph of its own model builder,
which the engine then runs too. Needs ``llmrr[onnx-export]`` and onnxruntime-genai in one
environment; ``--builder`` names a Python for the builder, which wants a newer transformers.

Greedy answers, the same threads; the first token is not counted. Prints each side's median of
tokens a second and the ratio of every pair; above 1 the engine is faster.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmrr.convert import Wish, open_source, plan, run
from llmrr.engines.base import Options
from llmrr.engines.onnx import ENGINE
from llmrr.types import Format, ModelFiles, Request, Sampling

PROMPT = 64  # tokens
SHAPES: dict[str, dict[str, Any]] = {
    "135m": {  # SmolLM2-135M
        "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "vocab_size": 49152, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    },
    "500m": {  # Qwen2.5-0.5B
        "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
        "vocab_size": 151936, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    },
}  # fmt: skip
Side = Callable[[], float]


def make(folder: Path, shape: str) -> Path:
    """The model in float32, with a tokenizer that knows every token."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM

    stated = dict(SHAPES[shape])
    config = AutoConfig.for_model(
        stated.pop("model_type"), **stated, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"word{n}" for n in range(config.vocab_size - len(letters)))]
    made = Tokenizer(models.BPE({word: n for n, word in enumerate(words)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    return folder


def export(source: Path, target: Path, quant: str) -> Path:
    """What ``llmrr convert --to onnx`` writes, unless it is there."""
    if not target.exists():
        steps = plan(open_source(source), Wish(Format.ONNX, quant, verify=False))
        run(steps, source, target, verify=False)
    return target


def build(python: str, source: Path, target: Path, quant: str) -> Path:
    """What onnxruntime-genai's builder writes, unless it is there."""
    if not target.exists():
        subprocess.run(
            [python, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", target, "-e",
             "cpu", "-p", {"q4": "int4"}.get(quant, quant), "-c", target.with_name("cache")],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return target


def describe(folder: Path, source: Path, threads: int, graph: str = "model.onnx") -> Path:
    """Write the genai_config.json of a graph as optimum lays it out, or of one that has one, with
    so many threads."""
    place = folder / "genai_config.json"
    if place.exists():
        told = json.loads(place.read_bytes())
    else:
        config = json.loads((source / "config.json").read_bytes())
        heads = config["num_attention_heads"]
        told = {
            "model": {
                "type": config["model_type"], "vocab_size": config["vocab_size"],
                "context_length": config["max_position_embeddings"], "bos_token_id": 1,
                "eos_token_id": 2, "pad_token_id": 0,
                "decoder": {
                    "filename": graph, "hidden_size": config["hidden_size"],
                    "head_size": config["hidden_size"] // heads, "num_attention_heads": heads,
                    "num_hidden_layers": config["num_hidden_layers"],
                    "num_key_value_heads": config["num_key_value_heads"],
                    "inputs": {
                        "input_ids": "input_ids", "attention_mask": "attention_mask",
                        "position_ids": "position_ids",
                        "past_key_names": "past_key_values.%d.key",
                        "past_value_names": "past_key_values.%d.value",
                    },
                    "outputs": {
                        "logits": "logits", "present_key_names": "present.%d.key",
                        "present_value_names": "present.%d.value",
                    },
                },
            },
            "search": {"do_sample": False, "past_present_share_buffer": False, "num_beams": 1},
        }  # fmt: skip
    told["model"]["decoder"]["session_options"] = {
        "intra_op_num_threads": threads, "provider_options": [],
    }
    place.write_text(json.dumps(told))
    return folder


def prompt(vocabulary: int) -> list[int]:
    return np.random.default_rng(0).integers(3, 256, PROMPT).tolist()


def ours(folder: Path, threads: int, answer: int) -> Side:
    model = ENGINE.load(ModelFiles(folder, Format.ONNX), Options(threads=threads))
    text = b"".join(model.tokens.piece(one) for one in prompt(256)).decode(errors="replace")
    sampling = Sampling(temperature=0.0, max_tokens=answer + 1, ignore_eos=True)
    salt = iter("abcdefghijklmnopqrstuvwxyz" * 99)

    def rate() -> float:
        # Another first letter, so that no prefix is reused.
        stream = model.generate(Request(prompt=next(salt) + text[:PROMPT], sampling=sampling))
        usage = list(stream)[-1].usage
        assert usage is not None and usage.completion_tokens == answer + 1
        assert usage.first_token_s is not None
        return answer / (usage.total_s - usage.first_token_s)

    return rate


def optimum(folder: Path, threads: int, answer: int, binding: bool) -> Side:
    import onnxruntime
    import torch
    from optimum.onnxruntime import ORTModelForCausalLM

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = ORTModelForCausalLM.from_pretrained(
        folder, session_options=options, use_io_binding=binding
    )
    ids = torch.tensor([prompt(256)])

    class Watch:
        def __init__(self) -> None:
            self.times: list[float] = []

        def put(self, value: Any) -> None:
            self.times.append(time.perf_counter())

        def end(self) -> None:
            pass

    def rate() -> float:
        watch = Watch()
        model.generate(
            ids, attention_mask=torch.ones_like(ids), streamer=watch, do_sample=False,
            max_new_tokens=answer + 1, min_new_tokens=answer + 1,
        )  # fmt: skip
        first, *others = watch.times[1:]  # before it the prompt
        assert len(others) == answer
        return answer / (others[-1] - first)

    return rate


def genai(folder: Path, answer: int) -> Side:
    import onnxruntime_genai

    model = onnxruntime_genai.Model(str(folder))
    ids = np.array([prompt(256)], np.int32)

    def rate() -> float:
        given = onnxruntime_genai.GeneratorParams(model)
        given.set_search_options(
            do_sample=False, max_length=PROMPT + answer + 1, min_length=PROMPT + answer + 1
        )
        generator = onnxruntime_genai.Generator(model, given)
        generator.append_tokens(ids)
        generator.generate_next_token()
        began = time.perf_counter()
        for _ in range(answer):
            generator.generate_next_token()
            generator.get_next_tokens()
        return answer / (time.perf_counter() - began)

    return rate


def pairs(name: str, rounds: int, one: Side, other: Side) -> None:
    """Measure both sides in turn, who begins changing, and print medians and ratios."""
    one(), other()
    both: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second = other()
            both.append((one(), second))
        else:
            first = one()
            both.append((first, other()))
    ratios = sorted(mine / its for mine, its in both)
    print(
        f"{name:28} ours {statistics.median(mine for mine, _ in both):8.2f}"
        f"   other {statistics.median(its for _, its in both):8.2f}"
        f"   ratio {statistics.median(ratios):6.3f}  ({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )


def measure(args: argparse.Namespace, work: Path, only: Sequence[str]) -> None:
    source = work / args.shape
    if not source.exists():
        make(source, args.shape)
    for quant in args.quant.split(","):
        name = f"{args.shape} {quant}"
        graph = export(source, work / f"{args.shape}-{quant}", quant)
        if "optimum" in only or "genai" in only:
            mine = ours(graph, args.threads, args.tokens)
        if "optimum" in only:
            for binding in (False, True):
                side = optimum(graph, args.threads, args.tokens, binding)
                bound = ", bound" if binding else ""
                pairs(f"{name}, optimum{bound}", args.rounds, mine, side)
        if "genai" in only:
            side = genai(describe(graph, source, args.threads), args.tokens)
            pairs(f"{name}, genai", args.rounds, mine, side)
        if "builder" in only and quant != "int8":  # which it has not
            built = build(args.builder, source, work / f"{args.shape}-{quant}-built", quant)
            mine = ours(built, args.threads, args.tokens)
            side = genai(describe(built, source, args.threads), args.tokens)
            pairs(f"{name}, genai, its graph", args.rounds, mine, side)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="135m")
    parser.add_argument("--quant", default="fp32,int8,q4")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128, help="of an answer")
    parser.add_argument("--builder", default=sys.executable, help="a Python for genai's builder")
    parser.add_argument("--only", default="optimum,genai,builder")
    parser.add_argument("--work", type=Path, help="where models are kept; else a temporary folder")
    args = parser.parse_args()
    only = args.only.split(",")
    if args.work is not None:
        args.work.mkdir(parents=True, exist_ok=True)
        measure(args, args.work, only)
        return
    with tempfile.TemporaryDirectory() as work:
        measure(args, Path(work), only)


if __name__ == "__main__":
    main()
