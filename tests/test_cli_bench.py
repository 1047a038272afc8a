"""``llmrr bench`` as it is typed: tables, JSON, the picture, what is refused, what goes on."""

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import builders
import pytest
from terminal import Typed

from llmrr.bench import process
from llmrr.bench.job import Job
from llmrr.cli import bench_views, layout, picture
from llmrr.errors import DoesNotFit, EngineFailed

SVG = "{http://www.w3.org/2000/svg}"
QUICK = ("--prefill", "20", "--decode", "4", "--repeats", "2")


class Processes:
    """In place of the processes: a model's figures by its name, or what happens instead."""

    def __init__(self, rates: Mapping[str, Any]) -> None:
        self.rates, self.jobs, self.most = rates, list[Job](), 64

    def __call__(self, job: Job, told: Callable[..., None]) -> dict[str, Any]:
        self.jobs.append(job)
        told("load", 0, 1)
        rate = self.rates[Path(str(job.model)).name]
        if isinstance(rate, BaseException):
            raise rate
        if job.sequences > self.most:
            raise DoesNotFit("too large", "")
        if job.what == "start":
            return {"load_s": 1 / rate, "first_token_s": 2 / rate, "prompt_tokens": 50}
        speed = {"decode": [rate * job.sequences, rate * job.sequences + 2][: job.repeats],
                 "engine": "llamacpp", "where": "the CPU", "threads": 2, "context_size": 256,
                 "peak_bytes": 5_000_000 * job.sequences}  # fmt: skip
        return speed if job.sequences > 1 else {**speed, "prefill": [rate * 10] * job.repeats}


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Processes]:
    def script(**rates: Any) -> Processes:
        for name in rates:
            builders.tiny_llama(Path(f"{name}.gguf"), context=1024)
        processes = Processes({f"{name}.gguf": rate for name, rate in rates.items()})
        monkeypatch.setattr(process, "run", processes)
        return processes

    return script


def test_the_built_in_model_is_an_example(typed: Typed) -> None:
    seen = typed("bench", "builtin:mini", "--repeats", "2", "--concurrency", "1,2", "--json")
    assert seen.code == 0
    assert seen.err == (
        "llmrr: prefill is measured with 256 tokens, and not the usual 512: the context of "
        "builtin:mini holds 512 tokens, and one more follows them\n"
    )
    found = seen.json
    assert set(found) == {
        "prefill_tokens", "decode_tokens", "repeats", "machine", "interrupted", "models",
    }  # fmt: skip
    assert (found["prefill_tokens"], found["decode_tokens"], found["repeats"]) == (256, 128, 2)
    assert set(found["machine"]) == {
        "system", "architecture", "cpu", "usable_cores", "usable_threads", "memory_bytes", "gpus",
    }  # fmt: skip
    [model] = found["models"]
    assert set(model) == {
        "name", "source", "path", "format", "quant", "bytes", "parameters", "engine", "backend",
        "threads", "context_size", "prefill_tokens_per_s", "decode_tokens_per_s", "prompt_tokens",
        "first_token_s", "load_s", "cold_load_s", "peak_bytes", "concurrency", "error",
    }  # fmt: skip
    assert (model["name"], model["quant"], model["error"]) == ("builtin:mini", "Q8_0", None)
    assert model["bytes"] == Path(model["path"]).stat().st_size
    assert model["backend"] == "the CPU"
    [together] = model["concurrency"]
    assert set(together) == {"sequences", "tokens_per_s", "peak_bytes"}
    for spread in (*(model[name] for name in model if name.endswith("_per_s")),
                   model["load_s"], model["first_token_s"], together["tokens_per_s"]):  # fmt: skip
        assert set(spread) == {"mean", "stddev", "median", "samples"}
        assert len(spread["samples"]) == 2
        assert spread["mean"] == pytest.approx(sum(spread["samples"]) / 2)

    shown = typed("show", "builtin:mini", "--json").json["speed"]
    assert shown["decode_tokens_per_s"] == model["decode_tokens_per_s"]["mean"]
    assert (shown["prefill_tokens"], shown["engine"]) == (256, "llamacpp")


def test_one_model_is_a_line_for_each_figure(
    typed: Typed, scripted: Callable[..., Processes]
) -> None:
    processes = scripted(a=100.0)
    seen = typed("bench", "./a.gguf", "--repeats", "2", "--concurrency", "1,4", "--threads", "2",
                 "--ctx-size", "600", "-o", "num_gpu", "0")  # fmt: skip
    assert (seen.code, seen.err) == (0, "")
    assert seen.out.splitlines()[-7:] == [
        "TEST                       MEAN   +/-  UNIT",
        "prefill 512            1,000.00  0.00  t/s",
        "decode 128               101.00  1.41  t/s",
        "decode 128, 4 at once    401.00  1.41  t/s",
        "first token               20.00  0.00  ms",
        "load                      10.00  0.00  ms",
        "peak memory                5.00     \N{EN DASH}  MB",
    ]
    assert [one.what for one in processes.jobs] == ["start"] * 3 + ["speed"] * 2
    assert processes.jobs[-1] == Job(
        "speed", "./a.gguf", None,
        (("num_gpu", "0"), ("threads", "2"), ("context_size", "600")), 512, 128, 2, 4,
    )  # fmt: skip


