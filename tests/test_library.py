"""The library's face: a router from code or a file, and its calls as programs write them."""

import doctest
import gc
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import pytest
from fakes import FakeEngine, reply
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault

import llmrr
from llmrr import (
    LlmrrError,
    Message,
    ModelConverter,
    PromptTemplate,
    Request,
    Router,
    Sampling,
    Tool,
    config,
    stats,
)
from llmrr.choosing import turns
from llmrr.compat import Legacy
from llmrr.database import open_database
from llmrr.errors import (
    BadConfig,
    EngineFailed,
    InvalidRequest,
    NotFound,
    TimedOut,
    Unsupported,
    UsageError,
)

MINI = [{"name": "small", "source": "builtin:mini"}]
FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."


def in_code(**stated: Any) -> Router:
    return Router(models=stated.pop("models", MINI), **stated)


def test_a_result(engine: FakeEngine) -> None:
    engine.replies = [reply(("reasoning", "Hm"), "Hel", "lo.")]
    with in_code() as router:
        result = router.generate("hello")
    assert (str(result), result.text, result.tokens, result.model) == (
        "Hello.", "Hello.", 5, "small",
    )  # fmt: skip
    assert result.reasoning == "Hm"
    about = result.metadata
    assert about["finish_reason"] == about.finish_reason == "stop"
    assert about.usage.prompt_tokens == 7
    assert about.decision["model"] == "small"
    assert about.latency > 0
    assert about.engine == "fake"
    with pytest.raises(AttributeError, match="speed"):
        _ = about.speed


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"maxTokens": 9, "topP": 0.5, "topK": 3}, {"max_tokens": 9, "top_p": 0.5, "top_k": 3}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"stopTokens": ["a", "b"]}, {"stop": ("a", "b")}),
        ({"stop": "a"}, {"stop": ("a",)}),
        ({"stop": ("a",), "seed": 0}, {"stop": ("a",), "seed": 0}),
        ({"repeatPenalty": 1.5}, {"repeat_penalty": 1.5}),
        ({"maxTokens": 9, "max_tokens": 9}, {"max_tokens": 9}),
        ({"maxTokens": None, "max_tokens": 9}, {"max_tokens": 9}),
        ({"max_new_tokens": 9, "max_tokens": None}, {"max_tokens": 9}),
        ({"max_tokens": -1}, {"max_tokens": None}),
        ({"schema": {"type": "object"}}, {"schema": {"type": "object"}}),
        ({"schema": "name, age int"}, None),
        ({"think": "low"}, {"think": "low"}),
        ({"stream": False}, {}),
        ({"logit_bias": {"3": 1, 4: -2.5}}, {"logit_bias": {3: 1.0, 4: -2.5}}),
        ({"logprobs": 2}, {"logprobs": 2}),
    ],
)  # fmt: skip
def test_sampling_as_it_is_stated(
    engine: FakeEngine, stated: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    engine.replies = ["one", "two"]
    with in_code() as router:
        router.generate("hello", **stated)
        router.generate("hello", stated)
    first, second = (request.sampling for request in engine.requests)
    assert first == second
    if expected is None:
        assert isinstance(first.schema, dict)
        assert first.schema["required"] == ["name", "age"]
        return
    for name, value in expected.items():
        assert getattr(first, name) == value
        assert type(getattr(first, name)) is type(value)


@pytest.mark.parametrize(
    ("prompt", "stated", "said", "hint"),
    [
        (None, {}, "the prompt is None", "a text"),
        ("", {}, "the prompt is empty", ""),
        (" \n", {}, "the prompt is empty", ""),
        ([], {}, "no messages", "role"),
        (3, {}, "of the type int", "messages"),
        (b"hi", {}, "of the type bytes", ""),
        ([3], {}, r"messages\[0\] is of the type int", "role"),
        ([{"content": "a"}], {}, r"messages\[0\] has no role", "user"),
        ([{"role": "usr", "content": "a"}], {}, "'usr'", "user"),
        ([{"role": ["user"], "content": "a"}], {}, "role", "user"),
        ([{"role": "user"}], {}, "no content", ""),
        ([{"role": "user", "content": " "}], {}, "nothing to answer", "user"),
        ([{"role": "user", "content": []}], {}, "nothing to answer", "user"),
        ([{"role": "system", "content": "Be brief."}], {}, "nothing to answer", "user"),
        ([{"role": "user", "content": 3}], {}, "type int", ""),
        ([{"role": "user", "content": [{"type": "audio"}]}], {}, "'audio'", "text"),
        ([{"role": "user", "content": "a", "colour": 1}], {}, "colour", ""),
        ("x", {"temperature": float("nan")}, "temperature = nan", "temperature=0.7"),
        ("x", {"temperature": float("inf")}, "temperature = inf", ""),
        ("x", {"temperature": "hot"}, "temperature = 'hot'", ""),
        ("x", {"temperature": True}, "temperature = True", ""),
        ("x", {"max_tokens": 0}, "max_tokens = 0", ""),
        ("x", {"max_tokens": 1, "maxTokens": 2}, "maxTokens = 2", "leave out"),
        ("x", {"temprature": 1}, "temprature", "did you mean temperature?"),
        ("x", {"stop": [1]}, "stop = ", ""),
        ("x", {"apiKey": "sk-123"}, "apiKey holds a key", "api_key_env"),
        ("x", {"options": {"api_key": "sk-123"}}, "api_key holds a key", "api_key_env"),
        ("x", {"options": {"colour": 1}}, "colour", ""),
        ("x", {"options": 3}, "options = 3", ""),
        ("x", {"models": []}, "models = ", ""),
        ("x", {"models": 3}, "models = 3", ""),
        ("x", {"models": "small", "model": "small"}, "model names one", ""),
        ("x", {"model": 3}, "model = 3", ""),
        ("x", {"strategy": "best"}, "no strategy", ""),
        ("x", {"timeout": -1}, "timeout = -1", "seconds"),
        ("x", {"tools": 3}, "tools", ""),
        ("x", {"tools": [{}]}, r"tools\[0\]", "name"),
        ("x", {"schema": 3}, "schema = 3", ""),
        ("x", {"schema": {}, "grammar": "x"}, "exclude each other", ""),
        ("x", {"grammar": 3}, "grammar = 3", ""),
        ("x", {"logprobs": -1}, "logprobs = -1", ""),
        ("x", {"logprobs": True}, "logprobs = True", ""),
        ("x", {"logit_bias": {"a": 1}}, "logit_bias = ", ""),
        ("x", {"logit_bias": {1: float("nan")}}, "logit_bias = ", ""),
        ("x", {"logit_bias": 3}, "logit_bias = 3", ""),
        ("x", {"system": 3}, "system = 3", ""),
        ("x", {"variables": {"a": "b"}}, "variables need a template", ""),
        ("x", {"stream": True}, "stream = True", "generate_stream"),
        (Request(), {}, "neither messages nor a prompt", ""),
    ],
)
def test_what_is_wrong_with_a_call(
    engine: FakeEngine, prompt: Any, stated: dict[str, Any], said: str, hint: str
) -> None:
    with in_code() as router, pytest.raises(InvalidRequest, match=said) as raised:
        router.generate(prompt, **stated)
    assert isinstance(raised.value, LlmrrError)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, UsageError)
    assert raised.value.exit_code == 2
    assert hint in raised.value.hint
    assert "sk-123" not in f"{raised.value}{raised.value.hint}"
    assert not engine.requests


