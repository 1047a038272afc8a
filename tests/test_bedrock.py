"""Bedrock's converse through boto3. Runs where that is installed; one test where it is not."""

import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from other_servers import COHERE, TITAN, BedrockServer, aws_frame
from provider_servers import MODEL, Fault, Said
from remote_cases import answer, asked

from llmrr.engines import remote
from llmrr.engines.base import Options
from llmrr.errors import (
    AuthenticationFailed,
    BadConfig,
    BrokenStream,
    ConnectionFailed,
    ContentRefused,
    ContextOverflow,
    FeatureMissing,
    LlmrrError,
    NotFound,
    Overloaded,
    RateLimited,
    RequestRefused,
    TimedOut,
    Unreachable,
)
from llmrr.types import Endpoint, Image, Message, Request, Tool, ToolCall

TOOL = Tool("weather", "The weather.", {"type": "object", "properties": {"city": {}}})


def load(endpoint: Endpoint) -> Any:
    engine = remote.named("bedrock")
    assert engine is not None
    return engine.load(endpoint, Options())


def test_without_boto3_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(FeatureMissing, match="needs boto3") as caught:
        load(Endpoint("bedrock", MODEL))
    assert (caught.value.hint, caught.value.exit_code) == ("pip install boto3", 4)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "right")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def talking(account: None) -> Iterator[Any]:
    with BedrockServer() as served:
        models = []

        def model(**more: Any) -> Any:
            models.append(load(Endpoint("bedrock", MODEL, base_url=served.address, **more)))
            return models[-1]

        yield served, model
        for one in models:
            one.close()


def test_an_answer(talking: Any) -> None:
    served, model = talking
    served.replies.append(Said(reasoning=("Hm",)))
    chunks = list(model().generate(asked(
        "hi", temperature=0.5, stop=("END",), max_tokens=9, think="off"
    )))  # fmt: skip
    assert [one.reasoning or one.text for one in chunks] == ["Hm", "Hello", ", ", "world!", ""]
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (11, 4, 3)
    assert (chunks[-1].finish_reason, usage.estimated) == ("stop", False)
    sent = served.last.body
    assert sent["messages"] == [{"role": "user", "content": [{"text": "hi"}]}]
    settings = {"temperature": 0.5, "stopSequences": ["END"], "maxTokens": 9}
    assert sent["inferenceConfig"] == settings


def test_tools_images_and_a_schema(talking: Any) -> None:
    served, made = talking
    model = made()
    served.replies.append(Said(
        text=(), reasoning=("Hm",), calls=(("c1", "weather", '{"city": "Rome"}'),),
        finish="tool_calls",
    ))  # fmt: skip
    picture = Message.of("user", "What?", Image(data=b"abc"))
    turns = (Message("system", "Be brief."), picture)
    chunks = list(model.generate(Request(messages=turns, tools=(TOOL,), tool_choice="weather")))
    [call] = [one for chunk in chunks for one in chunk.tool_calls]
    assert (call.id, call.name, call.arguments) == ("c1", "weather", '{"city": "Rome"}')
    assert chunks[-1].finish_reason == "tool_calls"
    sent = served.last.body
    assert sent["system"] == [{"text": "Be brief."}]
    assert sent["messages"][0]["content"][1]["image"] == {
        "format": "png", "source": {"bytes": "YWJj"}
    }  # fmt: skip
    assert sent["toolConfig"]["toolChoice"] == {"tool": {"name": "weather"}}
    later = (picture, Message("assistant", "", tool_calls=(call,)),
             Message("tool", "sunny", tool_call_id="c1"))  # fmt: skip
    assert answer(model, Request(messages=later, tools=(TOOL,))) == "Hello, world!"
    thought, used = served.last.body["messages"][1]["content"]
    assert thought["reasoningContent"]["reasoningText"] == {"text": "Hm", "signature": "c2ln"}
    assert used["toolUse"]["input"] == {"city": "Rome"}
    result = served.last.body["messages"][2]["content"][0]["toolResult"]
    assert result == {"toolUseId": "c1", "content": [{"text": "sunny"}]}
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    answer(model, asked(schema=schema))
    shape = served.last.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert json.loads(shape["schema"]) == schema


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(400), RequestRefused),
        (Fault(400, message="Input is too long for requested model."), ContextOverflow),
        (Fault(403), AuthenticationFailed),
        (Fault(404), NotFound),
        (Fault(429, headers={"retry-after": "7"}), RateLimited),
        (Fault(500), Overloaded),
        (Fault(503), Overloaded),
        (Fault(after=2, raw=aws_frame("throttlingException", {"message": "slow"}, "exception")),
         RateLimited),
        (Fault(after=2), BrokenStream),
        (Fault(after=2, raw=b"no frame at all, but text"), BrokenStream),
    ],
)  # fmt: skip
def test_what_goes_wrong(talking: Any, fault: Fault, kind: type[LlmrrError]) -> None:
    served, made = talking
    model = made()
    served.faults.append(fault)
    with pytest.raises(LlmrrError) as caught:
        list(model.generate(asked()))
    assert type(caught.value) is kind, caught.value
    assert MODEL in caught.value.message
    assert answer(model) == "Hello, world!"


