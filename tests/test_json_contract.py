"""The shapes that ``--json`` prints: keys may be added, none renamed or removed."""

import json
from pathlib import Path

from fakes import FakeEngine
from terminal import Typed

RUN = {
    "text": str, "reasoning": str, "model": str, "engine": str, "finish_reason": str,
    "usage": {"prompt_tokens": int, "cached_tokens": int, "completion_tokens": int},
    "timings": {"load_s": float, "first_token_s": float, "total_s": float, "tokens_per_s": float},
    "decision": type(None), "cache": type(None), "tool_calls": list,
}  # fmt: skip
LIST = ["name", "format", "quant", "bytes", "origin", "path", "added", "last_used"]


def matches(value: object, shape: object) -> bool:
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(matches(value[key], shape[key]) for key in shape)
    return isinstance(shape, type) and isinstance(value, shape)


def test_run(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["Paris"]
    seen = typed("run", "--json", "x")
    assert matches(seen.json, RUN)
    assert seen.json["decision"] is None


def test_list(typed: Typed, engine: FakeEngine) -> None:
    models = typed("list", "--json").json
    assert models[-1]["name"] == "builtin:mini"
    assert all(list(model)[: len(LIST)] == LIST for model in models)


def test_errors(typed: Typed, engine: FakeEngine) -> None:
    absent = ["run", "-m", "absent", "--json", "x"]
    for args in (absent, ["run", "--json", "--wrong"], ["x", "--json"]):
        seen = typed(*args)
        assert list(seen.json["error"]) == ["type", "message", "hint", "exit_code"]
        assert seen.json["error"]["exit_code"] == seen.code
        assert seen.err == ""


def test_json_after_two_dashes_is_a_word(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run", "-m", "absent", "--", "--json")
    assert (seen.code, seen.out) == (3, "")


def test_one_document_even_when_a_check_fails(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(seen.out)}
    assert set(checks["python"]) == {"name", "ok", "detail", "cure"}
    assert seen.code in (0, 9)


def test_probe(typed: Typed, engine: FakeEngine) -> None:
    machine = typed("probe", "--json").json
    assert set(machine) >= {"system", "cpu", "memory", "gpus"}
    assert set(machine["memory"]) >= {"total_bytes", "available_bytes", "limit_bytes"}


def test_stats_and_logs(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["Paris"]
    typed("run", "capital?")
    summary = typed("stats", "--json").json
    assert set(summary) == {"models", "days", "alerts", "migration"}
    assert summary["migration"] is None
    assert summary["models"][0]["completion_tokens"] == 5
    [run] = typed("logs", "--json").json
    assert (run["prompt"], run["answer"], run["model"]) == ("capital?", "Paris", "builtin:mini")
    [head] = typed("logs", "list", "--json").json
    assert set(head) == {"cid", "model", "began", "last", "turns", "title"}


def test_embed(typed: Typed, engine: FakeEngine) -> None:
    found = typed("embed", "--json", "hi", "you").json
    assert found == {
        "model": "builtin:mini",
        "embeddings": [
            {"text": "hi", "embedding": [2.0, 0.5]}, {"text": "you", "embedding": [3.0, 0.5]},
        ],
    }  # fmt: skip


def test_batch(typed: Typed, engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "hi"}\n')
    found = typed("batch", str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"), "--json").json
    assert set(found) == {
        "lines", "answered", "failed", "resumed", "prompt_tokens", "completion_tokens", "seconds",
        "repeated", "repeat", "output", "errors",
    }  # fmt: skip


def test_config(typed: Typed, engine: FakeEngine) -> None:
    settings = {entry["key"]: entry for entry in typed("config", "show", "--json").json}
    assert settings["log_prompts"] == {
        "key": "log_prompts", "value": True, "source": "default", "where": None,
    }  # fmt: skip
    assert set(typed("config", "path", "--json").json) == {"user", "project"}
    assert typed("config", "check", "--json").json == []


def test_what_is_loaded(typed: Typed, engine: FakeEngine) -> None:
    assert typed("ps", "--json").json == []  # test_resident has one with models
    assert typed("stop", "--json").json["error"]["exit_code"] == 1
