"""What is measured of a model's speed: the requests, the arithmetic, the processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import builders
import decoders
import pytest
from fakes import FakeStream, Reply

from llmrr import bench, engines
from llmrr.bench import measuring, process
from llmrr.bench.job import Job
from llmrr.engines.base import Model, Options
from llmrr.errors import (
    ContextOverflow,
    DoesNotFit,
    EngineFailed,
    FeatureMissing,
    Unsupported,
    UsageError,
)
from llmrr.types import Chunk, Format, ModelFiles, ModelInfo, Request, Sampling, Usage

NAMES = {"gguf": "llamacpp", "onnx": "onnx"}


@pytest.fixture(params=list(NAMES))
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Model]:
    """A tiny real one of every engine that all environments have."""
    if request.param == "gguf":
        path = builders.tiny_llama(tmp_path / "tiny.gguf", context=1024)
    else:
        path = decoders.decoder(decoders.beside(tmp_path / "onnx") / "model.onnx")
    files = ModelFiles(path, Format(request.param))
    loaded = engines.named(NAMES[request.param]).load(files, Options(threads=1, slots=3))
    yield loaded
    loaded.close()


def usage_of(model: Model, request: Request) -> Usage:
    last = list(model.generate(request))[-1]
    assert last.usage is not None
    return last.usage


def count(chunks: list[Chunk]) -> int:
    assert chunks[-1].usage is not None
    return chunks[-1].usage.prompt_tokens


def drawn(chunks: list[Chunk]) -> list[int]:
    return [token for chunk in chunks for token in chunk.tokens]


def test_tokens_are_a_prompt_as_they_are(model: Model) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=4, ignore_eos=True)
    tokens = tuple(model.tokenize("the capital of") or ())
    by_text = list(model.generate(Request(prompt="the capital of", sampling=sampling)))
    before = count(by_text) - len(tokens)  # what the model puts before a text
    tokens = (model.info.special_tokens.get("bos", 0),) * before + tokens
    by_tokens = list(model.generate(Request(tokens=tokens, sampling=sampling)))
    assert count(by_tokens) == len(tokens)
    assert drawn(by_tokens) == drawn(by_text)
    short = list(model.generate(Request(tokens=tokens[-1:], sampling=sampling)))
    assert count(short) == 1  # nothing is put before tokens
    for wrong in (-1, 10_000_000):
        with pytest.raises(UsageError, match=f"no token {wrong}"):
            model.generate(Request(tokens=(1, wrong), sampling=sampling))


def test_nothing_of_a_prompt_is_in_a_cache(model: Model) -> None:
    def cached(tokens: tuple[int, ...]) -> int:
        usage = usage_of(model, Request(tokens=tokens, sampling=Sampling(max_tokens=1)))
        assert usage.prompt_tokens == len(tokens) == 40
        return usage.cached_tokens

    prompts = measuring.Prompts(model)
    first = prompts.of(40)
    assert (cached(first), cached(first)) == (0, 39)  # that of the same one would be
    assert [cached(prompts.of(40)) for _ in range(6)] == [0] * 6


def test_speeds_of_a_real_model(model: Model) -> None:
    prompts = measuring.Prompts(model)
    assert measuring.read(model, prompts.of(40)) > 0
    assert measuring.write(model, [prompts.of(1)], 8) > 0
    assert measuring.write(model, [prompts.of(1) for _ in range(3)], 8) > 0
    assert model.threads == 1
    room = model.info.context_length or 0
    with pytest.raises(ContextOverflow, match=f"an answer of {room + 1} tokens ended after"):
        measuring.write(model, [prompts.of(1)], room + 1)


class Timed:
    """A model whose answers took what a test says, and that notes what it was asked."""

    def __init__(self, *usages: Usage, vocabulary: int | None = 50) -> None:
        self.info = ModelInfo(Format.GGUF, "llama", vocabulary=vocabulary)
        self.where, self.threads = "the CPU", 2
        self.usages, self.asked = list(usages), list[Request]()

    def tokenize(self, text: str) -> list[int]:
        return [3, 1, 3, 2]

    def generate(self, request: Request) -> FakeStream:
        self.asked.append(request)
        usage = self.usages.pop(0)

        class Stream(FakeStream):
            def last(self, reason: Any) -> Chunk:
                return Chunk(finish_reason=reason, usage=usage)

        return Stream(Reply(("x",)))


def test_what_was_cached_counts_for_nothing() -> None:
    model = Timed(Usage(prompt_tokens=100, cached_tokens=20, first_token_s=0.5, total_s=9.0))
    assert measuring.read(model, (1, 2)) == 160  # type: ignore[arg-type]
    [asked] = model.asked
    assert asked.tokens == (1, 2)
    assert (asked.sampling.max_tokens, asked.sampling.temperature) == (1, 0)


def test_an_answer_does_not_end_before_its_last_token() -> None:
    model = Timed(Usage(completion_tokens=9), Usage(completion_tokens=8))
    with pytest.raises(ContextOverflow, match="9 tokens ended after 8"):
        measuring.write(model, [(1,), (2,)], 9)  # type: ignore[arg-type]
    assert all(one.sampling.ignore_eos for one in model.asked)
    assert [one.sampling.max_tokens for one in model.asked] == [9, 9]


def test_a_run_goes_before_those_that_count() -> None:
    rates = (1.0, 10.0, 20.0, 40.0)
    usages = [Usage(prompt_tokens=10, first_token_s=10 / rate) for rate in rates]
    usages += [Usage(completion_tokens=4)] * 5
    model = Timed(*usages)
    opened = engines_opened(model)
    told: list[tuple[str, int, int]] = []
    job = Job("speed", None, None, (), 10, 4, 3)
    found = measuring.speed(opened, job, lambda *words: told.append(words))
    assert found["prefill"] == pytest.approx([10, 20, 40])
    assert len(found["decode"]) == 3
    assert (found["threads"], found["where"]) == (2, "the CPU")
    assert told[0] == ("prompt of 10", 0, 3)
    assert told[-1] == ("answer of 4", 3, 3)


def engines_opened(model: object) -> Any:
    from llmrr.catalogue import Resolved
    from llmrr.router import Opened

    return Opened(Resolved("m", "m", Path()), "fake", model)  # type: ignore[arg-type]


def test_an_unknown_vocabulary_is_that_of_a_text() -> None:
    prompts = measuring.Prompts(Timed(vocabulary=None))  # type: ignore[arg-type]
    drawn = [prompts.of(5) for _ in range(3)]
    assert {one[0] for one in drawn} == {1, 2, 3}
    assert {token for one in drawn for token in one} <= {1, 2, 3}


def test_a_spread() -> None:
    one = bench.Spread((7.0,))
    assert (one.mean, one.median, one.deviation) == (7.0, 7.0, None)


# -- processes -----------------------------------------------------------------------------------


def test_a_model_is_measured_in_processes_of_its_own() -> None:
    wish = bench.Wish(prefill=100, decode=5, repeats=2, together=(1, 3))
    told: list[str] = []
    found = bench.measure(
        "builtin:mini", wish, options=[("threads", "1")], told=lambda what, *_: told.append(what)
    )
    assert (found.engine, found.threads) == ("llamacpp", 1)
    several = (found.prefill, found.decode, found.load_s, found.first_token_s)
    assert [len(one.samples) for one in several] == [2] * 4
    assert all(value > 0 for one in several for value in one.samples)
    assert found.cold_load_s > 0
    assert found.prompt_tokens > 20
    assert found.context_size is not None
    assert 101 <= found.context_size <= 512
    [together] = found.together
    assert (together.sequences, len(together.tokens_per_s.samples)) == (3, 2)
    assert found.peak_bytes is not None
    assert 5e6 < found.peak_bytes < 1e9
    assert list(dict.fromkeys(told)) == [
        "load", "prompt of 100", "answer of 5", "answer of 5, 3 at once",
    ]  # fmt: skip


def test_an_onnx_model_is_measured_too(tmp_path: Path) -> None:
    path = decoders.decoder(decoders.beside(tmp_path / "onnx") / "model.onnx")
    found = bench.measure(str(path), bench.Wish(prefill=20, decode=4, repeats=1))
    assert found.engine == "onnx"
    assert found.prefill.mean > 0


def start(model: str | None = "builtin:mini", engine: str | None = None, **named: Any) -> Job:
    return Job("start", model, engine, (), 8, 4, 1, **named)


def test_what_an_engine_says_is_raised_here(tmp_path: Path) -> None:
    bert = builders.tiny_bert(tmp_path / "bert.gguf")
    with pytest.raises(Unsupported, match="is an embedding model"):
        process.run(start(str(bert)), lambda *_: None)
    with pytest.raises(FeatureMissing, match="the onnx engine runs onnx"):
        process.run(start(engine="onnx"), lambda *_: None)


def children() -> list[int]:
    task = Path("/proc/self/task")
    found = [(one / "children").read_text().split() for one in task.iterdir()]
    return [int(pid) for one in found for pid in one]


def killer(number: int) -> Callable[..., None]:
    def told(*_: object) -> None:
        for pid in children():
            os.kill(pid, number)

    return told


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds its children by /proc")
@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGKILL, DoesNotFit), (signal.SIGSEGV, EngineFailed),
     (signal.SIGINT, KeyboardInterrupt)],
)  # fmt: skip
def test_a_process_that_is_ended_is_an_error(number: int, error: type[BaseException]) -> None:
    job = Job("speed", "builtin:mini", None, (), 100, 100, 1000)
    with pytest.raises(error):
        process.run(job, killer(number))
    assert children() == []


def test_the_process_ends_with_the_one_that_started_it() -> None:
    command = [sys.executable, "-m", process.HELPER]
    job = Job("speed", "builtin:mini", None, (), 100, 100, 1000)
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as helper:
        assert helper.stdin is not None
        assert helper.stdout is not None
        helper.stdin.write(job.line())
        helper.stdin.flush()
        assert "prompt of 100" in helper.stdout.readline()
        helper.stdin.close()
        assert helper.wait(timeout=30) == 130


def test_a_process_that_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HELPER", "llmrr.bench.no_such_module")
    with pytest.raises(EngineFailed, match=r"exit 1.*no_such_module"):
        process.run(start(), lambda *_: None)


def test_the_folder_that_it_is_started_in_is_not_imported_from(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)\n")
    assert process.run(start(), lambda *_: None)["prompt_tokens"] > 20


def test_memory_is_that_of_the_process_alone() -> None:
    code = (
        "import sys; from llmrr.bench.measuring import peak_bytes; before = peak_bytes();"
        "held = bytearray(200_000_000); held[::4096] = bytes(len(held[::4096]));"
        "print(peak_bytes() - before)"
    )
    room = bytearray(300_000_000)
    room[::4096] = bytes(len(room[::4096]))  # what this process has is none of the other's
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert 190e6 < int(done.stdout) < 260e6


def test_a_job_travels() -> None:
    job = Job("speed", None, "onnx", (("threads", "2"), ("lora", "a b")), 5, 6, 7, 8)
    assert Job.of_line(job.line()) == job
