"""Decode speed of the ONNX engine against optimum and onnxruntime-genai, in turn within one run.

    python tests/bench/onnx_speed.py [--shape 135m] [--quant fp32,int8,q4] [--rounds 7]
        [--tokens 128] [--threads 2] [--only optimum,bound,genai,builder] [--work DIR]

Makes models of random weights in a real shape with transformers and exports them with ``llmrr
convert``'s own steps. ``optimum`` is ``ORTModelForCausalLM`` on that graph, ``bound`` the same with
its IO binding, ``genai`` onnxruntime-genai on that graph, ``builder`` onnxruntime-genai on a graph
of its own model builder, which the engine then runs too. Needs ``llmrr[onnx-export]`` and
onnxruntime-genai in one environment; ``--builder`` names a Python for the builder, which wants a
newer transformers.

Greedy answers, the same threads; the first token is not counted. Every figure is of a process of
its own, as where the weights happen to lie in memory makes a difference of 15 %. Prints each side's
median of tokens a second and the ratio of every pair (above 1 the engine is faster), and the same
of the processor's time, which says more on a machine that others use (with one thread).
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
from llmrr.types import Format

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
Side = Callable[[], None]  # takes the time of every token
REPEATS = 3  # in one process; the fastest counts
marks: list[tuple[float, float]] = []


def mark() -> None:
    """A token is there."""
    marks.append((time.perf_counter(), time.process_time()))


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
    from llmrr.engines.base import Options
    from llmrr.engines.onnx import ENGINE
    from llmrr.types import ModelFiles, Request, Sampling

    model = ENGINE.load(ModelFiles(folder, Format.ONNX), Options(threads=threads))
    text = b"".join(model.tokens.piece(one) for one in prompt(256)).decode(errors="replace")
    sampling = Sampling(temperature=0.0, max_tokens=answer, ignore_eos=True)
    salt = iter("abcdefghijklmnopqrstuvwxyz")

    def side() -> None:
        # Another first letter, so that no prefix is reused.
        for chunk in model.generate(Request(prompt=next(salt) + text, sampling=sampling)):
            for _ in chunk.tokens:
                mark()

    return side


def optimum(folder: Path, threads: int, answer: int, *, binding: bool = False) -> Side:
    import onnxruntime
    import torch
    from optimum.onnxruntime import ORTModelForCausalLM

    torch.set_num_threads(threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = ORTModelForCausalLM.from_pretrained(
        folder, session_options=options, use_io_binding=binding
    )
    ids = torch.tensor([prompt(256)])

    class Watch:
        def __init__(self) -> None:
            self.begun = False

        def put(self, value: Any) -> None:
            if self.begun:  # first comes the prompt
                mark()
            self.begun = True

        def end(self) -> None:
            pass

    def side() -> None:
        model.generate(
            ids, attention_mask=torch.ones_like(ids), streamer=Watch(), do_sample=False,
            max_new_tokens=answer, min_new_tokens=answer,
        )  # fmt: skip

    return side


def genai(folder: Path, threads: int, answer: int) -> Side:
    import onnxruntime_genai

    model = onnxruntime_genai.Model(str(folder))
    ids = np.array([prompt(256)], np.int32)

    def side() -> None:
        given = onnxruntime_genai.GeneratorParams(model)
        given.set_search_options(
            do_sample=False, max_length=PROMPT + answer, min_length=PROMPT + answer
        )
        generator = onnxruntime_genai.Generator(model, given)
        generator.append_tokens(ids)
        for _ in range(answer):
            generator.generate_next_token()
            generator.get_next_tokens()
            mark()

    return side


SIDES = {
    "ours": ours, "optimum": optimum, "genai": genai,
    "bound": lambda *given: optimum(*given, binding=True),
}  # fmt: skip


def one(name: str, folder: Path, threads: int, answer: int) -> tuple[float, float]:
    """Seconds a token, of the clock and of the processor, of this process."""
    side = SIDES[name](folder, threads, answer)
    found = []
    for _ in range(REPEATS + 1):
        marks.clear()
        side()
        assert len(marks) == answer, (name, len(marks))
        found.append([(marks[-1][at] - marks[0][at]) / (answer - 1) for at in (0, 1)])
    return min(one[0] for one in found[1:]), min(one[1] for one in found[1:])


def alone(args: argparse.Namespace, name: str, folder: Path) -> tuple[float, float]:
    """The same of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--one", name, str(folder), "--threads",
         str(args.threads), "--tokens", str(args.tokens)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    clock, processor = json.loads(done.stdout.splitlines()[-1])
    return clock, processor


def pairs(args: argparse.Namespace, title: str, name: str, folder: Path) -> None:
    """Measure both sides in turn, who begins changing, and print medians and ratios."""
    both = []
    for number in range(args.rounds):
        order = ("ours", name) if number % 2 else (name, "ours")
        found = {side: alone(args, side, folder) for side in order}
        both.append((found["ours"], found[name]))
    for at, what in enumerate(("tokens/s", "tokens/s of CPU")):
        ratios = sorted(its[at] / mine[at] for mine, its in both)
        print(
            f"{title:26} {what:16} ours {1 / statistics.median(mine[at] for mine, _ in both):7.2f}"
            f"  {name} {1 / statistics.median(its[at] for _, its in both):7.2f}"
            f"  ratio {statistics.median(ratios):6.3f}  ({ratios[0]:.3f} to {ratios[-1]:.3f})",
            flush=True,
        )


def measure(args: argparse.Namespace, work: Path, only: Sequence[str]) -> None:
    source = work / args.shape
    if not source.exists():
        make(source, args.shape)
    for quant in args.quant.split(","):
        name = f"{args.shape} {quant}"
        graph = export(source, work / f"{args.shape}-{quant}", quant)
        describe(graph, source, args.threads)
        for side in ("optimum", "bound", "genai"):
            if side in only:
                pairs(args, name, side, graph)
        if "builder" in only and quant != "int8":  # which it has not
            built = build(args.builder, source, work / f"{args.shape}-{quant}-built", quant)
            describe(built, source, args.threads)
            pairs(args, f"{name}, its graph", "genai", built)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="135m")
    parser.add_argument("--quant", default="fp32,int8,q4")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # a side, a folder
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128, help="of an answer")
    parser.add_argument("--builder", default=sys.executable, help="a Python for genai's builder")
    parser.add_argument("--only", default="optimum,bound,genai,builder")
    parser.add_argument("--work", type=Path, help="where models are kept; else a temporary folder")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one[0], Path(args.one[1]), args.threads, args.tokens)))
        return
    only = args.only.split(",")
    if args.work is not None:
        args.work.mkdir(parents=True, exist_ok=True)
        measure(args, args.work, only)
        return
    with tempfile.TemporaryDirectory() as work:
        measure(args, Path(work), only)


if __name__ == "__main__":
    main()
