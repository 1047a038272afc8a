"""The configuration of a process that goes on: stated in a program, changed, read again."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine, FakeModel
from terminal import Typed

from llmrr import config
from llmrr.errors import BadConfig, InvalidRequest, LlmrrError, NotFound
from llmrr.live import Live
from llmrr.router import Router

MINI = [{"name": "small", "source": "builtin:mini"}]


class Watched:
    """A file that is watched, with a clock that is set by hand."""

    def __init__(self, text: str) -> None:
        self.now, self.told, self.writes = 0.0, list[str](), 0
        self.path = Path("llmrr.toml").absolute()
        self.write(text)
        self.live = Live(file=self.path, warn=self.told.append, clock=lambda: self.now)
        self.live.current()

    def write(self, text: str) -> None:
        self.path.write_text(f"version = 1\n{text}\n")
        self.writes += 1
        os.utime(self.path, (self.writes, self.writes))

    def value(self, key: str = "strategy", *, later: float = 1.0) -> object:
        """What holds once a change has settled."""
        self.now += later
        self.live.current()
        self.now += 0.2
        return self.live.current().value(key)


def in_code(table: dict[str, Any], told: list[str] | None = None) -> config.Config:
    warn = (lambda text: None) if told is None else told.append
    return Live(table=table, alone=True, warn=warn).current()


def test_a_file_that_changed_is_read_again_after_a_while() -> None:
    file = Watched("strategy = 'random'")
    before = file.live.current()
    file.write("strategy = 'adaptive'")
    assert file.value(later=0.7) == "random"
    assert file.live.current() is before
    assert file.value(later=0.2) == "adaptive"
    assert before.value("strategy") == "random"
    assert file.told == []


def test_a_broken_file_keeps_what_was_good_and_says_so_once() -> None:
    file = Watched("strategy = 'random'")
    file.write("strategy = 'nonsense'")
    assert [file.value(), file.value(), file.value()] == ["random"] * 3
    assert len(file.told) == 1
    assert "the last good configuration stays in use" in file.told[0]
    assert "line 2" in file.told[0]
    file.write("strategy = ")
    assert [file.value(), file.value()] == ["random"] * 2
    assert len(file.told) == 2
    file.write("strategy = 'adaptive'")
    assert file.value() == "adaptive"
    assert file.told[2:] == ["the configuration is valid again, and in use"]


def test_a_file_that_is_gone_stays_in_use_and_may_come_back() -> None:
    file = Watched("strategy = 'random'")
    file.path.unlink()
    assert [file.value(), file.value()] == ["random"] * 2
    assert "llmrr.toml" in file.told[0]
    assert len(file.told) == 1
    file.write("strategy = 'adaptive'")
    assert file.value() == "adaptive"


def test_what_the_program_states_stays_on_top() -> None:
    file = Watched("strategy = 'random'\nretry = { attempts = 2 }")
    file.live.update({"retry": {"attempts": 7}})
    file.write("strategy = 'adaptive'\nretry = { attempts = 4 }")
    assert file.value() == "adaptive"
    assert file.value("retry.attempts") == 7
    file.live.update({"retry": {"attempts": None}})
    assert file.value("retry.attempts") == 4


def test_a_change_while_the_file_is_broken() -> None:
    file = Watched("strategy = 'random'")
    file.write("nonsense")
    file.value()
    file.live.update({"retry": {"attempts": 7}})
    assert (file.value(), file.value("retry.attempts")) == ("random", 7)


def test_another_file_takes_the_place_of_all() -> None:
    file = Watched("strategy = 'random'")
    file.live.update({"retry": {"attempts": 7}})
    other = Path("other.toml").absolute()
    with pytest.raises(NotFound):
        file.live.replace(other, {})
    assert (file.value(), file.value("retry.attempts")) == ("random", 7)
    other.write_text("strategy = 'adaptive'")
    file.live.replace(other, {})
    assert (file.value(), file.value("retry.attempts")) == ("adaptive", 3)
    file.write("strategy = 'ensemble'")
    assert file.value() == "adaptive"


def test_the_files_that_hold_here_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    live = Live(clock=lambda: now)
    assert live.current().value("strategy") == "balanced"
    Path("below").mkdir()
    monkeypatch.chdir("below")  # what holds is found from where the process began
    Path("../llmrr.toml").write_text("strategy = 'random'")
    now = 2.0
    live.current()
    now = 3.0
    assert live.current().value("strategy") == "random"
    config.user_file().parent.mkdir(parents=True, exist_ok=True)
    config.user_file().write_text("retry = { attempts = 9 }")
    now = 5.0
    live.current()
    now = 6.0
    assert live.current().value("retry.attempts") == 9


def test_what_is_bad_changes_nothing() -> None:
    live = Live(table={"models": MINI, "strategy": "random"}, alone=True)
    before = live.current()
    for stated, named in (
        ({"strategy": "adaptive", "retry": {"attempts": 0}}, r"retry\.attempts = 0"),
        ({"strategy": "adaptive", "retry": {"attempt": 2}}, r"retry\.attempt\b"),
        ({"strategie": "adaptive"}, "strategie"),
        ({"fallback_chain": ["nobody"]}, "nobody"),
        ({"models": [{"name": "a"}]}, r"models\[0\] has no source"),
        ({"weights": {"quality": 0, "cost": 0, "speed": 0}}, "zero"),
        ({"performance": {"cachng": True}}, r"performance\.cachng"),
        ({"performance": 3}, "performance = 3"),
        ({"cleanup": {"interval": "soon"}}, r"cleanup\.interval \(memory\.interval\)"),
        ({"cleanup": {"memoryThreshold": 80}}, r"cleanup\.memoryThreshold"),
        ({"loading": {"strategy": "eager"}}, r"loading\.strategy"),
        ({"memory": {"modelUnloadThreshold": -1}}, r"memory\.modelUnloadThreshold"),
        ({"circuitBreaker": {"threshold": "x"}}, r"circuitBreaker\.threshold"),
        ({"fallbackChain": ["small"], "fallback_chain": False}, "stated twice"),
        ({"retry": 3}, "retry = 3 is not a table"),
        ({1: 2}, "1"),
    ):
        with pytest.raises(BadConfig, match=named):
            live.update(stated)  # type: ignore[arg-type]
        assert live.current() is before


@pytest.mark.parametrize(
    ("stated", "key", "value"),
    [
        ({"fallbackChain": ["small"]}, "fallback_chain", ("small",)),
        ({"fallbackModels": ["small"]}, "fallback_chain", ("small",)),
        ({"fallbackEnabled": False}, "fallback_chain", False),
        ({"selectionWeights": {"quality": 1, "latency": 2}}, "weights.speed", 2.0),
        ({"circuitBreaker": {"threshold": 2}}, "breaker.failures", 2),
        ({"circuitBreaker": {"resetTimeout": 5000}}, "breaker.cooldown", 5.0),
        ({"retries": 2}, "retry.attempts", 3),
        ({"timeout": 30000}, "timeouts.total", 30.0),
        ({"logPrompts": False}, "log_prompts", False),
        ({"budgets": {"tokensDaily": 9}}, "budgets.tokens_daily", 9),
        ({"alerts": {"latencyMs": 9}}, "alerts.latency_ms", 9.0),
        ({"performance": {"caching": {"enabled": False}}}, "cache.enabled", False),
        ({"performance": {"caching": {"ttl": 60}}}, "cache.ttl", 60.0),
        ({"caching": True}, "cache.enabled", True),
        ({"caching": {"enabled": False}}, "cache.enabled", False),
        ({"cache": {"maxBytes": "1 MB"}}, "cache.max_bytes", 1_000_000),
        ({"performance": {"preloading": {"enabled": True}}}, "memory.loading", "preload"),
        ({"performance": {"preloading": {"models": ["small"]}}}, "preload", ("small",)),
        ({"performance": {"batching": {"maxBatchSize": 4}}}, "batching.max_batch_size", 4),
        ({"performance": {"batching": {"enabled": False}}}, "batching.enabled", False),
        ({"memory": {"modelUnloadThreshold": 60000}}, "memory.unload_after", 60.0),
        ({"memory": {"autoUnload": False}}, "memory.auto_unload", False),
        ({"loading": {"strategy": "lazy-loading"}}, "memory.loading", "lazy"),
        ({"loading": {"strategy": "preloading"}}, "memory.loading", "preload"),
        ({"loading": {"preloadModels": ["small"]}}, "preload", ("small",)),
        ({"cleanup": {"interval": 60000}}, "memory.interval", 60.0),
        ({"cleanup": {"memoryThreshold": 0.5}}, "memory.threshold", 0.5),
        ({"cleanup": {"autoUnload": False}}, "memory.auto_unload", False),
        ({"engines": {"llamacpp": {"gpuLayers": 3}}}, "engines.llamacpp.gpu_layers", 3),
        ({"stats": {"retention": "7d"}}, "stats.retention", 604800.0),
        ({"env_file": Path("x.env")}, "env_file", None),
    ],
)
def test_the_names_of_the_guide(stated: dict[str, Any], key: str, value: object) -> None:
    told: list[str] = []
    found = in_code({"models": MINI, **stated}, told).value(key)
    if key == "env_file":
        assert found == Path("x.env").absolute()
    else:
        assert found == value
    notices = [] if {"stats", "env_file"} & set(stated) else ["taken as: "]
    assert [one[:10] for one in told] == notices


def test_budgets_of_models_that_a_program_states() -> None:
    budgets = {"daily": 5, "small": {"daily": 1}}
    live = Live(table={"models": MINI, "budgets": budgets}, alone=True)
    live.update({"budgets": {"small": {"tokensDaily": 9}}})
    live.update({"strategy": "random"})
    own = live.current().budgets["small"]
    assert (own.daily, own.tokens_daily) == (None, 9)  # a later one takes the place of an earlier
    assert live.current().value("budgets.daily") == 5.0
    with pytest.raises(BadConfig, match="other"):
        live.update({"budgets": {"other": {"daily": 1}}})
    with pytest.raises(BadConfig, match=r"budgets\.small"):
        live.update({"models": [{"name": "other", "source": "builtin:mini"}]})


def test_flags_that_a_program_states() -> None:
    live = Live(table={"models": MINI, "flags": {"newOne": {"rollout": 0.5}}}, alone=True)
    live.update({"flags": {"newOne": {"rollout": 1, "set": {"strategy": "random"}}}})
    [flag] = [one for one in live.current().flags if one.name == "newOne"]
    assert (flag.rollout, flag.strategy) == (1.0, "random")
    with pytest.raises(BadConfig, match="nobody"):
        live.update({"flags": {"newOne": {"set": {"models": ["nobody"]}}}})


def test_what_holds_anyway_is_taken_in_silence() -> None:
    told: list[str] = []
    found = in_code({"models": MINI, "fallbackEnabled": True}, told)
    assert (found.value("fallback_chain"), told) == (None, [])


def test_all_of_the_guide_at_once() -> None:
    told: list[str] = []
    live = Live(table={"models": MINI}, alone=True, warn=told.append)
    found = live.update({
        "performance": {
            "caching": {"enabled": True, "ttl": 7200},
            "preloading": {"enabled": True, "models": ["small"]},
            "batching": {"enabled": True, "maxBatchSize": 8},
            "streaming": {"enabled": True, "chunkSize": 1024},
        },
        "memory": {"gcStrategy": "aggressive", "modelUnloadThreshold": 600000},
        "loading": {"strategy": "preloading", "preloadModels": ["small"]},
        "cleanup": {"interval": 120000, "memoryThreshold": 0.7, "autoUnload": True},
    })  # fmt: skip
    keys = ("cache.enabled", "cache.ttl", "memory.loading", "preload", "batching.enabled",
            "batching.max_batch_size", "memory.unload_after", "memory.interval",
            "memory.threshold", "memory.auto_unload", "streaming.chunk_size")  # fmt: skip
    assert [found.value(key) for key in keys] == [
        True, 7200, "preload", ("small",), True, 8, 600, 120, 0.7, True, 1,
    ]  # fmt: skip
    assert len([one for one in told if "changes nothing" in one]) == 3


def test_what_changes_nothing_is_said() -> None:
    told: list[str] = []
    in_code({"models": MINI, "memory": {"gcStrategy": "aggressive"},
             "performance": {"streaming": {"enabled": True, "chunkSize": 1024}},
             "maxModels": 3, "circuitBreaker": True}, told)  # fmt: skip
    assert [one.split(" changes nothing")[0] for one in told] == [
        'memory.gcStrategy = "aggressive"', "performance.streaming.enabled = true",
        "performance.streaming.chunkSize = 1024", "maxModels = 3", "circuitBreaker = true",
    ]  # fmt: skip


def test_a_model_of_the_guide() -> None:
    told: list[str] = []
    [local, far] = in_code({"models": [
        {"name": "a", "source": "builtin:mini", "engine": "native", "format": "gguf",
         "config": {"contextSize": 512, "temperature": 0, "maxTokens": 9, "stopTokens": ["x"]},
         "gpuLayers": 3, "weight": 0.5},
        {"name": "b", "provider": "openai", "model": "gpt", "baseURL": "http://127.0.0.1:1/v1",
         "retries": 2, "config": {"timeout": 5000, "apiKeyEnv": "KEY"},
         "params": {"top_p": 0.5}, "options": {"organization": "org"}},
    ]}, told).models  # fmt: skip
    assert (local.engine, local.weight) == ("llamacpp", 0.5)
    assert (local.params.temperature, local.params.max_tokens, local.params.stop) == (0, 9, ("x",))
    assert local.options == {"context_size": 512, "gpu_layers": 3}
    assert (far.source, far.params.top_p) == ("openai:gpt", 0.5)
    assert far.options == {
        "base_url": "http://127.0.0.1:1/v1", "max_retries": 2, "timeout": 5.0,
        "api_key_env": "KEY", "organization": "org",
    }  # fmt: skip
    assert len(told) == 2


@pytest.mark.parametrize(
    "model",
    [
        {"name": "a", "source": "openai:x", "config": {"apiKey": "sk-0123456789abcdef"}},
        {"name": "a", "source": "openai:x", "apiKey": "sk-0123456789abcdef"},
        {"name": "a", "source": "openai:x", "options": {"api_key": "sk-0123456789abcdef"}},
        {"name": "a", "source": "openai:x", "options": {"api_key_env": "sk-0123456789abcdef"}},
    ],
)
def test_a_key_that_is_written_is_refused(model: dict[str, Any]) -> None:
    with pytest.raises(BadConfig, match=r"holds a key, which does not belong") as raised:
        in_code({"models": [model]})
    assert "sk-" not in raised.value.message
    assert "api_key_env" in raised.value.hint


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (3, "models is not a list"),
        ([3], r"models\[0\] = 3"),
        ([{"name": "a", "source": "mock:x"}], "no mock model"),
        ([{"name": "a", "source": "builtin:mini", "weight": 0}], r"models\[0\]\.weight = 0"),
        ([{"name": "a", "source": "builtin:mini"}] * 2, "'a' stands here twice"),
        ([{"name": "a", "source": "builtin:mini", "params": {"temperature": "x"}}],
         r"models\[0\]\.params\.temperature"),
        ([{"name": "a", "source": "builtin:mini", "config": {"temperature": "x"}}],
         r"models\[0\]\.config\.temperature"),
        ([{"name": "a", "source": "builtin:mini", "config": {"colour": "x"}}], "colour"),
        ([{"name": "a", "source": "builtin:mini", "maxTokens": 3, "params": {"max_tokens": 4}}],
         "stated twice"),
    ],
)  # fmt: skip
def test_wrong_models(models: Any, said: str) -> None:
    with pytest.raises(BadConfig, match=said) as raised:
        in_code({"models": models})
    assert "line" not in raised.value.message


def test_requests_keep_what_they_began_with(engine: FakeEngine) -> None:
    engine.replies = ["one", "two"]
    with Router(models=MINI, log_prompts=False) as router:
        stream = router.generate_stream("hello")
        router.update_config(
            log_prompts=True, models=[{"name": "other", "source": "builtin:mini"}]
        )
        assert stream.result.model == "small"
        assert router.generate("hello").model == "other"
        kept = router.database.execute("SELECT model, prompt FROM runs").fetchall()
    assert kept == [("small", None), ("other", "hello")]


def test_a_file_that_is_being_written_is_read_later() -> None:
    file = Watched("strategy = 'random'")
    now = file.live.current
    for text in ("", "strategy = 'ada", "strategy = 'adaptive'"):
        file.write(text)
        os.utime(file.path)  # just now
        file.now += 1.0
        assert now().value("strategy") == "random"
    file.now += 0.1
    assert now().value("strategy") == "random"
    file.now += 0.1
    assert now().value("strategy") == "adaptive"
    file.path.write_text("")
    os.utime(file.path, (9, 9))  # some systems note the time only once something is written
    file.now += 1.0
    assert now().value("strategy") == "adaptive"
    file.now += 1.0
    assert now().value("strategy") == "balanced"
    assert file.told == []


def test_a_change_that_is_complete_holds_for_the_next_request() -> None:
    file = Watched("strategy = 'random'")
    file.write("strategy = 'adaptive'")
    file.now += 1.0
    assert file.live.current().value("strategy") == "adaptive"


def test_a_router_reads_its_file_again(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmrr.live.LOOK_EVERY", 0.0)
    text = "version = 1\n[[models]]\nname = '{}'\nsource = 'builtin:mini'\n"
    path, told = Path("llmrr.toml"), list[str]()
    path.write_text(text.format("first"))
    engine.replies = ["one"] * 9
    with Router(warn=told.append) as router:
        assert router.generate("hello").model == "first"
        replace(path, text.format("later"))
        assert router.config.models  # what has just changed may not be complete
        assert router.generate("hello").model == "later"
        replace(path, "nonsense")
        assert [router.generate("hello").model for _ in range(3)] == ["later"] * 3
        assert len([one for one in told if "last good" in one]) == 1


def replace(path: Path, text: str) -> None:
    """As most editors do it: at once."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def test_a_chat_goes_on_with_what_its_file_says_now(
    engine: FakeEngine, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmrr.live.LOOK_EVERY", 0.0)
    path, ask = Path("llmrr.toml"), FakeModel.generate
    text = "[[models]]\nname = 'm'\nsource = 'builtin:mini'\nparams = { top_k = %d }\n"
    texts = ["nonsense", text % 22, text % 333]

    def asked(model: FakeModel, *named: Any) -> Any:
        replace(path, texts.pop(0))
        return ask(model, *named)

    monkeypatch.setattr(FakeModel, "generate", asked)
    path.write_text(text % 1)
    engine.replies = ["one", "two", "three"]
    seen = typed("chat", stdin="a\nb\nc\n")
    assert seen.out == "one\ntwo\nthree\n"
    assert [request.sampling.top_k for request in engine.requests] == [1, 1, 22]
    assert seen.err.count("the last good configuration stays in use") == 1
    assert seen.err.count("valid again") == 1


