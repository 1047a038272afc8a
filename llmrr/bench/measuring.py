"""Speed, measured through the contract of engines: whatever loads a model is measured alike."""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from llmrr.bench.job import Job
from llmrr.engines.base import Model, Stream
from llmrr.errors import ContextOverflow, EngineFailed
from llmrr.hardware.memory import parse_meminfo
from llmrr.router import Opened
from llmrr.types import Message, Request, Sampling, Usage

# Told of what is measured how many runs are done, and how many there are.
Told = Callable[[str, int, int], None]

QUESTION: Final = (
    "Why is the sky blue at noon and red in the evening? Explain it in three sentences, so that a "
    "child of ten understands it, and name one thing that can be tried out at home."
)
SEED: Final = 1


def start(opened: Opened, job: Job, told: Told) -> dict[str, Any]:
    """Ask a model that was just loaded: nothing of it is computed yet, nothing of the prompt is in
    a cache."""
    request = Request(messages=(Message("user", QUESTION),), sampling=_exactly(1))
    began = time.perf_counter()
    usage = _finished(opened.generate(request))
    first = time.perf_counter() - began
    return {
        "load_s": usage.load_s, "first_token_s": first, "prompt_tokens": usage.prompt_tokens,
    }  # fmt: skip


def speed(opened: Opened, job: Job, told: Told) -> dict[str, Any]:
    """Tokens a second, one figure per run, with one run before that does not count."""
    model, prompts = opened.model, Prompts(opened.model)
    found: dict[str, Any] = {}
    if job.sequences == 1:
        found["prefill"] = _runs(
            lambda: read(model, prompts.of(job.prefill)), job, f"prompt of {job.prefill}", told
        )
    name = f"answer of {job.decode}" + (f", {job.sequences} at once" if job.sequences > 1 else "")
    found["decode"] = _runs(
        lambda: write(model, [prompts.of(1) for _ in range(job.sequences)], job.decode),
        job, name, told,
    )  # fmt: skip
    return {
        **found,
        "engine": opened.engine,
        "where": model.where,
        "threads": model.threads,
        "context_size": _context_size(model, prompts),
        "peak_bytes": peak_bytes(),
    }


class Prompts:
    """Prompts of random tokens, no two of which begin with the same one, as long as there are
    others: no engine finds in a cache what another one had."""

    def __init__(self, model: Model) -> None:
        self._random = random.Random(SEED)
        known = model.info.vocabulary
        self._tokens: Sequence[int] = range(known) if known else _tokens_of(model)
        self._first = self._firsts()

    def of(self, count: int) -> tuple[int, ...]:
        """So many tokens."""
        return (next(self._first), *self._random.choices(self._tokens, k=count - 1))

    def _firsts(self) -> Iterator[int]:
        while True:
            yield from self._random.sample(self._tokens, len(self._tokens))


def read(model: Model, prompt: tuple[int, ...]) -> float:
    """Tokens of a prompt that are computed in a second, up to the first token of the answer."""
    usage = _finished(model.generate(Request(tokens=prompt, sampling=_exactly(1))))
    if not usage.first_token_s:
        raise EngineFailed("the engine does not say when the first token came", "")
    return (usage.prompt_tokens - usage.cached_tokens) / usage.first_token_s


def write(model: Model, prompts: Sequence[tuple[int, ...]], count: int) -> float:
    """Tokens that are written in a second by all sequences together, ``count`` each, until the last
    one is complete."""
    began = time.perf_counter()
    streams = [
        model.generate(Request(tokens=prompt, sampling=_exactly(count))) for prompt in prompts
    ]
    written = sum(_finished(stream).completion_tokens for stream in streams)
    seconds = time.perf_counter() - began
    if written != count * len(prompts):
        raise ContextOverflow(
            f"an answer of {count} tokens ended after {written // len(prompts)}: the context holds "
            "no more",
            "a smaller --decode, or a larger --ctx-size",
        )
    return written / seconds


def peak_bytes() -> int | None:
    """The most main memory that this process has had resident, as the system counts it."""
    try:
        return parse_meminfo(Path("/proc/self/status").read_text())["VmHWM"]
    except (OSError, KeyError):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _exactly(count: int) -> Sampling:
    """The likeliest token, ``count`` times, whatever ends an answer otherwise."""
    return Sampling(temperature=0.0, ignore_eos=True, max_tokens=count)


def _finished(stream: Stream) -> Usage:
    usage = None
    for chunk in stream:
        usage = chunk.usage or usage
    if usage is None:
        raise EngineFailed("the engine does not say what an answer took", "")
    return usage


def _runs(run: Callable[[], float], job: Job, name: str, told: Told) -> list[float]:
    told(name, 0, job.repeats)
    run()
    found = []
    for number in range(job.repeats):
        found.append(run())
        told(name, number + 1, job.repeats)
    return found


def _context_size(model: Model, prompts: Prompts) -> int | None:
    stream = model.generate(Request(tokens=prompts.of(1), sampling=_exactly(1)))
    _finished(stream)
    return stream.context_size


def _tokens_of(model: Model) -> list[int]:
    """The tokens of a text, where the files do not say how many there are."""
    return sorted(set(model.tokenize(QUESTION) or [0]))
