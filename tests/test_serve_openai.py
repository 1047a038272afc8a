"""OpenAI's API, asked over HTTP: what its clients send and read, beside ``test_serve_clients``."""

import json
import math
import struct
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing

import pytest
from builders import tiny_llama
from fakes import reply
from openai_servers import OpenAIServer
from provider_servers import KEY
from provider_servers import MODEL as PROVIDED
from serving import ANSWER, ASKED, Served, serving

from llmrr import database
from llmrr.protocols import openai
from llmrr.protocols.base import Answered
from llmrr.protocols.openai.common import dumps
from llmrr.protocols.openai.output import ResponseWriter
from llmrr.protocols.openai.responses import response
from llmrr.router import Router
from llmrr.server.kept_responses import KeptResponses, NoResponse
from llmrr.types import Chunk, Message, Request, TokenLogprob, ToolCall

CHAT, TEXT, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
CALL = ToolCall("call_1", "weather", '{"city": "Rome"}')
OTHER = ToolCall("call_2", "now", "{}")
SHAPE = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SHAPE}}
         for name in ("weather", "now")]  # fmt: skip
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(aliases={"gpt-4o": "small", "org/name:tag": "small"}) as found:
        yield found


@pytest.fixture
def scripted(engine) -> Iterator[Served]:
    """A server of the scripted engine."""
    with serving(Router({"models": [{"name": "small", "source": "builtin:mini"}]})) as found:
        yield found


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "value", "param"), [
    ("temperature", 2.1, "temperature"), ("temperature", -1, "temperature"),
    ("top_p", 1.5, "top_p"), ("frequency_penalty", 3, "frequency_penalty"), ("n", 0, "n"),
    ("n", 129, "n"), ("max_tokens", 0, "max_tokens"), ("top_logprobs", 21, "top_logprobs"),
    ("top_logprobs", 3, "top_logprobs"), ("logit_bias", {"--5": 1}, "logit_bias"),
    ("logit_bias", {"5": 101}, "logit_bias.5"), ("stop", [1], "stop"), ("stream", "yes", "stream"),
    ("stream_options", {"include_usage": True}, "stream_options"), ("model", 5, "model"),
    ("response_format", {"type": "xml"}, "response_format.type"),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "x"}},
     "response_format.json_schema.schema"),
    ("modalities", ["text", "audio"], "modalities"), ("audio", {"voice": "alloy"}, "audio"),
    ("web_search_options", {"a": 1}, "web_search_options"), ("reasoning_effort", "huge",
     "reasoning_effort"), ("messages", None, "messages"), ("messages", [], "messages"),
    ("messages", [{"role": "wizard", "content": "x"}], "messages[0]"),
    ("messages", [{"role": "user"}], "messages[0]"), ("messages", ["x"], "messages[0]"),
    ("messages", [{"role": "function", "name": "f", "content": "x"}], "messages[0]"),
    ("messages", [{"role": "user", "content": [{"type": "input_audio"}]}],
     "messages[0].content[0]"),
    ("messages", [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}],
     "messages[0].content[0]"),
    ("tools", [{"type": "web_search"}], "tools[0].type"), ("tools", [{"type": "function"}],
     "tools[0]"), ("tool_choice", "required", "tool_choice"),
    ("tool_choice", {"type": "function", "function": {"name": "x"}}, "tool_choice"),
    ("strategy", "x", "strategy"), ("fallback", 5, "fallback"), ("need", [5], "need"),
    ("cache", {"x": 1}, "cache"), ("cache", "yes", "cache"),
])  # fmt: skip
def test_a_field_that_is_wrong_is_named(served, field, value, param):
    said = served.ask(CHAT, {"model": "small", "messages": ASKED, field: value})
    error = said.json()["error"]
    assert (said.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("url", [
    "/etc/passwd", "file:///etc/passwd", "ftp://a/b.png", "data:text/plain;base64,AAAA",
    "data:image/png;base64,?", "", None,
])  # fmt: skip
def test_an_image_is_in_the_request_or_has_an_address_for_the_provider(served, url):
    content = [{"type": "image_url", "image_url": {"url": url}}]
    said = served.ask(CHAT, {"messages": [{"role": "user", "content": content}]})
    assert said.status == 400
    assert said.json()["error"]["param"] == "messages[0].content[0]"


def test_a_model_here_fetches_no_image(served):
    for url in (PIXEL, "http://127.0.0.1:1/a.png"):
        content = [{"type": "image_url", "image_url": {"url": url}}]
        said = served.ask(CHAT, {"messages": [{"role": "user", "content": content}]})
        message = said.json()["error"]["message"]
        assert said.status == 400 and "no images" in message and "-o mmproj" not in message
        assert "options.mmproj = FILE (of the model in llmrr.toml)" in message


@pytest.mark.parametrize("field", ["fallback", "models"])
def test_no_file_and_no_address_is_named_beside_the_model(served, field):
    for name in ("/etc/passwd", "openai:gpt-4o"):
        said = served.ask(CHAT, {"messages": ASKED, field: [name]})
        assert (said.status, said.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("body", [
    {"prompt": "a", "suffix": "b"}, {"prompt": "a", "best_of": 1, "n": 2}, {"prompt": [5, "a"]},
    {"prompt": "a", "best_of": 2, "stream": True}, {"prompt": []},
    {"prompt": "a", "max_tokens": 0}, {"prompt": [99999999], "echo": True, "logprobs": 1},
    {"prompt": [99999999]}, {"prompt": ["a"] * 257},
])  # fmt: skip
def test_a_completion_that_is_refused(served, body):
    assert served.ask(TEXT, body).status == 400


@pytest.mark.parametrize("body", [
    {}, {"input": ""}, {"input": []}, {"input": ["x"]}, {"input": [{"type": "x"}]},
    {"input": "a", "background": True}, {"input": "a", "conversation": "c"},
    {"input": "a", "prompt": {"id": "p"}}, {"input": "a", "truncation": "x"},
    {"input": "a", "include": ["file_search"]}, {"input": "a", "temperature": 3},
    {"input": "a", "tools": [{"type": "web_search"}]}, {"input": "a", "text": {"format": {}}},
    {"input": "a", "previous_response_id": "resp_1"}, {"input": "a", "max_output_tokens": 0},
    {"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
    {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
    {"input": "a", "reasoning": {"effort": "huge"}}, {"input": "a", "instructions": 5},
])  # fmt: skip
def test_a_response_that_is_refused(served, body):
    said = served.ask(RESPONSES, {"model": "small", **body})
    assert (said.status, said.json()["error"]["param"] is not None) == (400, True)


# -- chat ------------------------------------------------------------------------------------------


def test_what_clients_send_and_nothing_uses_is_left_alone(served):
    said = served.ask(CHAT, {
        "model": "gpt-4o", "temperature": 0, "store": True, "metadata": {"a": "b"}, "x": 1,
        "service_tier": "auto", "prediction": None, "tools": [], "functions": None,
        "messages": [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
                     *ASKED, {"role": "assistant", "content": None, "annotations": [1],
                              "reasoning_content": "Hm", "audio": None}, *ASKED],
    })  # fmt: skip
    assert said.status == 200
    assert said.json()["model"] == "gpt-4o"


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/v1/messages",
                                  "/api/chat", "/api/generate"])  # fmt: skip
def test_what_the_router_knows_stands_in_the_headers(served, path):
    by_path = {"/v1/responses": {"input": "Hi"}, "/v1/completions": {"prompt": "Hi"},
               "/api/generate": {"prompt": "Hi"}}  # fmt: skip
    asked = by_path.get(path, {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9})
    for streams in (True, False):
        said = served.ask(path, {"model": "auto", "stream": streams, **asked})
        assert said.headers["x-llmrr-model"] == "small"
        assert said.headers["x-llmrr-strategy"] == "balanced"
        assert said.headers["x-request-id"].startswith("req_")


def test_the_last_turn_is_gone_on_with(served):
    begun = {"role": "assistant", "content": "The capital of France is"}
    asked = {"messages": [*ASKED, begun], "temperature": 0, "continue_final_message": True}
    said = served.ask(CHAT, asked).json()["choices"][0]["message"]["content"]
    assert begun["content"] + said == ANSWER
    for wrong in ({"add_generation_prompt": True}, {"messages": ASKED}, {"messages": [begun]}):
        refused = served.ask(CHAT, {**asked, **wrong})
        assert refused.json()["error"]["param"] == "continue_final_message"


def test_a_kept_answer_is_marked(served):
    asked = {"messages": ASKED, "temperature": 0, "cache": True}
    first, second = (served.ask(CHAT, asked) for _ in range(2))
    assert "x-llmrr-cache" not in first.headers
    assert second.headers["x-llmrr-cache"] == "exact"
    assert second.json()["choices"] == first.json()["choices"]


def test_choices_are_drawn_apart(served):
    said = served.ask(TEXT, {"prompt": "The", "n": 4, "seed": 3, "temperature": 2, "max_tokens": 8})
    assert len({one["text"] for one in said.json()["choices"]}) > 1


def test_logprobs_whole_and_streamed_are_the_same(served):
    body = {"messages": ASKED, "temperature": 0, "max_tokens": 3, "logprobs": True,
            "top_logprobs": 2}  # fmt: skip
    whole = served.ask(CHAT, body).json()["choices"][0]["logprobs"]["content"]
    events = served.ask(CHAT, {**body, "stream": True}).events()
    pieces = [one["choices"][0]["logprobs"] for one in events]
    streamed = [token for one in pieces if one for token in one["content"]]
    assert [one["token"] for one in streamed] == [one["token"] for one in whole]
    assert [len(one["top_logprobs"]) for one in whole] == [2, 2, 2]
    assert bytes(whole[0]["bytes"]).decode() == whole[0]["token"]


def test_json_of_a_schema(served):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}},
              "required": ["n"], "additionalProperties": False}  # fmt: skip
    formats = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    said = served.ask(CHAT, {"messages": ASKED, "response_format": formats, "max_tokens": 40})
    assert set(json.loads(said.json()["choices"][0]["message"]["content"])) == {"n"}
    text = {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}}
    said = served.ask(RESPONSES, {"input": "x", "text": text, "max_output_tokens": 40}).json()
    assert set(json.loads(said["output"][0]["content"][0]["text"])) == {"n"}
    assert said["text"]["format"] == text["format"]


