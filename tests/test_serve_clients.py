"""The server, asked by the official clients, unchanged. Runs where they are installed:

    pip install openai langchain-openai llama-index-llms-openai-like
    pip install llama-index-embeddings-openai-like schemathesis
    npm install openai            # NODE_PATH names the folder node_modules
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine, reply
from serving import ANSWER, ASKED, Served, serving

from llmrr.router import Router
from llmrr.types import ToolCall

NODE_PATH = os.environ.get("NODE_PATH", "")  # before a test's environment is cleaned
MODELS = {"models": [{"name": "small", "source": "builtin:mini"}]}
CALL = ToolCall("call_1", "weather", '{"city": "Rome"}')
OTHER = ToolCall("call_2", "weather", '{"city": "Oslo"}')
WEATHER = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    "additionalProperties": False,
}  # fmt: skip
CITIES = {**WEATHER, "properties": {"city": {"enum": ["Rome", "Oslo"]}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER, "strict": True}}

# The clients' own warnings are not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(aliases={"gpt-4o": "small", "text-embedding-3-small": "small"}) as found:
        yield found


@pytest.fixture
def scripted(engine: FakeEngine) -> Iterator[Served]:
    """A server of the scripted engine."""
    with serving(Router(MODELS)) as found:
        yield found


def client(served: Served, **named: Any) -> Any:
    """The openai package's."""
    openai = pytest.importorskip("openai")
    return openai.OpenAI(api_key="none", base_url=f"{served.url}/v1", max_retries=0, **named)


# -- openai ----------------------------------------------------------------------------------------


def test_openai_chat(served):
    found = client(served).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=ASKED, temperature=0, logprobs=True, top_logprobs=1
    )
    said = found.parse()
    assert said.choices[0].message.content == ANSWER
    assert said._request_id.startswith("req_")
    assert found.headers["x-llmrr-model"] == "small"
    assert said.choices[0].logprobs.content[0].top_logprobs[0].token == "The"


def test_openai_streams(served):
    stream = client(served).chat.completions.create(
        model="auto", messages=ASKED, temperature=0, n=2, stream=True,
        stream_options={"include_usage": True}, extra_body={"strategy": "balanced"},
    )  # fmt: skip
    *chunks, last = stream
    for index in (0, 1):
        texts = [one.choices[0].delta.content or "" for one in chunks
                 if one.choices[0].index == index]  # fmt: skip
        assert "".join(texts) == ANSWER
    assert last.usage.completion_tokens > 0


def test_openai_async(served):
    openai = pytest.importorskip("openai")

    async def ask() -> str:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{served.url}/v1") as asking:
            stream = await asking.chat.completions.create(
                model="small", messages=ASKED, temperature=0, stream=True
            )
            return "".join([one.choices[0].delta.content or "" async for one in stream])

    assert asyncio.run(ask()) == ANSWER


def test_openai_errors(served):
    openai = pytest.importorskip("openai")
    asking = client(served)
    with pytest.raises(openai.NotFoundError) as absent:
        asking.chat.completions.create(model="nope", messages=ASKED)
    assert absent.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        asking.chat.completions.create(model="small", messages=ASKED, temperature=9)
    assert wrong.value.param == "temperature"


def test_openai_parses_into_a_type(served):
    pydantic = pytest.importorskip("pydantic")
    made = pydantic.create_model("City", is_big=(bool, ...), is_near=(bool, ...))
    said = client(served).chat.completions.parse(
        model="small", messages=ASKED, response_format=made, max_tokens=60, temperature=0
    )
    assert isinstance(said.choices[0].message.parsed, made)
    answered = client(served).responses.parse(
        model="small", input="x", text_format=made, max_output_tokens=60, temperature=0
    )
    assert isinstance(answered.output_parsed, made)


def test_openai_follows_a_stream(served):
    asked: Any = dict(model="small", messages=ASKED, temperature=0)
    with client(served).chat.completions.stream(**asked) as stream:
        kinds = [one.type for one in stream]
        assert stream.get_final_completion().choices[0].message.content == ANSWER
    assert kinds.count("content.done") == 1