def test_what_is_wrong_with_a_run_is_wrong_everywhere(engine: FakeEngine) -> None:
    request = Request(prompt="hello")
    stated: list[dict[str, Any]] = [
        {"cache": "no"}, {"cache": {"ttl": -1}}, {"cache": {"ttls": 1}},
        {"cache": {"enabled": "yes"}}, {"conversation": 5}, {"log": "x"},
    ]  # fmt: skip
    with in_code() as router:
        calls: list[Any] = [router.generate, router.generate_stream, router.run]
        for one in stated:
            for call in calls:
                with pytest.raises(InvalidRequest, match=next(iter(one))):
                    call(request, **one)
    assert not engine.requests


def test_a_notice_is_told_once_per_router(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.replies = ["one"] * 4
    told: list[str] = []
    monkeypatch.setenv("FF_NEW_ROUTING", "on")
    flags = {"mine": {"set": {"strategy": "random"}}}
    with in_code(flags=flags, warn=told.append) as router:
        for _ in range(2):
            router.generate("hello", strategy="load-balanced", cache=False)
            router.route("hello")
            router.generate("hello", cache=False)
    assert told == [
        'the strategy "load-balanced" is taken as least-loaded',
        "the flags mine and new-routing both set strategy: new-routing holds, the later one",
    ]


def test_a_call_that_says_how_to_choose_chooses(engine: FakeEngine) -> None:
    engine.replies = ["one"] * 9
    builders.tiny_llama(Path("whole.gguf"), context=8192)
    models = [{"name": name, "source": "file:whole.gguf"} for name in ("a", "b")]
    with in_code(models=models) as router:

        def ask(**stated: Any) -> str:
            return router.generate("hello", cache=False, conversation="one", **stated).model

        turns = [ask(strategy="round-robin") for _ in range(4)]
        assert turns[:2] == turns[2:]
        assert {*turns} == {"a", "b"}
        assert [ask() for _ in range(2)] == [turns[-1]] * 2


def test_the_older_calls_are_there_without_an_import_of_their_own() -> None:
    code = "import llmrr, sys; assert 'llmrr.compat' not in sys.modules; llmrr.compat.Legacy"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_wrong_prompt_is_wrong_everywhere(engine: FakeEngine) -> None:
    with in_code() as router:
        calls: list[Any] = [
            router.generate, router.generate_stream, router.route, router.embed,
            Legacy(router).generate, Legacy(router).generate_stream,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(InvalidRequest):
                call(None)


def test_messages_in_the_forms_that_there_are(engine: FakeEngine) -> None:
    engine.replies = ["one"] * 4
    image = {"type": "image_url", "image_url": {"url": "data:image/gif;base64,YWJj"}}
    call = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    conversation: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What?"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "noon", "tool_call_id": "c1"},
        Message("user", "And?"),
    ]
    with in_code() as router:
        router.generate({"role": "user", "content": "hello"})
        router.generate(Message("user", "hello"))
        router.generate(Request(messages=(Message("user", "hello"),)), max_tokens=3)
        router.generate("hello", raw=True)
    system, asked, called, result, last = turns.turns(conversation)
    assert (system.role, system.content) == ("system", "Be brief.")
    assert (asked.content, asked.images[0].url) == ("What?", image["image_url"]["url"])  # type: ignore[index]
    assert (called.content, called.tool_calls[0].name) == ("", "now")
    assert (result.role, result.tool_call_id, last.content) == ("tool", "c1", "And?")
    for request in engine.requests[:3]:
        assert request.messages == (Message("user", "hello"),)
    assert engine.requests[2].sampling.max_tokens == 3
    assert (engine.requests[3].prompt, engine.requests[3].messages) == ("hello", ())


def test_what_clients_write_of_a_turn_beside_its_text() -> None:
    dumped = {"role": "assistant", "content": "Hi.", "refusal": None, "annotations": [],
              "audio": None, "function_call": None, "tool_calls": None, "name": None}  # fmt: skip
    assert turns.turns([dumped]) == (Message("assistant", "Hi."),)
    declined = {**dumped, "content": None, "refusal": "No."}
    assert turns.turns([declined]) == (Message("assistant", "No."),)
    url = {"url": "https://a/b.png", "detail": "low"}
    part = {"type": "input_image", "image_url": "https://a/b.png", "detail": "high"}
    content = [{"type": "image_url", "image_url": url}, part]
    [named] = turns.turns([{"role": "user", "name": "Ann", "content": content}])
    assert (named.name, [one.detail for one in named.images]) == ("Ann", ["low", "high"])
    strict = {"name": "now", "parameters": {}, "strict": True}
    assert turns.tools([{"type": "function", "function": strict}])[0].strict is True
    for wrong, said in (
        ({**dumped, "refusal": "No."}, "a content and a refusal"),
        ({**dumped, "audio": {"id": "a"}}, "the unknown key 'audio'"),
        ({**dumped, "name": 5}, "name = 5, which is no text"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            turns.turns([wrong])
    with pytest.raises(InvalidRequest, match="strict = 'yes'"):
        turns.tools([{"name": "now", "strict": "yes"}])


def test_a_system_prompt_goes_before_all(engine: FakeEngine) -> None:
    engine.replies = ["one", "two"]
    said = [{"role": "system", "content": "A."}, {"role": "user", "content": "hello"}]
    with in_code() as router:
        router.generate(said, systemPrompt="B.")
        router.generate("hello", system="C.")
    assert [one.content for one in engine.requests[0].messages] == ["B.", "hello"]
    assert [one.content for one in engine.requests[1].messages] == ["C.", "hello"]


def test_tools_as_clients_write_them(engine: FakeEngine) -> None:
    engine.replies = ["one"]
    tools = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}},
             {"name": "then", "input_schema": {"type": "object"}}, Tool("when")]  # fmt: skip
    choice = {"type": "function", "function": {"name": "now"}}
    with in_code() as router:
        router.generate("hello", tools=tools, tool_choice=choice)
    assert [one.name for one in engine.requests[0].tools] == ["now", "then", "when"]
    assert engine.requests[0].tools[1].parameters == {"type": "object"}
    assert engine.requests[0].tool_choice == "now"