def test_calls_and_thoughts(scripted, engine):
    engine.replies = [
        reply(("reasoning", "Hm"), CALL, OTHER, finish_reason="tool_calls") for _ in range(2)
    ]
    body = {"messages": ASKED, "tools": TOOLS, "tool_choice": "required"}
    message = scripted.ask(CHAT, body).json()["choices"][0]["message"]
    assert message["content"] is None
    assert message["reasoning_content"] == "Hm"
    assert [one["function"]["name"] for one in message["tool_calls"]] == ["weather", "now"]
    assert engine.requests[0].tool_choice == "required"
    assert [one.name for one in engine.requests[0].tools] == ["weather", "now"]
    events = scripted.ask(CHAT, {**body, "stream": True}).events()
    deltas = [one["choices"][0]["delta"] for one in events]
    calls = [call for one in deltas for call in one.get("tool_calls", ())]
    begun = {"type": "function", "function": {"name": "weather", "arguments": ""}}
    assert calls[:2] == [{"index": 0, "id": "call_1", **begun},
                         {"index": 0, "function": {"arguments": CALL.arguments}}]  # fmt: skip
    assert [(one["index"], one.get("id")) for one in calls[2:]] == [(1, "call_2"), (1, None)]
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_one_call_where_several_are_not_wanted(scripted, engine):
    engine.replies = [reply(CALL, OTHER, finish_reason="tool_calls") for _ in range(4)]
    body = {"tools": TOOLS, "parallel_tool_calls": False}
    chat = {**body, "messages": ASKED}
    message = scripted.ask(CHAT, chat).json()["choices"][0]["message"]
    assert [one["id"] for one in message["tool_calls"]] == ["call_1"]
    events = scripted.ask(CHAT, {**chat, "stream": True}).events()
    deltas = [one["choices"][0]["delta"] for one in events]
    calls = [call for one in deltas for call in one.get("tool_calls", ())]
    assert [one["index"] for one in calls] == [0, 0]
    answered = {**body, "input": "x"}
    output = scripted.ask(RESPONSES, answered).json()["output"]
    assert [one["call_id"] for one in output] == ["call_1"]
    events = scripted.ask(RESPONSES, {**answered, "stream": True}).events()
    assert events[-1]["response"]["output"] == [{**output[0], "id": events[2]["item"]["id"]}]


