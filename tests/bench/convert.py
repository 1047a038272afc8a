"""Conversion against llama.cpp's own tools, on the same files and threads, in turn within one run.

    python tests/bench/convert.py FOLDER --llama-cpp SOURCE --python PYTHON --tools DIR
        [--shape smollm-135m] [--rounds 5] [--only hf,quantize] [--unverified]

FOLDER is made where it is not there: a model of the shape with random weights in bf16, whose
tokenizer is one of SOURCE/models. SOURCE has ``convert_hf_to_gguf.py``, which PYTHON (with torch,
transformers and sentencepiece) runs; DIR holds llama-quantize, built from the same source.

Whole processes are measured: wall time, time on the processors, and the largest sum of the resident
memory of a process and all that it started, looked at every 5 ms. Ratios are theirs by ours for
times, and ours by theirs for memory.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from llmrr.convert.gguf.encoding import pack
from llmrr.convert.safetensors import writer
from llmrr.formats.tensors import Tensor

SHAPES: dict[str, dict[str, Any]] = {
    "smollm-135m": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "max_position_embeddings": 2048, "vocabulary": "starcoder",
    },
    "qwen2.5-0.5b": {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896,
        "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2, "max_position_embeddings": 32768, "vocabulary": "qwen2",
    },
    "qwen2.5-1.5b": {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 1536,
        "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
        "num_key_value_heads": 2, "max_position_embeddings": 32768, "vocabulary": "qwen2",
    },
}  # fmt: skip
SHARD = 1_000_000_000  # bytes
LOOK = 0.005  # seconds between two looks at the memory of processes


# -- the model -------------------------------------------------------------------------------------


def make(folder: Path, shape: str) -> None:
    """A checkpoint of this shape, as transformers saves one."""
    import vocabularies

    config = {
        **SHAPES[shape], "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "bos_token_id": 0,
        "eos_token_id": 0,
    }  # fmt: skip
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    known = vocabularies.rebuild(config.pop("vocabulary"), partial)
    config["vocab_size"] = len(known.tokens)
    (partial / "config.json").write_text(json.dumps(config))
    random, where, total = np.random.default_rng(0), {}, 0
    shards = list(_shards(config))
    for number, shard in enumerate(shards):
        name = writer.shard_name(number, len(shards))
        with writer.writing(partial / name, shard, {"format": "pt"}) as out:
            for one in shard:
                numbers = random.standard_normal(one.shape, np.float32)
                numbers *= np.float32(0.02)
                if len(one.shape) == 1:
                    numbers += 1
                writer.put(out, pack(numbers, "BF16"))
                where[one.name], total = name, total + one.bytes
    writer.write_index(partial, where, total, len(shards))
    partial.rename(folder)


def _shards(config: Mapping[str, Any]) -> Iterator[list[Tensor]]:
    shard: list[Tensor] = []
    for name, shape in _shapes(config):
        size = 2 * int(np.prod(shape))
        if shard and sum(one.bytes for one in shard) + size > SHARD:
            yield shard
            shard = []
        shard.append(Tensor(name, "BF16", shape, size))
    yield shard


def _shapes(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner = config["hidden_size"], config["intermediate_size"]
    keys = width // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", (config["vocab_size"], width)
    for layer in range(config["num_hidden_layers"]):
        for name, shape in (
            ("self_attn.q_proj", (width, width)), ("self_attn.k_proj", (keys, width)),
            ("self_attn.v_proj", (keys, width)), ("self_attn.o_proj", (width, width)),
            ("mlp.gate_proj", (inner, width)), ("mlp.up_proj", (inner, width)),
            ("mlp.down_proj", (width, inner)), ("input_layernorm", (width,)),
            ("post_attention_layernorm", (width,)),
        ):  # fmt: skip
            yield f"model.layers.{layer}.{name}.weight", shape
            if config["model_type"] == "qwen2" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                yield f"model.layers.{layer}.{name}.bias", shape[:1]
    yield "model.norm.weight", (width,)


# -- measuring -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Of one process with all that it started."""

    seconds: float
    cpu: float
    bytes: int


