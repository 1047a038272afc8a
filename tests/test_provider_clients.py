"""The providers on loopback, held against the vendors' official clients: what those
accept is the protocol. Runs where the clients are installed:

    pip install openai anthropic google-genai cohere ollama boto3
"""

import json
from typing import Any

import pytest
from openai_servers import AzureServer, OpenAIServer, ResponsesServer
from other_servers import (
    COHERE,
    TITAN,
    AnthropicServer,
    BedrockServer,
    CohereServer,
    GoogleServer,
    OllamaServer,
)
from provider_servers import KEY, MODEL, Fault, Said

CALL = ("call_1", "weather", '{"city": "Rome"}')
CALLS = Said(text=(), calls=(CALL,), finish="tool_calls")
USER = {"role": "user", "content": "hi"}
THINKING = Said(reasoning=("Hm",))

# The clients' own deprecations are not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


# -- OpenAI ------------------------------------------------------------------------------------


@pytest.fixture
def openai_client() -> Any:
    openai = pytest.importorskip("openai")
    with OpenAIServer() as served:
        client = openai.OpenAI(api_key=KEY, base_url=served.address + "/v1", max_retries=0)
        yield openai, client, served
        client.close()


def test_openai_streams(openai_client: Any) -> None:
    _, client, served = openai_client
    served.replies.append(Said(logprobs=True))
    stream = client.chat.completions.create(
        model=MODEL, messages=[USER], stream=True, stream_options={"include_usage": True},
        logprobs=True, top_logprobs=1,
    )  # fmt: skip
    chunks = list(stream)
    said = [one.choices[0].delta.content for one in chunks if one.choices]
    assert "".join(filter(None, said)) == "Hello, world!"
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
    assert chunks[-1].usage.prompt_tokens == 11
    assert chunks[1].choices[0].logprobs.content[0].logprob == -0.5


def test_openai_answers_whole(openai_client: Any) -> None:
    _, client, served = openai_client
    served.replies.append(CALLS)
    done = client.chat.completions.create(model=MODEL, messages=[USER], n=2)
    [call] = done.choices[1].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == CALL
    assert done.usage.prompt_tokens_details.cached_tokens == 4


def test_openai_calls_tools_in_pieces(openai_client: Any) -> None:
    _, client, served = openai_client
    served.replies.append(CALLS)
    with client.chat.completions.stream(model=MODEL, messages=[USER]) as stream:
        stream.until_done()
        done = stream.get_final_completion()
    [call] = done.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == CALL[1:]


def test_openai_embeds_and_completes(openai_client: Any) -> None:
    _, client, _ = openai_client
    done = client.embeddings.create(model=MODEL, input=["a", "bcd"], encoding_format="float")
    assert sorted((one.index, one.embedding[0]) for one in done.data) == [(0, 1.0), (1, 3.0)]
    stream = client.completions.create(model=MODEL, prompt="x", stream=True)
    assert "".join(one.choices[0].text for one in stream) == "Hello, world!"


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "BadRequestError"), (401, "AuthenticationError"), (403, "PermissionDeniedError"),
     (404, "NotFoundError"), (429, "RateLimitError"), (500, "InternalServerError")],
)  # fmt: skip
def test_openai_knows_the_errors(openai_client: Any, status: int, name: str) -> None:
    openai, client, served = openai_client
    served.faults.append(Fault(status, "some_code"))
    with pytest.raises(getattr(openai, name), match="it went wrong") as caught:
        client.chat.completions.create(model=MODEL, messages=[USER])
    assert caught.value.code == "some_code"


def test_openai_sees_a_broken_stream(openai_client: Any) -> None:
    _, client, served = openai_client
    served.faults.append(Fault(after=2))
    with pytest.raises(Exception, match=r"(?i)incomplete|closed|connect"):
        list(client.chat.completions.create(model=MODEL, messages=[USER], stream=True))


# -- Anthropic ---------------------------------------------------------------------------------


@pytest.fixture
def anthropic_client() -> Any:
    anthropic = pytest.importorskip("anthropic")
    with AnthropicServer() as served:
        client = anthropic.Anthropic(api_key=KEY, base_url=served.address, max_retries=0)
        yield anthropic, client, served
        client.close()