def test_several_stand_against_the_first(typed: Typed, scripted: Callable[..., Processes]) -> None:
    scripted(a=100.0, b=50.0)
    seen = typed("bench", "./a.gguf", "./b.gguf", *QUICK, "--concurrency", "1", "--plot", "-")
    rows = [line.split() for line in seen.out.splitlines()]
    assert ["prefill", "20", "b.gguf", "500.00", "0.00", "t/s", "0.50", "█" * 12] in rows
    assert ["load", "b.gguf", "20.00", "0.00", "ms", "2.00", "█" * 12] in rows
    [first] = [row for row in rows if row[:3] == ["prefill", "20", "a.gguf"]]
    assert first[-2:] == ["1.00", "█" * 24]


def test_a_picture(typed: Typed, scripted: Callable[..., Processes]) -> None:
    scripted(a=100.0, b=50.0)
    seen = typed("bench", "./a.gguf", "./b.gguf", *QUICK, "--plot", "speed.svg")
    assert seen.code == 0
    assert "█" not in seen.out
    root = ET.parse("speed.svg").getroot()
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert texts.count("a.gguf") == texts.count("b.gguf") == 6
    assert "decode 4, 4 at once, t/s" in texts
    assert "501.00 ± 0.00" not in texts
    assert "500.00 ± 0.00" in texts
    bars = [float(one.attrib["width"]) for one in root.iter(f"{SVG}rect") if "x" in one.attrib]
    assert bars[1] == pytest.approx(bars[0] / 2)
    assert max(bars) <= picture.WIDTH - picture.LEFT - picture.RIGHT + 0.1


def test_a_picture_of_hostile_names_and_of_nothing() -> None:
    model = {
        "name": "<script>&\x1b[1m" + "n" * 90, "concurrency": None, "peak_bytes": None,
        **dict.fromkeys(
            ("prefill_tokens_per_s", "decode_tokens_per_s", "first_token_s", "load_s")
        ),
    }  # fmt: skip
    machine = {"cpu": None, "architecture": "x", "usable_cores": None, "usable_threads": None,
               "memory_bytes": None, "gpus": []}  # fmt: skip
    facts = {"prefill_tokens": 1, "decode_tokens": 1, "repeats": 1, "machine": machine,
             "models": [model]}  # fmt: skip
    drawn = picture.picture(facts)
    ET.fromstring(drawn)
    assert "<script" not in drawn
    assert drawn.count("not measured") == 5
    model |= {"quant": None, "bytes": None, "parameters": None, "engine": None, "threads": None,
              "backend": None}  # fmt: skip
    lines = list(bench_views.with_bars(layout.Page(width=80), facts))
    assert lines[-1].split() == ["peak", "memory", "\N{EN DASH}", "\N{EN DASH}", "MB"]


def test_one_that_fails_does_not_keep_the_others(
    typed: Typed, scripted: Callable[..., Processes]
) -> None:
    scripted(a=100.0, b=EngineFailed("the engine broke (signal 11)", "mend it"), c=50.0)
    seen = typed("bench", "./a.gguf", "./b.gguf", "./c.gguf", *QUICK, "--concurrency", "1")
    assert seen.code == 7
    assert seen.err == "llmrr: b.gguf: the engine broke (signal 11)\n  hint: mend it\n"
    rows = [line.split() for line in seen.out.splitlines()]
    dash = "\N{EN DASH}"
    assert ["prefill", "20", "b.gguf", dash, dash, "t/s", dash] in rows
    assert ["prefill", "20", "c.gguf", "500.00", "0.00", "t/s", "0.50"] in rows
    as_json = typed("bench", "./b.gguf", "./a.gguf", *QUICK, "--json")
    assert as_json.code == 7
    broken, whole = as_json.json["models"]
    assert (broken["error"]["type"], broken["load_s"]) == ("EngineFailed", None)
    assert (whole["error"], whole["load_s"]["samples"]) == (None, [0.01, 0.01])
    assert typed("show", "./b.gguf", "--json").json["speed"] is None