def test_a_guardrail(talking: Any) -> None:
    served, model = talking
    served.replies.append(Said(finish="guardrail_intervened"))
    with pytest.raises(ContentRefused, match="guardrail_intervened"):
        list(model().generate(asked()))


def test_what_is_lacking(talking: Any) -> None:
    served, made = talking
    model = made()
    for name, value in (("top_k", 3), ("seed", 1), ("think", "low"), ("grammar", "g")):
        with pytest.raises(FeatureMissing, match=f"bedrock has no {name}"):
            model.generate(asked(**{name: value}))
    for call in (lambda: model.embed(["a"]), lambda: model.logits([1]),
                 lambda: made(api_key_env="X")):  # fmt: skip
        with pytest.raises(FeatureMissing, match="bedrock"):
            call()
    far = Request(messages=(Message.of("user", Image(url="https://a/b.png")),))
    with pytest.raises(FeatureMissing, match="by their address"):
        model.generate(far)
    assert model.tokenize("a") is None
    assert served.seen == []


@pytest.mark.parametrize(("name", "calls"), [(TITAN, 100), (COHERE, 2)])
def test_vectors(account: None, name: str, calls: int) -> None:
    texts = ["a" * (1 + at) for at in range(100)]
    with BedrockServer() as served:
        model = load(Endpoint("bedrock", name, base_url=served.address, max_retries=1))
        found = model.embed(texts)
        assert len(served.seen) == calls
        assert [round(one[0] / one[1]) for one in found] == [len(text) for text in texts]
        assert all(abs(sum(x * x for x in one) - 1) < 1e-9 for one in found)
        served.faults.append(Fault(503))
        assert len(model.embed(["a"])) == 1
        for fault, kind in ((Fault(400), RequestRefused), (Fault(403), AuthenticationFailed),
                            (Fault(200, body=b"[1"), BrokenStream),
                            (Fault(200, body=b'{"x": 1}'), BrokenStream)):  # fmt: skip
            served.faults += [fault] * 2
            with pytest.raises(LlmrrError) as caught:
                model.embed(["a"])
            assert type(caught.value) is kind, caught.value
            served.faults.clear()
        model.close()
        with pytest.raises(LlmrrError, match="closed"):
            model.embed(["a"])


def test_cancelling_and_times(talking: Any) -> None:
    served, made = talking
    served.faults.append(Fault(after=2, stalls=True))
    stream = made().generate(asked())
    assert next(stream).text == "Hello"
    assert served.stalled.wait(20)
    threading.Thread(target=stream.cancel).start()
    assert [one.finish_reason for one in stream] == ["cancelled"]
    assert served.gone.wait(20)
    for after, limits, message in (
        (2, {"between_tokens": 0.3}, "said nothing for 0.3 s"),
        (0, {"first_token": 0.3}, "did not begin"),
    ):
        served.faults.append(Fault(after=after, stalls=True))
        with pytest.raises(TimedOut, match=message):
            list(made(**limits).generate(asked()))


def test_an_account_that_is_none(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with BedrockServer() as served:
        endpoint = Endpoint("bedrock", MODEL, base_url=served.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
        with pytest.raises(AuthenticationFailed):
            answer(load(endpoint))
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(Unreachable, match="needs keys") as caught:
            answer(load(endpoint))
        assert caught.value.hint == "aws configure"
    with pytest.raises((ConnectionFailed, Unreachable)):
        answer(load(endpoint))
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(BadConfig, match="needs a region"):
        load(endpoint)


def test_a_call_in_an_older_turn() -> None:
    from llmrr.engines.remote.bedrock import turns

    call = ToolCall("c1", "weather", "")
    [turn] = turns([Message("assistant", "Let me see.", tool_calls=(call,))])
    assert turn["content"][1]["toolUse"]["input"] == {}