def test_openai_calls(scripted, engine):
    pytest.importorskip("openai")
    engine.replies = [reply(CALL, OTHER, finish_reason="tool_calls") for _ in range(4)]
    asked: Any = dict(model="small", messages=ASKED, tools=[TOOL])
    asking = client(scripted).chat.completions
    message = asking.create(**asked).choices[0].message
    assert [one.function.arguments for one in message.tool_calls] == [
        CALL.arguments, OTHER.arguments,
    ]  # fmt: skip
    with asking.stream(**asked) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion().choices[0].message
    assert final.tool_calls[1].function.parsed_arguments == {"city": "Oslo"}
    parsed = asking.parse(**asked).choices[0].message
    assert parsed.tool_calls[0].function.parsed_arguments == {"city": "Rome"}
    engine.replies = [reply("sunny")]
    results = [
        {"role": "tool", "tool_call_id": one.id, "content": "sunny"} for one in message.tool_calls
    ]
    said = asking.create(**{**asked, "messages": [*ASKED, message, *results]})
    assert said.choices[0].message.content == "sunny"
    assert engine.requests[-1].messages[1].tool_calls == (CALL, OTHER)


@pytest.mark.parametrize("limit", [80, 6, 10, 14, 18, 22])
def test_openai_hears_a_call_as_it_comes(served, limit):
    openai = pytest.importorskip("openai")
    tool = {"type": "function", "function": {**TOOL["function"], "parameters": CITIES}}
    asked: Any = dict(model="small", messages=ASKED, tools=[tool], temperature=0, max_tokens=limit,
                      tool_choice={"type": "function", "function": {"name": "weather"}})
    asking = client(served).chat.completions
    pieces = []
    with asking.stream(**asked) as stream:
        try:
            for event in stream:
                if event.type == "tool_calls.function.arguments.delta":
                    pieces.append(event.arguments_delta)
                    assert event.arguments == "".join(pieces)
        except openai.LengthFinishReasonError as cut:
            final = cut.completion.choices[0]
        else:
            final = stream.get_final_completion().choices[0]
    choice = asking.create(**asked).choices[0]
    called = [(one.function.name, one.function.arguments)
              for one in choice.message.tool_calls or ()]  # fmt: skip
    assert final.finish_reason == choice.finish_reason
    heard = [(one.function.name, one.function.arguments)
             for one in final.message.tool_calls or ()]  # fmt: skip
    assert heard == called
    if limit == 80:
        assert json.loads("".join(pieces)) == json.loads(called[0][1])
        assert len(pieces) > 3


def test_openai_responses_hear_a_call_as_it_comes(served):
    pytest.importorskip("openai")
    tool: Any = {"type": "function", "name": "weather", "parameters": CITIES, "strict": True}
    asked: Any = dict(model="small", input="Weather?", tools=[tool], tool_choice="required",
                      temperature=0, max_output_tokens=80)  # fmt: skip
    asking = client(served).responses
    with asking.stream(**asked) as stream:
        pieces = [one.delta for one in stream
                  if one.type == "response.function_call_arguments.delta"]  # fmt: skip
        (heard, *_) = stream.get_final_response().output
    (called, *_) = asking.create(**asked).output
    assert (heard.name, heard.arguments) == (called.name, called.arguments)
    assert "".join(pieces).startswith(called.arguments)
    assert len(pieces) > 3


def test_a_model_here_is_made_to_call(served):
    warm = {"type": "object", "properties": {"is_warm": {"type": "boolean"}},
            "required": ["is_warm"], "additionalProperties": False}  # fmt: skip
    tool = {"type": "function", "function": {"name": "told", "parameters": warm, "strict": True}}
    said = client(served).chat.completions.parse(
        model="small", messages=ASKED, tools=[tool], tool_choice="required", temperature=0,
        max_tokens=60,
    )  # fmt: skip
    (call,) = said.choices[0].message.tool_calls
    assert set(call.function.parsed_arguments) == {"is_warm"}
    chat = langchain(served, max_tokens=60)
    typed = chat.with_structured_output(
        {"title": "told", "description": "x", **warm}, method="function_calling"
    )
    assert set(typed.invoke("x")) == {"is_warm"}


