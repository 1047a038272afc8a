"""Answers that are given again: to the same request and no other, by one run, and not for ever."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import builders
import pytest
from fakes import FakeEngine, FakeModel, reply
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault, Said
from terminal import Typed

from llmrr import config, engines, paths, stats, summaries
from llmrr.choosing import kept
from llmrr.choosing.listening import Heard
from llmrr.database import open_database
from llmrr.engines.base import Options
from llmrr.errors import BadConfig, EngineFailed, LlmrrError, UsageError
from llmrr.router import Router
from llmrr.routing import cache
from llmrr.types import (
    Chunk,
    Image,
    Message,
    ModelFiles,
    Request,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)


@pytest.fixture
def engine(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> FakeEngine:
    """The scripted engine, with a file for ``builtin:mini`` that says what it is."""
    file = builders.tiny_llama(tmp_path / "whole.gguf")
    monkeypatch.setattr(paths, "builtin_model", lambda: file)
    return engine


GREEDY = Sampling(temperature=0.0)


def asked(text: str = "hello", sampling: Sampling = GREEDY, **named: Any) -> Request:
    return Request(messages=(Message("user", text),), sampling=sampling, **named)


def answer(router: Router, request: Request, **named: Any) -> tuple[str, str | None]:
    found = router.run(request, **named)
    return "".join(chunk.text for chunk in found), found.cache


def recorded() -> list[stats.Run]:
    with closing(open_database()) as connection:
        return stats.runs(connection)


def say(*lines: str) -> None:
    Path("llmrr.toml").write_text("\n".join(("version = 1", *lines)))


# -- the key -----------------------------------------------------------------------------------

WHOLE = Request(
    messages=(
        Message("system", "s"),
        Message.of("user", "a", Image(data=b"1"), "b"),
        Message("assistant", "", tool_calls=(ToolCall("1", "f", "{}"),)),
        Message("tool", "4", tool_call_id="1"),
    ),
    sampling=Sampling(temperature=0.0, schema={"properties": {"a": {}, "b": {}}}),
    tools=(Tool("f", "does", {"type": "object"}),),
)
VALUES: dict[str, Any] = {
    "temperature": 0.7, "top_k": 7, "top_p": 0.7, "min_p": 0.7, "typical_p": 0.7,
    "repeat_penalty": 1.7, "frequency_penalty": 0.7, "presence_penalty": 0.7, "seed": 7,
    "stop": ("x",), "max_tokens": 7, "logit_bias": {7: 0.7}, "logprobs": 7, "ignore_eos": True,
    "schema": {"properties": {"b": {}, "a": {}}}, "grammar": "x", "think": "low",
    "stop_tokens": (7,), "min_tokens": 7,
}  # fmt: skip


@pytest.mark.parametrize("name", [one.name for one in fields(Sampling)])
def test_every_sampling_value_is_in_the_key(name: str) -> None:
    changed = replace(WHOLE, sampling=replace(WHOLE.sampling, **{name: VALUES[name]}))
    assert cache.key(changed, {}) != cache.key(WHOLE, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("messages", WHOLE.messages[1:]), ("prompt", "x"), ("n", 2), ("sampling", Sampling()),
        ("tokens", (1,)), ("tools", ()), ("tool_choice", "required"), ("begun", "x"),
        ("firm", "x"),
    ],
)  # fmt: skip
def test_every_part_of_a_request_is_in_the_key(name: str, value: object) -> None:
    assert {one.name for one in fields(Request) if one.compare} == {
        "messages", "prompt", "n", "sampling", "tokens", "tools", "tool_choice", "begun", "firm"
    }  # fmt: skip
    assert cache.key(replace(WHOLE, **{name: value}), {}) != cache.key(WHOLE, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "message",
    [
        Message("system", "s"),
        Message.of("user", "a", Image(data=b"2"), "b"),
        Message.of("user", "a", Image(data=b"1", media_type="image/jpeg"), "b"),
        Message.of("user", "a", Image(url="data:image/png;base64,MQ=="), "b"),
        Message.of("user", "ab", Image(data=b"1")),
        Message.of("user", Image(data=b"1"), "ab"),
        Message("user", "ab"),
        Message("user", "a b"),
    ],
)
def test_every_part_of_a_message_is_in_the_key(message: Message) -> None:
    first, _, *rest = WHOLE.messages
    changed = replace(WHOLE, messages=(first, message, *rest))
    assert cache.key(changed, {}) != cache.key(WHOLE, {})


def test_the_same_said_in_another_way_has_the_same_key() -> None:
    one = asked(sampling=Sampling(temperature=0, logit_bias={1: 1.0, 2: 0.5}))
    other = Request(
        messages=(Message.of("user", "hel", "lo"),),
        sampling=Sampling(temperature=0.0, logit_bias={2: 0.5, 1: 1}),
    )
    assert cache.key(one, {}) == cache.key(other, {})


@pytest.mark.parametrize(
    ("request_", "repeats"),
    [
        (asked(), True),
        (asked(sampling=Sampling(temperature=0.7, seed=0)), True),
        (asked(sampling=Sampling(temperature=0.7)), False),
        (asked(sampling=Sampling()), False),
        (WHOLE, True),
        (replace(WHOLE, messages=(Message.of("user", Image(url="data:x,1")),)), True),
        (replace(WHOLE, messages=(Message.of("user", Image(url="https://a/b.png")),)), False),
    ],
)
def test_what_asking_again_would_repeat(request_: Request, repeats: bool) -> None:
    assert cache.repeats(request_) is repeats


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"enable": True}, "did you mean enabled"),
        ({"enabled": 1}, r"cache\['enabled'\] = 1 is not true or false"),
        ({"ttl": "soon"}, r"cache\['ttl'\] = 'soon' is not a time"),
        ("yes", "cache = 'yes' is not true, false or a table"),
    ],
)
def test_what_a_call_cannot_say(stated: Any, message: str, engine: FakeEngine) -> None:
    with Router() as router, pytest.raises(UsageError) as caught:
        router.run(asked(), model="builtin:mini", cache=stated)
    assert re.search(message, f"{caught.value.message}; {caught.value.hint}")
    assert engine.requests == []


# -- what is kept ------------------------------------------------------------------------------


def test_an_answer_survives_packing_with_all_that_it_has() -> None:
    usage = Usage(1, 0, 9, estimated=True, load_s=1.0, first_token_s=0.5, total_s=2.0)
    chunks = (
        Chunk(0, "", "thought", (), ()),
        Chunk(0, "a", tokens=(1, 2), logprobs=(TokenLogprob("a", -0.5, (("b", -1.0),)),)),
        Chunk(1, "ä\ud800\x00"),
        Chunk(0, "b", tokens=(3,), logprobs=(TokenLogprob.of((b"\xc3", b"\xff"), (-1.0, -2.0)),)),
        Chunk(1, finish_reason="length"),
        Chunk(0, tool_calls=(ToolCall("", "f", '{"x": 1}', "sig"),), finish_reason="tool_calls"),
        Chunk(1, usage=usage),
    )
    merged = cache.merged(chunks)
    assert merged == (
        Chunk(
            0, "ab", "thought", (1, 2, 3),
            (TokenLogprob("a", -0.5, (("b", -1.0),)),
             TokenLogprob("\ufffd", -1.0, (("\ufffd", -2.0),), (b"\xc3", b"\xff"))),
            "tool_calls", tool_calls=(ToolCall("", "f", '{"x": 1}', "sig"),),
        ),
        Chunk(1, "ä\ud800\x00", finish_reason="length", usage=usage),
    )  # fmt: skip
    assert cache.unpacked(cache.packed(merged)) == merged
    assert cache.again(merged)[-1].usage == Usage(1, 1, 9, estimated=True, first_token_s=0.0)


@pytest.mark.parametrize("text", ["", "[1]", '[{"nonsense": 1}]', "{}x", "null"])
def test_what_nobody_wrote_is_no_answer(text: str) -> None:
    assert cache.unpacked(text) is None


@pytest.mark.parametrize(
    ("last", "limit", "whole"),
    [
        (Chunk(text="a", finish_reason="stop", usage=Usage()), None, True),
        (Chunk(text="a", finish_reason="cancelled", usage=Usage()), None, False),
        (Chunk(text="a", usage=Usage()), None, False),
        (Chunk(text="a", finish_reason="stop"), None, False),
        (Chunk(reasoning="a", finish_reason="stop", usage=Usage()), None, False),
        (Chunk(text="a", finish_reason="length", usage=Usage(1, 0, 5)), 5, True),
        (Chunk(text="a", finish_reason="length", usage=Usage(1, 0, 4)), 5, False),
        (Chunk(text="a", finish_reason="length", usage=Usage(1, 0, 4)), None, False),
    ],
)
def test_what_is_whole(last: Chunk, limit: int | None, whole: bool) -> None:
    request = asked(sampling=replace(GREEDY, max_tokens=limit))
    assert cache.is_whole(request, [last]) is whole
    assert not cache.is_whole(replace(request, n=2), [last])


def kept_one(key: str, text: str = "x" * 1000, **named: Any) -> kept.Kept:
    usage = Usage(1, 0, 1)
    return kept.Kept(key, "e", (Chunk(text=text, finish_reason="stop", usage=usage),), **named)


def test_the_least_recently_used_go_first_and_the_sum_is_right() -> None:
    with closing(open_database()) as connection:
        for at, key in enumerate("abc"):
            kept.keep(connection, kept_one(key), None, 10_000, now=100.0 + at)
        size = kept.size(connection)[1]
        kept.touch(connection, "a", now=200.0)
        kept.keep(connection, kept_one("d"), None, size, now=201.0)
        assert [kept.find(connection, one, None, 202.0) is not None for one in "abcd"] == [
            True, False, True, True
        ]  # fmt: skip
        assert kept.size(connection) == (3, size)
        kept.keep(connection, kept_one("a", "short"), None, size, now=203.0)
        total = connection.execute("SELECT sum(bytes) FROM answers").fetchone()[0]
        assert kept.size(connection) == (3, total)
        kept.keep(connection, kept_one("large", "x" * 9999), None, size, now=204.0)
        assert kept.size(connection)[0] == 3
        assert kept.clear(connection) == (3, total)
        assert kept.size(connection) == (0, 0)


def test_an_answer_is_given_until_it_is_too_old() -> None:
    with closing(open_database()) as connection:
        kept.keep(connection, kept_one("a"), 60.0, 10_000, now=100.0)

        def is_there(now: float, ttl: float | None = None) -> bool:
            return kept.find(connection, "a", ttl, now) is not None

        assert is_there(100.0)
        assert is_there(159.0)
        assert not is_there(160.0)  # as it was kept for
        assert is_there(109.0, ttl=10.0)
        assert not is_there(110.0, ttl=10.0)  # as it is asked for
        assert not is_there(99.0)  # the clock was set back
        kept.keep(connection, kept_one("b"), 60.0, 10_000, now=161.0)
        assert kept.size(connection)[0] == 1


# -- through the router ------------------------------------------------------------------------


def test_the_same_request_is_answered_without_loading(engine: FakeEngine) -> None:
    engine.replies = [reply(("reasoning", "hm"), "one ", "two"), "anew"]
    with Router() as router:
        assert answer(router, asked(), model="builtin:mini") == ("one two", None)
    with Router() as router:
        found = router.run(asked(), model="builtin:mini")
        chunks = list(found)
    assert [(one.text, one.reasoning, one.tokens) for one in chunks] == [("one two", "hm", (1, 1))]
    assert (found.cache, found.engine, found.finish_reason) == ("exact", "fake", "stop")
    assert found.text == "one two"
    assert found.usage == Usage(7, 7, 5, first_token_s=0.0)
    assert len(engine.loads) == len(engine.requests) == 1
    first, second = recorded()
    assert (first.cache, first.looked_up, first.completion_tokens) == (None, True, 5)
    assert (second.cache, second.looked_up, second.completion_tokens) == ("exact", True, 0)
    assert (second.prompt_tokens, second.load_s, second.first_token_s) == (0, 0.0, None)
    assert (second.prompt, second.answer) == ("hello", "one two")


@pytest.mark.parametrize(
    ("request_", "named", "again"),
    [
        (asked(), {}, True),
        (asked(sampling=Sampling(seed=3)), {}, True),
        (asked(sampling=Sampling()), {}, False),
        (asked(sampling=Sampling()), {"cache": True}, True),
        (asked(sampling=Sampling()), {"cache": {"enabled": True}}, True),
        (asked(sampling=Sampling()), {"cache": {"ttl": 60}}, False),
        (asked(), {"cache": {"ttl": 0}}, False),
        (asked(), {"cache": False}, False),
        (asked(), {"cache": {"enabled": False}}, False),
        (asked(), {"log": False}, True),
    ],
)
def test_when_it_is_given_again(
    engine: FakeEngine, request_: Request, named: dict[str, Any], again: bool
) -> None:
    engine.replies = ["one", "two"]
    with Router() as router:
        assert answer(router, request_, model="builtin:mini", **named) == ("one", None)
        expected = ("one", "exact") if again else ("two", None)
        assert answer(router, request_, model="builtin:mini", **named) == expected


def test_what_the_configuration_says_of_it(engine: FakeEngine) -> None:
    engine.replies = [str(at) for at in range(9)]
    for lines, expected in (
        (["cache.enabled = false"], ["0", "1"]),
        (["log_prompts = false"], ["2", "2"]),
        (["log_prompts = false"], ["3", "3"]),
        (["[cache]", "max_bytes = '100 B'"], ["4", "5"]),
        (["[cache]", "ttl = '1h'", "max_bytes = '1 MB'"], ["6", "6"]),
    ):
        say(*lines)
        with Router() as router:
            assert [answer(router, asked(), model="builtin:mini")[0] for _ in "ab"] == expected
    say("cache.enabled = false")
    with Router() as router:
        assert answer(router, asked(), model="builtin:mini", cache=True) == ("6", "exact")


def test_defaults_count_as_what_is_stated(engine: FakeEngine) -> None:
    say("[[models]]", "name = 'm'", "source = 'builtin:mini'",
        "params = { temperature = 0, system = 'be brief' }")  # fmt: skip
    engine.replies = ["one"]
    with Router() as router:
        assert answer(router, asked(sampling=Sampling())) == ("one", None)
        stated = Request(
            messages=(Message("system", "be brief"), Message("user", "hello")),
            sampling=Sampling(temperature=0.0, top_k=40),
        )
        assert answer(router, stated) == ("one", "exact")


@pytest.mark.parametrize(
    "options", [{"context_size": 512}, {"kv_type": "q8_0"}, {"chat_template": "{{ messages }}"}]
)
def test_another_way_of_answering_is_another_answer(
    engine: FakeEngine, options: dict[str, object]
) -> None:
    engine.replies = ["one", "two"]
    with Router() as router:
        answer(router, asked(), model="builtin:mini")
        assert answer(router, asked(), model="builtin:mini", options={"threads": 2})[1] == "exact"
        assert answer(router, asked(), model="builtin:mini", options=options) == ("two", None)


def test_a_file_that_changes_is_another_model(engine: FakeEngine, tmp_path: Path) -> None:
    engine.replies = ["one", "two", "three", "four"]
    file, adapter = builders.tiny_llama(tmp_path / "m.gguf"), tmp_path / "lora.gguf"
    adapter.write_bytes(b"x")
    lora = {"lora": ((adapter, 1.0),)}
    with Router() as router:
        assert answer(router, asked(), model=str(file)) == ("one", None)
        assert answer(router, asked(), model=str(file)) == ("one", "exact")
        state, content = file.stat(), bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert answer(router, asked(), model=str(file)) == ("two", None)
        assert answer(router, asked(), model=str(file), options=lora) == ("three", None)
        adapter.write_bytes(b"y")
        assert answer(router, asked(), model=str(file), options=lora) == ("four", None)


@pytest.mark.parametrize("how", ["cancelled", "failed", "broken", "empty", "cut"])
def test_what_is_not_whole_is_not_kept(engine: FakeEngine, how: str) -> None:
    bad = {
        "failed": reply("half", LlmrrError("boom")), "empty": reply(),
        "cut": reply("half", finish_reason="length"), "cancelled": reply("ha", "lf"),
        "broken": reply("half", RuntimeError("a bug")),
    }[how]  # fmt: skip
    engine.replies = [bad, "whole"]
    with Router() as router:
        found = router.run(asked(), model="builtin:mini")
        try:
            for _ in found:
                if how == "cancelled":
                    found.close()
        except (LlmrrError, RuntimeError):
            pass
        assert answer(router, asked(), model="builtin:mini") == ("whole", None)


def test_a_damaged_entry_is_none(engine: FakeEngine) -> None:
    engine.replies = ["one", "two"]
    with Router() as router:
        answer(router, asked(), model="builtin:mini")
        router.database.execute("UPDATE answers SET answer = '[{'")
        assert answer(router, asked(), model="builtin:mini") == ("two", None)
        assert answer(router, asked(), model="builtin:mini") == ("two", "exact")


def test_words_are_not_in_the_table(engine: FakeEngine) -> None:
    engine.replies = ["one"]
    with Router() as router:
        answer(router, asked("my secret words"), model="builtin:mini")
        rows = router.database.execute("SELECT * FROM answers").fetchall()
    assert len(rows) == 1
    assert "secret" not in repr(rows)


def test_words_that_may_not_be_kept_are_in_memory_only(engine: FakeEngine) -> None:
    engine.replies = ["one", "two"]
    with Router() as router:
        assert answer(router, asked(), model="builtin:mini", log=False) == ("one", None)
        assert answer(router, asked(), model="builtin:mini", log=False) == ("one", "exact")
        assert answer(router, asked(), model="builtin:mini") == ("one", "exact")
        assert kept.size(router.database) == (0, 0)
        router.close()
        assert answer(router, asked(), model="builtin:mini") == ("two", None)
        assert kept.size(router.database)[0] == 1
        assert answer(router, asked(), model="builtin:mini", log=False) == ("two", "exact")


def test_what_was_kept_says_nothing_of_a_models_speed_and_health(engine: FakeEngine) -> None:
    say("[[models]]", "name = 'm'", "source = 'builtin:mini'")
    engine.replies = ["one"]
    with Router() as router:
        answer(router, asked())
        before = router.database.execute("SELECT * FROM health").fetchall()
        for _ in range(3):
            answer(router, asked())
        assert router.database.execute("SELECT * FROM health").fetchall() == before
        summary = summaries.summary(router.database)
        assert stats.hit_rate(router.database) == 0.75
        assert stats.hit_rate(router.database, since=4e9) is None
    (model,) = summary.models
    assert (model.runs, model.hits, model.errors, model.completion_tokens) == (4, 3, 0, 5)
    assert (model.total_median_s, model.first_token_p95_s) == (1.5, 0.25)


# -- the command line --------------------------------------------------------------------------


def test_the_command_line_says_where_an_answer_comes_from(
    typed: Typed, engine: FakeEngine
) -> None:
    engine.replies = ["one", "two", "three"]
    line = ("run", "-m", "builtin:mini", "--temperature", "0", "hello")
    assert typed(*line, "--json").json["cache"] is None
    assert typed(*line, "--json").json["cache"] == "exact"
    plain, told = typed(*line), typed(*line, "--verbose")
    assert plain.out == told.out == "one\n"
    assert "cache" not in plain.err
    assert "cache: exact" in told.err
    assert "cache: exact" in typed(*line, "--explain").err
    anew = typed(*line, "--no-cache", "--verbose")
    assert (anew.out, "cache:" in anew.err) == ("two\n", False)
    assert typed(*line).out == "one\n"
    assert "cache: exact" in typed("logs").out


def test_prune_forgets_them_when_it_is_told_to(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a secret of the model", "anew"]
    line = ("run", "-m", "builtin:mini", "--temperature", "0", "hello")
    typed(*line)
    with closing(open_database()) as connection:
        connection.execute("DELETE FROM runs")
    assert typed("prune", "--json").json == []
    (found,) = typed("prune", "--answers", "--dry-run", "--json").json
    assert found["why"] == "1 answer of the cache"
    assert found["bytes"] > 0
    assert typed("prune", "--answers", answers="n\n", stdin=None).code == 1
    assert "1 answer of the cache" in typed("prune", "--answers", "-y").out
    assert typed("prune", "--answers", "-y").out == "nothing to remove\n"
    files = paths.database_file().parent.glob("llmrr.db*")
    assert not any(b"a secret of the model" in file.read_bytes() for file in files)
    assert typed(*line).out == "anew\n"


def test_what_was_kept_needs_no_engine(tmp_path: Path) -> None:
    code = (
        "import sys; from llmrr.cli import app\n"
        "app.main(['run', '-m', 'builtin:mini', '--temperature', '0', '--json', 'Hello'])\n"
        "print(sorted({'llama_cpp', 'numpy', 'onnxruntime', 'urllib3'} & set(sys.modules)))"
    )
    seen = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert '"cache": null' in seen[0].stdout
    assert "llama_cpp" in seen[0].stdout
    assert '"cache": "exact"' in seen[1].stdout
    assert seen[1].stdout.endswith("[]\n")


def test_flags_say_it_of_a_share_and_the_call_of_itself(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("cache.enabled = false", "[flags.kept]", "rollout = 1.0",
        "set = { cache = { enabled = true, ttl = 60 } }")  # fmt: skip
    engine.replies = ["one", "two", "three", "four"]
    with Router() as router:
        assert answer(router, asked(), model="builtin:mini") == ("one", None)
        assert answer(router, asked(), model="builtin:mini") == ("one", "exact")
        assert answer(router, asked(), model="builtin:mini", cache=False) == ("two", None)
        free = asked(sampling=Sampling())  # a flag forces nothing that asking again may change
        assert answer(router, free, model="builtin:mini") == ("three", None)
        assert answer(router, free, model="builtin:mini") == ("four", None)


def in_use(router: Router) -> list[int]:
    return [one.leases for one in router.loaded()]


def test_the_model_stays_in_memory_while_somebody_hears_it(engine: FakeEngine) -> None:
    engine.replies = [reply("a", "b"), reply("c", "d"), "e"]
    with Router() as router:
        leading, following = (router.run(asked(), model="builtin:mini") for _ in "ab")
        assert in_use(router) == [1]
        leading.close()
        assert in_use(router) == [1]
        assert [chunk.text for chunk in following] == ["a", "b", ""]
        assert in_use(router) == [0]
        kept_ = router.run(asked(), model="builtin:mini")
        assert in_use(router) == [0]
        assert [chunk.text for chunk in kept_] == ["ab"]
        forgotten = router.run(asked("other"), model="builtin:mini")
        next(forgotten)
        assert in_use(router) == [1]
        del forgotten
        assert in_use(router) == [0]
        assert answer(router, asked("other"), model="builtin:mini") == ("e", None)


def test_a_run_that_all_but_one_forgot_is_the_run_of_that_one(engine: FakeEngine) -> None:
    engine.replies = [reply("a", "b")]
    with Router() as router:
        leading, following = (router.run(asked(), model="builtin:mini") for _ in "ab")
        next(leading)
        del leading
        assert "".join(chunk.text for chunk in following) == "ab"
        assert following.cache is None
    assert [(run.cache, run.completion_tokens) for run in recorded()] == [(None, 5)]


def test_a_run_that_nobody_hears_any_more_is_joined_by_nobody(engine: FakeEngine) -> None:
    engine.replies = [reply("a", "b"), "anew"]
    with Router() as router:
        leading, following = (router.run(asked(), model="builtin:mini") for _ in "ab")
        next(leading)
        leading.close()
        del following
        assert answer(router, asked(), model="builtin:mini") == ("anew", None)
        assert leading.finish_reason == "cancelled"


@pytest.mark.parametrize("pieces", [[], ["one "]])
def test_ctrl_c_stops_one_request_and_no_other(engine: FakeEngine, pieces: list[str]) -> None:
    engine.replies = [reply(*pieces, KeyboardInterrupt()), reply("one two")]
    with Router() as router:
        leading, following = (router.run(asked(), model="builtin:mini") for _ in "ab")
        heard = [next(following).text for _ in pieces]
        with pytest.raises(KeyboardInterrupt):
            list(leading)
        heard += [chunk.text for chunk in following]
        assert "".join(heard) == "one two"
        assert answer(router, asked(), model="builtin:mini") == ("one two", "exact")
    runs = [(run.finish_reason, run.error, run.completion_tokens) for run in recorded()]
    assert runs == [("cancelled", None, 0), ("stop", None, 5), ("stop", None, 0)]


# -- several at once ---------------------------------------------------------------------------


class Echo(OpenAIServer):
    """Answers with the last message, in pieces; ``gate`` holds every answer back after the first
    piece; ``words`` stand for the first."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.words = ""

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        text = body["messages"][-1]["content"]
        pieces = (self.words or f"<{body['temperature']}", f" {text}", ">")
        for at, event in enumerate(super().events(path, body, replace(said, text=pieces))):
            yield event
            if at == 1:
                self.gate.wait(20)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    monkeypatch.setenv("FAR_KEY", KEY)
    with Echo() as served:
        path = config.user_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'version = 1\nretry = {{ attempts = 1 }}\n[[models]]\nname = "far"\n'
            f'source = "openai:{MODEL}"\n'
            f'options = {{ base_url = "{served.address}/v1", api_key_env = "FAR_KEY" }}\n'
        )
        yield served
        served.gate.set()