def test_anthropic_streams(anthropic_client: Any) -> None:
    _, client, served = anthropic_client
    served.replies.append(THINKING)
    with client.messages.stream(model=MODEL, max_tokens=99, messages=[USER]) as stream:
        assert "".join(stream.text_stream) == "Hello, world!"
        done = stream.get_final_message()
    assert [block.type for block in done.content] == ["thinking", "text"]
    assert (done.content[0].thinking, done.content[0].signature) == ("Hm", "c2ln")
    assert (done.stop_reason, done.usage.input_tokens, done.usage.output_tokens) == (
        "end_turn", 5, 3
    )  # fmt: skip


def test_anthropic_calls_tools(anthropic_client: Any) -> None:
    _, client, served = anthropic_client
    served.replies += [CALLS, CALLS]
    with client.messages.stream(model=MODEL, max_tokens=99, messages=[USER]) as stream:
        streamed = stream.get_final_message()
    whole = client.messages.create(model=MODEL, max_tokens=99, messages=[USER])
    for done in (streamed, whole):
        block = next(one for one in done.content if one.type == "tool_use")
        assert (block.id, block.name, block.input) == ("call_1", "weather", {"city": "Rome"})
        assert done.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "BadRequestError"), (401, "AuthenticationError"), (404, "NotFoundError"),
     (429, "RateLimitError"), (529, "OverloadedError")],
)  # fmt: skip
def test_anthropic_knows_the_errors(anthropic_client: Any, status: int, name: str) -> None:
    _, client, served = anthropic_client
    from anthropic import _exceptions

    served.faults.append(Fault(status, "overloaded_error"))
    with pytest.raises(getattr(_exceptions, name), match="it went wrong") as caught:
        client.messages.create(model=MODEL, max_tokens=9, messages=[USER])
    assert caught.value.body["error"]["type"] == "overloaded_error"




# -- Ollama ------------------------------------------------------------------------------------


@pytest.fixture
def ollama_client() -> Any:
    ollama = pytest.importorskip("ollama")
    with OllamaServer() as served:
        headers = {"authorization": f"Bearer {KEY}"}
        yield ollama, ollama.Client(host=served.address, headers=headers), served


def test_ollama_streams(ollama_client: Any) -> None:
    _, client, served = ollama_client
    served.replies.append(Said(reasoning=("Hm",), logprobs=True))
    lines = list(client.chat(model=MODEL, messages=[USER], stream=True, think=True))
    assert "".join(one.message.content for one in lines) == "Hello, world!"
    assert lines[0].message.thinking == "Hm"
    assert (lines[-1].done, lines[-1].done_reason) == (True, "stop")
    assert (lines[-1].prompt_eval_count, lines[-1].eval_count) == (11, 3)


def test_ollama_calls_tools_completes_and_embeds(ollama_client: Any) -> None:
    _, client, served = ollama_client
    served.replies.append(CALLS)
    lines = list(client.chat(model=MODEL, messages=[USER], stream=True))
    [call] = [call for one in lines for call in one.message.tool_calls or ()]
    assert (call.function.name, dict(call.function.arguments)) == ("weather", {"city": "Rome"})
    assert client.chat(model=MODEL, messages=[USER]).message.content == "Hello, world!"
    raw = client.generate(model=MODEL, prompt="x", raw=True, stream=True)
    assert "".join(one.response for one in raw) == "Hello, world!"
    assert client.embed(model=MODEL, input=["a", "bcd"]).embeddings[1] == [3.0, 1.0, 0.0]


def test_ollama_knows_the_errors(ollama_client: Any) -> None:
    ollama, client, served = ollama_client
    for status in (400, 404, 500):
        served.faults.append(Fault(status))
        with pytest.raises(ollama.ResponseError, match="it went wrong") as caught:
            client.chat(model=MODEL, messages=[USER])
        assert caught.value.status_code == status


# -- Google ------------------------------------------------------------------------------------


@pytest.fixture
def google_client() -> Any:
    genai = pytest.importorskip("google.genai")
    with GoogleServer() as served:
        options = genai.types.HttpOptions(base_url=served.address, api_version="v1beta")
        client = genai.Client(api_key=KEY, http_options=options)
        yield genai, client, served
        client.close()