def test_openai_completions(served):
    said = client(served).completions.create(
        model="small", prompt=["The capital of France", "The capital of Italy"], max_tokens=3,
        temperature=0, logprobs=2,
    )  # fmt: skip
    assert [one.index for one in said.choices] == [0, 1]
    assert len(said.choices[1].logprobs.tokens) == 3


def test_openai_responses(served):
    asking = client(served)
    first = asking.responses.create(model="small", input=ASKED[0]["content"], temperature=0)
    assert first.output_text == ANSWER
    second = asking.responses.create(
        model="small", input="What is the capital of Italy?", previous_response_id=first.id,
        temperature=0,
    )  # fmt: skip
    assert second.usage.input_tokens > first.usage.input_tokens
    assert asking.responses.retrieve(second.id).output_text == second.output_text
    items = [*asking.responses.input_items.list(second.id, limit=2)]  # it turns the page
    assert [one.role for one in items] == ["user", "assistant", "user"]
    assert [one.content[0].text for one in reversed(items)] == [
        ASKED[0]["content"], ANSWER, "What is the capital of Italy?",
    ]  # fmt: skip
    asking.responses.delete(second.id)
    with asking.responses.stream(
        model="small", input=ASKED[0]["content"], temperature=0
    ) as stream:
        deltas = [one.delta for one in stream if one.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == ANSWER == "".join(deltas)


def test_openai_responses_with_calls(scripted, engine):
    pytest.importorskip("openai")
    engine.replies = [
        reply(("reasoning", "Hm"), CALL, finish_reason="tool_calls"), reply("sunny"),
    ]  # fmt: skip
    tool: Any = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}
    asking = client(scripted).responses
    with asking.stream(model="small", input="x", tools=[tool]) as stream:
        for _ in stream:
            pass
        first = stream.get_final_response()
    thought, called = first.output
    assert thought.content[0].text == "Hm"
    assert called.parsed_arguments == {"city": "Rome"}
    output = {"type": "function_call_output", "call_id": called.call_id, "output": "sunny"}
    items = [one.to_dict() for one in first.output]
    said = asking.create(model="small", tools=[tool], input=[*ASKED, *items, output])
    assert said.output_text == "sunny"
    assert engine.requests[-1].messages[1].tool_calls == (CALL,)


def test_openai_vectors_and_models(served):
    asking = client(served)
    made = asking.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert len(made.data[0].embedding) == len(made.data[1].embedding) == 256
    assert "builtin:mini" in [one.id for one in asking.models.list()]
    assert asking.models.retrieve("builtin:mini").id == "builtin:mini"


# -- langchain -------------------------------------------------------------------------------------


def langchain(served: Served, **named: Any) -> Any:
    """Langchain's client of a chat."""
    found = pytest.importorskip("langchain_openai")
    return found.ChatOpenAI(
        model="small", base_url=f"{served.url}/v1", api_key="none", temperature=0, **named
    )


@pytest.mark.parametrize("named", [{}, {"use_responses_api": True}])
def test_langchain_chats(served, named):
    chat = langchain(served, **named)
    said = chat.invoke(ASKED[0]["content"])
    assert said.text == ANSWER
    assert said.usage_metadata["output_tokens"] > 0
    chunks = list(chat.stream(ASKED[0]["content"]))
    assert "".join(one.text for one in chunks) == ANSWER
    assert len(chunks) > 2


def test_langchain_has_structured_output(scripted, engine):
    properties = {"is_big": {"type": "boolean"}}
    schema = {"title": "City", "description": "A city.", "type": "object",
              "properties": properties, "required": ["is_big"]}  # fmt: skip
    engine.replies = [reply('{"is_big": true}') for _ in range(2)]
    for method in ("json_schema", "json_mode"):
        chat = langchain(scripted).with_structured_output(schema, method=method)
        assert chat.invoke("Say JSON.") == {"is_big": True}
    assert [one.sampling.schema["type"] for one in engine.requests] == ["object"] * 2
    assert "properties" in engine.requests[0].sampling.schema