@dataclass(frozen=True)
class Side:
    """A command that writes ``target``; ``environment`` is what it has more."""

    name: str
    command: Sequence[str]
    target: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> Cost:
        self.target.unlink(missing_ok=True)
        began, before = time.perf_counter(), _used()
        process = subprocess.Popen(
            self.command, env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        largest: list[int] = []
        watcher = threading.Thread(target=_watch, args=(process, largest))
        watcher.start()
        _, said = process.communicate()
        seconds = time.perf_counter() - began
        watcher.join()
        if process.returncode:
            sys.exit(f"{self.name}: {said.decode()[-2000:]}")
        return Cost(seconds, _used() - before, max(largest))


def _used() -> float:
    """Seconds on the processors of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(process: "subprocess.Popen[bytes]", largest: list[int]) -> None:
    while process.poll() is None:
        largest.append(sum(map(_resident, _tree(process.pid))))
        time.sleep(LOOK)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))
    except OSError:  # it has just ended
        return


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGESIZE")


def compare(rounds: int, sides: Sequence[Side]) -> None:
    """Run all sides in turn and print their medians; the last one is whom the others are measured
    against."""
    found: dict[str, list[Cost]] = {one.name: [] for one in sides}
    for number in range(rounds + 1):
        for one in sides:
            cost = one.run()
            if number:  # the first round fills the page cache
                found[one.name].append(cost)
    *ours, theirs = sides
    for one in sides:
        seconds = [cost.seconds for cost in found[one.name]]
        cpu = statistics.median(cost.cpu for cost in found[one.name])
        size = statistics.median(cost.bytes for cost in found[one.name])
        print(f"{one.name:34} {_spread(seconds, '6.2f')} s  cpu {cpu:6.2f} s {size / 1e6:7.0f} MB")
    for one in ours:
        pairs = list(zip(found[one.name], found[theirs.name], strict=True))
        speed = [other.seconds / own.seconds for own, other in pairs]
        cpu_ratio = statistics.median(other.cpu / own.cpu for own, other in pairs)
        memory = [own.bytes / other.bytes for own, other in pairs]
        print(f"{one.name:34} speed {_spread(speed, '.3f')}  cpu {cpu_ratio:.3f}"
              f"  memory {_spread(memory, '.3f')}")
    for one in sides:
        one.target.unlink(missing_ok=True)


def _spread(numbers: Sequence[float], shown: str) -> str:
    low, middle, high = min(numbers), statistics.median(numbers), max(numbers)
    return f"{middle:{shown}} ({low:{shown}} to {high:{shown}})"


# -- what is compared ------------------------------------------------------------------------------


def ours(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "llmrr", "convert", *map(str, words)]


def _ours(words: Sequence[str | Path], target: Path, args: argparse.Namespace) -> Iterator[Side]:
    yield Side("llmrr convert --no-verify", ours(*words, "--no-verify"), target)
    if not args.unverified:
        yield Side("llmrr convert", ours(*words), target)


def hf(args: argparse.Namespace) -> None:
    """Hugging Face to GGUF, of the type that the weights are."""
    out = args.folder.with_name(args.folder.name + "-hf")
    target, other = out.with_suffix(".ours.gguf"), out.with_suffix(".theirs.gguf")
    words = (args.folder, "--to", "gguf", "--quant", args.type, "-O", target)
    script = args.llama_cpp / "convert_hf_to_gguf.py"
    theirs = [str(args.python), str(script), str(args.folder), "--outtype", args.type,
              "--outfile", str(other)]  # fmt: skip
    compare(args.rounds, [
        *_ours(words, target, args),
        Side("convert_hf_to_gguf.py", theirs, other,
             {"PYTHONPATH": str(args.llama_cpp / "gguf-py")}),
    ])  # fmt: skip


def quantize(args: argparse.Namespace) -> None:
    """GGUF to one of its quantizations."""
    source = args.folder.with_name(args.folder.name + "-source.gguf")
    if not source.exists():
        words = (args.folder, "--to", "gguf", "--quant", args.type, "--no-verify", "-O", source)
        subprocess.run(ours(*words), check=True, stdout=subprocess.DEVNULL)
    target, other = source.with_suffix(".ours.gguf"), source.with_suffix(".theirs.gguf")
    threads = str(args.threads)
    words = (source, "--to", "gguf", "--quant", args.quant, "--threads", threads, "-O", target)
    theirs = [str(args.tools / "llama-quantize"), str(source), str(other), args.quant, threads]
    compare(args.rounds, [
        *_ours(words, target, args),
        Side("llama-quantize", theirs, other),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--tools", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="smollm-135m")
    parser.add_argument("--type", default="bf16")
    parser.add_argument("--quant", default="Q4_K_M")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--unverified", action="store_true", help="leave out the verified side")
    parser.add_argument("--only", default="hf,quantize")
    args = parser.parse_args()
    os.environ["LLMRR_LLAMA_CPP_SOURCE"] = str(args.llama_cpp)
    if not args.folder.exists():
        make(args.folder, args.shape)
    wanted = args.only.split(",")
    if "hf" in wanted:
        print(f"{args.shape} to GGUF as {args.type}")
        hf(args)
    if "quantize" in wanted:
        print(f"{args.shape} from {args.type} to {args.quant}, {args.threads} threads")
        quantize(args)


if __name__ == "__main__":
    main()
