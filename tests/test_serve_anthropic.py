"""Anthropic's API of the server, asked over HTTP."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import builders
import pytest
import vision
from openai_servers import OpenAIServer
from other_servers import AnthropicServer
from provider_servers import KEY, MODEL, Fault, Said
from serving import ANSWER, ASKED, MINI, Served, serving

from llmrr.protocols import anthropic
from llmrr.router import Router
from llmrr.server.keyring import hashed

ASK: dict[str, Any] = {"model": "small", "max_tokens": 40, "messages": ASKED}
GREEDY = {**ASK, "temperature": 0}
TOOL = {"name": "weather", "description": "The weather.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}  # fmt: skip
CALL = ("call_1", "weather", '{"city": "Rome"}')


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Router({**MINI, "cache": {"enabled": False}})) as found:
        yield found


def upstream(server: Any, suffix: str = "", source: str = "openai") -> Router:
    """A router with one model, at a provider on loopback."""
    options = {"base_url": server.address + suffix, "api_key_env": "LOOPBACK_KEY"}
    model = {"name": "far", "source": f"{source}:{MODEL}", "options": options}
    return Router({"models": [model], "cache": {"enabled": False}})


def test_a_message(served):
    said = served.ask("/v1/messages", GREEDY, headers={"x-api-key": "x"})
    found = said.json()
    assert found["content"] == [{"type": "text", "text": ANSWER}]
    assert (found["type"], found["role"], found["model"]) == ("message", "assistant", "small")
    assert (found["stop_reason"], found["stop_sequence"]) == ("end_turn", None)
    usage = found["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == 10
    assert usage["output_tokens"] == 9
    assert said.headers["request-id"].startswith("req_")


def test_the_events_of_a_stream_come_in_anthropics_order(served):
    said = served.ask("/v1/messages", {**GREEDY, "stream": True})
    lines = said.body.decode().split("\n")
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    events = said.events()
    assert names == [one["type"] for one in events]
    deltas = names.count("content_block_delta")
    assert names == [
        "message_start", "ping", "content_block_start", *["content_block_delta"] * deltas,
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    text = [one["delta"]["text"] for one in events if one["type"] == "content_block_delta"]
    assert "".join(text) == ANSWER
    start, end = events[0]["message"], events[-2]
    assert (start["content"], start["stop_reason"]) == ([], None)
    assert start["usage"]["input_tokens"] == 10
    assert end["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert end["usage"]["output_tokens"] == 9


@pytest.mark.parametrize(("stated", "reason", "stop"), [
    ({"stop_sequences": ["France", "Nowhere"]}, "stop_sequence", "France"),
    ({"max_tokens": 2}, "max_tokens", None),
])  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_why_a_message_ended(served, stated, reason, stop, stream):
    said = served.ask("/v1/messages", {**GREEDY, **stated, "stream": stream})
    found = said.events()[-2]["delta"] if stream else said.json()
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, stop)


def test_an_answer_goes_on_where_it_begins_already(served):
    begun = {"role": "assistant", "content": "The capital of"}
    said = served.ask("/v1/messages", {**GREEDY, "messages": [*ASKED, begun]}).json()
    assert said["content"][0]["text"] == " France is Paris."


def test_tokens_are_counted_as_the_model_is_given_them(served):
    asked = {"model": "small", "system": "Be brief.", "messages": ASKED}
    counted = served.ask("/v1/messages/count_tokens", asked).json()["input_tokens"]
    usage = served.ask("/v1/messages", {**asked, "max_tokens": 1}).json()["usage"]
    assert counted == usage["input_tokens"] + usage["cache_read_input_tokens"] > 10


def test_a_client_of_betas_is_answered(served):
    said = served.ask(
        "/v1/messages?beta=true",
        {**GREEDY, "context_management": {"edits": []}, "service_tier": "auto",
         "metadata": {"user_id": "u1"}, "thinking": {"type": "disabled"},
         "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
        headers={"anthropic-beta": "a-2025-01-01,b-2026-02-02", "anthropic-version": "2023-06-01"},
    )  # fmt: skip
    assert said.status == 200


@pytest.mark.parametrize(("stated", "names"), [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"model": None}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages[0]"),
    ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {
        "type": "url", "url": "http://127.0.0.1:1/x.png"}}]}]}, "fetched"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "%"}}]}]}, "base64"),
    ({"temperature": "hot"}, "temperature"),
    ({"tool_choice": {"type": "tool"}, "tools": [TOOL]}, "tool_choice.name"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
    ({"mcp_servers": [{"type": "url", "url": "http://127.0.0.1:1", "name": "x"}]}, "mcp_servers"),
    ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
    ({"tools": [{"name": {"a": 1}, "input_schema": {}}]}, "tools[0]"),
    ({"thinking": {}}, "thinking.type"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
])  # fmt: skip
def test_what_is_wrong_is_named(served, stated, names):
    said = served.ask("/v1/messages", {**ASK, **stated})
    assert said.status == 400
    found = said.json()
    assert (found["type"], found["error"]["type"]) == ("error", "invalid_request_error")
    assert names in found["error"]["message"]
    assert said.headers["request-id"] == said.json()["request_id"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("thread", [
    {"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}, {}, True,
])  # fmt: skip
def test_a_thread_is_refused_so_that_all_is_sent(served, path, thread):
    """Claude Code and the SDKs' tool runner send the newest message alone until they are told."""
    said = served.ask(path, {**ASK, "thread": thread})
    assert said.status == 400
    assert said.json()["error"]["details"] == {"error_code": "thread_unsupported_request"}


