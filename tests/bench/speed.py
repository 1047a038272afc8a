"""Speed against llama.cpp's own tools, on the same file and threads, in turn within one run.

    python tests/bench/speed.py MODEL.gguf --tools DIR [--rounds 5] [--only one,batch]

DIR holds llama-bench, llama-batched-bench and llama-completion, built from the source that the
installed llama-cpp-python carries. Prints each side's median and the ratio of every pair; a ratio
above 1 is faster than llama.cpp for rates, and slower for the times of ``cold`` and ``start``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from llmrr.engines.base import Options
from llmrr.engines.llamacpp import ENGINE
from llmrr.engines.llamacpp.model import LlamaModel
from llmrr.types import Chunk, Format, ModelFiles, Request, Sampling

WORDS = ("alpha", "river", "stone", "blue", "copy", "tensor", "model", "queue", "graph", "light")
ANSWER = 96  # tokens per sequence
CONTEXT = 1024  # tokens per sequence, the same on both sides
REPEATS = 5  # of llmrr bench and of llama-bench, of which the median counts
SHARED = 600  # tokens of a common prefix


def prompt_of(model: LlamaModel, tokens: int, salt: int = 0) -> str:
    """A text of exactly so many tokens."""
    text = ""
    number = salt
    while len(model.tokenize(text)) < tokens:
        text += " " + WORDS[number * 7 % len(WORDS)]
        number += 1
    return text


def free(tokens: int, seed: int) -> Sampling:
    return Sampling(
        temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, seed=seed, max_tokens=tokens,
        ignore_eos=True,
    )  # fmt: skip


def loaded(path: Path, threads: int, **options: object) -> LlamaModel:
    place = ModelFiles(path, Format.GGUF)
    return ENGINE.load(place, Options(threads=threads, **options))  # type: ignore[arg-type]


def finish(streams: list) -> list:
    return [list(stream)[-1].usage for stream in streams]


def our_decode(model: LlamaModel) -> float:
    """Tokens a second of one answer after its first token."""
    [usage] = finish([model.generate(Request(prompt="a", sampling=free(129, 1)))])
    return 128 / (usage.total_s - usage.first_token_s)


def our_prefill(model: LlamaModel, salt: int) -> float:
    prompt = prompt_of(model, 512, salt)
    [usage] = finish([model.generate(Request(prompt=prompt, sampling=free(1, 1)))])
    return usage.prompt_tokens / usage.first_token_s


def our_batch(model: LlamaModel, count: int, prompts: list[str]) -> float:
    """Tokens a second of all sequences together, while all of them are answering."""
    told: list[list[tuple[float, int]]] = [[] for _ in range(count)]
    done = threading.Semaphore(0)

    def listener(number: int) -> Callable[[Chunk], None]:
        def take(chunk: Chunk) -> None:
            told[number].append((time.perf_counter(), len(chunk.tokens)))
            if chunk.usage:
                done.release()

        return take

    for number in range(count):
        request = Request(prompt=prompts[number], sampling=free(ANSWER, number))
        model.generate(request, listener(number))
    for _ in range(count):
        done.acquire()
    start, end = max(one[0][0] for one in told), min(one[-1][0] for one in told)
    tokens = sum(many for one in told for at, many in one if start < at <= end)
    return tokens / (end - start)


def llama_bench(args: argparse.Namespace, *what: str) -> float:
    done = subprocess.run(
        [args.tools / "llama-bench", "-m", args.model, "-t", str(args.threads), "-r", "1",
         "-o", "jsonl", *what],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1])["avg_ts"])


def batched_bench(args: argparse.Namespace, count: int, prompt: int, shared: bool) -> float:
    size = str(CONTEXT * count)
    done = subprocess.run(
        [args.tools / "llama-batched-bench", "-m", args.model, "-t", str(args.threads), "-c", size,
         "-npp", str(prompt), "-ntg", str(ANSWER), "-npl", str(count), "--output-format", "jsonl",
         *(["-pps"] if shared else [])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return float(rows[-1]["speed_tg"])


def wall(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - began


def pairs(
    name: str, rounds: int, ours: Callable[[int], float], theirs: Callable[[int], float]
) -> None:
    """Measure both sides in turn and print the medians, and the ratio of the pairs."""
    report(name, [(ours(number), theirs(number)) for number in range(rounds)])


def report(name: str, both: list[tuple[float, float]]) -> None:
    """Print the medians of both sides, and the ratio of the pairs."""
    ratios = sorted(one / other for one, other in both)
    print(
        f"{name:24} ours {statistics.median(one for one, _ in both):9.3f}"
        f"   llama.cpp {statistics.median(other for _, other in both):9.3f}"
        f"   ratio {statistics.median(ratios):6.3f}  ({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )


def one_stream(args: argparse.Namespace) -> None:
    """Decode and prefill of a single sequence, against llama-bench."""
    model = loaded(args.model, args.threads)
    our_decode(model)
    pairs("decode, 1 stream, t/s", args.rounds, lambda _: our_decode(model),
          lambda _: llama_bench(args, "-p", "0", "-n", "128"))  # fmt: skip
    pairs("prefill, 512, t/s", args.rounds, lambda number: our_prefill(model, number + 1),
          lambda _: llama_bench(args, "-p", "512", "-n", "0"))  # fmt: skip
    model.close()


def command(args: argparse.Namespace) -> None:
    """What ``llmrr bench`` says of a model against what llama-bench says of it."""
    llmrr = [sys.executable, "-m", "llmrr", "bench", str(args.model), "--json", "--repeats",
             str(REPEATS), "--concurrency", "1", "--threads", str(args.threads)]  # fmt: skip
    theirs = [str(args.tools / "llama-bench"), "-m", str(args.model), "-p", "512", "-n", "128",
              "-r", str(REPEATS), "-t", str(args.threads), "-o", "jsonl"]  # fmt: skip
    found: list[list[tuple[float, float]]] = [[], []]
    for _ in range(args.rounds):
        said = subprocess.run(llmrr, capture_output=True, text=True, check=True).stdout
        [model] = json.loads(said)["models"]
        lines = subprocess.run(theirs, capture_output=True, text=True, check=True).stdout
        names = ("prefill_tokens_per_s", "decode_tokens_per_s")
        for at, (name, line) in enumerate(zip(names, lines.splitlines(), strict=True)):
            other = statistics.median(json.loads(line)["samples_ts"])
            found[at].append((model[name]["median"], other))
    for name, both in zip(("bench, prefill 512, t/s", "bench, decode 128, t/s"), found,
                          strict=True):  # fmt: skip
        report(name, both)


def several(args: argparse.Namespace, count: int, name: str, prompts: list[str]) -> None:
    """Decode of several sequences at once, against llama-batched-bench."""
    model = loaded(args.model, args.threads, slots=count, context_size=CONTEXT)
    length, shared = len(model.tokenize(prompts[0])), "shar" in name
    pairs(name, args.rounds, lambda _: our_batch(model, count, prompts),
          lambda _: batched_bench(args, count, length, shared))  # fmt: skip
    model.close()


def processes(args: argparse.Namespace) -> None:
    """Whole processes: a cold run against llama-completion, small commands against an empty one."""
    llmrr, threads = str(Path(sys.executable).with_name("llmrr")), str(args.threads)
    for name, ours, theirs in (
        ("cold run, raw, s", ["--raw"], ["-no-cnv"]),
        ("cold run, chat, s", [], ["-cnv", "-st"]),
    ):
        one = [llmrr, "run", "-m", str(args.model), "--max-tokens", "1", "--ctx-size", "4096",
               "-o", "threads", threads, "--keepalive", "0", *ours, "hello there"]  # fmt: skip
        other = [str(args.tools / "llama-completion"), "-m", str(args.model), "-n", "1",
                 "-c", "4096", "-t", threads, *theirs, "-p", "hello there"]  # fmt: skip
        wall(one)
        wall(other)
        pairs(name, 12, lambda _, run=one: wall(run), lambda _, run=other: wall(run))
    empty = [sys.executable, "-c", "pass"]
    for word in ("--version", "list"):
        pairs(f"llmrr {word}, s", 12, lambda _, w=word: wall([llmrr, w]), lambda _: wall(empty))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="one,bench,batch,shared,processes")
    args = parser.parse_args()
    wanted = args.only.split(",")
    if "one" in wanted:
        one_stream(args)
    if "bench" in wanted:
        command(args)
    model = loaded(args.model, args.threads)
    texts = [prompt_of(model, 64, number * 31 + 1) for number in range(16)]
    prefix = prompt_of(model, SHARED)
    model.close()
    for count in (4, 8, 16) if "batch" in wanted else ():
        several(args, count, f"decode, {count} streams, t/s", texts)
    if "shared" in wanted:
        prompts = [f"{prefix} and then {word}" for word in WORDS]
        several(args, 8, "decode, 8 sharing 600", prompts)
    if "processes" in wanted:
        processes(args)


if __name__ == "__main__":
    main()