def test_many_threads_get_their_own_answers_by_as_few_requests_as_there_are(echo: Echo) -> None:
    texts = [f"question {at % 20}" for at in range(400)]

    def ask(text: str) -> tuple[str, str | None]:
        return answer(router, asked(text))

    with Router() as router, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, texts))
    assert [text for text, _ in answers] == [f"<0.0 {text}>" for text in texts]
    assert len(echo.seen) == 20
    assert sum(found is None for _, found in answers) == 20
    runs = recorded()
    assert len(runs) == 400
    assert sum(run.cache is None for run in runs) == 20
    assert sum(run.completion_tokens for run in runs) == 20 * 3


def test_what_differs_in_anything_is_asked_for_itself(echo: Echo) -> None:
    samplings = [Sampling(temperature=0.0, max_tokens=at) for at in range(10, 18)]
    samplings += [Sampling(temperature=0.5, seed=at) for at in range(8)]
    with Router() as router, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda one: answer(router, asked("x", one))[0], samplings * 4))
    assert answers == [f"<{one.temperature} x>" for one in samplings * 4]
    assert len(echo.seen) == 16


class Followers:
    """Requests on threads of their own, each heard to its end."""

    def __init__(self, router: Router, echo: Echo) -> None:
        self.router, self.echo = router, echo
        self.texts: dict[int, str] = {}
        self.errors: dict[int, BaseException] = {}
        self.first = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def begin(self, count: int) -> None:
        for at in range(len(self.threads), len(self.threads) + count):
            thread = threading.Thread(target=self._hear, args=(at,))
            self.threads.append(thread)
            thread.start()

    def _hear(self, at: int) -> None:
        try:
            pieces: list[str] = []
            for chunk in self.router.run(asked()):
                if not pieces:
                    self.first.release()
                pieces.append(chunk.text)
            self.texts[at] = "".join(pieces)
        except BaseException as error:
            self.errors[at] = error

    def end(self) -> None:
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()