def test_templates(engine: FakeEngine) -> None:
    engine.replies = ["one"] * 5
    templates = {"quest": "From {context}: {input}",
                 "chat": {"messages": [{"role": "system", "content": "{tone}"}]}}  # fmt: skip
    with in_code(templates=templates) as router:
        router.generate("who?", template="quest", variables={"context": "notes"})
        router.generate("who?", template="chat", variables={"tone": "Calm."})
        router.generate(template="Say {word}.", variables={"word": "it"})
        router.generate("it", template=PromptTemplate("Say {input}."))
        router.update_config(templates={"made": PromptTemplate("{a}{input}").partial(a="Say ")})
        router.generate("it.", template="made")
        with pytest.raises(NotFound, match="quast") as raised:
            router.generate("x", template="quast")
        with pytest.raises(UsageError, match="context"):
            router.generate("x", template="quest")
    assert "quest" in raised.value.hint
    said = [[one.content for one in request.messages] for request in engine.requests]
    assert said == [["From notes: who?"], ["Calm.", "who?"], *[["Say it."]] * 3]


def test_models_narrow_the_choice(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    models = [
        {"name": name, "source": "file:./tiny.gguf", "priority": at, "group": group}
        for at, (name, group) in enumerate((("a", "x"), ("b", "y"), ("c", "y")))
    ]
    engine.replies = ["one"] * 9
    with in_code(models=models, strategy="capability-match") as router:
        assert router.generate("hello").model == "a"
        assert router.generate("hello", models=["c", "b"]).model == "b"
        assert router.generate("hello", models="c").model == "c"
        assert router.generate("hello", models="y").model == "b"
        assert router.generate("hello", models=["./tiny.gguf"]).model == "tiny.gguf"
        assert router.route("hello", models=["b", "c"]).asked == ("b", "c")
        assert router.route("hello", models="b", fallback="a").asked == ("b", "a")
        assert router.route("hello").asked == ("a", "b", "c")
        with pytest.raises(NotFound, match="nobody"):
            router.generate("hello", models=["nobody"])


def test_an_answer_may_come_from_the_cache(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    engine.replies = ["one", "two", "three", "four", "five"]
    with in_code() as router:
        first = router.generate("hello", temperature=0)
        again = router.generate("hello", temperature=0)
        assert (str(first), first.metadata.cache) == ("one", None)
        assert (str(again), again.metadata.cache) == ("one", "exact")
        assert router.generate("hello", temperature=0, cache=False).text == "two"
        assert router.generate("hello", temperature=0, cache={"enabled": False}).text == "three"
        assert router.generate("hello", cache={"enabled": True, "ttl": 60}).text == "four"
        stream = router.generate_stream("hello", cache=True)
        assert ("".join(stream), stream.result.metadata.cache) == ("four", "exact")
        for wrong in ("yes", {"enabled": 3}, {"tll": 3}, {"ttl": "soon"}):
            with pytest.raises(UsageError, match="cache"):
                router.generate("hello", cache=wrong)  # type: ignore[arg-type]


def test_a_stray_strategy_says_what_it_is_taken_for(engine: FakeEngine) -> None:
    told: list[str] = []
    engine.replies = ["one"]
    with in_code(warn=told.append) as router:
        router.generate("hello", strategy="hybrid")
    assert told == ['the strategy "hybrid" is taken as balanced']


def test_a_stream_ends_with_the_result(engine: FakeEngine) -> None:
    engine.replies = [reply(("reasoning", "Hm"), "Hel", "lo."), reply("one", " two"), "three"]
    with in_code() as router:
        stream = router.generate_stream("hello", maxTokens=3)
        assert stream.model == "small"
        assert list(stream) == ["Hel", "lo."]
        assert (stream.result.text, stream.result.reasoning) == ("Hello.", "Hm")
        with router.generate_stream("hello") as stream:
            assert next(stream) == "one"
        assert (stream.result.text, stream.result.metadata.finish_reason) == ("one", "cancelled")
        assert router.generate_stream("hello").result.text == "three"


def test_a_stream_that_fails_says_so_again(engine: FakeEngine) -> None:
    engine.replies = [reply("one", EngineFailed("it broke"))]
    with in_code() as router:
        stream = router.generate_stream("hello")
        assert next(stream) == "one"
        for _ in range(2):
            with pytest.raises(EngineFailed, match="it broke"):
                _ = stream.result
        assert list(stream) == []
        stream.close()


def test_a_stream_that_is_cancelled_or_dropped_is_stopped(engine: FakeEngine) -> None:
    engine.replies = [reply("one", " two"), reply("one", " two")]
    with in_code() as router:
        stream = router.generate_stream("hello")
        next(stream)
        stream.cancel()
        assert list(stream) == []
        dropped = router.generate_stream("hello")
        next(dropped)
        del dropped
        gc.collect()
        assert [one.cancelled for one in engine.streams] == [True, True]
    with closing(open_database()) as connection:
        runs = stats.runs(connection)
    assert [run.finish_reason for run in runs] == ["cancelled", "cancelled"]


def test_the_answer_of_a_model_that_is_real() -> None:
    with in_code() as router:
        assert router.generate(FRANCE, temperature=0).text == PARIS
        assert "".join(router.generate_stream(FRANCE, temperature=0)) == PARIS
        assert Legacy(router).generate(FRANCE, 20, 0) == PARIS
        assert "".join(Legacy(router).generate_stream(FRANCE, 20, 0)) == PARIS
        assert router.generate(FRANCE, max_tokens=2, temperature=0).tokens == 2
        with pytest.raises(TimedOut, match=r"0\.0001"):
            router.generate(FRANCE, timeout=0.0001)


def test_the_older_calls_have_defaults_of_their_own(engine: FakeEngine) -> None:
    engine.replies = ["one", "two", "three"]
    with in_code() as router:
        old = Legacy(router)
        assert (old.generate("hello"), "".join(old.generate_stream("hello"))) == ("one", "two")
        assert old.generate("hello", 5, 0.0) == "three"
    sampling = [(one.sampling.max_tokens, one.sampling.temperature) for one in engine.requests]
    assert sampling == [(100, 0.7), (100, 0.7), (5, 0.0)]


def test_the_older_calls_take_what_a_call_may_state(engine: FakeEngine) -> None:
    engine.replies = ["one", "two"]
    with in_code() as router:
        old = Legacy(router)
        assert old.generate("hello", maxTokens=5) == "one"
        assert "".join(old.generate_stream("hello", 6, seed=3)) == "two"
        with pytest.raises(InvalidRequest, match="temprature") as caught:
            old.generate("hello", temprature=1)
    assert caught.value.hint == "did you mean temperature?"
    sampling = [(one.sampling.max_tokens, one.sampling.seed) for one in engine.requests]
    assert sampling == [(5, None), (6, 3)]
    for wrong in (None, Router):
        with pytest.raises(InvalidRequest, match="takes a Router"):
            Legacy(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["hi", None, {"role": "user"}])
def test_what_runs_is_a_request(wrong: Any) -> None:
    with in_code() as router, pytest.raises(InvalidRequest, match="takes a Request") as caught:
        router.run(wrong)
    assert "generate" in caught.value.hint


def test_no_texts_have_no_vectors() -> None:
    with in_code() as router:
        assert router.embed([]) == router.embed((), model="small") == []
        with pytest.raises(InvalidRequest, match="no texts"):
            router.embedded([])
        with pytest.raises(InvalidRequest, match="temperature"):
            router.embed("x", temperature=0)  # type: ignore[call-overload]
        with pytest.raises(InvalidRequest, match="modell") as caught:
            router.embed("x", modell="small")  # type: ignore[call-overload]
    assert caught.value.hint == "did you mean model?"


def test_a_call_that_falls_back_on_nothing(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    models = [{"name": name, "source": "file:./tiny.gguf"} for name in ("one", "two")]
    with in_code(models=models, fallback_chain=["one", "two"]) as router:
        assert len(router.route("hello").asked) == 2
        assert len(router.route("hello", fallback=False).asked) == 1
        engine.replies = [EngineFailed("it broke")] * 2
        with pytest.raises(EngineFailed, match="it broke"):
            router.generate("hello", fallback=False, model="one")
        with pytest.raises(EngineFailed, match="it broke"):
            router.generate("hello", fallback=False)
        assert len(engine.requests) == 2
        with pytest.raises(InvalidRequest, match="fallback = True"):
            router.generate("hello", fallback=True)  # type: ignore[typeddict-item]


def test_a_named_model_is_a_decision_of_one() -> None:
    good = {"name": "good", "source": "builtin:mini", "fallback": ["small"], "tags": ["embedding"]}
    two = [*MINI, good]
    with in_code(models=two) as router:
        found = router.route("hello", model="good")
        assert (found.chosen, found.asked) == ("good", ("good", "small"))
        assert [one["name"] for one in found.facts()["candidates"]] == ["good"]
        assert router.route("hello", model="builtin:mini").chosen == "builtin:mini"
        with pytest.raises(NotFound, match="gone"):
            router.route("hello", model="gone")
        with pytest.raises(UsageError, match="one model is named"):
            router.route("hello", model="good", strategy="random")


def test_a_closed_router_opens_again(engine: FakeEngine) -> None:
    engine.replies = ["one", "two"]
    router = in_code()
    assert router.generate("hello").text == "one"
    router.close()
    router.close()
    assert router.generate("hello").text == "two"
    router.close()
    assert router.loaded() == []


def test_a_router_from_a_file(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sub").mkdir()
    Path("sub/llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "mine"\nsource = "file:../tiny.gguf"\n'
    )
    Path("llmrr.toml").write_text('version = 1\n[[models]]\nname = "other"\nsource = "file:./x"\n')
    engine.replies = ["one"] * 9
    for made in (Router("sub/llmrr.toml"), Router(Path("sub")), Router.from_file("sub")):
        with made as router:
            assert router.generate("hello").model == "mine"
    with Router("sub/llmrr.toml", strategy="random") as router:
        assert router.config.value("strategy") == "random"
    with pytest.raises(NotFound, match=r"gone\.toml"):
        Router("gone.toml")
    Path("bad.toml").write_text("strategy = 3")
    with pytest.raises(BadConfig, match=r"strategy = 3.*bad.toml, line 1"):
        Router("bad.toml")
    with pytest.raises(InvalidRequest, match="3"):
        Router(3)  # type: ignore[arg-type]


def test_hints_in_code_name_what_is_in_code() -> None:
    with pytest.raises(BadConfig) as wrong:
        Router(models=3, strategy=4)
    assert "[[" not in wrong.value.hint
    assert "llmrr config" not in wrong.value.hint
    assert "1 more" in wrong.value.hint


def test_the_package_lists_what_it_has() -> None:
    assert {"Router", "Request", "__version__"} < {*dir(llmrr)}
    assert not {"_HOMES", "TYPE_CHECKING"} & {*dir(llmrr)}


def test_models_in_code_are_all_that_there_is(engine: FakeEngine) -> None:
    Path("llmrr.toml").write_text('version = 1\nfallback_chain = ["x"]\n[[models]]\nname = "x"\n'
                                  'source = "builtin:mini"\n')  # fmt: skip
    with in_code() as router:
        assert [one.name for one in router.config.models] == ["small"]
        assert router.config.value("fallback_chain") is None
    with Router(strategy="random") as router:
        assert [one.name for one in router.config.models] == ["x"]
    with Router({"models": MINI, "fallbackChain": ["small"]}) as router:
        assert router.config.value("fallback_chain") == ("small",)


def test_a_file_that_the_program_names_sends_keys_where_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    with OpenAIServer() as served:
        Path("there").mkdir()
        Path("there/llmrr.toml").write_text(
            f'version = 1\n[[models]]\nname = "far"\nsource = "openai:{MODEL}"\n'
            f'options = {{ base_url = "{served.address}/v1", api_key_env = "FAR_KEY" }}\n'
        )
        with Router("there") as router:
            assert router.generate("hello").text == "Hello, world!"
        monkeypatch.chdir("there")
        with Router() as router, pytest.raises(BadConfig, match="nobody agreed"):
            router.generate("hello")
        assert len(served.seen) == 1


def remote(served: OpenAIServer, **more: Any) -> dict[str, Any]:
    options = {"base_url": f"{served.address}/v1", "api_key_env": "FAR_KEY"}
    return {"name": "far", "source": f"openai:{MODEL}", "options": options, **more}


def test_a_timeout_ends_an_answer_that_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    with OpenAIServer() as served:
        served.faults.append(Fault(after=2, stalls=True))
        with in_code(models=[remote(served)]) as router, pytest.raises(TimedOut, match=r"0\.3 s"):
            router.generate("hello", timeout=0.3)


@pytest.mark.parametrize("streams", [False, True])
def test_answers_that_took_too_long_are_failures_of_the_model(
    monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    with OpenAIServer() as served, in_code(
        models=[remote(served), {"name": "other", "source": "builtin:mini", "priority": 9}],
        breaker={"failures": 2}, strategy="capability-match", cache={"enabled": False},
    ) as router:  # fmt: skip
        served.faults.extend([Fault(after=1, stalls=True)] * 2)
        for _ in range(2):
            with pytest.raises(TimedOut, match=r"within 0\.1 s"):
                if streams:
                    list(router.generate_stream("hello", model="far", timeout=0.1))
                else:
                    router.generate("hello", model="far", timeout=0.1)
        found = router.diagnose()
        assert found["metrics"]["errors"] == 2
        assert found["models"]["breakers_open"] == ["far"]
        with pytest.raises(EngineFailed, match="breaker of far is open"):
            router.generate("hello", model="far", timeout=0.1)
    with closing(open_database()) as connection:
        runs = stats.runs(connection)
    said = "TimedOut: the answer was not complete within 0.1 s"
    assert [(one.error, one.finish_reason) for one in runs] == [(said, None)] * 2


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_many_threads_ask_one_router(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    capitals = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo"}
    ready = threading.Barrier(16)

    def ask(at: int) -> tuple[str, str]:
        land = list(capitals)[at % len(capitals)]
        ready.wait()
        said = [
            str(router.generate(f"What is the capital of {land}?", temperature=0, max_tokens=20))
            for _ in range(3)
        ]
        assert len(set(said)) == 1
        return land, said[0]

    with OpenAIServer() as served, ThreadPoolExecutor(16) as pool:
        models = MINI if where == "here" else [remote(served)]
        with in_code(models=models) as router:
            found = list(pool.map(ask, range(16)))
    for land, said in found:
        assert said == ("Hello, world!" if where == "elsewhere" else
                        f"The capital of {land} is {capitals[land]}.")  # fmt: skip
    with closing(open_database()) as connection:
        assert len(stats.runs(connection)) == 48


def shown(language: str) -> list[str]:
    """The blocks of the README in a language."""
    text = (Path(llmrr.__file__).parents[1] / "README.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_what_the_readme_shows() -> None:
    for block in shown("pycon"):
        found = doctest.DocTestParser().get_doctest(block, {}, "README", "README.md", 0)
        assert len(found.examples) > 8
        assert doctest.DocTestRunner().run(found).failed == 0


@pytest.mark.parametrize("block", shown("python"))
def test_the_programs_of_the_readme_run(block: str) -> None:
    Path("folder").mkdir()
    builders.tiny_llama(Path("folder/whole.gguf"))
    with in_code() as router:
        known = {name: getattr(llmrr, name) for name in llmrr.__all__}
        exec(compile(block, "README.md", "exec"), {**known, "router": router})


@pytest.mark.parametrize("block", shown("toml"))
def test_the_settings_of_the_readme_are_valid(block: str) -> None:
    path = Path("llmrr.toml").absolute()
    Path("models").mkdir()
    builders.tiny_llama(Path("models/assistant.gguf"))
    models = "".join(
        f"[[models]]\nname = '{name}'\nsource = 'builtin:mini'\n" for name in ("assistant", "small")
    )
    head = "" if "version =" in block else "version = 1\n"
    path.write_text(f"{head}{block}\n{'' if '[[models]]' in block else models}")
    assert config.check(path) == []


def test_the_signature_that_was_there_before(engine: FakeEngine) -> None:
    engine.replies = ["one"]
    with Router(config.load(), warn=print, leave_model=True) as router:
        answer = router.run(Request(messages=(Message("user", "hello"),), sampling=Sampling()))
        assert "".join(chunk.text for chunk in answer) == "one"
        assert router.route is not None
    for name in llmrr.__all__:
        assert getattr(llmrr, name) is not None


# -- conversion --------------------------------------------------------------------------------


def test_a_conversion_in_one_call() -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    told: list[str] = []
    converter = ModelConverter(progress=lambda what, done, total: told.append(what))
    made = converter.convert(
        input="tiny.gguf", output=Path("small.gguf"), format="gguf", quant="Q8_0"
    )
    small = Path("small.gguf").absolute()
    assert (made.path, str(made), made.format, made.quant) == (small, str(small), "gguf", "Q8_0")
    assert made.bytes == Path(made).stat().st_size < Path("tiny.gguf").stat().st_size
    assert made.verified
    assert all(check.passed for check in made.checks)
    assert (len(made.steps), made.files, bool(told)) == (1, (small,), True)
    with pytest.raises(LlmrrError, match="is there already") as there:
        converter.convert("tiny.gguf", "small.gguf", quant="Q8_0")
    assert there.value.hint == "output with another name, or remove it"
    with pytest.raises(UsageError) as untyped:
        converter.convert("tiny.gguf", "other.gguf")
    assert untyped.value.hint.startswith('quant="TYPE", one of: ')
    with pytest.raises(InvalidRequest) as near:
        converter.convert("tiny.gguf", "other.gguf", quantize="Q8_0")
    assert near.value.hint == "did you mean quant?"
    other = converter.convert("tiny.gguf", "folder", "safetensors", verify=False)
    assert (other.format, other.verified) == ("safetensors", False)
    assert (Path("folder") / "config.json").is_file()


@pytest.mark.parametrize(
    ("named", "kind", "said"),
    [
        ({"input": "old.pkl", "format": "onnx"}, Unsupported, r"Unsupported model format '\.pkl'"),
        ({"input": "gone.gguf"}, NotFound, "gone"),
        ({"input": None}, InvalidRequest, "input = None"),
        ({"output": ""}, InvalidRequest, "output = ''"),
        ({"format": "tflite"}, InvalidRequest, "format = 'tflite'"),
        ({"format": None}, InvalidRequest, "format = None"),
        ({"format": "pytorch"}, InvalidRequest, "format = 'pytorch'"),
        ({"quantisation": "Q8_0"}, InvalidRequest, "quantisation"),
        ({"quant": "Q99"}, LlmrrError, "Q99"),
        ({"group_size": 32}, UsageError, "group.size"),
        ({"format": "mlx", "input": "gone"}, NotFound, "gone"),
    ],
)
def test_a_conversion_that_cannot_be(
    named: dict[str, Any], kind: type[LlmrrError], said: str
) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    Path("old.pkl").write_bytes(b"hello there")
    asked = {"input": "tiny.gguf", "output": "out", "format": "gguf", "quant": "Q8_0", **named}
    with pytest.raises(kind, match=said):
        ModelConverter().convert(**asked)
    assert not Path("out").exists()


def test_a_conversion_asks_before_it_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    asked: list[str] = []

    def no(text: str) -> bool:
        asked.append(text)
        return False

    step = ModelConverter().plan("tiny.gguf", "out", quant="Q8_0")[0][0]
    asking = replace(step, asks="1 GB is fetched")
    monkeypatch.setattr("llmrr.convert.converter.plan", lambda source, wish: (asking,))
    for converter in (ModelConverter(), ModelConverter(agree=no)):
        with pytest.raises(LlmrrError, match="1 GB is fetched"):
            converter.convert("tiny.gguf", "out.gguf", quant="Q8_0")
    assert asked == ["1 GB is fetched"]
    assert not Path("out.gguf").exists()
    assert ModelConverter(agree=True).convert("tiny.gguf", "out.gguf", quant="Q8_0").verified