def test_a_prompt_that_is_too_long_is_said_in_anthropics_words(served):
    turn = {"role": "user", "content": "capital " * 3000}
    said = served.ask("/v1/messages", {**ASK, "messages": [turn]})
    assert said.status == 400
    assert said.json()["error"]["message"].startswith("prompt is too long: ")


def test_models_are_listed_as_its_clients_read_them(served):
    headers = {"anthropic-version": "2023-06-01"}
    found = served.ask("/v1/models", headers=headers).json()
    assert "small" in [one["id"] for one in found["data"]]
    assert (found["has_more"], found["first_id"]) == (False, found["data"][0]["id"])
    one = served.ask("/v1/models/small", headers=headers).json()
    assert (one["type"], one["display_name"]) == ("model", "small")
    assert served.ask("/v1/models").json()["object"] == "list"


def test_the_document_has_the_paths(served):
    paths = served.ask("/openapi.json").json()["paths"]
    assert {"/v1/messages", "/v1/messages/count_tokens", "/api/chat", "/api/pull"} <= set(paths)


def test_a_key_is_taken_from_its_own_header():
    keys = {"team": {"hash": hashed("a-key-of-the-team-1"), "models": ["small"]}}
    models = [*MINI["models"], {"name": "second", "source": "builtin:mini"}]
    with serving(Router({"models": models, "serve": {"keys": keys}})) as served:
        said = served.ask("/v1/messages", ASK)
        assert (said.status, said.json()["error"]["type"]) == (401, "authentication_error")
        headers = {"x-api-key": "a-key-of-the-team-1"}
        assert served.ask("/v1/messages", ASK, headers=headers).status == 200
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            said = served.ask(path, {**ASK, "model": "second"}, headers=headers)
            assert (said.status, said.json()["error"]["type"]) == (404, "not_found_error")


def test_a_model_that_there_is_not(served):
    said = served.ask("/v1/messages", {**ASK, "model": "openai:gpt-4o"})
    assert (said.status, said.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_tools_and_thoughts_are_blocks(monkeypatch, stream):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    other = ("call_2", "weather", "{}")
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        server.replies.append(
            Said(("So.",), ("Hm", "m"), calls=(CALL, other), finish="tool_calls")
        )
        said = served.ask("/v1/messages", {
            **ASK, "model": "far", "stream": stream, "tools": [TOOL],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        })  # fmt: skip
        found = assembled(said.events()) if stream else said.json()
        sent = server.seen[-1].body
    assert found["content"] == [
        {"type": "thinking", "thinking": "Hmm", "signature": ""},
        {"type": "text", "text": "So."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}},
    ]
    assert found["stop_reason"] == "tool_use"
    assert sent["tool_choice"] == "required"
    assert sent["tools"][0]["function"]["parameters"] == TOOL["input_schema"]


def assembled(events: list[Any]) -> dict[str, Any]:
    """The message that events make up."""
    found: dict[str, Any] = events[0]["message"]
    texts: dict[int, str] = {}
    for one in events:
        if one["type"] == "content_block_start":
            assert one["index"] == len(found["content"])
            found["content"].append(one["content_block"])
        elif one["type"] == "content_block_delta":
            block, delta = found["content"][one["index"]], one["delta"]
            if delta["type"] == "input_json_delta":
                texts[one["index"]] = texts.get(one["index"], "") + delta["partial_json"]
            else:
                key = delta["type"].removesuffix("_delta")
                block[key] += delta[key]
        elif one["type"] == "message_delta":
            found |= one["delta"]
    for index, text in texts.items():
        found["content"][index]["input"] = json.loads(text)
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_here_calls_the_tool_that_it_must(served, stream):
    schema = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}},
              "required": ["city"]}  # fmt: skip
    said = served.ask("/v1/messages", {
        **GREEDY, "max_tokens": 80, "tools": [{**TOOL, "input_schema": schema}],
        "tool_choice": {"type": "tool", "name": "weather"}, "stream": stream,
    })  # fmt: skip
    found = assembled(said.events()) if stream else said.json()
    (call,) = [one for one in found["content"] if one["type"] == "tool_use"]
    assert call["name"] == "weather"
    assert call["input"] in ({"city": "Rome"}, {"city": "Oslo"})  # and nothing besides
    assert found["stop_reason"] == "tool_use"


