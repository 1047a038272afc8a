"""What is found out of the ``[[models]]`` before one of them is chosen."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import builders
import pytest
from fakes import FakeEngine

from llmrr import engines, formats, hardware, speeds
from llmrr.catalogue import identity_of
from llmrr.choosing import infos
from llmrr.choosing.profiles import Loading, key_of
from llmrr.choosing.wishes import needs_of
from llmrr.database import open_database
from llmrr.errors import DoesNotFit
from llmrr.hardware import Memory
from llmrr.router import Router
from llmrr.routing import Candidate
from llmrr.speeds import Speed
from llmrr.store import looking
from llmrr.types import Format, Message, Request, Sampling


def configure(text: str) -> None:
    Path("llmrr.toml").write_text(f"version = 1\n{text}")


def candidates(**loading: object) -> dict[str, Candidate]:
    with Router() as router:
        models = router.selection.members(None)
        how = Loading(**loading)  # type: ignore[arg-type]
        found = router.selection.profiles.candidates(models, loading=how)
        return {one.name: one for one in found}


TWO = (
    "[[models]]\nname = 'a'\nsource = 'file:./tiny.gguf'\n{}\n"
    "[[models]]\nname = 'b'\nsource = 'openai:gpt-4o'\n{}\n"
)


def test_what_is_known_of_a_model(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    configure(TWO.format("weight = 2\ntags = ['x']", "cost = { input = 1, output = 2 }"))
    found = candidates()
    trained = formats.inspect(Path("tiny.gguf")).context_length
    assert (found["a"].weight, found["a"].tags, found["a"].cost) == (2.0, {"x"}, (0.0, 0.0))
    assert found["a"].context == trained
    assert "schema" in (found["a"].features or ())
    assert (found["b"].cost, found["b"].context) == ((1.0, 2.0), None)


def test_a_stated_context_is_the_context(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    configure(TWO.format("options = { context_size = 777 }", ""))
    assert candidates()["a"].context == 777
    assert candidates(context=99)["a"].context == 99


def test_an_engine_that_is_asked_for_must_run_it(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    configure(TWO.format("", ""))
    other = FakeEngine()
    other.name, other.formats = "other", frozenset()
    monkeypatch.setattr(engines, "ENGINES", (engine, other))
    assert candidates(engine="fake")["a"].blocked is None
    assert "the other engine runs" in str(candidates(engine="other")["a"].blocked)


def test_a_model_that_does_not_fit_is_blocked(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    configure(TWO.format("", ""))
    machine = replace(hardware.probe(), memory=Memory(available_bytes=1000), gpus=())
    monkeypatch.setattr(hardware, "probe", lambda: machine)
    blocked = candidates()["a"].blocked
    assert isinstance(blocked, DoesNotFit)
    assert "of free memory" in blocked.message


def test_a_file_that_was_cut_is_blocked(engine: FakeEngine) -> None:
    path = builders.tiny_llama(Path("tiny.gguf"))
    path.write_bytes(path.read_bytes()[:-100])
    configure(TWO.format("", ""))
    assert "is damaged" in str(candidates()["a"].blocked)


def test_an_adapter_is_no_candidate(engine: FakeEngine) -> None:
    builders.gguf_file(Path("tiny.gguf"), metadata={"general.type": "adapter"})
    configure(TWO.format("", ""))
    assert "of the kind adapter" in str(candidates()["a"].blocked)


def test_one_model_is_not_looked_at(engine: FakeEngine) -> None:
    configure("[[models]]\nname = 'a'\nsource = 'file:./gone.gguf'")
    assert candidates()["a"].blocked is None


def test_the_quality_is_the_users_number_else_the_score_that_was_stored(
    engine: FakeEngine,
) -> None:
    from llmrr.evaluate import scoring

    builders.tiny_llama(Path("tiny.gguf"))
    configure(TWO.format("", ""))
    with Router() as router:
        entry = router.catalogue.entry("a")
        from llmrr.catalogue import identity_of

        identity = identity_of(entry)
        assert identity is not None
        score = scoring.Score(1.0, "a", entry.origin, identity, None, "set", "0", 10, 10, 7)
        scoring.record(router.database, score)
    assert candidates()["a"].quality == 0.7
    configure(TWO.format("quality = 0.2", ""))
    assert candidates()["a"].quality == 0.2
    Path("tiny.gguf").write_bytes(Path("tiny.gguf").read_bytes() + b"\0" * 32)
    configure(TWO.format("", ""))
    assert candidates()["a"].quality is None


def test_what_bench_measured_counts_until_there_is_a_run(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    builders.tiny_llama(Path("other.gguf"), width=64)
    configure("strategy = 'speed-priority'\n" + TWO.format("", "").replace(
        "openai:gpt-4o", "file:./other.gguf"
    ))  # fmt: skip
    request = Request(messages=(Message("user", "x"),))
    with Router() as router:
        assert router.route(request).unmeasured
        for name, seconds in (("a", 2.0), ("b", 0.1)):
            entry = router.catalogue.entry(name)
            speeds.record(router.database, Speed(
                0.0, name, entry.origin, identity_of(entry) or "", None, "fake", 1, 512, 100.0,
                128, 50.0, seconds, seconds, None,
            ))  # fmt: skip
    with Router() as router:
        found = router.route(request)
        assert found.chosen == "b" and not found.unmeasured
        [health] = router.selection.profiles.health([router.selection.members(None)[0]]).values()
        assert (health.first_token_s, health.token_s, health.load_s) == (2.0, 0.02, 2.0)


def test_figures_belong_to_a_name_and_what_is_behind_it(engine: FakeEngine) -> None:
    configure(TWO.format("", ""))
    with Router() as router:
        first, second = (key_of(one) for one in router.config.models)
    assert first == f"a file:{Path('tiny.gguf').absolute()}"
    assert second == "b openai:gpt-4o"


def test_needs_of_a_request() -> None:
    messages = (Message("system", "ü" * 10), Message("user", "x" * 21))
    sampling = Sampling(schema={}, logprobs=3, max_tokens=9)
    needs = needs_of(Request(messages=messages, sampling=sampling), ["code"], "random")
    assert (needs.tokens, needs.answer_tokens, needs.strategy) == (11, 9, "random")
    assert (needs.features, needs.tags) == ({"schema", "logprobs"}, {"code"})
    assert needs_of(Request(prompt="abc"), ["embedding"]).answers is False


def test_what_a_file_says_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = builders.tiny_llama(tmp_path / "m.gguf")
    read: list[Path] = []
    checked = looking.checked
    monkeypatch.setattr(looking, "checked", lambda path: read.append(path) or checked(path))
    with closing(open_database()) as connection:
        first = infos.inspect(path, lambda work, loss: work(connection))
        again = infos.inspect(path, lambda work, loss: work(connection))
        assert (len(read), again.format) == (1, Format.GGUF)
        left_out = {"templates": {}, "license": None}
        assert again == replace(first, **left_out)  # type: ignore[arg-type]
        assert hardware.fit_one(again, hardware.probe()) is not None
        os.utime(path, (1, 1))
        infos.inspect(path, lambda work, loss: work(connection))
        assert len(read) == 2
    assert infos.unpacked("{}") is None
    assert infos.unpacked("no") is None