def test_all_that_fail_are_told(typed: Typed, scripted: Callable[..., Processes]) -> None:
    scripted(a=DoesNotFit("too large", ""), b=EngineFailed("broken", ""))
    seen = typed("bench", "./a.gguf", "./b.gguf", *QUICK, "--json")
    assert seen.code == 5
    assert seen.json["error"]["message"] == "a.gguf: too large"
    assert seen.err == "llmrr: b.gguf: broken\n"


def test_too_many_at_once_are_said(typed: Typed, scripted: Callable[..., Processes]) -> None:
    processes = scripted(a=100.0)
    processes.most = 4
    seen = typed("bench", "./a.gguf", *QUICK, "--concurrency", "1,4,8")
    assert (seen.code, seen.err) == (5, "llmrr: a.gguf: 8 at once: too large\n")


def test_an_interruption_leaves_what_was_complete(
    typed: Typed, scripted: Callable[..., Processes]
) -> None:
    scripted(a=100.0, b=KeyboardInterrupt())
    seen = typed("bench", "./a.gguf", "./b.gguf", *QUICK)
    assert seen.code == 130
    assert "a.gguf" in seen.out
    assert "b.gguf" not in seen.out
    as_json = typed("bench", "./a.gguf", "./b.gguf", *QUICK, "--json")
    assert (as_json.code, as_json.json["interrupted"]) == (130, True)
    assert [one["name"] for one in as_json.json["models"]] == ["a.gguf"]
    assert typed("bench", "./b.gguf", *QUICK, "--json").out == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["absent.gguf"], 3, "absent.gguf"),
        (["--prefill", "512"], 5, "--prefill 511 is the most"),
        (["--decode", "512"], 5, "--decode 511 is the most"),
        (["--ctx-size", "1"], 5, "use a larger --ctx-size"),
        (["--repeats", "0"], 2, "--repeats"),
        (["--prefill", "0"], 2, "--prefill"),
        (["--threads", "0"], 2, "--threads"),
        (["--concurrency", "4,x"], 2, '--concurrency "4,x"'),
        (["--concurrency", ""], 2, '--concurrency ""'),
        (["--concurrency", "0"], 2, "1 to 64"),
        (["--concurrency", "1,,4"], 2, "1 to 64"),
        (["--concurrency", "9" * 5000], 2, "1 to 64"),
        (["-o", "temp", "1"], 2, "temperature has no effect"),
        (["--engine", "onnx"], 4, "--engine llamacpp"),
        (["--engine", "nonsense"], 2, 'no engine "nonsense"'),
        (["--plot", "absent/x.svg"], 3, "mkdir -p"),
        (["-p", "512"], 2, "hint: llmrr bench --prefill N"),
        (["--n-gen", "512"], 2, "hint: llmrr bench --decode N"),
        (["--n-gpu-layers", "0"], 2, "hint: -o gpu_layers VALUE"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    typed: Typed, scripted: Callable[..., Processes], words: list[str], code: int, said: str
) -> None:
    processes = scripted()
    seen = typed("bench", "builtin:mini", *words)
    assert (seen.code, seen.out, processes.jobs) == (code, "", [])
    assert said in seen.err


def test_a_larger_context_than_was_trained_may_be_asked_for(
    typed: Typed, scripted: Callable[..., Processes]
) -> None:
    scripted(a=100.0)
    assert typed("bench", "./a.gguf", "--prefill", "2000", "--ctx-size", "4096").code == 0
    assert typed("bench", "./a.gguf", "--prefill", "2000").code == 5


def test_an_embedding_model_is_refused_by_its_engine(typed: Typed) -> None:
    builders.tiny_bert(Path("bert.gguf"))
    seen = typed("bench", "./bert.gguf", "--prefill", "8", "--decode", "4")
    assert (seen.code, seen.out) == (4, "")
    assert "llmrr: bert.gguf: bert.gguf is an embedding model" in seen.err


def test_a_replaced_file_has_no_speed(typed: Typed, scripted: Callable[..., Processes]) -> None:
    scripted(a=100.0)
    assert typed("bench", "./a.gguf", *QUICK).code == 0
    line = "speed             reads 1,000.0, writes 101.0 tokens a second (llamacpp, 2 threads)\n"
    assert line in typed("show", "./a.gguf").out
    builders.tiny_llama(Path("a.gguf"), context=512)
    assert "tokens a second" not in typed("show", "./a.gguf").out


def test_ctrl_c() -> None:
    command = [sys.executable, "-m", "llmrr", "bench", "builtin:mini", "--repeats", "1000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        assert "prefill is measured with 256" in running.stderr.readline()
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, "", "")


def test_its_json_is_one_document(typed: Typed, scripted: Callable[..., Processes]) -> None:
    scripted(a=100.0)
    seen = typed("bench", "./a.gguf", *QUICK, "--json", "--plot", "x.svg")
    assert json.loads(seen.out)["models"][0]["name"] == "a.gguf"
    assert Path("x.svg").exists()
