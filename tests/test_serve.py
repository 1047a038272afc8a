"""The server, asked over HTTP."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from serving import ANSWER, ASKED, Served, serving

from llmrr import database
from llmrr.errors import BadConfig, NotFound, UsageError
from llmrr.router import Router
from llmrr.server import aliases
from llmrr.store.creation import derive
from llmrr.strategies import STRATEGIES
from llmrr.types import Recipe
from llmrr.warm.lending import Lending

MINI_TOML = '[[models]]\nname = "small"\nsource = "builtin:mini"\n'


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(aliases={"gpt-4o": "small"}) as found:
        yield found


@pytest.mark.parametrize("name", ["small", "auto", "builtin:mini", "gpt-4o", None])
def test_a_chat_completion(served, name):
    said = served.ask(
        "/v1/chat/completions", {"model": name, "messages": ASKED, "temperature": 0}
    ).json()
    assert said["choices"][0]["message"]["content"] == ANSWER
    assert said["choices"][0]["finish_reason"] == "stop"
    assert said["usage"]["total_tokens"] == (
        said["usage"]["prompt_tokens"] + said["usage"]["completion_tokens"]
    )


@pytest.mark.parametrize("need", ["vision", ["images"]])
def test_a_model_alone_lacks_what_is_needed_too(served, need):
    body = {"model": "auto", "need": need}
    for path, asked in (("chat/completions", {"messages": ASKED}), ("responses", {"input": "hi"})):
        said = served.ask(f"/v1/{path}", {**body, **asked})
        assert (said.status, "it lacks images" in said.json()["error"]["message"]) == (400, True)


def test_what_is_loaded_is_shown_with_its_context(served):
    served.ask("/v1/chat/completions", {"model": "small", "messages": ASKED})
    shown = {one["name"]: one for one in Lending(served.service.router.pool).models()}
    assert shown["small"]["context"] == 512


@pytest.mark.parametrize("name", ["/etc/passwd", "file:x.gguf", "openai:gpt-4o", "x", "hf:a/b"])
def test_a_name_from_outside_means_no_file_and_no_address(served, name):
    said = served.ask("/v1/chat/completions", {"model": name, "messages": ASKED})
    assert (said.status, said.json()["error"]["code"]) == (404, "model_not_found")


def test_a_method_that_a_path_has_not_is_told_with_the_one_it_has(served):
    said = served.ask("/v1/chat/completions", method="GET")
    assert (said.status, said.headers["allow"]) == (405, "POST")
    wrong = "there is no GET /v1/chat/completions: this path takes POST"
    assert said.json()["error"]["message"] == wrong


def test_a_slash_at_the_end_is_no_model_without_a_name(served):
    assert served.ask("/v1/models/").json() == served.ask("/v1/models").json()


def test_an_alias_of_auto_is_listed_too():
    with serving(aliases={"gpt-4o": "auto"}) as found:
        assert "gpt-4o" in [one["id"] for one in found.ask("/v1/models").json()["data"]]


def test_no_model_takes_the_name_that_leaves_the_choice_to_the_router():
    names = [{"name": "small", "source": "builtin:mini"}]
    with serving(Router(models=names)) as found:
        catalogue = found.service.router.catalogue
        with closing(database.open_database()) as connection:
            derive(connection, catalogue.entry("builtin:mini"), "auto", Recipe(), force=False)
        found.service.changed()
        assert [one["id"] for one in found.ask("/v1/models").json()["data"]].count("auto") == 1
        said = found.ask("/v1/chat/completions", {"model": "auto", "messages": ASKED})
        assert (said.status, said.headers["x-llmrr-model"]) == (200, "small")


def test_an_alias_of_nothing_is_told_with_what_it_stands_for():
    router = Router({"serve": {"aliases": {"gpt-4o": "auto", "old": "./model.gguf"}}})
    with router, pytest.raises(NotFound, match=r'alias old stands for "./model.gguf"'):
        aliases.hold(router)


@pytest.mark.parametrize("alias", ["small", "small:latest", "both", "auto"])
def test_an_alias_takes_no_name_that_a_model_has(alias):
    models = [{"name": name, "source": "builtin:mini", "group": "both"} for name in ("small", "b")]
    router = Router(models=models, serve={"aliases": {alias: "b", "*": "b"}})
    with router, pytest.raises(UsageError, match=f"--alias {alias}=b: {alias} "):
        aliases.hold(router)


def test_an_alias_in_a_file_that_takes_a_models_name_is_a_bad_file():
    Path("llmrr.toml").write_text(f'{MINI_TOML}[serve]\naliases = {{ small = "auto" }}\n')
    with Router() as router, pytest.raises(BadConfig, match=r"small is a model's own .*llmrr.toml"):
        aliases.hold(router)


@pytest.mark.parametrize("change", [("small", "other"), ("small", "gpt-4o")])
def test_a_changed_file_that_leaves_aliases_nothing_is_refused_and_told(change):
    Path("llmrr.toml").write_text(MINI_TOML)
    said: list[str] = []
    stated = {"serve": {"aliases": {"gpt-4o": "small", "*": "small"}}}
    with Router(warn=said.append, **stated) as router, serving(router) as served:
        aliases.hold(router)
        Path("llmrr.toml").write_text(MINI_TOML.replace(*change))
        router.reload()
        for name in ("gpt-4o", "whatever", "small"):
            assert served.ask("/v1/models/" + name).status == 200
        assert "last good configuration stays in use" in said[-1] and "alias" in said[-1]
        assert "gpt-4o" in said[-1]
        Path("llmrr.toml").write_text(MINI_TOML + "seed = 1".join(("# ", "\n")))
        router.reload()
        assert "valid again" in said[-1]


def test_aliases_of_a_program_come_besides_those_of_the_file_and_before_them():
    toml = MINI_TOML + '[serve]\naliases = { old = "auto", both = "auto", LEFT = "small" }\n'
    Path("llmrr.toml").write_text(toml)
    said: list[str] = []
    with Router(warn=said.append, serve={"aliases": {"both": "small", "x": "small"}}) as router:
        aliases.hold(router)
        found = {"old": "auto", "both": "small", "LEFT": "small", "x": "small"}
        assert aliases.of(router.config) == found
        Path("llmrr.toml").write_text(toml.replace("LEFT", "new"))
        router.reload()
        found = {"old": "auto", "both": "small", "new": "small", "x": "small"}
        assert aliases.of(router.config) == found
        Path("llmrr.toml").write_text(toml.replace('old = "auto"', 'old = "away"'))
        router.reload()
        assert aliases.of(router.config) == found
        assert 'alias old stands for "away"' in said[-1] and "llmrr.toml" in said[-1]
    Path("llmrr.toml").write_text(toml.replace('old = "auto"', 'small = "auto"'))
    stated = {"serve": {"aliases": {"x": "small"}}}
    with Router(**stated) as router, pytest.raises(BadConfig, match=r"small is .*llmrr.toml"):
        aliases.hold(router)


def test_an_alias_that_ends_with_a_star_is_for_names_that_begin_so():
    stated = {"claude-*": "small", "claude-3*": "second", "claude-3": "small", "*": "second"}
    models = [{"name": name, "source": "builtin:mini"} for name in ("small", "second", "claude-9")]
    with serving(Router(models=models), aliases=stated) as found:
        means = {
            "claude-3": "small", "claude-3:latest": "small", "claude-3.5": "second",
            "claude-2": "small", "claude-*": "small", "claude-9": "claude-9", "gpt": "second",
        }  # fmt: skip
        assert {name: found.service.model_of(name) for name in means} == means
        assert found.service.alias_of("claude-2", by_itself=True) is None
        for path in ("/v1/models", "/api/tags", "/page/models"):
            assert "*" not in found.ask(path).body.decode()
            assert '"claude-3' in found.ask(path).body.decode()


def test_a_star_elsewhere_in_an_alias_is_wrong():
    toml = MINI_TOML + '[serve]\naliases = { "*-mini" = "small" }\n'
    Path("llmrr.toml").write_text(toml)
    with pytest.raises(BadConfig, match=r"\*-mini has a \* that is not its end"):
        Router(Path("llmrr.toml"))


def test_a_decision_without_configured_models_is_the_model_that_would_answer():
    with serving(Router({})) as found:
        said = found.ask("/route", {"prompt": "Hello"})
        assert (said.status, said.json()["model"]) == (200, "builtin:mini")
        assert (said.json()["strategy"], said.json()["why"]) == (
            None, "nothing else is installed or configured"
        )  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_answers_whole_and_in_pieces(strategy):
    names = [{"name": name, "source": "builtin:mini"} for name in ("a", "b")]
    with serving(Router(models=names, strategy=strategy)) as served:
        body = {"model": "auto", "messages": ASKED, "max_tokens": 4, "temperature": 0}
        whole = served.ask("/v1/chat/completions", body)
        assert whole.headers["x-llmrr-strategy"] == strategy
        assert whole.json()["usage"]["completion_tokens"] > 0
        said = whole.json()["choices"][0]["message"]["content"]
        pieces = served.ask("/v1/chat/completions", {**body, "stream": True}).events()
        assert "".join(one["choices"][0]["delta"].get("content", "") for one in pieces) == said
        several = {"model": "auto", "prompt": ["x", "y"], "max_tokens": 2}
        found = served.ask("/v1/completions", several)
        assert [one["index"] for one in found.json()["choices"]] == [0, 1]
        known = served.ask(f"/page/answers/{found.json()['id']}").json()
        assert known["model"] in ("a", "b") and known["decision"]["strategy"] == strategy


def test_a_streamed_answer_has_a_token_a_chunk(served):
    said = served.ask("/v1/completions", {
        "model": "small", "prompt": "The capital", "max_tokens": 12, "stream": True,
        "temperature": 0, "ignore_eos": True, "stream_options": {"include_usage": True},
    })  # fmt: skip
    *chunks, last = said.events()
    assert said.body.endswith(b"data: [DONE]\n\n")
    assert said.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert len(chunks) == last["usage"]["completion_tokens"] == 12
    assert [one["choices"][0]["finish_reason"] for one in chunks] == [None] * 11 + ["length"]


def test_what_a_model_has_to_do_is_in_the_metrics(served):
    def ask(seed: int) -> int:
        body = {"model": "small", "prompt": "The capital", "max_tokens": 5, "ignore_eos": True,
                "seed": seed}  # fmt: skip
        usage = served.ask("/v1/completions", body).json()["usage"]
        return int(usage["prompt_tokens"]) - 1  # the last one is always computed

    def figures() -> dict[str, float]:
        time.sleep(1.1)  # one look a second
        lines = served.ask("/metrics").body.decode().splitlines()
        return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines
                                                          if not one.startswith("#"))}

    ask(1)
    before = figures()
    cached = ask(2)
    after = figures()
    for kind, more in (("generated", 5), ("read", 1), ("cached", cached), ("drafted", 0)):
        name = next(one for one in after if f'kind="{kind}"' in one and "engine_tokens" in one)
        assert after[name] - before[name] == more
    [slots] = [value for name, value in after.items() if name.startswith("llmrr_engine_slots{")]
    assert slots == served.service.router.config.value("batching.max_batch_size")


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"[" * 100_000, b"\xff",
    b'{"messages": []}', b'{"messages": "x", "model": "small"}',
    b'{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}',
    b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}',
    b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": ' + b"9" * 400 + b"}",
    b'{"messages": [{"role": "user", "content": "x"}], "logit_bias": {"1": -' + b"9" * 400 + b"}}",
])  # fmt: skip
def test_what_is_wrong_is_a_400_that_says_so(served, body):
    said = served.ask("/v1/chat/completions", raw=body, method="POST")
    assert said.status == 400
    assert said.json()["error"]["type"] == "invalid_request_error"


def test_many_digits_in_a_text_are_a_text(served):
    body = {"messages": [{"role": "user", "content": "9" * 400}], "max_tokens": 1}
    assert served.ask("/v1/chat/completions", body).status == 200


def test_a_schema_that_leads_nowhere_is_a_400_and_no_failure_of_the_model():
    nowhere = {"name": "x", "schema": {"type": "object", "required": ["a"],
                                       "properties": {"a": {"$ref": "#"}}}}  # fmt: skip
    format = {"type": "json_schema", "json_schema": nowhere}
    stated = {"breaker": {"failures": 1}, "retry": {"attempts": 1}}
    names = [{"name": "small", "source": "builtin:mini"}]
    with serving(Router(models=names, **stated)) as served:
        body = {"model": "small", "messages": ASKED, "max_tokens": 4}
        said = served.ask("/v1/chat/completions", {**body, "response_format": format})
        assert said.status == 400
        assert served.ask("/v1/chat/completions", body).status == 200


def test_a_client_that_leaves_stops_its_answer(served):
    where = urlsplit(served.url)
    body = json.dumps({"model": "small", "prompt": "a", "max_tokens": 4000, "stream": True,
                       "ignore_eos": True})  # fmt: skip
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    connection.request("POST", "/v1/completions", body)
    assert connection.getresponse().readline()
    (running,) = served.service.under_way
    connection.sock.close()
    connection.close()
    import concurrent.futures

    done = concurrent.futures.Future()
    running._loop.call_soon_threadsafe(running.done.add_done_callback, done.set_result)
    done.result(30)
    assert running.answer.usage.completion_tokens < 4000


def test_a_unit_guesses_ahead_too():
    from llmrr.cli import serving as starting
    from llmrr.server import units

    stated = starting.stated(None, None, 3, None, None, False, False, speculate=8)
    assert stated == {
        "batching": {"max_batch_size": 3}, "engines": {"llamacpp": {"speculate": 8}},
    }  # fmt: skip
    assert "--parallel 3 --speculate 8" in units.text("systemd", stated, ())