def test_followers_hear_the_pieces_as_they_come(echo: Echo) -> None:
    echo.gate.clear()
    with Router() as router:
        leading = router.run(asked())
        heard = Followers(router, echo)
        heard.begin(3)
        for _ in range(3):
            assert heard.first.acquire(timeout=20)  # before the answer has ended
        echo.gate.set()
        heard.end()
        assert "".join(chunk.text for chunk in leading) == "<0.0 hello>"
    assert heard.texts == dict.fromkeys(range(3), "<0.0 hello>")
    assert len(echo.seen) == 1
    assert sorted(str(run.cache) for run in recorded()) == ["None", "exact", "exact", "exact"]
    assert sum(run.completion_tokens for run in recorded()) == 3


def test_one_that_is_never_heard_stops_nobody(echo: Echo) -> None:
    with Router() as router:
        first = router.run(asked())
        second = router.run(asked())
        assert "".join(chunk.text for chunk in second) == "<0.0 hello>"
        assert answer(router, asked()) == ("<0.0 hello>", "exact")
        assert "".join(chunk.text for chunk in first) == "<0.0 hello>"
    assert len(echo.seen) == 1
    assert sum(run.completion_tokens for run in recorded()) == 3


def test_the_run_goes_on_when_the_one_that_began_it_is_stopped(echo: Echo) -> None:
    echo.gate.clear()
    with Router() as router:
        leading = router.run(asked())
        next(leading)
        heard = Followers(router, echo)
        heard.begin(2)
        for _ in range(2):
            assert heard.first.acquire(timeout=20)
        leading.close()
        assert leading.finish_reason == "cancelled"
        echo.gate.set()
        heard.end()
        assert heard.texts == dict.fromkeys(range(2), "<0.0 hello>")
        assert answer(router, asked()) == ("<0.0 hello>", "exact")
    assert len(echo.seen) == 1
    stopped = [run for run in recorded() if run.finish_reason == "cancelled"]
    assert [(run.cache, run.completion_tokens) for run in stopped] == [(None, 0)]
    assert sum(run.completion_tokens for run in recorded()) == 3


