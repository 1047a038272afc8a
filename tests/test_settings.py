"""Every setting acts: what is handed on to an engine, a provider or a budget gets there."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import builders
import pytest
from fakes import FakeEngine

from llmrr import spending
from llmrr.choosing import health, opening
from llmrr.choosing.profiles import breaker_rules, key_of
from llmrr.database import open_database
from llmrr.engines.base import Options
from llmrr.router import Router
from llmrr.routing.breaker import Rules
from llmrr.settings import ENGINES, REMOTE_OPTIONS, SETTINGS
from llmrr.types import Usage

# A value of each, and what the engine is told.
LOADING: dict[str, tuple[Any, Any]] = {
    "context_size": (512, 512), "gpu_layers": (3, 3), "threads": (2, 2), "kv_type": ("q8_0",) * 2,
    "flash_attention": (True, "on"), "mmap": (False, False), "mlock": (True, True),
    "lora": ([{"path": "a.gguf", "scale": 0.5}], ((Path("a.gguf"), 0.5),)),
    "chat_template": ("{{ messages }}",) * 2, "mmproj": ("m.gguf", Path("m.gguf")),
    "prefix_cache": ("1 MB", 1_000_000), "prefix_disk": (True, True), "speculate": (8, 8),
}  # fmt: skip
PARAMS: dict[str, Any] = {
    "temperature": 0.3, "max_tokens": 7, "top_p": 0.6, "top_k": 4, "min_p": 0.2, "typical_p": 0.7,
    "repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": 0.3, "stop": ("END",),
    "seed": 5, "system": "Be brief.",
}  # fmt: skip
REACHING: dict[str, Any] = {
    "base_url": "http://127.0.0.1:1/v1", "api_key_env": "A_KEY", "api_version": "2024-10-21",
    "organization": "org", "timeout": 9.0, "max_retries": 4, "headers_env": {"X-A": "A"},
}  # fmt: skip


def keys(table: str) -> list[str]:
    return [one.key for one in SETTINGS if one.key.startswith(table)]


def leaf(key: str) -> str:
    return key.rpartition(".")[2]


@pytest.mark.parametrize(
    "key",
    [*keys("engines."), *(key for key in keys("models[].options.") if leaf(key) in LOADING)],
)
def test_how_a_model_is_loaded(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    builders.tiny_llama(Path("whole.gguf"))
    for name in ("a.gguf", "m.gguf"):
        builders.tiny_llama(Path(name))
    (value, expected), engine.replies = LOADING[leaf(key)], ["hi"]
    model: dict[str, Any] = {"name": "a", "source": "file:whole.gguf"}
    stated: dict[str, Any] = {}
    if key.startswith("engines."):
        name = key.split(".")[1]
        assert name in ENGINES
        monkeypatch.setattr(engine, "name", name)
        stated["engines"] = {name: {leaf(key): value}}
    else:
        model["options"] = {leaf(key): value}
    with Router(models=[model], **stated) as router:
        router.generate("hello")
    told = getattr(engine.loads[0][1], leaf(key))
    if isinstance(expected, Path):
        assert told == expected.absolute()
    elif isinstance(expected, tuple):
        assert told == tuple((path.absolute(), scale) for path, scale in expected)
    else:
        assert told == expected
    assert told != getattr(Options(), leaf(key))


@pytest.mark.parametrize("key", keys("models[].params."))
def test_what_a_model_is_asked_with(engine: FakeEngine, key: str) -> None:
    engine.replies = ["hi"]
    value = PARAMS[leaf(key)]
    written = list(value) if isinstance(value, tuple) else value
    model = {"name": "a", "source": "builtin:mini", "params": {leaf(key): written}}
    with Router(models=[model]) as router:
        router.generate("hello")
    [request] = engine.requests
    if leaf(key) == "system":
        assert (request.messages[0].role, request.messages[0].content) == ("system", value)
    else:
        assert getattr(request.sampling, leaf(key)) == value


@pytest.mark.parametrize(
    "key",
    [
        *keys("timeouts."),
        *(key for key in keys("models[].options.") if leaf(key) in REMOTE_OPTIONS),
    ],
)
def test_how_a_provider_is_reached(key: str) -> None:
    name = leaf(key)
    model: dict[str, Any] = {"name": "a", "source": "openai:m"}
    stated: dict[str, Any] = {}
    if key.startswith("timeouts."):
        stated["timeouts"], expected = {name: 7.5}, 7.5
    else:
        expected = REACHING[name]
        model["options"] = {name: expected}
    with Router(models=[model], **stated) as router:
        found = router.resolve("a")
        assert found.endpoint is not None
        endpoint, _ = opening.endpoint_of(found, found.endpoint, {}, router.config)
    assert getattr(endpoint, "timeout" if name == "total" else name) == expected


@pytest.mark.parametrize("key", keys("budgets."))
def test_what_may_be_spent(engine: FakeEngine, key: str) -> None:
    name, is_own, now = leaf(key), ".NAME." in key, time.time()
    first = time.mktime((*time.localtime(now)[:2], 1, 0, 0, 0, 0, 0, -1))
    models = [
        {"name": one, "source": "file:whole.gguf", "cost": {"input": 10.0, "output": 10.0}}
        for one in ("a", "b")
    ]
    builders.tiny_llama(Path("whole.gguf"), context=8192)
    limit: dict[str, Any] = {name: 5}
    with closing(open_database()) as connection:
        spending.add(connection, first if "monthly" in name else now, "a", 5.0, 5)
    with Router(models=models, budgets={"a": limit} if is_own else limit) as router:
        rejected = router.route("hello").rejected
    over = ["a"] if is_own else ["a", "b"]
    assert [(one.name, one.kind) for one in rejected] == [(one, "budget") for one in over]


@pytest.mark.parametrize(("weight", "best"), [("quality", "a"), ("cost", "b"), ("speed", "c")])
def test_what_balanced_weighs(engine: FakeEngine, weight: str, best: str) -> None:
    builders.tiny_llama(Path("whole.gguf"), context=8192)
    facts: dict[str, tuple[float, float, float]] = {
        "a": (0.9, 9.0, 9.0), "b": (0.5, 1.0, 9.0), "c": (0.5, 9.0, 1.0),
    }  # fmt: skip
    models = [
        {"name": name, "source": "file:whole.gguf", "quality": quality,
         "cost": {"input": cost, "output": cost}}
        for name, (quality, cost, _) in facts.items()
    ]  # fmt: skip
    weights = {one: float(one == weight) for one in ("quality", "cost", "speed")}
    with Router(models=models, weights=weights, strategy="balanced") as router:
        for model in router.config.models:
            took = Usage(5, 0, 10, first_token_s=0.1, total_s=facts[model.name][2])
            health.note(router.database, key_of(model), Rules(), usage=took)
        assert router.route("hello").chosen == best


@pytest.mark.parametrize(
    ("stated", "at", "is_shut"),
    [
        ({}, 51.0, True),
        ({"failures": 3}, 51.0, False),
        ({"window": 40}, 51.0, False),
        ({}, 81.0, False),
        ({"cooldown": 60}, 81.0, True),
    ],
)
def test_when_a_breaker_opens_and_for_how_long(
    stated: dict[str, float], at: float, is_shut: bool
) -> None:
    models = [{"name": "a", "source": "builtin:mini"}]
    with Router(models=models, breaker={"failures": 2, **stated}) as router:
        key, rules = key_of(router.config.models[0]), breaker_rules(router.config)
        for now in (0.0, 50.0):
            health.note(router.database, key, rules, error="down", now=now)
        assert health.claim(router.database, key, rules, now=at) is not is_shut


@pytest.mark.parametrize("key", [*keys("memory."), *keys("retry.")])
def test_what_memory_and_retry_go_by(engine: FakeEngine, key: str) -> None:
    name = leaf(key)
    value: object = {"loading": "preload", "auto_unload": False, "backoff": "linear",
                     "attempts": 7}.get(name, 0.7)  # fmt: skip
    with Router(models=[{"name": "a", "source": "builtin:mini"}],
                **{key.partition(".")[0]: {name: value}}) as router:  # fmt: skip
        if name == "loading":
            router.initialize()
            assert [one.name for one in router.loaded()] == ["a"]
            return
        rules: Any = (
            router._host.rules() if key.startswith("memory.") else router.setup.retry
        )
    assert getattr(rules, name) == value
