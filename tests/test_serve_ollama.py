"""Ollama's API of the server, asked over HTTP."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from builders import tiny_llama
from hub_server import Hub
from openai_servers import OpenAIServer
from other_servers import OllamaServer
from provider_servers import KEY, Fault, Said
from serving import ANSWER, ASKED, MINI, Served, serving
from test_serve_anthropic import CALL, upstream

from llmrr.engines.base import Footprint
from llmrr.errors import LlmrrError
from llmrr.pool.deciding import Held, Rules, due, expired
from llmrr.protocols import ollama
from llmrr.protocols.fields import Fields
from llmrr.protocols.ollama import conversation, parameters
from llmrr.router import Router
from llmrr.server import hosting, managing, ollama_models, units
from llmrr.server.keyring import hashed
from llmrr.server.service import Service
from llmrr.types import Message, ToolCall

GREEDY = {"model": "small", "options": {"temperature": 0}}
PROMPT = {**GREEDY, "prompt": ASKED[0]["content"]}
TURNS = {**GREEDY, "messages": ASKED}
UNCACHED = {**MINI, "cache": {"enabled": False}}
FIGURES = {"done_reason", "total_duration", "load_duration", "prompt_eval_count",
           "prompt_eval_duration", "eval_count", "eval_duration"}  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Router(UNCACHED), aliases={"gpt-4o": "small"}) as found:
        yield found


@pytest.fixture
def own() -> Iterator[Served]:
    with serving(Router(UNCACHED)) as found:
        yield found


def lines(said: Any) -> list[Any]:
    assert said.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in said.body.decode().splitlines()]


@pytest.mark.parametrize(("path", "body", "text"), [
    ("/api/generate", PROMPT, lambda one: one["response"]),
    ("/api/chat", TURNS, lambda one: one["message"]["content"]),
])  # fmt: skip
def test_an_answer_whole_and_in_lines(served, path, body, text):
    whole = served.ask(path, {**body, "stream": False}).json()
    assert text(whole) == ANSWER
    *pieces, last = lines(served.ask(path, body))
    assert "".join(map(text, pieces)) == ANSWER
    assert len(pieces) > 1
    assert not any(one["done"] for one in pieces)
    for one in (whole, last):
        assert one.keys() >= FIGURES
        assert (one["done"], one["done_reason"], one["model"]) == (True, "stop", "small")
        assert (one["prompt_eval_count"], one["eval_count"]) == (10, 9)
        assert one["eval_duration"] > 1000
        assert all(isinstance(one[name], int) for name in FIGURES - {"done_reason"})
        assert datetime.fromisoformat(one["created_at"]).tzinfo is not None


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_the_cache_took_the_time_that_it_took(stream):
    with serving() as found:
        body = {**PROMPT, "stream": stream}
        for _ in range(100):  # an answer is kept soon after it was given
            began = time.monotonic()
            said = found.ask("/api/generate", body)
            took = (time.monotonic() - began) * 1e9
            if "x-llmrr-cache" in said.headers:
                break
            time.sleep(0.02)
        again = lines(said)[-1] if stream else said.json()
        assert 10_000 < again["eval_duration"] == again["total_duration"] < took
        assert again["load_duration"] == again["prompt_eval_duration"] == 1
        assert (again["prompt_eval_count"], again["eval_count"]) == (10, 9)


def test_an_answer_that_is_cut(served):
    options = {"temperature": 0, "num_predict": 3, "num_ctx": 256, "mirostat": 1, "nonsense": 2}
    said = lines(served.ask("/api/generate", {**PROMPT, "options": options}))
    assert (said[-1]["done_reason"], said[-1]["eval_count"]) == ("length", 3)


def test_the_context_of_an_answer_goes_on(served):
    first = served.ask("/api/generate", {**PROMPT, "stream": False}).json()
    assert len(first["context"]) == 19
    second = served.ask("/api/generate", {
        **GREEDY, "prompt": "And of Italy?", "context": first["context"], "stream": False,
    }).json()  # fmt: skip
    assert second["prompt_eval_count"] > 19
    assert second["context"][:19] == first["context"]
    assert len(second["context"]) == second["prompt_eval_count"] + second["eval_count"]


def test_a_raw_prompt_has_no_template(served):
    raw = {**GREEDY, "prompt": "x", "raw": True, "options": {"num_predict": 1}, "stream": False}
    said = served.ask("/api/generate", raw).json()
    assert said["prompt_eval_count"] == 1
    assert "context" not in said


def test_log_probabilities(served):
    said = served.ask("/api/chat", {**TURNS, "stream": False, "logprobs": True, "top_logprobs": 2})
    found = said.json()["logprobs"]
    assert "".join(one["token"] for one in found).startswith(ANSWER)
    assert [len(one["top_logprobs"]) for one in found] == [2] * len(found)


def test_a_shape_is_kept(served):
    shape = {"type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"]}
    for seed in range(3):
        body = {**PROMPT, "format": shape, "stream": False, "options": {"seed": seed}}
        said = served.ask("/api/generate", body).json()
        found = json.loads(said["response"])
        assert found in ({"n": True}, {"n": False})  # and nothing besides


@pytest.mark.parametrize(("path", "body", "names"), [
    ("/api/generate", {"prompt": "x"}, "model"),
    ("/api/generate", {**PROMPT, "suffix": "x"}, "suffix"),
    ("/api/generate", {**PROMPT, "template": "{{ .Prompt }}"}, "template"),
    ("/api/generate", {**PROMPT, "raw": True, "system": "x"}, "raw"),
    ("/api/generate", {**PROMPT, "images": ["%"]}, "images[0]"),
    ("/api/generate", {**PROMPT, "options": {"temperature": "hot"}}, "options.temperature"),
    ("/api/generate", {**PROMPT, "context": ["a"]}, "context"),
    ("/api/generate", {**PROMPT, "format": "xml"}, "format"),
    ("/api/generate", {**PROMPT, "keep_alive": "soon"}, "keep_alive"),
    ("/api/generate", {**PROMPT, "think": "hard"}, "think"),
    ("/api/chat", {**GREEDY, "messages": [{"role": "x"}]}, "messages[0].role"),
    ("/api/chat", {**GREEDY, "messages": [{"role": "user", "content": [1]}]}, "content"),
    ("/api/embed", {"model": "small", "input": 5}, "input"),
])  # fmt: skip
def test_what_is_wrong_is_named(served, path, body, names):
    said = served.ask(path, body)
    assert said.status == 400
    assert names in said.json()["error"]


@pytest.mark.parametrize(("method", "path", "status"), [
    ("POST", "/api/chat", 404), ("POST", "/api/show", 404), ("POST", "/api/create", 403),
    ("POST", "/api/push", 403), ("POST", "/api/blobs/sha256:0", 403), ("GET", "/api/x", 404),
    ("POST", "/api/pull", 403), ("DELETE", "/api/delete", 403), ("POST", "/api/copy", 403),
])  # fmt: skip
def test_what_is_refused(served, method, path, status):
    body = {"model": "none", "messages": ASKED} if method != "GET" else None
    said = served.ask(path, body, method=method)
    assert (said.status, list(said.json())) == (status, ["error"])


def test_what_a_client_looks_for_first(served):
    assert served.ask("/").body == b"Ollama is running"
    assert served.ask("/", method="HEAD").status == 200
    version = served.ask("/api/version").json()["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)


def test_the_list_of_models(served):
    found = {one["name"]: one for one in served.ask("/api/tags").json()["models"]}
    assert set(found) == {"small:latest", "builtin:mini", "gpt-4o:latest"}
    small = found["small:latest"]
    assert small["model"] == "small:latest"
    assert len(small["digest"]) == 64
    assert small["size"] > 1_000_000
    assert small["details"]["parameter_size"] == "2.80M"
    assert datetime.fromisoformat(small["modified_at"]).year > 2000
    for name in found:
        assert served.ask("/api/show", {"model": name}).status == 200


def test_what_is_shown_of_a_model(served):
    said = served.ask("/api/show", {"name": "small"}).json()
    assert said["details"]["family"] == said["model_info"]["general.architecture"] == "llama"
    assert said["model_info"]["llama.context_length"] == 512
    assert said["capabilities"] == ["completion", "tools"]
    assert said["modelfile"].startswith("FROM builtin:mini")
    assert "message" in said["template"]


def test_vectors(served):
    said = served.ask("/api/embed", {"model": "small", "input": ["a", "b"], "dimensions": 8})
    vectors = said.json()["embeddings"]
    assert [len(one) for one in vectors] == [8, 8]
    assert sum(one * one for one in vectors[0]) == pytest.approx(1)
    assert said.json()["prompt_eval_count"] == 2
    older = served.ask("/api/embeddings", {"model": "small", "prompt": "a"}).json()["embedding"]
    assert len(older) == 256
    assert served.ask("/api/embed", {"model": "small", "input": []}).json()["embeddings"] == []


@pytest.mark.parametrize("of", ["/api/embed", "/api/embeddings"])
def test_a_text_that_is_too_long_for_vectors_loses_its_end(served, of):
    key = "input" if of == "/api/embed" else "prompt"
    words = [f"word{number}" for number in range(600)]
    said = served.ask(of, {"model": "small", key: " ".join(words)})
    other = served.ask(of, {"model": "small", key: " ".join([*words, "end"])})
    assert said.status == 200
    both = [json.dumps(one.json().get("embeddings", one.json().get("embedding")))
            for one in (said, other)]  # fmt: skip
    assert both[0] == both[1]
    if of == "/api/embed":
        assert 505 <= said.json()["prompt_eval_count"] <= 512


def test_a_text_that_is_not_to_be_cut_is_refused(served):
    said = served.ask(
        "/api/embed", {"model": "small", "input": ["x", "word " * 600], "truncate": False}
    )
    assert said.status == 400
    assert "512" in said.json()["error"]


def names(served: Served) -> list[str]:
    return [one["name"] for one in served.ask("/api/ps").json()["models"]]


def test_a_model_is_loaded_kept_and_unloaded(own):
    said = own.ask("/api/generate", {"model": "small", "keep_alive": "1h"}).json()
    assert (said["done"], said["done_reason"], said["response"]) == (True, "load", "")
    (line,) = own.ask("/api/ps").json()["models"]
    left = datetime.fromisoformat(line["expires_at"]) - datetime.now().astimezone()
    assert line["name"] == "small:latest"
    assert 3500 < left.total_seconds() <= 3600
    said = own.ask("/api/chat", {"model": "small", "messages": [], "keep_alive": 0}).json()
    assert (said["done_reason"], said["message"]["content"]) == ("unload", "")
    assert names(own) == [] and not own.service.router.loaded()


def test_what_is_unloaded_at_this_moment_is_not_listed(own):
    assert own.ask("/api/generate", PROMPT).status == 200
    pool = own.service.router.pool
    assert names(own) == ["small:latest"]
    pool.expiry = lambda _: 0.0
    assert names(own) == [] and len(pool.held()) == 1


def test_the_context_that_a_model_has_is_told(own):
    assert own.ask("/api/generate", PROMPT).status == 200
    (line,) = own.ask("/api/ps").json()["models"]
    assert line["context_length"] == 512
    (listed,) = (one for one in own.ask("/api/tags").json()["models"]
                 if one["name"] == line["name"])  # fmt: skip
    assert line["digest"] == listed["digest"]
    (held,) = own.service.router.loaded()
    assert (line["size"], line["size_vram"]) == (held.footprint.total, 0)
    assert 1e6 < line["size"] < 1e8


def test_what_lies_on_an_accelerator_is_told_apart():
    held = Held("key", "small", 60, 0.0, footprint=Footprint(100, 40))
    line = ollama.running(held, None, 0.0)
    assert (line["size"], line["size_vram"]) == (100, 40)
    line = ollama.running(held._replace(footprint=None), None, 0.0)
    assert (line["size"], line["size_vram"]) == (60, 0)


def test_a_digest_is_the_same_after_a_restart():
    digests = []
    for _ in range(2):
        with serving(Router(UNCACHED)) as found:
            digests.append([one["digest"] for one in found.ask("/api/tags").json()["models"]])
    assert digests[0] == digests[1]


def test_a_model_that_is_not_kept_leaves_after_its_answer(own):
    assert own.ask("/api/generate", {**PROMPT, "keep_alive": "0s"}).status == 200
    gone(own)


def test_a_later_answer_takes_back_how_long_a_model_is_kept(own):
    own.ask("/api/generate", {"model": "small", "keep_alive": -1})
    (before,) = own.service.router.loaded()
    own.ask("/api/chat", {**TURNS, "stream": False})
    until = time.monotonic() + 30
    while own.service.router.loaded()[0].keeps is not None:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert before.keeps == float("inf")


def gone(served: Served) -> None:
    """Wait until nothing is in memory: another thread frees it."""
    until = time.monotonic() + 30
    while names(served):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_how_long_a_model_is_kept_counts_before_what_is_configured():
    kept, other = Held("a", "a", 1, 0.0, keeps=60.0), Held("b", "b", 1, 0.0)
    assert [one.name for one in expired([kept, other], 10.0, 5.0)] == ["b"]
    assert [one.name for one in expired([kept, other], 60.0, 300.0)] == ["a"]
    assert due([kept], 10.0, Rules()) == 50.0
    assert due([Held("a", "a", 1, 0.0, keeps=float("inf"))], 10.0, Rules()) == Rules().interval


@pytest.mark.parametrize(("given", "seconds"), [
    ("5m", 300.0), ("1h30m", 5400.0), ("-1", float("inf")), (-1, float("inf")), (0, 0.0),
    ("0", 0.0), ("1.5s", 1.5), ("-1m", float("inf")), ("100ms", 0.1),
])  # fmt: skip
def test_durations_as_ollama_takes_them(given, seconds):
    assert parameters.keep_alive(Fields({"keep_alive": given})) == pytest.approx(seconds)


def test_results_of_tools_find_their_calls():
    call = {"function": {"name": "weather", "arguments": {"city": "Rome"}}}
    turns, begun = conversation.conversation([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call, {"function": {"name": "now"}}]},
        {"role": "tool", "content": "12:00", "tool_name": "now"},
        {"role": "tool", "content": "sunny"},
    ])  # fmt: skip
    assert begun == ""
    assert turns[1].tool_calls == (
        ToolCall("call_0", "weather", '{"city": "Rome"}'), ToolCall("call_1", "now", "{}"),
    )  # fmt: skip
    assert [one.tool_call_id for one in turns[2:]] == ["call_1", "call_0"]
    turns, begun = conversation.conversation([*ASKED, {"role": "assistant", "content": "The"}])
    assert (turns, begun) == ((Message("user", ASKED[0]["content"]),), "The")


def test_an_answer_that_breaks_off_ends_with_an_error(monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        server.faults.append(Fault(after=2))
        server.replies.append(Said())
        said = lines(served.ask("/api/chat", {"model": "far", "messages": ASKED}))
    assert said[0]["message"]["content"] == "Hello"
    assert list(said[-1]) == ["error"]


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_an_image_takes_a_model_that_sees(served, path):
    image = base64.b64encode(b"\x89PNG").decode()
    turn = {"images": [image], **PROMPT}
    said = served.ask(path, {**turn, "messages": [{**ASKED[0], "images": [image]}]})
    assert (said.status, "image encoder" in said.json()["error"]) == (400, True)


def test_a_client_does_not_say_how_a_model_here_is_loaded(own):
    for options in ({}, {"num_ctx": 2**40}, {"num_thread": 64, "num_gpu": 99}):
        said = own.ask("/api/generate", {**PROMPT, "options": {**options, "temperature": 0}})
        assert said.status == 200
    assert len(own.ask("/api/ps").json()["models"]) == 1


def test_another_ollama_is_told_how_to_load(monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with OllamaServer() as server, serving(upstream(server, source="ollama")) as served:
        server.replies += [Said(), Said()]
        body = {"model": "far", "options": {"num_ctx": 8192, "top_k": 3}, "stream": False}
        said = served.ask("/api/chat", {**body, "messages": ASKED}).json()
        assert said["message"]["content"] == "Hello, world!"
        assert served.ask("/api/generate", {**body, "prompt": "x"}).status == 200
        asked = [one.body["options"] for one in server.seen]
    assert asked == [{"num_ctx": 8192, "top_k": 3}] * 2


def test_what_is_no_name_of_the_hub_is_not_looked_for():
    with serving(Router({**MINI, "serve": {"manage": True}})) as served:
        for name in ("/etc/passwd", "file:/etc/passwd", "http://127.0.0.1/x/y", "."):
            said = served.ask("/api/pull", {"model": name})
            assert said.status in (400, 404), name
            assert "here" not in said.json()["error"], name


@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_tools_and_thoughts(monkeypatch, stream):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    image = base64.b64encode(b"\x89PNG").decode()
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        server.replies.append(Said((), ("Hm",), calls=(CALL,), finish="tool_calls"))
        turn = {**ASKED[0], "images": [image]}
        said = served.ask("/api/chat", {
            "model": "far", "messages": [turn], "tools": [tool], "stream": stream,
        })  # fmt: skip
        found = lines(said) if stream else [said.json()]
        sent = server.seen[-1].body
    messages = [one["message"] for one in found]
    assert "".join(one.get("thinking", "") for one in messages) == "Hm"
    calls = [call for one in messages for call in one.get("tool_calls", ())]
    function = {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}
    assert calls == [{"id": "call_1", "function": function}]
    assert found[-1]["done_reason"] == "stop"
    assert sent["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png")


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_was_cut_is_left_out(monkeypatch, stream):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        cut = ("call_2", "weather", '{"city": "Os')
        server.replies.append(Said(("So.",), calls=(CALL, cut), finish="length"))
        said = served.ask("/api/chat", {"model": "far", "messages": ASKED, "stream": stream})
        found = lines(said) if stream else [said.json()]
    calls = [call for one in found for call in one["message"].get("tool_calls", ())]
    assert [one["id"] for one in calls] == ["call_1"]
    assert found[-1]["done_reason"] == "length"


def test_a_model_elsewhere_takes_no_tokens(monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        asked = {"model": "far", "prompt": "x", "context": [1, 2]}
        said = served.ask("/api/generate", asked)
        server.replies.append(Said())
        plain = served.ask("/api/generate", {"model": "far", "prompt": "x", "stream": False})
        shown = served.ask("/api/show", {"model": "far"}).json()
    assert (said.status, "tokens" in said.json()["error"]) == (400, True)
    assert plain.json()["response"] == "Hello, world!"
    assert "context" not in plain.json()
    assert shown["capabilities"] == ["completion", "tools", "vision"]


def test_a_model_comes_gets_a_name_and_goes(server: Hub):
    path = Path("made.gguf")
    tiny_llama(path, kind="q8_0", width=64, layers=1)
    server.add("acme/Tiny-GGUF", {"tiny-Q8_0.gguf": path.read_bytes()})
    with serving(Router({"serve": {"manage": True}})) as served:
        said = lines(served.ask("/api/pull", {"model": "hf.co/acme/Tiny-GGUF:Q8_0"}))
        status = [one["status"] for one in said]
        assert (status[0], status[-1]) == ("pulling manifest", "success")
        label = "acme/Tiny-GGUF:Q8_0"
        assert label in [one["name"] for one in served.ask("/api/tags").json()["models"]]
        assert served.ask("/api/pull", {"name": label, "stream": False}).json() == {
            "status": "success"
        }
        for taken in ("auto", label):
            assert served.ask("/api/copy", {"source": label, "destination": taken}).status == 400
        copied = served.ask("/api/copy", {"source": label, "destination": "mine"})
        assert copied.status == 200
        tags = served.ask("/api/tags").json()["models"]
        assert {one["name"]: one["digest"] for one in tags}["mine:latest"]
        for name in ("mine", label):
            assert served.ask("/api/delete", {"model": name}, method="DELETE").status == 200
        left = [one["name"] for one in served.ask("/api/tags").json()["models"]]
        assert left == ["builtin:mini"]
        gone_by_now = served.ask("/api/delete", {"model": label}, method="DELETE")
        assert gone_by_now.status == 404
        absent = served.ask("/api/pull", {"model": "acme/None-GGUF"})
        assert (absent.status, list(absent.json())) == (404, ["error"])


def test_a_pull_that_nobody_waits_for_ends(server: Hub):
    path = tiny_llama(Path("made.gguf"), kind="q8_0", width=64, layers=1)
    server.add("acme/Tiny-GGUF", {"tiny-Q8_0.gguf": path.read_bytes()})
    with Router({}) as router:
        pulling = ollama_models.Pulling(managing.planned(router, "acme/Tiny-GGUF:Q8_0"))
        pulling.left.set()
        with pytest.raises(LlmrrError, match="nobody waits"):
            pulling.work()
        assert router.catalogue.entries() == []


def test_models_are_changed_by_a_key_that_may():
    keys = {"boss": {"hash": hashed("a-key-of-the-boss-1"), "may_manage": True},
            "team": {"hash": hashed("a-key-of-the-team-1")}}  # fmt: skip
    body = {"model": "none"}
    with serving(Router({**MINI, "serve": {"keys": keys, "manage": True}})) as served:
        for key, status in (("boss", 404), ("team", 403)):
            headers = {"Authorization": f"Bearer a-key-of-the-{key}-1"}
            said = served.ask("/api/delete", body, method="DELETE", headers=headers)
            assert (said.status, list(said.json())) == (status, ["error"])
        assert served.ask("/api/tags").status == 401


def test_a_key_sees_its_models_alone():
    models = [*MINI["models"], {"name": "second", "source": "builtin:mini"}]
    keys = {"team": {"hash": hashed("a-key-of-the-team-1"), "models": ["small"]}}
    headers = {"Authorization": "Bearer a-key-of-the-team-1"}
    with serving(Router({"models": models, "serve": {"keys": keys}})) as served:
        tags = served.ask("/api/tags", headers=headers).json()["models"]
        assert [one["name"] for one in tags] == ["small:latest"]
        for path, more in (("generate", {"prompt": "x"}), ("show", {}), ("embed", {"input": "x"}),
                           ("chat", {"messages": ASKED}), ("generate", {"keep_alive": 0})):
            for name, found in (("small", True), ("second", False), ("builtin:mini", False)):
                said = served.ask(f"/api/{path}", {"model": name, **more}, headers=headers)
                assert (said.status == 200, path, name) == (found, path, name)


def test_what_is_configured_is_not_removed():
    with serving(Router({**MINI, "serve": {"manage": True}})) as served:
        for name in ("small", "builtin:mini"):
            said = served.ask("/api/delete", {"model": name}, method="DELETE")
            assert said.status == 400


def test_both_addresses_are_answered(monkeypatch):
    monkeypatch.setattr(hosting, "OLLAMA_PORT", 0)
    listeners, ready = [hosting.listener("127.0.0.1", 0), hosting.ollamas()], threading.Event()
    service = Service(Router(MINI))
    server = hosting.server(service, ready.set)
    thread = threading.Thread(target=server.run, args=(listeners,), daemon=True)
    thread.start()
    try:
        assert ready.wait(30)
        for one in listeners:
            served = Served(hosting.address(one), service)
            assert served.ask("/api/version").status == 200
    finally:
        server.should_exit = True
        thread.join(30)
        service.close()
        for one in listeners:
            one.close()


def test_a_unit_listens_there_too():
    assert "--ollama" in units.text("systemd", {"serve": {"ollama": True}}, ())


def test_a_port_that_ollama_has_is_said_so(monkeypatch):
    holder = hosting.listener("127.0.0.1", 0)
    monkeypatch.setattr(hosting, "OLLAMA_PORT", holder.getsockname()[1])
    with pytest.raises(LlmrrError) as caught:
        hosting.ollamas()
    holder.close()
    assert "Ollama" in caught.value.message
