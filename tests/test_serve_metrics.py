"""The figures of the server, as Prometheus reads them, and what load balancers are told."""

import re
from collections import defaultdict

import pytest
from serving import ASKED, serving
from test_serve_queue import until

from llmrr.errors import EngineFailed
from llmrr.router import Router
from llmrr.server import state

CHAT = {"model": "small", "messages": ASKED, "temperature": 0}
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? ([+-]?(?:Inf|[0-9.e+-]+))")


def parsed(text):
    """The samples of a text in Prometheus' format, held against its rules."""
    assert text.endswith("\n")
    kinds, found, families = {}, {}, defaultdict(list)
    for line in text.splitlines():
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            assert what in ("HELP", "TYPE") and name.startswith("llmrr_")
            if what == "TYPE":
                assert name not in kinds, f"{name} twice"
                assert rest in ("counter", "gauge", "histogram")
                kinds[name] = rest
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        family = family if kinds.get(family) == "histogram" else name
        assert family in kinds, f"{name} has no type"
        assert (kinds[family] == "counter") == name.endswith("_total")
        assert (name, labels) not in found, f"{line} twice"
        found[name, labels] = float(value)
        families[family].append(line)
    for name in (one for one, kind in kinds.items() if kind == "histogram"):
        buckets = [float(line.rpartition(" ")[2]) for line in families[name] if "le=" in line]
        assert buckets and all('le="+Inf"' in text for line in families[name])
    return {(name, labels or ""): value for (name, labels), value in found.items()}


@pytest.fixture(scope="module")
def served():
    with serving() as found:
        yield found


def test_what_was_asked_and_answered_is_counted(served):
    said = [served.ask("/v1/chat/completions", CHAT).json()["usage"] for _ in "ab"]
    served.ask("/v1/chat/completions", {**CHAT, "model": "absent"})
    served.ask("/made/up/by/somebody")
    answer = served.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = parsed(answer.body.decode())
    chat = 'path="/v1/chat/completions"'
    assert found["llmrr_requests_total", f'{chat},model="small",status="200"'] == 2
    assert found["llmrr_requests_total", f'{chat},model="",status="404"'] == 1
    assert found["llmrr_requests_total", 'path="other",model="",status="404"'] == 1
    assert "somebody" not in answer.body.decode()
    generated = said[0]["completion_tokens"]  # the other one is the same, and was kept
    assert found["llmrr_cache_hits_total", 'model="small",kind="exact"'] == 1
    assert found["llmrr_tokens_total", 'model="small",kind="generated"'] == generated
    assert found["llmrr_answers_total", 'model="small",outcome="stop"'] == 2
    for name, count in (("queue_seconds", 2), ("answer_seconds", 2), ("first_token_seconds", 1)):
        assert found[f"llmrr_{name}_count", 'model="small"'] == count
        assert found[f"llmrr_{name}_bucket", 'model="small",le="+Inf"'] == count
    assert found["llmrr_loaded_models", ""] == 1
    assert found["llmrr_model_bytes", 'model="small"'] > 0
    assert found["llmrr_slots", 'models="small"'] == 10
    assert found["llmrr_breaker_open", 'model="small"'] == 0
    assert found["llmrr_alerts_total", 'event="high-latency"'] == 0
    assert found["llmrr_process_threads", ""] >= 1
    assert found["llmrr_process_resident_bytes", ""] > 1e6


def test_prometheus_itself_reads_it(served):
    parser = pytest.importorskip("prometheus_client.parser")
    text = served.ask("/metrics").body.decode()
    families = list(parser.text_string_to_metric_families(text))
    assert all(one.name.startswith("llmrr_") and one.samples for one in families)


def test_an_alert_is_named(monkeypatch):
    monkeypatch.setattr(state, "FRESH_S", 0.0)
    stated = {"models": [{"name": "small", "source": "builtin:mini"}],
              "alerts": {"latency_ms": 0.001}}  # fmt: skip
    with serving(Router(stated)) as served:
        served.ask("/v1/chat/completions", CHAT)
        found = parsed(served.ask("/metrics").body.decode())
        assert found["llmrr_alerts_total", 'event="high-latency"'] == 1
        assert found["llmrr_alert_active", 'event="high-latency"'] == 1


@pytest.mark.parametrize(("interval", "metric"), [(0, "breaker_open"), (0.05, "model_down")])
def test_health_names_the_models_that_are_left_alone(monkeypatch, interval, metric):
    monkeypatch.setattr(state, "FRESH_S", 0.0)
    away = {"source": "openai:x", "options": {"base_url": "http://127.0.0.1:9/v1"}}
    models = [{"name": "small", "source": "builtin:mini"}, {"name": "away", **away}]
    stated = {"health": {"interval": interval}, "breaker": {"failures": 1}}
    with serving(Router(models=models, retry={"attempts": 1}, **stated)) as served:
        if not interval:
            assert served.ask("/health").json()["status"] == "ok"
            assert served.ask("/v1/chat/completions", {**CHAT, "model": "away"}).status == 502
        until(lambda: served.ask("/health").json()["status"] == "degraded")
        said = served.ask("/health")
        assert (said.status, said.json()["failing"]) == (200, ["away"])
        found = parsed(served.ask("/metrics").body.decode())
        assert found[f"llmrr_{metric}", 'model="away"'] == 1
        assert found[f"llmrr_{metric}", 'model="small"'] == 0


def test_a_server_that_ends_takes_itself_out(served):
    served.service.is_draining = True
    try:
        said = served.ask("/health")
        assert (said.status, said.json()["status"]) == (503, "draining")
        said = served.ask("/v1/chat/completions", CHAT)
        assert said.status == 503 and "retry-after" in said.headers
        assert parsed(served.ask("/metrics").body.decode())["llmrr_draining", ""] == 1
    finally:
        served.service.is_draining = False


def test_what_went_wrong_is_counted_by_its_name(served):
    def fails(*_: object, **__: object) -> None:
        raise EngineFailed("it broke")

    run, served.service.router.run = served.service.router.run, fails
    try:
        assert served.ask("/v1/chat/completions", CHAT).status == 500
    finally:
        served.service.router.run = run
    found = parsed(served.ask("/metrics").body.decode())
    assert found["llmrr_answers_total", 'model="",outcome="EngineFailed"'] == 1