def test_the_run_ends_when_nobody_is_left(echo: Echo) -> None:
    echo.gate.clear()
    with Router() as router:
        both = [router.run(asked()), router.run(asked())]
        next(both[0])
        for one in both:
            one.close()
        echo.gate.set()
        assert echo.gone.wait(20)
        assert answer(router, asked()) == ("<0.0 hello>", None)
    assert len(echo.seen) == 2


def test_where_the_run_fails_a_follower_takes_over(echo: Echo) -> None:
    echo.faults.append(Fault(500, after=None))
    with Router() as router:
        leading, following = router.run(asked()), router.run(asked())
        with pytest.raises(LlmrrError, match="500"):
            next(leading)
        assert "".join(chunk.text for chunk in following) == "<0.0 hello>"
        assert following.cache is None
        assert answer(router, asked()) == ("<0.0 hello>", "exact")
    assert len(echo.seen) == 2
    assert [run.error is None for run in recorded()] == [False, True, True]


def test_who_has_heard_something_goes_on_behind_it(echo: Echo) -> None:
    echo.faults.append(Fault(after=3))
    echo.gate.clear()
    with Router() as router:
        leading, following = router.run(asked()), router.run(asked())
        heard = [next(following).text]
        assert heard == ["<0.0"] == [next(leading).text]
        echo.gate.set()
        with pytest.raises(LlmrrError):
            list(leading)
        heard += [chunk.text for chunk in following]
        assert heard == ["<0.0", " hello", ">", ""]
        assert following.text == "<0.0 hello>"
        assert answer(router, asked()) == ("<0.0 hello>", "exact")
    assert len(echo.seen) == 2


