"""The server, asked by the official clients: what those accept is the protocol. Runs where the
clients are installed:

    pip install anthropic ollama langchain-anthropic langchain-ollama
"""

from collections.abc import Iterator
from typing import Any

import pytest
from openai_servers import OpenAIServer
from provider_servers import KEY, Said
from serving import ANSWER, ASKED, MINI, Served, serving
from test_serve_anthropic import CALL, TOOL, upstream

from llmrr.protocols.anthropic.inputs import Input
from llmrr.router import Router

# The clients' own deprecations are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")
GREEDY = {"temperature": 0}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Router({**MINI, "cache": {"enabled": False}})) as found:
        yield found


def anthropic_client(served: Served) -> Any:
    module = pytest.importorskip("anthropic")
    return module, module.Anthropic(base_url=served.url, api_key="any", max_retries=0)


def test_anthropics_client_answers(served: Served) -> None:
    _, client = anthropic_client(served)
    said = client.messages.create(
        model="small", max_tokens=40, messages=ASKED, extra_body=GREEDY,
        system=[{"type": "text", "text": "be", "cache_control": {"type": "ephemeral"}}],
    )  # fmt: skip
    assert (said.content[0].text, said.stop_reason, said._request_id[:4]) == (
        ANSWER, "end_turn", "req_",
    )  # fmt: skip
    counted = client.messages.count_tokens(model="small", messages=ASKED)
    assert counted.input_tokens == 10


def test_anthropics_client_streams(served: Served) -> None:
    _, client = anthropic_client(served)
    with client.messages.stream(
        model="small", max_tokens=40, messages=ASKED, extra_body=GREEDY
    ) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(texts) == final.content[0].text == ANSWER
    assert len(texts) > 1
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 9)


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_client_is_given_calls(monkeypatch: Any, stream: bool) -> None:
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with OpenAIServer() as server, serving(upstream(server, "/v1")) as gateway:
        _, client = anthropic_client(gateway)
        server.replies.append(Said((), ("Hm",), calls=(CALL,), finish="tool_calls"))
        asked: dict[str, Any] = dict(
            model="far", max_tokens=2000, messages=ASKED, tools=[TOOL],
            thinking={"type": "enabled", "budget_tokens": 1024},
        )  # fmt: skip
        if stream:
            with client.beta.messages.stream(**asked, betas=["x-2025-01-01"]) as events:
                said = events.get_final_message()
        else:
            said = client.beta.messages.create(**asked, betas=["x-2025-01-01"])
        thought, call = said.content
        assert (thought.type, thought.thinking) == ("thinking", "Hm")
        assert (call.name, call.input, said.stop_reason) == (
            "weather", {"city": "Rome"}, "tool_use",
        )  # fmt: skip
        server.replies.append(Said())
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
        turns = [*ASKED, {"role": "assistant", "content": said.content},
                 {"role": "user", "content": [result]}]  # fmt: skip
        last = client.messages.create(model="far", max_tokens=9, messages=turns, tools=[TOOL])
        assert last.content[0].text == "Hello, world!"


SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}},
          "required": ["city"]}  # fmt: skip


@pytest.mark.parametrize("limit", [80, 8, 12, 16, 20, 24, 28])
def test_anthropics_client_hears_a_call_as_it_comes(served: Served, limit: int) -> None:
    _, client = anthropic_client(served)
    asked: dict[str, Any] = dict(
        model="small", max_tokens=limit, messages=ASKED, extra_body=GREEDY,
        tools=[{**TOOL, "input_schema": SCHEMA}], tool_choice={"type": "tool", "name": "weather"},
    )  # fmt: skip
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        pieces = [one.partial_json for one in stream if one.type == "input_json"]
        final = stream.get_final_message()
    given = [(one.name, one.input) for one in final.content if one.type == "tool_use"]
    assert given == [(one.name, one.input) for one in whole.content if one.type == "tool_use"]
    assert final.stop_reason == whole.stop_reason
    if limit == 80:
        assert given[0][1]["city"] in ("Rome", "Oslo")
        assert len(pieces) > 3


@pytest.mark.parametrize("arguments", [
    '{"a": "b", "c": [1, -2.5e3, {"d": null, "e": "x\\u00e9\\n"}], "f": true, "g": {}, "h": []}',
    "{'a': 1}", '{"a": 1, "b": True}', '{"a": "\t"}',
])  # fmt: skip
def test_anthropics_client_reads_what_is_sent_of_arguments(arguments: str) -> None:
    jiter = pytest.importorskip("jiter")
    taken, sent = Input(), ""
    for letter in arguments:
        sent += taken.push(letter)
        assert jiter.from_json(sent.encode() or b"{}", partial_mode=True) == taken.value


