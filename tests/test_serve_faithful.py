"""What clients of other servers rely on, beside what their own clients' tests ask for."""

import gzip
import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import builders
import pytest
from fakes import reply
from serving import ANSWER, ASKED, MINI, Served, serving

from llmrr.choosing import turns
from llmrr.engines.remote.openai import OpenAI
from llmrr.engines.templates import Template
from llmrr.errors import FeatureMissing, InvalidRequest
from llmrr.protocols import ollama
from llmrr.router import Router
from llmrr.server.aliases import hold
from llmrr.types import Endpoint, Message, Request, Sampling, ToolCall

CALL = ToolCall("call_1", "weather", '{"city": "Rome"}')


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(aliases={"gpt-4o": "small"}) as found:
        yield found


@pytest.fixture
def scripted(engine) -> Iterator[Served]:
    """A server of the scripted engine."""
    with serving(Router({"models": [{"name": "small", "source": "builtin:mini"}]})) as found:
        yield found


# -- what the model thought before ----------------------------------------------------------------

_OPENAI_CALL = {"id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}  # fmt: skip
_THOUGHT = [
    ("/v1/chat/completions", {"messages": [
        *ASKED,
        {"role": "assistant", "content": None, key: "Hm", "tool_calls": [_OPENAI_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]}) for key in ("reasoning_content", "reasoning")
] + [
    ("/v1/responses", {"input": [
        *ASKED,
        {"type": "reasoning", "id": "rs_1", "summary": [],
         "content": [{"type": "reasoning_text", "text": "Hm"}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather",
         "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]}),
    ("/v1/messages", {"max_tokens": 9, "messages": [
        *ASKED,
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm", "signature": ""},
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]},
    ]}),
    ("/api/chat", {"stream": False, "messages": [
        *ASKED,
        {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [
            {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
        {"role": "tool", "tool_name": "weather", "content": "sunny"},
    ]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), _THOUGHT)
def test_what_a_model_thought_before_its_call_goes_back_to_it(scripted, engine, path, body):
    engine.replies = [reply("It is sunny.")]
    assert scripted.ask(path, {"model": "small", **body}).status == 200
    (asked,) = engine.requests
    assert asked.messages[1] == Message("assistant", "", tool_calls=(CALL,), reasoning="Hm")
    assert [one.reasoning for one in asked.messages] == ["", "Hm", ""]


def test_programs_give_back_what_was_thought_too():
    turn = {"role": "assistant", "content": "b", "reasoning_content": "Hm"}
    assert turns.message(turn) == Message("assistant", "b", reasoning="Hm")
    with pytest.raises(InvalidRequest, match="reasoning_content = 5, which is no text"):
        turns.message({**turn, "reasoning_content": 5})


def test_a_thought_that_nothing_followed_is_no_turn(scripted, engine):
    engine.replies = [reply("Yes.")]
    short = [{"type": "summary_text", "text": "x"}]
    thought = {"type": "reasoning", "id": "rs_1", "summary": short}
    scripted.ask("/v1/responses", {"input": [thought, *ASKED]})
    assert engine.requests[0].messages == (Message("user", ASKED[0]["content"]),)


@pytest.mark.parametrize(("source", "base_url", "recalled"), [
    ("openai:x", "http://127.0.0.1:9/v1", [True, True]), ("openai:x", None, [False, False]),
    ("deepseek:x", None, [False, True]), ("groq:x", None, [False, False]),
])  # fmt: skip
def test_a_provider_is_told_what_was_thought_where_it_takes_it(source, base_url, recalled):
    provider, _, model = source.partition(":")
    asked = Request(messages=(
        Message("user", "a"), Message("assistant", "b", reasoning="Hm"), Message("user", "c"),
        Message("assistant", "", tool_calls=(CALL,), reasoning="Hm"),
        Message("tool", "sunny", tool_call_id="call_1"),
    ))  # fmt: skip
    sent = OpenAI(Endpoint(provider, model, base_url=base_url)).call(asked).body["messages"]
    assert ["reasoning_content" in one for one in sent if one["role"] == "assistant"] == recalled


@pytest.mark.parametrize("key", ["reasoning_content", "thinking"])
def test_a_template_shows_what_was_thought(key):
    told = "{{ m.role }}|{{ m." + key + " or '-' }}|{{ m.content }}"
    text = "{% for m in messages %}[" + told + "]{% endfor %}"
    said = (Message("user", "a"), Message("assistant", "b", reasoning="Hm"), Message("user", "c"))
    shown = Template(text).prompt(said).text
    assert shown.startswith("[user|-|a][assistant|Hm|b][user|-|c]")


# -- how requests come ----------------------------------------------------------------------------


def _sent(served: Served, *pieces: bytes) -> list[tuple[bytes, bytes]]:
    """What is answered, up to the end of the connection, as heads and what stands behind them."""
    where = urlsplit(served.url)
    found = b""
    with socket.create_connection((where.hostname, where.port), 30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        while came := connection.recv(65536):
            found += came
    answers = re.split(rb"(?=HTTP/1\.1 \d)", found)[1:]
    return [(head, body) for head, _, body in (one.partition(b"\r\n\r\n") for one in answers)]


def _posted(path: str, body: object, *headers: str, version: str = "1.1") -> bytes:
    data = json.dumps(body).encode()
    lines = (f"POST {path} HTTP/{version}", "Host: localhost", f"Content-Length: {len(data)}",
             *headers, "", "")  # fmt: skip
    return "\r\n".join(lines).encode() + data


CHAT = "/v1/chat/completions"
SHORT = {"model": "small", "messages": ASKED, "temperature": 0}
OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAA")


@pytest.mark.parametrize("size", [1, 40, 10_000])
def test_a_client_that_offers_http_2_is_answered_as_it_asks(served, size):
    """Java's client, and with it LangChain4j and Spring AI."""
    whole = _posted(CHAT, SHORT, *OFFER) + _posted(CHAT, SHORT, *OFFER) + _posted(
        CHAT, SHORT, "Connection: close"
    )  # fmt: skip
    pieces = (whole[at : at + size] for at in range(0, len(whole), size))
    answers = _sent(served, *pieces)
    assert [head[:15] for head, _ in answers] == [b"HTTP/1.1 200 OK"] * 3
    for _, body in answers:
        assert json.loads(body)["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.parametrize("offer", [OFFER, ()])
def test_a_client_of_http_1_0_is_sent_no_chunks(served, offer):
    ((head, body),) = _sent(served, _posted(CHAT, {**SHORT, "stream": True}, *offer, version="1.0"))
    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(b"data: {") and body.endswith(b"data: [DONE]\n\n")
    ((head, body),) = _sent(served, _posted(CHAT, SHORT, version="1.0"))
    assert f"content-length: {len(body)}".encode() in head.lower()


def test_nothing_is_switched_to(served):
    for line in (b"CONNECT localhost:80", b"GET /health"):
        said = line + b" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\n"
        answers = _sent(served, said + b"Upgrade: websocket\r\n\r\n")
        assert all(b" 101 " not in head for head, _ in answers)
    assert answers[0][0].startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_body_that_is_compressed_is_told_apart_from_a_broken_one(served, coding):
    said = served.ask(CHAT, raw=gzip.compress(json.dumps(SHORT).encode()), method="POST",
                      headers={"content-encoding": coding})  # fmt: skip
    assert (said.status, said.json()["error"]["type"]) == (415, "invalid_request_error")
    assert coding in said.json()["error"]["message"]
    assert served.ask(CHAT, SHORT, headers={"content-encoding": "identity"}).status == 200


# -- what else llama-server and vLLM take ---------------------------------------------------------


def _text(served: Served, **more: object) -> str:
    said = served.ask(CHAT, {**SHORT, "max_tokens": 20, **more})
    assert said.status == 200, said.body
    return str(said.json()["choices"][0]["message"]["content"])


def test_a_bias_comes_in_pairs_too(served):
    *_, token = served.ask("/api/generate", {
        "model": "small", "prompt": ASKED[0]["content"], "stream": False,
        "options": {"num_predict": 1, "temperature": 0},
    }).json()["context"]  # fmt: skip
    usual = _text(served, max_tokens=1)
    for bias in ([[token, -100]], [[token, False]], {str(token): -100}):
        assert _text(served, max_tokens=1, logit_bias=bias) != usual
    for wrong in ([5], [[5]], [["x", 1]], [[5, "x"]], [[5, 101]], "x"):
        said = served.ask(CHAT, {**SHORT, "logit_bias": wrong})
        assert (said.status, said.json()["error"]["param"][:10]) == (400, "logit_bias")


def test_n_predict_is_a_limit(served):
    for path, body in ((CHAT, SHORT), ("/v1/completions", {"model": "small", "prompt": "The"})):
        found = served.ask(path, {**body, "n_predict": 2, "ignore_eos": True}).json()
        assert found["usage"]["completion_tokens"] == 2
        assert served.ask(path, {**body, "n_predict": 0}).json()["error"]["param"] == "n_predict"


def test_texts_and_tokens_stand_in_one_list(served):
    both = {"model": "small", "prompt": ["The capital", [1, 2]], "max_tokens": 2}
    assert len(served.ask("/v1/completions", both).json()["choices"]) == 2
    asked = {"model": "small", "input": ["The capital", [1, 2]]}
    assert len(served.ask("/v1/embeddings", asked).json()["data"]) == 2
    for wrong in (["a", []], ["a", 1], ["a", ["b"]], []):
        assert served.ask("/v1/completions", {**both, "prompt": wrong}).status == 400


@pytest.mark.parametrize(("wanted", "said"), [
    ({"guided_choice": ["blue / red", 'a "b"']}, {"blue / red", 'a "b"'}),
    ({"structured_outputs": {"choice": ["yes", "no"]}}, {"yes", "no"}),
    ({"guided_regex": r"[x/]{3}\d"}, r"[x/]{3}\d"),
    ({"structured_outputs": {"regex": r"\/[ab]{2}"}}, r"\/[ab]{2}"),
    ({"guided_json": '{"const": "42"}'}, {'"42"'}),
    ({"structured_outputs": {"json": {"const": 42}}}, {"42"}),
    ({"structured_outputs": {"grammar": 'root ::= "a"{3}'}}, {"aaa"}),
    ({"guided_grammar": 'root ::= "a"{3}'}, {"aaa"}),
])  # fmt: skip
def test_an_answer_has_the_shape_that_vllms_clients_ask_for(served, wanted, said):
    found = _text(served, **wanted)
    assert found in said if isinstance(said, set) else re.fullmatch(said, found)


@pytest.mark.parametrize("wanted", [
    {"guided_choice": []}, {"guided_choice": [1]}, {"guided_regex": "("}, {"guided_json": "x"},
    {"guided_json": 5}, {"structured_outputs": {"structural_tag": "{}"}},
    {"structured_outputs": 5}, {"structured_outputs": {"grammar": ""}},
])  # fmt: skip
def test_a_shape_that_is_none_is_refused(served, wanted):
    assert served.ask(CHAT, {**SHORT, **wanted}).status == 400


@pytest.mark.parametrize(("wanted", "said"), [
    ({"regex": "H[ae]llo"}, {"Hello", "Hallo"}), ({"ebnf": 'root ::= "Hi" | "Hey"'}, {"Hi", "Hey"}),
    ({"response_format": {"type": "regex", "value": "[xy]/"}}, {"x/", "y/"}),
    ({"response_format": {"type": "json", "value": {"const": 5}}}, {"5"}),
    ({"response_format": {"type": "json_object", "value": {"const": 6}}}, {"6"}),
    ({"response_format": {"type": "json_schema", "value": {"schema": {"const": 7}}}}, {"7"}),
    ({"response_format": {"type": "grammar", "grammar": 'root ::= "g"'}}, {"g"}),
])  # fmt: skip
def test_an_answer_has_the_shape_that_clients_of_sglang_and_tgi_ask_for(served, wanted, said):
    assert _text(served, **wanted) in said


@pytest.mark.parametrize(("wanted", "param"), [
    ({"structured_outputs": {"json": {"const": 1}, "regex": "a"}}, "structured_outputs.regex"),
    ({"guided_json": {"const": 1}, "guided_choice": ["a"]}, "guided_choice"),
    ({"response_format": {"type": "regex"}}, "response_format.value"),
    ({"stop_token_ids": [-1]}, "stop_token_ids"), ({"stop_token_ids": "x"}, "stop_token_ids"),
    ({"stop_token_ids": [True]}, "stop_token_ids"), ({"seed": 2**63}, "seed"),
])  # fmt: skip
def test_what_has_no_meaning_beside_the_rest_is_refused(served, wanted, param):
    said = served.ask(CHAT, {**SHORT, **wanted})
    assert (said.status, said.json()["error"]["param"]) == (400, param)


def _ids(served: Served) -> list[int]:
    """The tokens of the usual answer."""
    found = served.ask("/api/generate", {
        "model": "small", "prompt": ASKED[0]["content"], "stream": False,
        "options": {"temperature": 0},
    }).json()  # fmt: skip
    return list(found["context"][found["prompt_eval_count"] :])


def test_a_token_ends_an_answer_by_its_id(served):
    tokens = _ids(served)
    for more in ({}, {"ignore_eos": True}):
        said = served.ask(CHAT, {**SHORT, "stop_token_ids": [tokens[3]], **more}).json()
        assert said["choices"][0]["message"]["content"] == "The capital of"
        assert said["choices"][0]["finish_reason"] == "stop"


def test_nothing_ends_an_answer_before_so_many_tokens(served):
    first, *_ = tokens = _ids(served)
    for more, least in (({}, len(tokens) + 3), ({"stop_token_ids": [first]}, 2),
                        ({"logprobs": True}, len(tokens) + 3)):  # fmt: skip
        for seed in range(3):
            body = {**SHORT, "min_tokens": least, "seed": seed, "temperature": 1.0, **more}
            assert served.ask(CHAT, body).json()["usage"]["completion_tokens"] >= least
    plain = served.ask(CHAT, {**SHORT, "min_tokens": 0}).json()
    assert plain["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.parametrize("wanted", [
    {"use_beam_search": True}, {"prompt_logprobs": 1}, {"bad_words": ["x"]}, {"stop_regex": "x"},
    {"allowed_token_ids": [5]}, {"truncate_prompt_tokens": 4}, {"chat_template": "{{ 1 }}"},
    {"include_stop_str_in_output": True}, {"structured_outputs": {}}, {"min_tokens": -1},
    {"include_reasoning": "no"},
])  # fmt: skip
def test_what_would_be_another_answer_is_refused(served, wanted):
    (param,) = wanted
    said = served.ask(CHAT, {**SHORT, **wanted})
    assert (said.status, said.json()["error"]["param"]) == (400, param)
    unstated = {name: None for name in wanted}
    assert served.ask(CHAT, {**SHORT, **unstated, "bad_words": []}).status == 200


@pytest.mark.parametrize("wanted", [{"stop_token_ids": [4001]}, {"logit_bias": {"4001": 1}}])
def test_a_token_that_the_model_has_not_is_refused(served, wanted):
    said = served.ask(CHAT, {**SHORT, **wanted})
    assert (said.status, "no token 4001: its 4000 tokens" in said.body.decode()) == (400, True)


def test_a_token_to_stop_at_is_told_to_servers_that_know_it_alone():
    asked = Request(messages=(Message("user", "a"),), sampling=Sampling(stop_tokens=(5, 6)))
    own = OpenAI(Endpoint("openai", "x", base_url="http://127.0.0.1:9/v1"))
    assert own.call(asked).body["stop_token_ids"] == [5, 6]
    with pytest.raises(FeatureMissing, match="stop_tokens"):
        OpenAI(Endpoint("openai", "x")).call(asked)


@pytest.mark.parametrize("stream", [True, False])
def test_the_beginning_of_an_answer_is_told_too_where_that_is_asked_for(served, stream):
    begun = {"role": "assistant", "content": "The capital of"}
    body = {**SHORT, "messages": [*ASKED, begun], "continue_final_message": True,
            "stream": stream}  # fmt: skip
    for echo, text in ((True, ANSWER), (False, ANSWER.removeprefix(begun["content"]))):
        said = served.ask(CHAT, {**body, "echo": echo})
        if stream:
            told = [one["choices"][0]["delta"].get("content") or "" for one in said.events()]
            assert "".join(told) == text
        else:
            assert said.json()["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize(("wanted", "think"), [
    ({"chat_template_kwargs": {"thinking": True}}, "medium"),
    ({"chat_template_kwargs": {"thinking": False}}, "off"),
    ({"chat_template_kwargs": {"reasoning_effort": "high"}}, "high"),
    ({"chat_template_kwargs": {"enable_thinking": True}}, None),
    ({"thinking": {"type": "disabled"}}, "off"), ({"thinking": {"type": "enabled"}}, "medium"),
    ({"thinking": {"type": "x"}}, None), ({"thinking": 5}, None),
])  # fmt: skip
def test_how_much_is_to_be_thought_in_the_words_of_templates(scripted, engine, wanted, think):
    engine.replies = [reply("Yes.")]
    scripted.ask(CHAT, {"messages": ASKED, **wanted})
    assert engine.requests[0].sampling.think == think


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_thought_is_told_unless_nobody_wants_it(scripted, engine, stream):
    for wants in (True, False):
        engine.replies = [reply(("reasoning", "Hm"), "Yes.")]
        said = scripted.ask(CHAT, {"messages": ASKED, "include_reasoning": wants, "stream": stream})
        assert (b"Hm" in said.body, b"Yes." in said.body) == (wants, True)
        assert b'"delta":{},"logprobs":null,"finish_reason":null' not in said.body


def test_a_tool_is_chosen_by_its_name_alone(scripted, engine):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    engine.replies = [reply(CALL, finish_reason="tool_calls")]
    asked = {"messages": ASKED, "tools": [tool], "tool_choice": "weather"}
    assert scripted.ask(CHAT, asked).status == 200
    assert engine.requests[0].tool_choice == "weather"
    for wrong in ("other", ["weather"], 5):
        assert scripted.ask(CHAT, {**asked, "tool_choice": wrong}).status == 400


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_thought_is_counted(stream, tmp_path):
    """A tiny model that is made to think: its tokens are counted where they are drawn."""
    path = builders.tiny_llama(tmp_path / "thinker.gguf")
    template = "{% for m in messages %}{{ m.content }}{% endfor %}<think>"
    model = {"name": "thinker", "source": f"file:{path}", "options": {"chat_template": template}}
    with serving(Router({"models": [model], "cache": {"enabled": False}})) as found:
        body = {"messages": ASKED, "max_tokens": 5, "ignore_eos": True, "stream": stream,
                "temperature": 0}  # fmt: skip
        if stream:
            body["stream_options"] = {"include_usage": True}
        said = found.ask(CHAT, body)
        usage = said.events()[-1]["usage"] if stream else said.json()["usage"]
        assert usage["completion_tokens_details"] == {"reasoning_tokens": 5}
        asked = {"input": "Hi", "max_output_tokens": 5, "ignore_eos": True, "stream": stream}
        said = found.ask("/v1/responses", asked)
        told = said.events()[-1]["response"] if stream else said.json()
        assert told["usage"]["output_tokens_details"] == {"reasoning_tokens": 5}
        asked = {"model": "thinker", "max_tokens": 5, "messages": ASKED, "stream": stream}
        said = found.ask("/v1/messages", asked)
        told = said.events()[-2] if stream else said.json()
        assert told["usage"]["output_tokens_details"]["thinking_tokens"] > 0


def test_tokens_are_counted_before_they_are_asked_with(served):
    used = served.ask(CHAT, SHORT).json()["usage"]["prompt_tokens"]
    for start in ("/v1", ""):
        told = {"object": "response.input_tokens", "input_tokens": used}
        assert served.ask(f"{start}{CHAT[3:]}/input_tokens", SHORT).json() == told
        asked = {"model": "small", "input": ASKED}
        assert served.ask(f"{start}/responses/input_tokens", asked).json() == told


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses"])
def test_a_prompt_that_does_not_fit_is_told_in_the_words_that_clients_look_for(served, path):
    long = "hello " * 1000
    body = {CHAT: {"messages": [{"role": "user", "content": long}]},
            "/v1/completions": {"prompt": long}}.get(path, {"input": long})  # fmt: skip
    error = served.ask(path, {"model": "small", **body}).json()["error"]
    assert error["message"].startswith("This model's maximum context length is 512 tokens. ")
    assert (error["code"], error["n_ctx"]) == ("context_length_exceeded", 512)
    assert error["n_prompt_tokens"] > 1000
    assert f"has {error['n_prompt_tokens']} tokens" in error["message"]
    assert error["message"].count("512") == 1


def test_a_prompt_that_no_template_can_render_is_too_long(served):
    body = {"model": "small", "messages": [{"role": "user", "content": "hello " * 2_900_000}]}
    said = served.ask(CHAT, body)
    assert (said.status, said.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert "chat template" not in said.json()["error"]["message"]


def test_the_address_that_clients_know_tells_of_its_health(served):
    assert served.ask("/v1/health").json()["status"] == "ok"


# -- Ollama ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [True, False])
def test_no_time_of_an_answer_is_0(served, streams):
    """Ollama's own tests take 0 for a time that is missing; Go leaves it out."""
    body = {"model": "small", "messages": ASKED, "stream": streams, "options": {"seed": 1}}
    for _ in range(2):  # the second one is loaded, and known
        last = json.loads(served.ask("/api/chat", body).body.splitlines()[-1])
        times = [last[f"{name}_duration"] for name in ("total", "load", "prompt_eval", "eval")]
        assert min(times) > 0


def test_a_model_was_changed_when_it_is_listed_to_have_been(served):
    (listed,) = (one for one in served.ask("/api/tags").json()["models"]
                 if one["model"] == "builtin:mini")  # fmt: skip
    shown = served.ask("/api/show", {"model": "builtin:mini"}).json()
    assert shown["modified_at"] == listed["modified_at"] > "2020"


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_each_piece_tells_what_it_took_so_far_where_that_is_asked_for(served, path):
    body = {"model": "small", "messages": ASKED, "prompt": "The capital", "max_tokens": 6,
            "ignore_eos": True, "stream": True, "seed": 5}  # fmt: skip
    options = {"include_usage": True, "continuous_usage_stats": True}
    *pieces, last = served.ask(path, {**body, "stream_options": options}).events()
    counts = [one["usage"]["completion_tokens"] for one in pieces]
    assert counts == sorted(counts) and counts[-1] == last["usage"]["completion_tokens"] == 6
    assert {one["usage"]["prompt_tokens"] for one in (*pieces, last)} == {
        last["usage"]["prompt_tokens"]
    }
    wrong = served.ask(path, {**body, "stream_options": {**options, "continuous_usage_stats": 1}})
    assert wrong.json()["error"]["param"] == "stream_options.continuous_usage_stats"


def test_a_stream_that_may_call_begins_without_a_text(scripted, engine):
    """As OpenAI's own: an empty text would be shown before the call."""
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    for more, first in (({"tools": tools}, None), ({}, "")):
        engine.replies = [reply("Yes.")]
        events = scripted.ask(CHAT, {"messages": ASKED, "stream": True, **more}).events()
        assert events[0]["choices"][0]["delta"] == {
            "role": "assistant", "content": first, "refusal": None,
        }  # fmt: skip


@pytest.mark.parametrize("options", [
    {"seed": 2**63 - 1}, {"seed": -5}, {"top_k": -1}, {"top_p": 1.5}, {"min_p": -1},
    {"typical_p": 2.0}, {"temperature": -1}, {"num_ctx": 0, "num_gpu": -1, "num_thread": 0},
])  # fmt: skip
def test_a_number_beyond_its_range_is_its_end(served, options):
    """As in Ollama, which refuses none: the seeds of its own tests have 63 bits."""
    body = {"model": "small", "prompt": "Hi", "stream": False, "options": {"num_predict": 2}}
    body["options"] |= options
    assert served.ask("/api/generate", body).status == 200


def test_a_seed_of_many_bits_is_one_of_few(scripted, engine):
    for seed in (2**63 - 1, "5", 2**40 + 7):
        engine.replies = [reply("Yes.")]
        body = {"model": "small", "prompt": "Hi", "options": {"seed": seed, "top_k": -3}}
        scripted.ask("/api/generate", body)
    asked = [one.sampling for one in engine.requests]
    assert [(one.seed, one.top_k) for one in asked] == [(2**32 - 1, 0), (5, 0), (7, 0)]


@pytest.mark.parametrize(("think", "wanted"), [("max", "high"), ("low", "low"), (False, "off")])
def test_how_much_is_to_be_thought_in_the_words_of_ollama(think, wanted):
    asked = ollama.chat({"model": "x", "messages": ASKED, "think": think}).asked
    assert asked is not None and asked.request.sampling.think == wanted


def test_what_there_is_not_is_not_found(served):
    for path, body in (("/api/chat", {"messages": ASKED}), ("/api/show", {}), ("/api/embed", {})):
        said = served.ask(path, {"model": "nope", "input": "x", **body})
        assert (said.status, said.json()["error"][:11]) == (404, "not found: ")
        assert '"nope"' in said.json()["error"]


# -- names that clients have written down ---------------------------------------------------------


def test_any_name_may_mean_one_model():
    router = Router({**MINI, "serve": {"manage": True}})
    with serving(router, aliases={"*": "small", "gpt-4o": "auto"}) as found:
        hold(router)
        for name, model in (("gpt-3.5-turbo", "small"), ("x:latest", "small"), ("/a/b", "small"),
                            ("builtin:mini", "builtin:mini"), ("auto", "small")):  # fmt: skip
            said = found.ask(CHAT, {**SHORT, "model": name})
            assert (said.status, said.headers["x-llmrr-model"]) == (200, model)
            assert said.json()["model"] == name
        listed = [one["id"] for one in found.ask("/v1/models").json()["data"]]
        assert listed == ["auto", "builtin:mini", "small", "gpt-4o"]
        assert "*:latest" not in found.ask("/api/tags").body.decode()
        for name in ("gpt-3.5-turbo", "org/x:latest", "gpt-4o", "small"):
            for headers in ({}, {"anthropic-version": "2023-06-01"}):
                assert found.ask(f"/v1/models/{name}", headers=headers).json()["id"] == name
        tokens = found.ask("/v1/embeddings", {"model": "text-embedding-3-small", "input": [1, 2]})
        assert tokens.json()["error"]["param"] == "input"  # those of another model
        for name in ("x", "*", "*:latest"):
            gone = found.ask("/api/delete", {"model": name}, method="DELETE")
            copied = found.ask("/api/copy", {"source": name, "destination": "y"})
            assert (gone.status, copied.status) == (404, 404)


def test_a_part_of_a_character_is_told_in_its_bytes(served):
    """As OpenAI documents it: put together, the bytes of the tokens are those of the text."""
    word = "é€😀"
    body = {"model": "small", "regex": word, "max_tokens": 20}
    chat = {**body, "messages": ASKED, "logprobs": True, "top_logprobs": 1}
    [choice] = served.ask(CHAT, chat).json()["choices"]
    told = choice["logprobs"]["content"]
    assert choice["message"]["content"] == word
    assert b"".join(bytes(one["bytes"]) for one in told) == word.encode()
    assert len(told) > len(word)
    assert told[-1]["token"] == "\\x80"
    native = {"model": "small", "prompt": word, "format": {"const": word}, "stream": False}
    told = served.ask("/api/generate", {**native, "logprobs": True}).json()["logprobs"]
    assert b"".join(bytes(one["bytes"]) for one in told) == f'"{word}"'.encode()
    asked = {**body, "prompt": f"a{word}b", "echo": True, "logprobs": 0}
    [choice] = served.ask("/v1/completions", asked).json()["choices"]
    found = choice["logprobs"]
    assert choice["text"] == f"a{word}b{word}"
    assert found["tokens"][-1] == "bytes:\\x80"
    assert found["tokens"].count("bytes:\\x80") == 2
    assert len({*found["text_offset"]}) == len(choice["text"])
    events = served.ask("/v1/completions", {**asked, "stream": True}).events()
    told = [one["choices"][0]["logprobs"] for one in events if one["choices"]]
    assert [at for one in told if one for at in one["text_offset"]] == found["text_offset"]


# -- responses -------------------------------------------------------------------------------------


def test_what_agents_offer_besides_is_left_out_beside_functions(scripted, engine):
    """Codex offers what OpenAI's servers run, whatever it speaks with."""
    function = {"type": "function", "name": "shell", "parameters": {"type": "object"}}
    hosted = [{"type": "web_search"}, {"type": "custom", "name": "x"}, {"type": "local_shell"}]
    engine.replies = [reply("Yes."), reply("Yes.")]
    body = {"input": "Hi", "truncation": "auto", "store": False, "prompt_cache_key": "x",
            "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
            "tools": [*hosted, function], "tool_choice": "auto"}  # fmt: skip
    said = scripted.ask("/v1/responses", body)
    assert (said.status, said.json()["truncation"]) == (200, "auto")
    assert [one.name for one in engine.requests[0].tools] == ["shell"]
    for wrong in ({"tools": hosted}, {"tool_choice": {"type": "web_search"}},
                  {"tools": [{"type": "functoin"}, function]}):  # fmt: skip
        assert scripted.ask("/v1/responses", {**body, **wrong}).status == 400


def test_what_anthropics_servers_run_is_left_out_beside_other_tools(scripted, engine):
    """It need not be called; and what was done with it before goes on with the words behind it."""
    own = {"name": "now", "input_schema": {"type": "object"}}
    hosted = [{"type": "web_search_20250305", "name": "web_search"},
              {"type": "mcp_toolset", "mcp_server_name": "x"}]  # fmt: skip
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    searched = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, found,
                {"type": "text", "text": "It is noon."},
                {"type": "tool_use", "id": "t", "name": "ToolSearch", "input": {}}]  # fmt: skip
    result = {"type": "tool_result", "tool_use_id": "t",
              "content": [{"type": "tool_reference", "tool_name": "now"}]}  # fmt: skip
    engine.replies = [reply("Yes.")]
    said = scripted.ask("/v1/messages", {
        "model": "small", "max_tokens": 9, "tools": [*hosted, own],
        "mcp_servers": [{"type": "url", "name": "x"}],
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": searched},
                     {"role": "user", "content": [result]}],
    })  # fmt: skip
    assert said.status == 200
    assert [one.name for one in engine.requests[0].tools] == ["now"]
    assert [one.content for one in engine.requests[0].messages] == ["Hi", "It is noon.", "now"]


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_not_to_be_shown_is_thought_all_the_same(scripted, engine, stream):
    """With ``display: omitted`` what was thought goes out, and comes back, as a signature."""
    engine.replies = [reply(("reasoning", "Let me"), ("reasoning", " see."), CALL,
                            finish_reason="tool_calls"), reply("Sunny.")]  # fmt: skip
    body = {"model": "small", "max_tokens": 9, "messages": ASKED, "stream": stream,
            "thinking": {"type": "adaptive", "display": "omitted"}}  # fmt: skip
    said = scripted.ask("/v1/messages", body)
    if stream:
        deltas = [one["delta"] for one in said.events() if one["type"] == "content_block_delta"]
        assert "thinking_delta" not in [one["type"] for one in deltas]
        [signature] = [one["signature"] for one in deltas if one["type"] == "signature_delta"]
        block = {"type": "thinking", "thinking": "", "signature": signature}
    else:
        block = said.json()["content"][0]
        assert (block["type"], block["thinking"]) == ("thinking", "")
    called = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}
    talk = [*ASKED, {"role": "assistant", "content": [block, called]},
            {"role": "user", "content": [result]}]  # fmt: skip
    assert scripted.ask("/v1/messages", {**body, "messages": talk}).status == 200
    before = engine.requests[1].messages[-2]
    assert before.reasoning == "Let me see."
    assert before.tool_calls[0].signature is None


def test_system_messages_change_the_tools_and_are_cleared(scripted, engine):
    """As Claude Code and the SDKs' tool runner have them in the middle of a conversation."""
    one, two, three = ({"name": name, "input_schema": {"type": "object"}} for name in "abc")
    named = [{"type": "tool_reference", "name": name} for name in "ab"]
    changed = [{"type": "tool_removal", "tool": named[0]},
               {"type": "tool_removal", "tool": named[1]}, {"type": "text", "text": "As of now."},
               {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": three}},
               {"type": "tool_addition", "tool": named[1]}]  # fmt: skip
    talk = [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Gone.", "clear_at": "next_user_message"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "system", "content": changed},
        {"role": "user", "content": "Go"},
        {"role": "system", "content": "Stays.", "clear_at": "next_user_message"},
        {"role": "system", "output_config": {"effort": "low"}},
        {"role": "system", "content": [{"type": "tool_addition", "tool": named[1]}]},
    ]
    engine.replies = [reply("Yes.")]
    body = {"model": "small", "max_tokens": 9, "tools": [one, two], "messages": talk}
    assert scripted.ask("/v1/messages", body).status == 200
    assert [each.name for each in engine.requests[0].tools] == ["b", "c"]
    said = [each.content for each in engine.requests[0].messages]
    assert said == ["Hi", "Yes?", "As of now.", "Go", "Stays."]
    talk[3]["content"] = [{"type": "tool_addition", "tool": "b"}]
    told = scripted.ask("/v1/messages", body)
    assert told.status == 400
    assert "messages[3].content[0].tool" in told.json()["error"]["message"]


def test_a_conversation_with_other_tools_goes_on_here(scripted, engine):
    """Codex sends what it did with a model of OpenAI, whatever goes on with it."""
    engine.replies = [reply("Done.")]
    patch = {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "*** x"}
    shell = {"type": "local_shell_call", "call_id": "b", "status": "completed",
             "action": {"type": "exec", "command": ["ls"]}}  # fmt: skip
    given = [{"role": "user", "content": "Hi"}, {"type": "web_search_call", "id": "ws_1"}, patch,
             {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"}, shell,
             {"type": "local_shell_call_output", "id": "b", "output": "files"}]  # fmt: skip
    assert scripted.ask("/v1/responses", {"input": given}).status == 200
    _, first, done, second, listed = engine.requests[0].messages
    assert (first.tool_calls[0].name, done.content) == ("apply_patch", "ok")
    assert json.loads(first.tool_calls[0].arguments) == {"input": "*** x"}
    assert (second.tool_calls[0].name, listed.content) == ("local_shell", "files")
    assert listed.tool_call_id == second.tool_calls[0].id
    said = scripted.ask("/v1/responses", {"input": [{**patch, "name": None}]})
    assert (said.status, "input[0]" in said.json()["error"]["message"]) == (400, True)


def test_an_item_of_an_answer_is_named_by_its_id(scripted, engine):
    """Vercel's AI SDK sends what it has been told by reference."""
    engine.replies = [reply(("reasoning", "Hm"), "Hello", CALL, finish_reason="tool_calls"),
                      reply("Good.")]  # fmt: skip
    ask = "/v1/responses"
    made = scripted.ask(ask, {"input": "Hi"}).json()["output"]
    named = [{"type": "item_reference", "id": one["id"]} for one in made]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    user = {"role": "user", "content": "Hi"}
    assert scripted.ask(ask, {"input": [user, *named, result]}).status == 200
    assert engine.requests[1].messages[1] == Message(
        "assistant", "Hello", tool_calls=(CALL,), reasoning="Hm"
    )
    for id in ("msg_x", made[0]["id"] + "0", None, 5):
        said = scripted.ask(ask, {"input": [{"type": "item_reference", "id": id}, user]})
        assert (said.status, said.json()["error"]["param"]) == (404, "input[0].id")


@pytest.mark.parametrize(("more", "name", "value"), [
    ({"seed": 42}, "seed", 42), ({"top_k": 7}, "top_k", 7), ({"stop": "END"}, "stop", ("END",)),
    ({"repetition_penalty": 1.5}, "repeat_penalty", 1.5),
    ({"ignore_eos": True}, "ignore_eos", True),
    ({"structured_outputs": {"json": {"const": 1}}}, "schema", {"const": 1}),
    ({"chat_template_kwargs": {"enable_thinking": False}}, "think", "off"),
    ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, "think", "high"),
    ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"const": 2}}},
      "structured_outputs": {"json": {"const": 1}}}, "schema", {"const": 2}),
])  # fmt: skip
def test_a_response_takes_what_chat_completions_take(scripted, engine, more, name, value):
    """As vLLM, SGLang and llama-server do."""
    engine.replies = [reply("Yes.")]
    assert scripted.ask("/v1/responses", {"input": "Hi", **more}).status == 200
    assert getattr(engine.requests[0].sampling, name) == value


@pytest.mark.parametrize("wrong", [{"metadata": 5}, {"max_tool_calls": 0}, {"stop": 5}])
def test_what_a_response_would_repeat_is_looked_at_before(served, wrong):
    said = served.ask("/v1/responses", {"input": "Hi", **wrong})
    assert (said.status, said.json()["error"]["param"]) == (400, next(iter(wrong)))


def test_a_response_is_not_cancelled_behind_its_end(served):
    made = served.ask("/v1/responses", {"model": "small", "input": "Hi"}).json()["id"]
    for id, status in ((made, 400), ("resp_x", 404)):
        said = served.ask(f"/v1/responses/{id}/cancel", {})
        assert said.status == status and "error" in said.json()


# -- what Claude Code sends ------------------------------------------------------------------------

BILLED = "x-anthropic-billing-header: cc_version=2.1.160.bca; cc_entrypoint=cli; cch=d1d48;"


@pytest.mark.parametrize("system", [
    [{"type": "text", "text": BILLED}, {"type": "text", "text": "Be brief."}],
    f"{BILLED}\nBe brief.", [{"type": "text", "text": f"{BILLED}\n\nBe brief."}],
])  # fmt: skip
def test_what_changes_with_every_request_is_no_part_of_the_prompt(scripted, engine, system):
    engine.replies = [reply("Yes.")]
    body = {"model": "small", "max_tokens": 9, "messages": [
        *ASKED, {"role": "system", "content": BILLED},
        {"role": "system", "content": [{"type": "text", "text": f"A. {BILLED}"}]},
    ], "system": system}  # fmt: skip
    assert scripted.ask("/v1/messages", body).status == 200
    assert engine.requests[0].messages == (
        Message("system", "Be brief."), Message("user", ASKED[0]["content"]),
        Message("system", f"A. {BILLED}"),
    )  # fmt: skip
    alone = {**body, "messages": [{"role": "system", "content": BILLED}]}
    assert scripted.ask("/v1/messages", alone).status == 400