def test_the_older_shape_of_calls(scripted, engine):
    engine.replies = [reply(CALL, finish_reason="tool_calls") for _ in range(2)] + [reply("Fine")]
    body = {"messages": ASKED, "functions": [one["function"] for one in TOOLS],
            "function_call": {"name": "weather"}}  # fmt: skip
    choice = scripted.ask(CHAT, body).json()["choices"][0]
    called = {"name": "weather", "arguments": CALL.arguments}
    assert (choice["finish_reason"], choice["message"]["function_call"]) == (
        "function_call", called,
    )  # fmt: skip
    assert engine.requests[0].tool_choice == "weather"
    events = scripted.ask(CHAT, {**body, "stream": True}).events()
    deltas = [one["choices"][0]["delta"] for one in events]
    assert deltas[1:3] == [{"function_call": {**called, "arguments": ""}},
                           {"function_call": {"arguments": CALL.arguments}}]  # fmt: skip
    assert events[-1]["choices"][0]["finish_reason"] == "function_call"
    scripted.ask(CHAT, {"messages": [
        *ASKED, {"role": "assistant", "content": None, "function_call": called},
        {"role": "function", "name": "weather", "content": "sunny"},
    ]})  # fmt: skip
    _, asking, told = engine.requests[-1].messages
    assert (told.role, told.content) == ("tool", "sunny")
    assert told.tool_call_id == asking.tool_calls[0].id


def test_only_some_tools_are_allowed(scripted, engine):
    engine.replies = [reply("x")]
    named = [{"type": "function", "function": {"name": "now"}}]
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": named}}
    scripted.ask(CHAT, {"messages": ASKED, "tools": TOOLS, "tool_choice": allowed})
    assert [one.name for one in engine.requests[0].tools] == ["now"]
    assert engine.requests[0].tool_choice == "required"