@pytest.mark.slow
def test_a_model_here_that_sees_is_shown_images(tmp_path):
    path = builders.tiny_llama(tmp_path / "tiny.gguf")
    options = {"mmproj": str(vision.encoder(tmp_path / "mmproj.gguf"))}
    model = {"name": "sees", "source": f"file:{path}", "options": options}
    data = base64.b64encode(vision.png(255, 0, 0)).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    text = {"type": "text", "text": "What is this?"}
    asked = {"model": "sees", "max_tokens": 4,
             "messages": [{"role": "user", "content": [{"type": "image", "source": source}, text]}]}
    turn = {"role": "user", "content": "What is this?", "images": [data]}
    with serving(Router({"models": [model]})) as served:
        counted = served.ask("/v1/messages/count_tokens", asked).json()["input_tokens"]
        usage = served.ask("/v1/messages", asked).json()["usage"]
        assert counted == usage["input_tokens"] + usage["cache_read_input_tokens"]
        plain = {**asked, "messages": [{"role": "user", "content": [text]}]}
        fewer = served.ask("/v1/messages/count_tokens", plain).json()["input_tokens"]
        assert fewer < counted
        chat = served.ask("/api/chat", {
            "model": "sees", "messages": [turn], "stream": False, "options": {"num_predict": 4},
        }).json()  # fmt: skip
        said = served.ask("/api/generate", {
            "model": "sees", "prompt": "What is this?", "images": [data], "stream": False,
            "options": {"num_predict": 4},
        }).json()  # fmt: skip
        shown = served.ask("/api/show", {"model": "sees"}).json()
    assert chat["prompt_eval_count"] == said["prompt_eval_count"] == counted
    assert "context" not in said  # no tokens stand for an image
    assert "vision" in shown["capabilities"]


def test_a_stream_that_breaks_off_ends_with_an_error(monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        server.faults.append(Fault(after=2))
        server.replies.append(Said())
        said = served.ask("/v1/messages", {**ASK, "model": "far", "stream": True})
    assert said.body.decode().split("\n\n")[-2].startswith("event: error\n")
    last = said.events()[-1]
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")


def test_a_conversation_with_a_tool_reaches_the_model(monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/gif",
                                         "data": base64.b64encode(b"GIF89a").decode()}}  # fmt: skip
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, image]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "s"},
            {"type": "text", "text": "I ask."},
            {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}},
            {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "sunny"},
            {"type": "tool_result", "tool_use_id": "c2", "is_error": True,
             "content": [{"type": "text", "text": "no city"}]},
            {"type": "text", "text": "And?"},
        ]},
    ]  # fmt: skip
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        server.replies.append(Said())
        said = served.ask("/v1/messages", {
            "model": "far", "max_tokens": 9, "messages": messages, "system": "Be kind.",
            "tools": [TOOL],
        })  # fmt: skip
        sent = server.seen[-1].body["messages"]
    assert said.json()["content"][0]["text"] == "Hello, world!"
    assert [one["role"] for one in sent] == [
        "system", "user", "assistant", "tool", "tool", "user",
    ]  # fmt: skip
    assert sent[1]["content"][1]["image_url"]["url"] == "data:image/gif;base64,R0lGODlh"
    assert sent[2]["tool_calls"][0]["function"]["arguments"] == '{"city": "Rome"}'
    assert [(one["tool_call_id"], one["content"]) for one in sent[3:5]] == [
        ("c1", "sunny"), ("c2", "Error: no city"),
    ]  # fmt: skip


def test_thoughts_of_anthropics_go_back_to_it_signed(monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with AnthropicServer() as server:
        with serving(upstream(server, source="anthropic")) as served:
            thinking = {"type": "enabled", "budget_tokens": 2000}
            asked = {**ASK, "model": "far", "tools": [TOOL], "thinking": thinking}
            server.replies.append(Said((), ("Hm",), calls=(CALL,), finish="tool_calls"))
            first = served.ask("/v1/messages", asked).json()
            server.replies.append(Said())
            result = {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}
            turns = [*ASKED, {"role": "assistant", "content": first["content"]},
                     {"role": "user", "content": [result]}]  # fmt: skip
            assert served.ask("/v1/messages", {**asked, "messages": turns}).status == 200
        assert server.seen[0].body["thinking"]["type"] == "enabled"
        sent = server.seen[1].body["messages"][1]["content"]
    assert [one["type"] for one in sent] == ["thinking", "tool_use"]
    assert sent[0]["thinking"] == "Hm"


def test_the_tokens_of_a_provider_are_not_guessed(monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as served:
        said = served.ask("/v1/messages/count_tokens", {"model": "far", "messages": ASKED})
    assert (said.status, said.json()["type"]) == (400, "error")


@pytest.mark.parametrize(("thinking", "config", "think"), [
    (None, None, None),
    ({"type": "disabled"}, None, "off"),
    ({"type": "enabled", "budget_tokens": 1024}, None, "low"),
    ({"type": "enabled", "budget_tokens": 32000}, None, "high"),
    ({"type": "adaptive"}, {"effort": "low"}, "low"),
])  # fmt: skip
def test_how_much_is_to_be_thought(thinking, config, think):
    body = {**ASK, "thinking": thinking, "output_config": config}
    assert anthropic.messages(body).request.sampling.think == think


def test_turns_of_one_role_are_one_turn():
    body = {**ASK, "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"},
    ]}  # fmt: skip
    (turn,) = anthropic.messages(body).request.messages
    assert turn.content == "a\nb\n\nc"