def test_langchain_calls(scripted, engine):
    engine.replies = [reply(CALL, OTHER, finish_reason="tool_calls") for _ in range(3)]
    chat = langchain(scripted).bind_tools([TOOL], parallel_tool_calls=True)
    said = chat.invoke("x")
    assert [one["args"]["city"] for one in said.tool_calls] == ["Rome", "Oslo"]
    whole, *rest = chat.stream("x")
    for one in rest:
        whole += one
    assert [one["args"]["city"] for one in whole.tool_calls] == ["Rome", "Oslo"]
    typed = langchain(scripted).with_structured_output(
        {"title": "weather", "description": "x", **WEATHER}, method="function_calling"
    )
    assert typed.invoke("x") == {"city": "Rome"}
    assert engine.requests[-1].tool_choice == "weather"


def test_langchain_makes_vectors(served):
    found = pytest.importorskip("langchain_openai")
    asked: Any = dict(model="small", base_url=f"{served.url}/v1", api_key="none")
    texts = found.OpenAIEmbeddings(check_embedding_ctx_length=False, **asked)
    assert len(texts.embed_documents(["a", "b"])) == 2
    assert len(texts.embed_query("a")) == 256


def test_langchain_sends_token_ids(served, monkeypatch):
    """Unless it is told not to, it makes tokens of the text first, by a vocabulary that it fetches:
    here that of the model stands for it."""
    found = pytest.importorskip("langchain_openai")
    tiktoken = pytest.importorskip("tiktoken")
    vocab = served.service.router.open("small").model.vocab

    class Encoding:
        def encode_ordinary(self, text: str) -> list[int]:
            return list(vocab.tokenize(text, add_special=True))

        def encode(self, text: str, **_: Any) -> list[int]:
            return self.encode_ordinary(text)

    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda name: Encoding())
    asked: Any = dict(model="small", base_url=f"{served.url}/v1", api_key="none")
    ids = found.OpenAIEmbeddings(**asked).embed_documents(["The capital", "of France"])
    plain = found.OpenAIEmbeddings(check_embedding_ctx_length=False, **asked)
    for one, other in zip(ids, plain.embed_documents(["The capital", "of France"]), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


# -- llama-index -----------------------------------------------------------------------------------


def test_llama_index(served):
    found = pytest.importorskip("llama_index.llms.openai_like")
    named: Any = dict(
        model="small", api_base=f"{served.url}/v1", api_key="none", temperature=0, max_tokens=20
    )
    chat = found.OpenAILike(is_chat_model=True, **named)
    assert chat.complete(ASKED[0]["content"]).text == ANSWER
    deltas = [one.delta for one in chat.stream_complete(ASKED[0]["content"])]
    assert "".join(deltas) == ANSWER
    plain = found.OpenAILike(is_chat_model=False, **named)
    assert plain.complete("The capital of France").text


def test_llama_index_calls(scripted, engine):
    found = pytest.importorskip("llama_index.llms.openai_like")
    tools = pytest.importorskip("llama_index.core.tools")
    engine.replies = [reply(CALL, finish_reason="tool_calls")]

    def weather(city: str) -> str:
        """The weather of a city."""
        return city

    chat = found.OpenAILike(
        model="small", api_base=f"{scripted.url}/v1", api_key="none", is_chat_model=True,
        is_function_calling_model=True,
    )  # fmt: skip
    said = chat.chat_with_tools([tools.FunctionTool.from_defaults(weather)], "x")
    (call,) = chat.get_tool_calls_from_response(said)
    assert (call.tool_name, call.tool_kwargs) == ("weather", {"city": "Rome"})


def test_llama_index_makes_vectors(served):
    found = pytest.importorskip("llama_index.embeddings.openai_like")
    made = found.OpenAILikeEmbedding(
        model_name="small", api_base=f"{served.url}/v1", api_key="none"
    )
    assert len(made.get_text_embedding("a")) == 256


# -- the openai package of npm ---------------------------------------------------------------------


SCRIPT = """
const OpenAI = require("openai");
const asking = new OpenAI({apiKey: "none", baseURL: process.argv[1] + "/v1", maxRetries: 0});
const messages = [{role: "user", content: "What is the capital of France?"}];
const asked = {model: "small", messages, temperature: 0};
(async () => {
  const said = {};
  said.whole = (await asking.chat.completions.create(asked)).choices[0].message.content;
  said.pieces = "";
  const chunks = await asking.chat.completions.create({...asked, stream: true});
  for await (const one of chunks) said.pieces += one.choices[0]?.delta?.content ?? "";
  said.final = await asking.chat.completions.stream(asked).finalContent();
  const input = messages[0].content;
  said.response = (await asking.responses.create({model: "small", input, temperature: 0}))
    .output_text;
  said.kinds = [];
  const events = asking.responses.stream({model: "small", input, temperature: 0});
  for await (const one of events) said.kinds.push(one.type);
  said.finalResponse = (await events.finalResponse()).output_text;
  const made = await asking.embeddings.create({model: "small", input: ["a", "b"]});
  said.vectors = made.data.map((one) => one.embedding.length);
  said.models = (await asking.models.list()).data.map((one) => one.id);
  try {
    await asking.chat.completions.create({...asked, model: "nope"});
  } catch (error) {
    said.error = [error.constructor.name, error.status, error.code];
  }
  console.log(JSON.stringify(said));
})();
"""


def node(script: str, url: str) -> Any:
    """What a script prints, as JSON; skipped where node or its openai package is missing."""
    found = shutil.which("node")
    places = [Path(one) for one in NODE_PATH.split(os.pathsep) if one]
    if found is None or not any((one / "openai").is_dir() for one in places):
        pytest.skip("npm install openai, and NODE_PATH")
    ended = subprocess.run(
        [found, "-e", script, url], env={**os.environ, "NODE_PATH": NODE_PATH},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_npm_package(served):
    said = node(SCRIPT, served.url)
    for name in ("whole", "pieces", "final", "response", "finalResponse"):
        assert said[name] == ANSWER, name
    assert said["kinds"][0] == "response.created"
    assert said["kinds"][-1] == "response.completed"
    assert said["vectors"] == [256, 256]
    assert "builtin:mini" in said["models"]
    assert said["error"] == ["NotFoundError", 404, "model_not_found"]


CALLING = """
const OpenAI = require("openai");
const asking = new OpenAI({apiKey: "none", baseURL: process.argv[1] + "/v1", maxRetries: 0});
const weather = (given) => given.city + " is sunny";
const parameters = {type: "object", properties: {city: {type: "string"}}};
(async () => {
  const runner = asking.chat.completions.runTools({
    model: "small", messages: [{role: "user", content: "x"}], stream: true,
    tools: [{type: "function",
             function: {name: "weather", function: weather, parse: JSON.parse, parameters}}],
  });
  console.log(JSON.stringify({said: await runner.finalContent()}));
})();
"""


def test_the_npm_package_runs_tools(scripted, engine):
    engine.replies = [reply(CALL, OTHER, finish_reason="tool_calls"), reply("It is sunny")]
    assert node(CALLING, scripted.url) == {"said": "It is sunny"}
    results = [one for one in engine.requests[-1].messages if one.role == "tool"]
    assert [one.content for one in results] == ["Rome is sunny", "Oslo is sunny"]


# -- the document ----------------------------------------------------------------------------------


class Tireless(list[Any]):
    """Replies that do not come to an end."""

    def pop(self, at: Any = 0) -> Any:
        return reply("Hello ", "world")


def test_the_document_is_true(scripted, engine):
    """What schemathesis makes of the document: no status, shape or method that it has not, and what
    it rules out is refused. What a request asks for may be more than a model can do, so not all
    that it allows is answered."""
    pytest.importorskip("schemathesis")
    engine.replies = Tireless()
    ended = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{scripted.url}/openapi.json",
         "--exclude-checks", "positive_data_acceptance", "--max-examples", "10", "--seed", "1",
         "--exclude-path-regex", "^/api/(blobs|create|push)",  # 501: not offered here
         "--phases", "coverage,fuzzing", "--no-color"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-6000:]
    assert not scripted.service.under_way
