"""``Router.diagnose`` and ``llmrr stats --diagnose``."""

import time
from contextlib import closing
from pathlib import Path

import builders
import pytest
from fakes import FakeEngine
from terminal import Typed

from llmrr import stats
from llmrr.choosing import health
from llmrr.choosing.profiles import key_of
from llmrr.choosing.recording import Recording
from llmrr.database import open_database
from llmrr.errors import InvalidRequest, LlmrrError, UsageError
from llmrr.router import Router
from llmrr.routing.breaker import Rules
from llmrr.types import Message, Request, Sampling

MODELS = """[budgets]
daily = 2
[budgets.here]
tokens_daily = 100
[[models]]
name = 'here'
source = 'file:./tiny.gguf'
[[models]]
name = 'far'
source = 'openai:gpt-4o-mini'
cost = { input = 1, output = 1 }
[[models]]
name = 'gone'
source = 'file:./gone.gguf'
"""


def run(model: str, seconds: float, **facts: object) -> None:
    with closing(open_database()) as connection:
        at = time.time() - float(facts.pop("ago", 0))  # type: ignore[arg-type]
        stats.record(
            connection,
            stats.Run(None, at, model, "s", "e", total_s=seconds, **facts),  # type: ignore[arg-type]
        )


def test_nothing_is_made_up_where_nothing_ran(engine: FakeEngine) -> None:
    with Router() as router:
        found = router.diagnose()
    assert list(found) == ["metrics", "models", "cache"]
    assert found["metrics"] == {
        "runs": 0, "errors": 0, "error_rate": None, "avg_latency_ms": None, "p95_latency_ms": None,
        "tokens": 0, "cost": None, "avgLatency": None, "by_model": {}, "budgets": [], "alerts": [],
    }  # fmt: skip
    assert found["models"]["avgLoadTime"] is None
    assert found["cache"]["hitRate"] is None


def test_what_runs_took_and_what_keeps_models_back(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    Path("llmrr.toml").write_text(MODELS)
    run("here", 0.2, load_s=0.5, prompt_tokens=4, completion_tokens=6, cost=0.0)
    run("here", 0.4, load_s=1.5, cost=0.0)
    run("far", 1.2, cost=0.5, prompt_tokens=5)
    run("far", 9.0, error="TimedOut: late")
    run("far", 50.0, ago=7200)
    engine.replies = ["hi"]
    with Router() as router:
        for model in router.config.models:
            if model.name == "far":
                for _ in range(2):
                    health.note(router.database, key_of(model), Rules(2), error="late")
        found = router.diagnose(since=time.time() - 3600)
        assert router.diagnose(since="1h")["metrics"] == found["metrics"]
        for wrong in ("foo", True, -1, "7"):
            with pytest.raises(InvalidRequest, match="since ="):
                router.diagnose(since=wrong)  # type: ignore[arg-type]
        assert router.diagnose()["metrics"]["runs"] == 5
        assert list(router.diagnose(includeModels=False)) == [
            "metrics", "cache"
        ]  # fmt: skip
    metrics, models = found["metrics"], found["models"]
    assert (metrics["runs"], metrics["errors"], metrics["error_rate"]) == (4, 1, 0.25)
    assert metrics["avgLatency"] == metrics["avg_latency_ms"] == pytest.approx(600.0)
    assert metrics["p95_latency_ms"] == pytest.approx(1120.0)
    assert metrics["by_model"]["far"]["cost"] == 0.5
    assert metrics["by_model"]["here"]["error_rate"] == 0.0
    assert [(one["budget"], one["model"]) for one in metrics["budgets"]] == [
        ("daily", None), ("tokens_daily", "here")
    ]  # fmt: skip
    assert models["avgLoadTime"] == models["avg_load_ms"] == 1000.0
    assert models["load_ms"] == {"here": 1000.0}
    assert models["missing_keys"] == ["far"]
    assert models["breakers_open"] == ["far"]
    assert set(models["blocked"]) == {"far", "gone"}
    assert models["configured"] == ["here", "far", "gone"]


def test_the_cache_and_what_it_saves(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    Path("llmrr.toml").write_text(
        "[budgets]\ndaily = 5\n[[models]]\nname = 'paid'\nsource = 'file:./tiny.gguf'\n"
        "cost = { input = 1000, output = 1000 }\n"
    )
    engine.replies = ["hi"]
    request = Request(messages=(Message("user", "hello"),), sampling=Sampling(temperature=0.0))
    with Router() as router:
        costs = []
        for _ in range(4):
            answer = router.run(request)
            assert "".join(chunk.text for chunk in answer) == "hi"
            costs.append(answer.cost)
        found = router.diagnose()
    assert costs == [pytest.approx(0.012), 0.0, 0.0, 0.0]
    assert found["cache"]["hitRate"] == found["cache"]["hit_rate"] == 0.75
    assert found["cache"]["entries"] == 1
    assert found["cache"]["bytes"] > 0
    assert found["metrics"]["budgets"][0]["spent"] == pytest.approx(0.012)


def test_what_is_loaded_is_named(engine: FakeEngine) -> None:
    engine.replies = ["hi"]
    with Router() as router:
        assert router.diagnose()["models"]["loaded"] == []
        router.open("builtin:mini")
        assert router.diagnose()["models"]["loaded"] == ["builtin:mini"]


def test_a_section_is_left_out_by_either_name(engine: FakeEngine) -> None:
    with Router() as router:
        assert list(router.diagnose(include_metrics=False)) == ["models", "cache"]
        assert list(router.diagnose(includeMetrics=False, includeCache=False)) == ["models"]
        with pytest.raises(UsageError, match="includeModel") as caught:
            router.diagnose(includeModel=True)
    assert caught.value.hint == "did you mean includeModels?"


def test_stats_diagnose_prints_it(engine: FakeEngine, typed: Typed) -> None:
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    Path("llmrr.toml").write_text(MODELS)
    run("here", 0.2, load_s=0.5, cost=0.0)
    seen = typed("stats", "--diagnose")
    assert seen.code == 0
    lines = {line.split("  ")[0]: line for line in seen.out.splitlines() if line}
    assert lines["here"].split()[1:4] == ["1", "0", "200.00"]
    assert lines["far"].endswith("blocked")
    assert "OPENAI_API_KEY" in seen.out
    found = typed("stats", "--diagnose", "--json").json
    assert found["models"]["missing_keys"] == ["far"]
    assert typed("stats", "--diagnose", "--since", "soon").code == 2


def test_what_the_database_would_say_is_not_known_without_it(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("llmrr.toml").write_text(MODELS)

    def broken(_self: object) -> None:
        raise LlmrrError("the database is locked")

    monkeypatch.setattr(Recording, "database", property(broken))
    with Router() as router:
        found = router.diagnose()
    metrics = found["metrics"]
    figures = ("runs", "errors", "error_rate", "tokens", "cost", "avgLatency", "alerts")
    assert [metrics[one] for one in figures] == [None] * len(figures)
    assert [(one["spent"], one["share"]) for one in metrics["budgets"]] == [(None, None)] * 2
    assert found["models"]["breakers_open"] is None
    assert set(found["cache"].values()) == {None}
    assert "of $2.00" in typed("stats", "--diagnose").out