def test_who_has_heard_something_else_has_the_error(echo: Echo) -> None:
    echo.faults.append(Fault(after=3))
    echo.gate.clear()
    with Router() as router:
        leading, following = router.run(asked()), router.run(asked())
        next(following)
        echo.words = "something else"
        echo.gate.set()
        for one in (leading, following):
            with pytest.raises(LlmrrError, match="broke"):
                list(one)
        assert answer(router, asked())[0] == "something else hello>"


@pytest.mark.parametrize(
    ("first", "second", "rest"),
    [
        (["ab", "c"], ["abcd", "e"], ["d", "e"]),
        (["ab"], ["a", "bc", "d"], ["c", "d"]),
        (["ab"], ["a", "b"], []),
        ([], ["ab"], ["ab"]),
        (["ab"], ["a", "c"], None),
        (["ab"], ["a"], None),
    ],
)
def test_what_of_a_second_run_is_new(
    first: list[str], second: list[str], rest: list[str] | None
) -> None:
    heard, error = Heard(), EngineFailed("broke")
    for text in first:
        assert heard.rest(Chunk(text=text)) == Chunk(text=text)
    assert heard.again(error)
    pieces = [*(Chunk(text=text) for text in second), Chunk(finish_reason="stop")]
    if rest is None:
        with pytest.raises(EngineFailed):
            list(map(heard.rest, pieces))
        return
    found = [one for one in map(heard.rest, pieces) if one is not None]
    assert [one.text for one in found] == [*rest, ""]
    assert found[-1].finish_reason == "stop"