def test_paths_start_where_the_program_began(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Path().absolute()
    live = Live(table={"models": [{"name": "a", "source": "file:./a.gguf"}]}, alone=True)
    Path("below").mkdir()
    monkeypatch.chdir("below")
    live.update({"strategy": "random"})
    assert live.current().models[0].path == start / "a.gguf"


def test_threads_see_whole_configurations() -> None:
    live = Live(table={"models": MINI, "retry": {"attempts": 1, "max_delay": 1}}, alone=True)
    over, seen = threading.Event(), set[tuple[object, object]]()

    def look() -> None:
        while not over.is_set():
            now = live.current()
            seen.add((now.value("retry.attempts"), now.value("retry.max_delay")))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for one in threads:
        one.start()
    for at in range(2, 60):
        live.update({"retry": {"attempts": at, "max_delay": at}})
    over.set()
    for one in threads:
        one.join()
    assert all(first == second for first, second in seen)


def test_a_configuration_that_was_given_can_be_changed() -> None:
    Path("llmrr.toml").write_text("strategy = 'random'")
    router = Router(config.load())
    router.update_config({"retry": {"attempts": 2}}, log_prompts=False)
    assert router.config.value("strategy") == "random"
    assert router.config.value("retry.attempts") == 2
    assert router.config.value("log_prompts") is False
    with pytest.raises(LlmrrError, match=r"gone\.toml"):
        router.update_config("gone.toml")
    Path("other.toml").write_text("strategy = 'adaptive'")
    with pytest.raises(BadConfig, match="attempts"):
        router.update_config("other.toml", retry={"attempts": 0})
    assert router.config.value("strategy") == "random"
    router.update_config("other.toml", retry={"attempts": 9})
    assert router.config.value("strategy") == "adaptive"
    assert router.config.value("retry.attempts") == 9
    assert router.config.value("log_prompts") is True
    router.update_config()
    with pytest.raises(InvalidRequest, match="3"):
        router.update_config(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="strategy"):
        router.update_config({"strategy": "random"}, strategy="adaptive")
