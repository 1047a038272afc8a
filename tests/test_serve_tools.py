"""A call of a tool that a model of this machine must make, over every protocol of the server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from serving import MINI, Served, serving

from llmrr.router import Router

SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}},
          "required": ["city"], "additionalProperties": False}  # fmt: skip
ABOUT = {"name": "get_weather", "description": "The weather."}
FUNCTION = {"type": "function", "function": {**ABOUT, "parameters": SCHEMA}}
ASK: dict[str, Any] = {
    "model": "small", "max_tokens": 200,
    "messages": [{"role": "user", "content": "How is the weather?"}],
}  # fmt: skip
OPENAI = {**ASK, "tools": [FUNCTION],
          "tool_choice": {"type": "function", "function": {"name": "get_weather"}}}  # fmt: skip
CITIES = ("Paris", "Rome")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Router({**MINI, "cache": {"enabled": False}})) as found:
        yield found


def test_openais_chat(served: Served) -> None:
    choice = served.ask("/v1/chat/completions", OPENAI).json()["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"])["city"] in CITIES


def test_openais_stream(served: Served) -> None:
    events = served.ask("/v1/chat/completions", {**OPENAI, "stream": True}).events()
    choices = [one["choices"][0] for one in events if isinstance(one, dict) and one["choices"]]
    calls = [call for one in choices for call in one["delta"].get("tool_calls", ())]
    assert "".join(call["function"]["arguments"] for call in calls if call["index"] == 0)
    assert calls[0]["function"]["name"] == "get_weather"
    assert calls[0]["id"]
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert not any(one["delta"].get("content") for one in choices)


def test_openais_responses(served: Served) -> None:
    tool = {"type": "function", **ABOUT, "parameters": SCHEMA}
    body = {"model": "small", "input": "How is the weather?", "max_output_tokens": 200,
            "tools": [tool], "tool_choice": "required"}  # fmt: skip
    output = served.ask("/v1/responses", body).json()["output"]
    calls = [one for one in output if one["type"] == "function_call"]
    assert calls
    assert {one["name"] for one in calls} == {"get_weather"}


def test_anthropics_messages(served: Served) -> None:
    body = {**ASK, "tools": [{**ABOUT, "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": "get_weather"}}  # fmt: skip
    said = served.ask("/v1/messages", body).json()
    (call,) = said["content"]
    assert (said["stop_reason"], call["type"], call["name"]) == (
        "tool_use", "tool_use", "get_weather",
    )  # fmt: skip
    assert call["input"]["city"] in CITIES


def test_a_result_is_given_back(served: Served) -> None:
    call = {"id": "call_1", "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}  # fmt: skip
    turns = [*ASK["messages"], {"role": "assistant", "content": None, "tool_calls": [call]},
             {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]  # fmt: skip
    said = served.ask("/v1/chat/completions", {**ASK, "messages": turns, "tools": [FUNCTION]})
    assert said.status == 200
    assert said.json()["choices"][0]["message"]["role"] == "assistant"


def test_a_choice_of_no_tool_that_there_is_is_refused(served: Served) -> None:
    wrong = {"type": "function", "function": {"name": "absent"}}
    said = served.ask("/v1/chat/completions", {**OPENAI, "tool_choice": wrong})
    assert said.status == 400
    assert "absent" in said.json()["error"]["message"]