def test_calls_and_logprobs_are_not_said_again() -> None:
    for chunk in (
        Chunk(tool_calls=(ToolCall("1", "f", "{}"),)), Chunk(index=1, text="a"),
        Chunk(text="a", logprobs=(TokenLogprob("a", -1.0),)),
    ):  # fmt: skip
        heard = Heard()
        heard.rest(chunk)
        assert not heard.again(EngineFailed("broke"))


def test_where_all_fails_each_has_an_error_of_its_own(echo: Echo) -> None:
    echo.faults.extend([Fault(500)] * 9)
    with Router() as router:
        answers = [router.run(asked()) for _ in range(4)]
        for one in answers:
            with pytest.raises(LlmrrError, match="500"):
                list(one)
        echo.faults.clear()
        assert answer(router, asked()) == ("<0.0 hello>", None)
    assert len(echo.seen) == 5


def test_a_breaker_that_opened_meanwhile_keeps_followers_away(echo: Echo) -> None:
    path = config.user_file()
    path.write_text(path.read_text().replace("[[models]]", "breaker.failures = 1\n[[models]]", 1))
    echo.faults.append(Fault(500))
    with Router() as router:
        leading, following = router.run(asked()), router.run(asked())
        with pytest.raises(LlmrrError, match="500"):
            next(leading)
        with pytest.raises(LlmrrError, match="breaker of far is open after 1 failures"):
            next(following)
        attempts = router.database.execute("SELECT attempts FROM health").fetchall()
        assert attempts == [(1.0,)]
    assert len(echo.seen) == 1