@pytest.mark.parametrize(("body", "think"), [
    ({"reasoning_effort": "none"}, "off"), ({"reasoning_effort": "minimal"}, "low"),
    ({"reasoning_effort": "xhigh"}, "high"), ({"enable_thinking": False}, "off"),
    ({"chat_template_kwargs": {"enable_thinking": False}}, "off"), ({}, None),
])  # fmt: skip
def test_how_much_it_is_to_think(body, think):
    assert openai.chat({"messages": ASKED, **body}).request.sampling.think == think


def test_an_answer_that_breaks_off_says_so_in_the_stream(scripted, engine):
    engine.replies = [reply("Once", ValueError("secret"))] * 2
    events = scripted.ask(CHAT, {"messages": ASKED, "stream": True}).events()
    assert events[-1]["error"]["type"] == "server_error"
    assert "secret" not in json.dumps(events)
    *_, last = scripted.ask(RESPONSES, {"input": "x", "stream": True}).events()
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("text", ['"\\\n\x00\x7f', "größer 🜁\u2028", "</script>", "\ud83d"])
def test_a_piece_is_the_json_that_a_library_would_write(text, usage):
    """The parts around a text are written once; byte by byte it is the same."""
    logprobs = (TokenLogprob(text, -1.5, ((text, -1.5),)),)
    options = {"stream": True, "stream_options": {"include_usage": usage}}
    asked = openai.chat({"messages": ASKED, **options})
    texted = openai.completion({"prompt": "a", **options})
    about = Answered("1", 2, 'a"b', 'c"d')
    for chunk in (
        Chunk(1, text), Chunk(text=text, logprobs=logprobs), Chunk(tool_calls=(CALL,)),
        Chunk(reasoning=text, finish_reason="length"),
    ):  # fmt: skip
        for writer in (openai.ChatWriter(about, asked), openai.CompletionWriter(about, texted),
                       ResponseWriter(about, response({"input": "x"}))):  # fmt: skip
            for event in (*writer.begin(), *writer.piece(chunk)):
                if isinstance(event.data, str):
                    assert dumps(json.loads(event.data)) == event.data


# -- a provider behind it --------------------------------------------------------------------------


