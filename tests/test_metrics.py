"""``MetricsCollector``: what is tracked, summed up, and when it alerts."""

import doctest
import logging
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeEngine

from llmrr import MetricsCollector, Router, metrics, paths
from llmrr.alerts import Alert
from llmrr.database import open_database
from llmrr.errors import EngineFailed, LlmrrError, UsageError
from llmrr.pool import MemoryUse, memory
from llmrr.types import Message, Request

HELLO = Request(messages=(Message("user", "hello"),))


def test_the_example_of_the_module() -> None:
    examples = doctest.DocTestParser().get_examples(metrics.__doc__ or "")
    for one in examples:
        one.options.pop(doctest.SKIP)
    case = doctest.DocTest(examples, {}, "metrics", None, 0, None)
    assert doctest.DocTestRunner().run(case) == (0, len(examples))
    assert len(examples) > 5


def test_what_was_tracked_is_summed_up_and_stays() -> None:
    with MetricsCollector() as first:
        for value in (100, 200.5, 300):
            first.track("inference.latency", value, model="m")
        first.track("inference.errors")
        first.track("my.own", 3, {"shard": 1}, zone="b")
        found = first.summary()
    assert found["inference.latency"] == {
        "count": 3, "sum": 600.5, "mean": pytest.approx(200.1666), "median": 200.5,
        "p95": pytest.approx(290.05), "max": 300.0,
    }  # fmt: skip
    assert found["inference.errors"]["count"] == 1
    assert found["runs"]["runs"] == 0
    with MetricsCollector() as second:
        assert second.summary() == found
        assert list(second.summary(since=time.time() + 10)) == ["runs"]
        assert second.summary(since="1h") == found
    with closing(open_database()) as connection:
        labels = connection.execute("SELECT labels FROM metrics").fetchall()
    assert labels[-1] == ('{"shard": 1, "zone": "b"}',)


@pytest.mark.parametrize(
    ("values", "limits", "events"),
    [
        ([2000], None, []),
        ([2001], None, ["high-latency"]),
        ([2001], {}, []),
        ([2001], {"errorRate": 0.1}, []),
        ([600, 700], {"latency": 500}, ["high-latency"]),
        ([1] * 9 + [None], None, ["high-error-rate"]),
        ([1] * 8 + [None], None, []),
        ([1] * 20 + [None], {"errorRate": 0.1}, []),
        ([1] * 20 + [None], {"error_rate": 0.04}, ["high-error-rate"]),
    ],
)
def test_when_it_alerts(
    values: list[int | None], limits: dict[str, float] | None, events: list[str]
) -> None:
    limits = {"latency": 2000, "errorRate": 0.05} if limits is None else limits
    found: list[Alert] = []
    with MetricsCollector(alerts=limits) as collector:
        for event in ("high-latency", "high-error-rate"):
            collector.on(event, found.append)
        for value in values:
            if value is None:
                collector.track("inference.errors", 1, model="m")
            else:
                collector.track("inference.latency", value, model="m")
        assert [one.event for one in found] == events
        assert collector.raised() == found
        assert {one.model for one in found} <= {"m"}


def test_memory_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "read", lambda: MemoryUse(9, 10))
    found: list[Alert] = []
    with MetricsCollector() as collector:
        collector.alert("high-memory", found.append)
        collector.on("high-usage", found.append)
        for _ in range(3):
            collector.track("inference.latency", 1)
    assert [one.value for one in found] == [0.9, 0.9]


def test_alert_registers_a_function_and_raises_anything_else() -> None:
    found: list[Alert] = []
    with MetricsCollector() as collector:
        assert collector.alert("queue", found.append) is None
        collector.alert("queue", "it is full")
        collector.alert("queue", 12, model="m")
        collector.alert("queue")
    assert [(one.message, one.value, one.model) for one in found] == [
        ("it is full", None, ""), ("queue", 12.0, "m"), ("queue", None, "")
    ]  # fmt: skip


def test_a_handler_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    found: list[Alert] = []

    def fails(alert: Alert) -> None:
        raise ValueError("handler broke")

    with MetricsCollector() as collector, caplog.at_level(logging.WARNING, logger="llmrr"):
        collector.on("high-latency", fails)
        collector.on("high-latency", found.append)
        collector.track("inference.latency", 9999)
    assert len(found) == 1
    assert "handler broke" in caplog.text


def test_the_runs_of_a_router_are_watched(engine: FakeEngine) -> None:
    engine.replies = ["hi", EngineFailed("boom"), "hi"]
    found: list[Alert] = []
    with Router() as router:
        collector = MetricsCollector(alerts={"latency": 1000}, router=router)
        collector.on("high-latency", found.append)
        for _ in range(2):
            try:
                assert list(router.run(HELLO, model="builtin:mini"))
            except LlmrrError as error:
                assert error.message == "boom"
        collector.track("own", 1)
        summary = collector.summary()
        collector.close()
        assert list(router.run(HELLO, model="builtin:mini"))
    assert [(one.model, one.value) for one in found] == [("builtin:mini", 1500.0)]
    assert (summary["runs"]["runs"], summary["runs"]["errors"]) == (2, 1)
    assert summary["runs"]["avg_latency_ms"] == 1500.0
    assert summary["own"]["count"] == 1


@pytest.mark.parametrize("retention", ["1h", 3600, timedelta(hours=1)])
def test_retention(retention: str | float | timedelta) -> None:
    with closing(open_database()) as connection:
        for age in (10, 7200):
            connection.execute(
                "INSERT INTO metrics (at, event, value, labels) VALUES (?, 'e', 1, '{}')",
                (time.time() - age,),
            )
    with MetricsCollector(retention=None) as keeps:
        keeps.track("x", 1)
        assert keeps.summary()["e"]["count"] == 2
    with MetricsCollector(retention=retention) as collector:
        collector.track("x", 1)
        assert collector.summary()["e"]["count"] == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"retention": "soon"}, "retention 'soon'"),
        ({"retention": -1}, "retention -1"),
        ({"alerts": {"latencyy": 1}}, "no alert 'latencyy'"),
        ({"alerts": {"errorRate": 5}}, "errorRate = 5"),
        ({"alerts": {"latency": "fast"}}, "'fast' is no number"),
    ],
)
def test_what_it_cannot_be_made_of(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        MetricsCollector(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, None])
def test_only_numbers_are_tracked(value: object) -> None:
    with MetricsCollector() as collector, pytest.raises(UsageError, match="is no number"):
        collector.track("x", value)  # type: ignore[arg-type]
    with MetricsCollector() as collector, pytest.raises(UsageError, match="no name of an event"):
        collector.track("", 1)


def test_many_threads() -> None:
    found: list[Alert] = []
    with MetricsCollector() as collector:
        collector.on("high-latency", found.append)

        def work(number: int) -> None:
            for at in range(25):
                collector.track("inference.latency", 100 * at, model=str(number % 2))

        threads = [threading.Thread(target=work, args=(one,)) for one in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert collector.summary()["inference.latency"]["count"] == 200
    assert sorted(one.model for one in found) == ["0", "1"]


def test_a_database_that_cannot_be_used_breaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = paths.database_file()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"this is no database" * 100)
    found: list[Alert] = []
    with MetricsCollector() as collector, caplog.at_level(logging.WARNING, logger="llmrr"):
        collector.on("high-latency", found.append)
        for _ in range(3):
            collector.track("inference.latency", 9999)
        assert list(collector.summary()) == ["runs"]
    assert len(found) == 1
    assert caplog.text.count("metrics are not kept") == 1
    assert Path(place).read_bytes().startswith(b"this is no database")