def test_google_streams(google_client: Any) -> None:
    genai, client, served = google_client
    served.replies.append(Said(reasoning=("Hm",), logprobs=True))
    config = genai.types.GenerateContentConfig(system_instruction="Be brief.", top_k=3, seed=1)
    events = list(client.models.generate_content_stream(model=MODEL, contents="hi", config=config))
    parts = [part for one in events for part in one.candidates[0].content.parts]
    assert "".join(part.text for part in parts if not part.thought) == "Hello, world!"
    assert (parts[0].text, parts[0].thought) == ("Hm", True)
    assert events[-1].candidates[0].finish_reason.name == "STOP"
    assert events[-1].usage_metadata.prompt_token_count == 11
    chosen = events[1].candidates[0].logprobs_result.chosen_candidates
    assert (chosen[0].token, chosen[0].log_probability) == ("Hello", -0.5)
    assert served.last.body["generationConfig"]["topK"] == 3


def test_google_calls_tools_and_embeds(google_client: Any) -> None:
    _, client, served = google_client
    served.replies.append(CALLS)
    done = client.models.generate_content(model=MODEL, contents="hi")
    [call] = done.function_calls
    assert (call.name, call.args) == ("weather", {"city": "Rome"})
    found = client.models.embed_content(model=MODEL, contents=["a", "bcd"])
    assert found.embeddings[1].values == [3.0, 1.0, 0.0]


def test_google_embeds_at_vertex(google_client: Any) -> None:
    genai, _, served = google_client
    client = genai.Client(
        vertexai=True, api_key=KEY, http_options={"base_url": served.address}
    )
    found = client.models.embed_content(model=MODEL, contents=["a", "bcd"])
    assert found.embeddings[1].values == [3.0, 1.0, 0.0]
    assert served.last.path.endswith(f"/models/{MODEL}:predict")


@pytest.mark.parametrize("status", [400, 401, 404, 429, 503])
def test_google_knows_the_errors(google_client: Any, status: int) -> None:
    genai, client, served = google_client
    served.faults += [Fault(status)] * 9
    with pytest.raises(genai.errors.APIError, match="it went wrong") as caught:
        client.models.generate_content(model=MODEL, contents="hi")
    assert caught.value.code == status


# -- Azure -------------------------------------------------------------------------------------


def test_azure_streams_and_embeds() -> None:
    openai = pytest.importorskip("openai")
    with AzureServer() as served:
        client = openai.AzureOpenAI(
            api_key=KEY, azure_endpoint=served.address, api_version="2024-10-21", max_retries=0
        )
        stream = client.chat.completions.create(model=MODEL, messages=[USER], stream=True)
        said = [one.choices[0].delta.content for one in stream if one.choices]
        assert "".join(filter(None, said)) == "Hello, world!"
        done = client.embeddings.create(model=MODEL, input=["a"], encoding_format="float")
        assert done.data[0].embedding == [1.0, 1.0, 0.0]
        served.faults.append(Fault(429))
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model=MODEL, messages=[USER])
        client.close()


# -- OpenAI's responses ------------------------------------------------------------------------


def test_responses_stream() -> None:
    openai = pytest.importorskip("openai")
    with ResponsesServer() as served:
        client = openai.OpenAI(api_key=KEY, base_url=served.address + "/v1", max_retries=0)
        with client.responses.stream(model=MODEL, input=[USER]) as stream:
            said = [one.delta for one in stream if one.type == "response.output_text.delta"]
            done = stream.get_final_response()
        assert "".join(said) == done.output_text == "Hello, world!"
        assert (done.usage.input_tokens, done.usage.input_tokens_details.cached_tokens) == (11, 4)
        served.replies.append(CALLS)
        whole = client.responses.create(model=MODEL, input=[USER])
        assert (whole.output[0].call_id, whole.output[0].arguments) == (CALL[0], CALL[2])
        client.close()


# -- Cohere ------------------------------------------------------------------------------------


@pytest.fixture
def cohere_client() -> Any:
    cohere = pytest.importorskip("cohere")
    with CohereServer() as served:
        yield cohere, cohere.ClientV2(api_key=KEY, base_url=served.address), served