def test_two_processes_may_write_the_same(echo: Echo) -> None:
    with Router() as one, Router() as other:
        first, second = one.run(asked()), other.run(asked())
        assert "".join(chunk.text for chunk in first) == "<0.0 hello>"
        assert "".join(chunk.text for chunk in second) == "<0.0 hello>"
        assert kept.size(one.database)[0] == 1
        assert answer(other, asked())[1] == "exact"


# -- by meaning --------------------------------------------------------------------------------


class Meaning(FakeEngine):
    """Its vectors are what ``vectors`` says of a text; one that is an error is raised."""

    def __init__(self, vectors: dict[str, list[float] | LlmrrError]) -> None:
        super().__init__()
        self.vectors = vectors

    def load(self, place: ModelFiles, options: Options) -> FakeModel:
        outer = self

        class Embeds(FakeModel):
            def embed(self, texts: Sequence[str]) -> list[list[float]]:
                outer.texts.extend(texts)
                found = outer.vectors[texts[0]]
                if isinstance(found, LlmrrError):
                    raise found
                return [found]

        self.loads.append((place.path, options))
        return Embeds(self, place, options)


SEMANTIC = "cache.semantic = { model = 'builtin:mini', threshold = 0.9 }"


@pytest.fixture
def meaning(
    monkeypatch: pytest.MonkeyPatch, engine: FakeEngine, tmp_path: Path
) -> Meaning:
    found = Meaning({
        "capital of France?": [1.0, 0.0], "France's capital?": [0.97, 0.2431],
        "capital of Spain?": [0.5, 0.866], "fails": EngineFailed("no vectors today"),
    })  # fmt: skip
    monkeypatch.setattr(engines, "ENGINES", (found,))
    pooled = builders.tiny_llama(tmp_path / "e.gguf", metadata={"llama.pooling_type": 1})
    monkeypatch.setattr(paths, "builtin_model", lambda: pooled)
    say(SEMANTIC)
    return found