def test_anthropics_client_lists_the_models(served: Served) -> None:
    _, client = anthropic_client(served)
    assert "small" in [one.id for one in client.models.list()]
    assert client.models.retrieve("small").created_at.year > 2000


def test_anthropics_client_knows_the_errors(served: Served) -> None:
    module, client = anthropic_client(served)
    with pytest.raises(module.NotFoundError):
        client.messages.create(model="none", max_tokens=4, messages=ASKED)
    with pytest.raises(module.BadRequestError):
        client.messages.create(model="small", max_tokens=0, messages=ASKED)


def ollama_client(served: Served) -> Any:
    module = pytest.importorskip("ollama")
    return module, module.Client(served.url)


def test_ollamas_client_answers_and_streams(served: Served) -> None:
    _, client = ollama_client(served)
    said = client.chat("small", ASKED, options=GREEDY)
    assert (said.message.content, said.done_reason, said.eval_count) == (ANSWER, "stop", 9)
    pieces = list(client.chat("small", ASKED, stream=True, options=GREEDY))
    assert "".join(one.message.content for one in pieces) == ANSWER
    first = client.generate("small", ASKED[0]["content"], options=GREEDY)
    again = client.generate("small", "And of Italy?", context=first.context, options=GREEDY)
    assert again.context[: len(first.context)] == first.context
    pieces = list(client.generate("small", ASKED[0]["content"], stream=True, options=GREEDY))
    assert "".join(one.response for one in pieces) == first.response == ANSWER


def test_ollamas_client_sees_the_models(served: Served) -> None:
    module, client = ollama_client(served)
    assert "small:latest" in [one.model for one in client.list().models]
    assert client.show("small").details.family == "llama"
    client.generate("small", keep_alive=60)
    assert [one.model for one in client.ps().models] == ["small:latest"]
    assert len(client.embed("small", ["a", "b"]).embeddings) == 2
    assert len(client.embeddings("small", "a").embedding) == 256
    with pytest.raises(module.ResponseError) as caught:
        client.chat("none", ASKED)
    assert caught.value.status_code == 404
    with pytest.raises(module.ResponseError) as caught:
        client.delete("small")
    assert caught.value.status_code == 403


@pytest.mark.parametrize("stream", [False, True])
def test_ollamas_client_is_given_calls(monkeypatch: Any, stream: bool) -> None:
    monkeypatch.setenv("LOOPBACK_KEY", KEY)

    def weather(city: str) -> str:
        """The weather.

        Args:
            city: where
        """
        return "sunny"

    with OpenAIServer() as server, serving(upstream(server, "/v1")) as gateway:
        _, client = ollama_client(gateway)
        server.replies.append(Said((), ("Hm",), calls=(CALL,), finish="tool_calls"))
        turns: list[Any] = list(ASKED)
        said = client.chat("far", turns, tools=[weather], think=True, stream=stream)
        messages = [one.message for one in said] if stream else [said.message]
        calls = [call for one in messages for call in one.tool_calls or ()]
        assert [one.function.arguments for one in calls] == [{"city": "Rome"}]
        assert "".join(one.thinking or "" for one in messages) == "Hm"
        server.replies.append(Said())
        turns += [{"role": "assistant", "tool_calls": calls},
                  {"role": "tool", "content": weather("Rome"), "tool_name": "weather"}]  # fmt: skip
        assert client.chat("far", turns).message.content == "Hello, world!"
        sent = server.seen[-1].body["messages"]
        assert sent[-1]["tool_call_id"] == sent[-2]["tool_calls"][0]["id"]


def test_langchain_asks_in_both_protocols(served: Served) -> None:
    anthropics = pytest.importorskip("langchain_anthropic")
    ollamas = pytest.importorskip("langchain_ollama")
    asked = ASKED[0]["content"]
    for model in (
        anthropics.ChatAnthropic(
            model="small", base_url=served.url, api_key="any", max_tokens=40, temperature=0
        ),
        ollamas.ChatOllama(
            model="small", base_url=served.url, temperature=0, validate_model_on_init=True
        ),
    ):
        said = model.invoke(asked)
        assert (said.text, said.usage_metadata["output_tokens"]) == (ANSWER, 9)
        assert "".join(one.text for one in model.stream(asked)) == ANSWER
    assert ollamas.OllamaLLM(model="small", base_url=served.url, temperature=0).invoke(asked)
    vectors = ollamas.OllamaEmbeddings(model="small", base_url=served.url)
    assert len(vectors.embed_query("x")) == 256