def test_cohere_streams(cohere_client: Any) -> None:
    _, client, served = cohere_client
    served.replies.append(Said(reasoning=("Hm",)))
    events = list(client.chat_stream(model=MODEL, messages=[USER]))
    deltas = [one.delta.message.content for one in events if one.type == "content-delta"]
    assert "".join(one.text or "" for one in deltas) == "Hello, world!"
    assert deltas[0].thinking == "Hm"
    assert events[-1].delta.finish_reason == "COMPLETE"
    assert events[-1].delta.usage.tokens.input_tokens == 11


def test_cohere_calls_tools_and_embeds(cohere_client: Any) -> None:
    _, client, served = cohere_client
    served.replies.append(CALLS)
    events = list(client.chat_stream(model=MODEL, messages=[USER]))
    starts = [one for one in events if one.type == "tool-call-start"]
    assert starts[0].delta.message.tool_calls.function.name == "weather"
    pieces = [one.delta.message.tool_calls.function.arguments for one in events
              if one.type == "tool-call-delta"]  # fmt: skip
    assert "".join(pieces) == CALL[2]
    assert client.chat(model=MODEL, messages=[USER]).message.content[0].text == "Hello, world!"
    found = client.embed(model=MODEL, texts=["a", "bcd"], input_type="clustering",
                         embedding_types=["float"])  # fmt: skip
    assert found.embeddings.float_[1] == [3.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "BadRequestError"), (401, "UnauthorizedError"), (404, "NotFoundError"),
     (429, "TooManyRequestsError"), (500, "InternalServerError")],
)  # fmt: skip
def test_cohere_knows_the_errors(cohere_client: Any, status: int, name: str) -> None:
    cohere, client, served = cohere_client
    served.faults += [Fault(status, headers={"retry-after": "0"})] * 9
    with pytest.raises(getattr(cohere.errors, name)) as caught:
        client.chat(model=MODEL, messages=[USER])
    assert "it went wrong" in str(caught.value.body)


# -- Bedrock -----------------------------------------------------------------------------------


@pytest.fixture
def bedrock_client() -> Any:
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config

    with BedrockServer() as served:
        client = boto3.client(
            "bedrock-runtime", region_name="us-east-1", endpoint_url=served.address,
            aws_access_key_id="right", aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        yield client, served
        client.close()


def test_bedrock_streams(bedrock_client: Any) -> None:
    client, served = bedrock_client
    served.replies.append(Said(reasoning=("Hm",), calls=(CALL,), finish="tool_calls"))
    asked = [{"role": "user", "content": [{"text": "hi"}]}]
    events = list(client.converse_stream(modelId=MODEL, messages=asked)["stream"])
    deltas = [one["contentBlockDelta"]["delta"] for one in events if "contentBlockDelta" in one]
    assert deltas[0] == {"reasoningContent": {"text": "Hm"}}
    assert "".join(one.get("text", "") for one in deltas) == "Hello, world!"
    assert "".join(one["toolUse"]["input"] for one in deltas if "toolUse" in one) == CALL[2]
    assert {"messageStop": {"stopReason": "tool_use"}} in events
    assert events[-1]["metadata"]["usage"]["cacheReadInputTokens"] == 4


def test_bedrock_embeds(bedrock_client: Any) -> None:
    client, served = bedrock_client
    asked = {TITAN: {"inputText": "bcd"}, COHERE: {"texts": ["bcd"], "input_type": "clustering"}}
    titan, cohere = (
        json.loads(client.invoke_model(modelId=name, body=json.dumps(body))["body"].read())
        for name, body in asked.items()
    )
    assert titan["embedding"] == cohere["embeddings"]["float"][0] == [3.0, 1.0, 0.0]
    assert len(served.seen) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 429, 503])
def test_bedrock_knows_the_errors(bedrock_client: Any, status: int) -> None:
    from botocore.exceptions import ClientError

    client, served = bedrock_client
    served.faults.append(Fault(status))
    with pytest.raises(ClientError, match="it went wrong") as caught:
        client.converse_stream(modelId=MODEL, messages=[{"role": "user", "content": []}])
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