def test_what_means_the_same_is_answered_and_what_does_not_is_not(meaning: Meaning) -> None:
    meaning.replies = ["Paris", "Madrid"]
    with Router() as router:
        assert answer(router, asked("capital of France?"), model="builtin:mini") == ("Paris", None)
        near = answer(router, asked("France's capital?"), model="builtin:mini")
        assert near == ("Paris", "semantic 0.97")
        far = answer(router, asked("capital of Spain?"), model="builtin:mini")
        assert far == ("Madrid", None)
        same = answer(router, asked("capital of Spain?"), model="builtin:mini")
        assert same == ("Madrid", "exact")
    assert [run.cache for run in recorded()] == [None, "semantic", None, "exact"]
    assert [run.completion_tokens for run in recorded()] == [5, 0, 5, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("system", "In French."), Message("user", "France's capital?"))},
        {"messages": (Message("user", "Hi"), Message("assistant", "Hi."),
                      Message("user", "France's capital?"))},
        {"sampling": replace(GREEDY, max_tokens=9)},
        {"sampling": replace(GREEDY, schema={"type": "string"})},
        {"sampling": replace(GREEDY, grammar='root ::= "a"')},
        {"sampling": Sampling(temperature=0.7)},
        {"tools": (Tool("f"),)},
        {"n": 2},
    ],
)  # fmt: skip
def test_only_the_last_words_may_differ(meaning: Meaning, change: dict[str, Any]) -> None:
    meaning.replies = ["Paris", "anew"]
    with Router() as router:
        answer(router, asked("capital of France?"), model="builtin:mini")
        other = replace(asked("France's capital?"), **change)
        assert answer(router, other, model="builtin:mini") == ("anew", None)


def test_images_are_not_compared() -> None:
    seen = Message.of("user", "France's capital?", Image(data=b"1"))
    assert cache.family(asked(), {}, {}) is not None
    assert cache.family(Request(messages=(seen,)), {}, {}) is None
    earlier = (seen, Message("assistant", "Paris"), Message("user", "hello"))
    assert cache.family(Request(messages=earlier), {}, {}) is None


def test_tools_and_schemas_are_not_compared_even_with_themselves(meaning: Meaning) -> None:
    meaning.replies = ["one", "two"]
    with Router() as router:
        for text in ("capital of France?", "France's capital?"):
            found = answer(router, asked(text, tools=(Tool("f"),)), model="builtin:mini")
            assert found[1] is None
    assert meaning.texts == []


def test_without_the_model_that_compares_all_else_goes_on(meaning: Meaning) -> None:
    meaning.replies = ["one", "two", "three"]
    told: list[str] = []
    with Router(warn=told.append) as router:
        assert answer(router, asked("fails"), model="builtin:mini") == ("one", None)
        assert answer(router, asked("fails"), model="builtin:mini") == ("one", "exact")
        assert answer(router, asked("capital of France?"), model="builtin:mini")[1] is None
        assert answer(router, asked("France's capital?"), model="builtin:mini")[1] is None
    assert told == [
        "prompts are not compared by their meaning: builtin:mini failed (no vectors today)"
    ]
    assert meaning.texts == ["fails"]
    say("cache.semantic.model = 'absent'")
    with Router(warn=told.append) as router:
        assert answer(router, asked("fails"), model="builtin:mini") == ("one", "exact")
    assert "absent" in told[-1]
    assert len(told) == 2


def test_another_model_that_compares_knows_nothing_of_the_first(
    meaning: Meaning, tmp_path: Path
) -> None:
    meaning.replies = ["Paris", "anew"]
    with Router() as router:
        answer(router, asked("capital of France?"), model="builtin:mini")
    builders.tiny_llama(tmp_path / "other.gguf", seed=1)
    say("cache.semantic = { model = './other.gguf', threshold = 0.9 }")
    with Router() as router:
        assert answer(router, asked("France's capital?"), model="builtin:mini") == ("anew", None)


def test_a_model_that_is_not_made_for_it_is_told_once(meaning: Meaning, tmp_path: Path) -> None:
    builders.tiny_llama(tmp_path / "chat.gguf")
    say("cache.semantic.model = './chat.gguf'")
    meaning.replies = ["Paris", "Madrid"]
    told: list[str] = []
    with Router(warn=told.append) as router:
        for text in ("capital of France?", "capital of Spain?"):
            answer(router, asked(text), model="builtin:mini")
    assert [text.partition(",")[0] for text in told] == [
        "[cache] semantic: chat.gguf is no embedding model"
    ]


def test_by_meaning_on_the_command_line(typed: Typed, meaning: Meaning) -> None:
    meaning.replies = ["Paris"]
    line = ("run", "-m", "builtin:mini", "--temperature", "0")
    assert "cache" not in typed(*line, "capital of France?").err
    seen = typed(*line, "France's capital?")
    assert seen.out == "Paris\n"
    assert "cache: semantic 0.97\n" in seen.err
    assert typed(*line, "--json", "France's capital?").json["cache"] == "semantic 0.97"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cache.semantic = { threshold = 2 }", "cache.semantic.threshold = 2 is not a number"),
        ("cache.semantic = 'x'", "is not a table"),
        ("cache.semantic = { modle = 'x' }", "unknown key cache.semantic.modle"),
        ("cache.max_bytes = '3 apples'", "is not a size"),
        ("cache.max_bytes = -1", "is not a size"),
        ("cache.ttl = 'soon'", "is not a time"),
        ("cache.enabled = 'yes'", "is not true or false"),
    ],
)
def test_what_the_configuration_cannot_say(line: str, said: str) -> None:
    say(line)
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert said in caught.value.message
    assert "line 2" in caught.value.message