def test_what_a_provider_is_asked(monkeypatch):
    """The address of an image goes on to it: nothing here opens that. Token ids of texts do too."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OpenAIServer() as behind:
        options = {"base_url": f"{behind.address}/v1", "api_key_env": "OPENAI_API_KEY"}
        model = {"name": "far", "source": f"openai:{PROVIDED}", "options": options}
        with serving(Router({"models": [model]})) as served:
            image = {"url": f"{behind.address}/a.png", "detail": "low"}
            content = [{"type": "image_url", "image_url": image}]
            said = served.ask(CHAT, {
                "model": "far", "tools": TOOLS, "tool_choice": "auto",
                "messages": [{"role": "user", "content": content}],
            })  # fmt: skip
            assert said.json()["choices"][0]["message"]["content"] == "Hello, world!"
            assert behind.last.body["messages"][0]["content"] == content
            assert [one["function"]["name"] for one in behind.last.body["tools"]] == [
                "weather", "now",
            ]  # fmt: skip
            assert len(behind.seen) == 1
            assert served.ask("/v1/embeddings", {"model": "far", "input": [[5, 6]]}).status == 200
            assert behind.last.body["input"] == [[5, 6]]
            owners = {one["id"]: one["owned_by"] for one in served.ask("/v1/models").json()["data"]}
            assert owners["far"] == "openai"
            echo = {"model": "far", "prompt": "a", "echo": True, "logprobs": 1}
            assert served.ask(TEXT, echo).status == 400


# -- completions -----------------------------------------------------------------------------------


def test_several_prompts_and_choices(served):
    body = {"prompt": ["The capital of France", "The capital of Italy"], "temperature": 0, "n": 2,
            "max_tokens": 4, "echo": True}  # fmt: skip
    said = served.ask(TEXT, body).json()
    assert [one["index"] for one in said["choices"]] == [0, 1, 2, 3]
    starts = [one["text"][:21].rstrip() for one in said["choices"]]
    assert starts == ["The capital of France"] * 2 + ["The capital of Italy"] * 2
    assert said["usage"]["completion_tokens"] == 16
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *events, last = served.ask(TEXT, {**body, **options}).events()
    texts = ["", "", "", ""]
    for event in events:
        texts[event["choices"][0]["index"]] += event["choices"][0]["text"]
    assert texts == [one["text"] for one in said["choices"]]
    assert last["usage"]["completion_tokens"] == 16


def test_token_ids_are_a_prompt(served):
    said = served.ask(TEXT, {"prompt": [[5, 6], [7]], "max_tokens": 2, "ignore_eos": True}).json()
    assert said["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize("max_tokens", [0, 2])
def test_how_likely_a_prompt_is(served, max_tokens):
    """What evaluations of log likelihoods ask for: the same by texts and by token ids."""
    text = "The capital of France is Paris."
    model = served.service.router.open("small").model
    ids = model.tokenize(text)
    asked = {"echo": True, "logprobs": 2, "max_tokens": max_tokens, "temperature": 0}
    said = served.ask(TEXT, {**asked, "prompt": text}).json()
    found = said["choices"][0]
    assert said["usage"]["completion_tokens"] == max_tokens
    assert found["text"].startswith(text)
    logprobs = found["logprobs"]
    assert "".join(logprobs["tokens"]) == found["text"]
    assert len(logprobs["tokens"]) == len(ids) + max_tokens
    assert logprobs["text_offset"][:2] == [0, len(logprobs["tokens"][0])]
    for token, value, top in zip(*(logprobs[one] for one in (
        "tokens", "token_logprobs", "top_logprobs")), strict=True):  # fmt: skip
        assert value is None or (value <= 0 and top[token] == value and len(top) in (2, 3))
    rows = model.logits(model.prompt_tokens(Request(prompt=text)))
    for row, token, value in zip(
        rows[-len(ids):], ids[1:], logprobs["token_logprobs"][1:], strict=False
    ):
        expected = row[token] - math.log(sum(map(math.exp, row - row.max()))) - row.max()
        assert value == pytest.approx(expected, abs=1e-3)
    events = served.ask(TEXT, {**asked, "prompt": text, "stream": True}).events()
    pieces = [one["choices"][0]["logprobs"] for one in events]
    assert [token for one in pieces if one for token in one["tokens"]] == logprobs["tokens"]
    by_ids = served.ask(TEXT, {**asked, "prompt": [ids, ids], "max_tokens": 1}).json()
    first, second = (one["logprobs"]["token_logprobs"] for one in by_ids["choices"])
    assert first[0] is None
    assert first == second
    assert by_ids["choices"][0]["text"].startswith(text)


def test_the_best_are_told():
    asked = openai.completion({"prompt": ["a", "b"], "n": 1, "best_of": 2})
    assert (asked.request.n, asked.request.sampling.logprobs) == (2, 0)
    chunks = [
        Chunk(at, text, logprobs=(TokenLogprob(text, logprob),), finish_reason="stop")
        for at, (text, logprob) in enumerate([("a", -2.0), ("b", -1.0), ("c", -1.0), ("d", -3.0)])
    ]
    found = openai.CompletionWriter(Answered("1", 2, "m"), asked).whole(chunks)["choices"]
    assert [(one["index"], one["text"], one["logprobs"]) for one in found] == [
        (0, "b", None), (1, "c", None),
    ]  # fmt: skip


def test_several_that_fail_fail_together(scripted, engine):
    engine.replies = [reply("a"), ValueError("no")]
    assert scripted.ask(TEXT, {"prompt": ["a", "b"]}).status == 500
    assert not scripted.service.under_way


@pytest.mark.parametrize("how", ["gone", "cut", "no model"])
def test_a_model_file_that_cannot_be_used_is_no_fault_of_who_asks(tmp_path, how):
    file = tmp_path / "m.gguf"
    whole = tiny_llama(file).read_bytes()
    file.write_bytes(b"hello" if how == "no model" else whole[: len(whole) // 2])
    if how == "gone":
        file.unlink()
    with serving(Router({"models": [{"name": "broken", "source": f"file:{file}"}]})) as served:
        body = {"model": "broken", "messages": ASKED, "stream": False, "max_tokens": 1}
        said = [served.ask(path, body) for path in (CHAT, "/v1/messages", "/api/chat")]
        said.append(served.ask("/v1/embeddings", {"model": "broken", "input": "x"}))
        assert [one.status for one in said] == [500] * 4
        openais, anthropics = said[0].json()["error"], said[1].json()["error"]
        assert (openais["type"], openais["code"]) == ("server_error", None)
        assert 'the model "broken"' in openais["message"] and anthropics["type"] == "api_error"
        missing = served.ask(CHAT, {**body, "model": "none"})
        assert (missing.status, missing.json()["error"]["code"]) == (404, "model_not_found")


# -- responses -------------------------------------------------------------------------------------


def test_a_response_and_one_that_goes_on_with_it(scripted, engine):
    engine.replies = [reply(("reasoning", "Hm"), "Hello", CALL, finish_reason="tool_calls"),
                      reply("It is ", "sunny")]  # fmt: skip
    first = scripted.ask(RESPONSES, {"input": "Hi", "instructions": "Be brief.", "tools": TOOLS,
                                     "metadata": {"a": "b"}}).json()  # fmt: skip
    assert [one["type"] for one in first["output"]] == ["reasoning", "message", "function_call"]
    assert (first["status"], first["metadata"], first["store"]) == ("completed", {"a": "b"}, True)
    said = scripted.ask(RESPONSES, {
        "previous_response_id": first["id"],
        "input": [{"type": "function_call_output", "call_id": "call_1", "output": "sunny"}],
    }).json()  # fmt: skip
    assert engine.requests[1].messages == (
        Message("user", "Hi"),
        Message("assistant", "Hello", tool_calls=(CALL,), reasoning="Hm"),
        Message("tool", "sunny", tool_call_id="call_1"),
    )  # fmt: skip
    assert scripted.ask(f"{RESPONSES}/{said['id']}").json() == said
    gone = scripted.ask(f"{RESPONSES}/{said['id']}", method="DELETE").json()
    assert gone == {"id": said["id"], "object": "response", "deleted": True}
    assert scripted.ask(f"{RESPONSES}/{said['id']}").status == 404


def test_what_a_response_was_asked_with(scripted, engine):
    engine.replies = [reply(("reasoning", "Hm"), "Hello", CALL, finish_reason="tool_calls"),
                      reply("sunny")]  # fmt: skip
    first = scripted.ask(RESPONSES, {"input": "Hi", "instructions": "Be brief."}).json()
    given = [{"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
             {"role": "user", "content": "So?"}, {"role": "assistant", "content": "Well"},
             {"id": "msg_own", "role": "user", "content": [{"type": "input_text", "text": "?"}]},
             {"type": "reasoning", "id": "rs_own", "summary": []}]  # fmt: skip
    asked = {"previous_response_id": first["id"], "input": given}
    path = f"{RESPONSES}/{scripted.ask(RESPONSES, asked).json()['id']}/input_items"
    scripted.ask(f"{RESPONSES}/{first['id']}", method="DELETE")
    found = scripted.ask(f"{path}?order=asc").json()
    said, *answered, output, so, well, own, thought = found["data"]
    assert said | {"id": ""} == {
        "id": "", "type": "message", "role": "user", "status": "completed",
        "content": [{"type": "input_text", "text": "Hi"}],
    }  # fmt: skip
    assert answered == first["output"]
    assert output | {"id": ""} == {**given[0], "id": "", "status": "completed"}
    assert (so["content"][0]["type"], well["content"][0]["text"]) == ("input_text", "Well")
    assert (own["id"], own["content"], thought) == ("msg_own", given[3]["content"], given[4])
    ids = [one["id"] for one in found["data"]]
    assert len({*ids}) == 9
    assert found | {"data": []} == {"object": "list", "data": [], "first_id": ids[0],
                                    "last_id": ids[-1], "has_more": False}  # fmt: skip
    pages, after = [], ""
    while True:
        page = scripted.ask(f"{path}?limit=4{after}").json()
        pages.append([one["id"] for one in page["data"]])
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert [len(one) for one in pages] == [4, 4, 1]
    assert [id for one in pages for id in one] == ids[::-1]


@pytest.mark.parametrize(("query", "status", "param"), [
    ("/input_items?limit=0", 400, "limit"), ("/input_items?limit=101", 400, "limit"),
    ("/input_items?limit=x", 400, "limit"), ("/input_items?order=up", 400, "order"),
    ("/input_items?after=msg_x", 400, "after"), ("?stream=true", 400, "stream"),
    ("?stream=false", 200, None), ("x/input_items", 404, None),
])  # fmt: skip
def test_how_a_kept_response_is_not_shown(served, query, status, param):
    id = served.ask(RESPONSES, {"input": "x", "max_output_tokens": 1}).json()["id"]
    said = served.ask(f"{RESPONSES}/{id}{query}")
    assert said.status == status
    assert status == 200 or said.json()["error"]["param"] == param


def test_what_is_not_kept_is_told_to_who_reads_it_and_to_who_goes_on(served):
    for path in (f"{RESPONSES}/resp_x", f"{RESPONSES}/resp_x/input_items"):
        error = served.ask(path).json()["error"]["message"]
        assert 'no response "resp_x" is kept' in error and "whole input" not in error
    error = served.ask(RESPONSES, {"input": "x", "previous_response_id": "resp_x"}).json()["error"]
    assert error["message"].endswith("([serve] keep_responses): send the whole input")
    id = served.ask(RESPONSES, {"input": "x", "max_output_tokens": 1}).json()["id"]
    error = served.ask(f"{RESPONSES}/{id}/input_items?after=zzz").json()["error"]["message"]
    assert error == 'after: no item has the id "zzz": the last_id of the page before'


@pytest.mark.parametrize(("raw", "said"), [
    (b"", "column 1: a value is missing"), (b"[" * 10**5, "it is nested too deeply"),
    (b'{"n": %b}' % (b"1" * 5000), "a number has too many digits"),
    (b'{"a": 1,\n}', "line 2, column 1: a name in double quotes is missing"),
    (b'"\xff"', "byte 2 is not UTF-8"),
])  # fmt: skip
def test_a_body_that_is_no_json_is_told_in_own_words(served, raw, said):
    answer = served.ask(RESPONSES, raw=raw, method="POST")
    told = answer.json()["error"]["message"]
    assert told == f'the body is no JSON: {said}: send an object, such as {{"model": …}}'
    assert answer.status == 400


def test_tokens_are_counted_before(served):
    asked = {"input": "What is the capital of France?", "instructions": "Be brief."}
    counted = served.ask(f"{RESPONSES}/input_tokens", asked).json()
    said = served.ask(RESPONSES, {**asked, "max_output_tokens": 1}).json()
    assert counted == {
        "object": "response.input_tokens", "input_tokens": said["usage"]["input_tokens"],
    }  # fmt: skip


def test_what_is_not_to_be_stored_is_not(served):
    said = served.ask(RESPONSES, {"input": "x", "store": False, "max_output_tokens": 1}).json()
    assert (said["status"], said["incomplete_details"]) == (
        "incomplete", {"reason": "max_output_tokens"},
    )  # fmt: skip
    assert served.ask(f"{RESPONSES}/{said['id']}").status == 404


def test_another_server_of_the_same_user_goes_on_with_a_response(engine):
    models = {"models": [{"name": "small", "source": "builtin:mini"}]}
    asked = [
        {"role": "user", "content": [
            {"type": "input_text", "text": "What?"}, {"type": "input_text", "text": "Now!"}]},
        {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "noon"},
    ]  # fmt: skip
    engine.replies = [reply(("reasoning", "Hm"), "It ", "is", CALL), reply("Yes")]
    with serving(Router(models)) as first:
        said = first.ask(RESPONSES, {"input": asked, "tools": []}).json()
        items = first.ask(f"{RESPONSES}/{said['id']}/input_items?order=asc").json()
    with serving(Router(models)) as second:
        path = f"{RESPONSES}/{said['id']}"
        assert second.ask(path).json() == said
        assert second.ask(f"{path}/input_items?order=asc").json() == items
        body = {"input": "Sure?", "previous_response_id": said["id"]}
        assert second.ask(RESPONSES, body).status == 200
        assert second.ask(path, method="DELETE").json()["deleted"]
        assert second.ask(path).status == 404
    turns = engine.requests[1].messages
    assert turns[:3] == engine.requests[0].messages
    assert turns[3] == Message("assistant", "It is", tool_calls=(CALL,), reasoning="Hm")
    assert turns[4:] == (Message("user", "Sure?"),)


def test_a_server_that_keeps_no_responses(engine):
    engine.replies = [reply("Yes")]
    models = [{"name": "small", "source": "builtin:mini"}]
    with serving(Router(models=models, serve={"keep_responses": 0})) as found:
        said = found.ask(RESPONSES, {"input": "x", "store": True}).json()
        assert said["store"] is False
        assert found.ask(f"{RESPONSES}/{said['id']}").status == 404


def test_the_events_of_a_response(scripted, engine):
    engine.replies = [reply(("reasoning", "Hm"), "It ", "is", CALL, finish_reason="tool_calls")]
    said = scripted.ask(RESPONSES, {"input": "x", "stream": True})
    events = said.events()
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    assert [one["type"].removeprefix("response.") for one in events] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
        "output_item.done", "completed",
    ]  # fmt: skip
    names = [line[7:] for line in said.body.decode().split("\n") if line.startswith("event: ")]
    assert names == [one["type"] for one in events]
    done = [one["item"] for one in events if one["type"] == "response.output_item.done"]
    assert events[-1]["response"]["output"] == done
    assert b"[DONE]" not in said.body


def test_calls_of_one_turn_stand_together():
    asked = response({"input": [
        {"role": "user", "content": [{"type": "input_text", "text": "x"},
                                     {"type": "input_image", "image_url": PIXEL}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "y"}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]})  # fmt: skip
    user, assistant, tool = asked.request.messages
    assert user.images[0].url == PIXEL
    assert (assistant.content, [one.id for one in assistant.tool_calls]) == (
        "y", ["call_1", "call_2"],
    )  # fmt: skip
    assert (tool.role, tool.tool_call_id) == ("tool", "call_1")


def kept_for(owner, connection, **bounds):
    """The responses of a key, in that database."""
    bounds = {"seconds": 60, **bounds}
    return KeptResponses(lambda work, loss: work(connection), owner, **bounds)


def test_kept_responses_have_a_bound():
    with closing(database.in_memory()) as connection:
        kept = kept_for("me", connection, most=2)
        for id in "abc":
            kept.keep({"id": id}, [])
        kept_for("you", connection, most=1).keep({"id": "f"}, [])
        for owner, id in (("me", "a"), ("you", "b"), ("", "b"), ("me", "\ud800"), ("me", "f")):
            with pytest.raises(NoResponse):
                kept_for(owner, connection).of(id)
            with pytest.raises(NoResponse):
                kept_for(owner, connection).forget(id)
        before = kept.of("b")
        before = before._replace(response={"id": "b", "output": []})
        kept.keep({"id": "d"}, [], (), before)
        kept.of("b")  # it was needed just now
        with pytest.raises(NoResponse):
            kept.of("c")
        kept.forget("b")
        with pytest.raises(NoResponse):
            kept.of("b")
        for large in ([Message("user", "x" * 300)], [Message("user", "", reasoning="x" * 300)]):
            kept_for("me", connection, most_bytes=300).keep({"id": "e"}, large)
            for id in "de":
                with pytest.raises(NoResponse):
                    kept.of(id)
        kept_for("me", connection, most_bytes=99).keep({"id": "e"}, [], [{"more": "x" * 99}])
        with pytest.raises(NoResponse):
            kept.of("e")
        assert kept_for("you", connection).of("f").response == {"id": "f"}
        with pytest.raises(NoResponse):
            kept_for("you", connection, seconds=-1).of("f")
        assert kept_for("you", connection, seconds=math.inf).of("f").items == []


# -- vectors and models ----------------------------------------------------------------------------


def test_vectors_of_texts_and_of_tokens(served):
    path, names = "/v1/embeddings", ("The capital", "of France")
    told = served.ask(path, {"model": "gpt-4o", "input": list(names)})
    assert told.headers["x-request-id"].startswith("req_")
    said = told.json()
    assert [one["index"] for one in said["data"]] == [0, 1]
    assert said["model"] == "gpt-4o"
    vocab = served.service.router.open("small").model.vocab
    ids = [vocab.tokenize(one, add_special=True) for one in names]
    assert said["usage"]["prompt_tokens"] > 0
    as_ids = served.ask(path, {"model": "small", "input": ids}).json()
    assert as_ids["data"] == said["data"]
    assert as_ids["usage"]["prompt_tokens"] == sum(map(len, ids))
    packed = served.ask(path, {"input": names[0], "encoding_format": "base64"}).json()
    first = said["data"][0]["embedding"]
    found = struct.unpack(f"<{len(first)}f", b64decode(packed["data"][0]["embedding"]))
    assert found == pytest.approx(first)
    assert served.ask(path, {"input": "x", "dimensions": len(first)}).status == 200


def test_the_token_ids_of_another_model_are_refused(served):
    said = served.ask("/v1/embeddings", {"model": "gpt-4o", "input": [[5, 6]]})
    assert (said.status, "send the texts" in said.json()["error"]["message"]) == (400, True)


def test_what_was_sent_is_told_though_it_is_no_text(served):
    asked = [(CHAT, {"model": "\ud800", "messages": ASKED}), (TEXT, {"prompt": "\ud800"})]
    for path, body in asked:
        assert served.ask(path, body).status in (400, 404)
    said = served.ask(RESPONSES, {"input": "x", "user": "\ud800", "max_output_tokens": 1})
    assert said.status == 200


@pytest.mark.parametrize("body", [
    {}, {"input": ""}, {"input": []}, {"input": [""]}, {"input": ["a", 5]}, {"input": [[]]},
    {"input": "x", "encoding_format": "hex"}, {"input": "x", "dimensions": 8},
    {"input": [99999999]}, {"input": ["x"] * 2049}, {"input": "x", "dimensions": 0},
])  # fmt: skip
def test_vectors_that_are_refused(served, body):
    assert served.ask("/v1/embeddings", body).status == 400


def test_models_by_every_name(served):
    listed = served.ask("/v1/models").json()
    assert served.ask("/models").json() == listed
    assert {one["id"] for one in listed["data"]} == {
        "auto", "small", "builtin:mini", "gpt-4o", "org/name:tag",
    }  # fmt: skip
    for one in listed["data"]:
        assert served.ask(f"/v1/models/{one['id']}").json() == one
    said = served.ask("/v1/models/nope/x")
    assert (said.status, said.json()["error"]["code"]) == (404, "model_not_found")


def test_the_paths_without_v1(served):
    for path, body in [
        ("/chat/completions", {"messages": ASKED}), ("/completions", {"prompt": "a"}),
        ("/responses", {"input": "x"}), ("/embeddings", {"input": "x"}),
    ]:  # fmt: skip
        assert served.ask(path, body).status == 200


# -- the decision, and the document ----------------------------------------------------------------


def test_a_decision_without_running(scripted, engine):
    said = scripted.ask("/route", {"messages": ASKED, "strategy": "quality-first"}).json()
    assert (said["model"], said["strategy"]) == ("small", "quality-first")
    assert scripted.ask("/route?prompt=Hello").json()["model"] == "small"
    assert scripted.ask("/route", {"prompt": "Hello"}).json()["candidates"][0]["name"] == "small"
    assert scripted.ask("/route", {"messages": ASKED, "model": "x"}).status == 404
    assert scripted.ask("/route", {"messages": []}).status == 400
    assert not engine.requests


def test_every_path_is_described(served):
    from llmrr.server import page
    from llmrr.server.app import ROUTES

    paths = served.ask("/openapi.json").json()["paths"]
    described = {(path, method.upper()) for path, item in paths.items() for method in item}
    served_ = {
        (route.path.replace(":path", ""), method)
        for route in ROUTES if route not in page.ROUTES
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == served_
