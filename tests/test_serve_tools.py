"""A call of a tool that a model of this machine must make, over every protocol of the server."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from serving import MINI, Served, serving

from llmrr.protocols.anthropic.inputs import input_of
from llmrr.protocols.calling import Calling
from llmrr.router import Router
from llmrr.types import CallPiece, Chunk, ToolCall

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


class Told(NamedTuple):
    """What an answer says, however it came: words, calls with their arguments, and its end."""

    text: str
    calls: list[tuple[str, Any]]
    ended: str
    pieces: int = 0


def openai_told(served: Served, body: dict[str, Any]) -> Told:
    if not body.get("stream"):
        choice = served.ask("/v1/chat/completions", body).json()["choices"][0]
        calls = [one["function"] for one in choice["message"].get("tool_calls", ())]
        said = [(one["name"], one["arguments"]) for one in calls]
        return Told(choice["message"]["content"] or "", said, choice["finish_reason"])
    events = served.ask("/v1/chat/completions", body).events()
    choices = [one["choices"][0] for one in events if isinstance(one, dict) and one["choices"]]
    pieces = [call for one in choices for call in one["delta"].get("tool_calls", ())]
    found: dict[int, tuple[str, str]] = {}
    for one in pieces:
        about = one["function"]
        if "id" in one:
            assert one["index"] == len(found)
            assert (one["type"], about["arguments"]) == ("function", "")
            found[one["index"]] = about["name"], ""
        else:
            assert set(about) == {"arguments"}
            name, before = found[one["index"]]
            found[one["index"]] = name, before + about["arguments"]
    text = "".join(one["delta"].get("content") or "" for one in choices)
    return Told(text, [*found.values()], choices[-1]["finish_reason"], len(pieces))


def anthropic_told(served: Served, body: dict[str, Any]) -> Told:
    if not body.get("stream"):
        said = served.ask("/v1/messages", body).json()
        blocks = said["content"]
    else:
        events = served.ask("/v1/messages", body).events()
        blocks, said = anthropic_blocks(events)
    text = "".join(one["text"] for one in blocks if one["type"] == "text")
    calls = [(one["name"], one["input"]) for one in blocks if one["type"] == "tool_use"]
    return Told(text, calls, said["stop_reason"], sum(one.get("pieces", 0) for one in blocks))


def anthropic_blocks(events: list[Any]) -> tuple[list[Any], Any]:
    """The blocks, as Anthropic's clients put them together, and how the message ended."""
    blocks: list[Any] = []
    is_open = False
    for one in events:
        if one["type"] == "content_block_start":
            assert not is_open
            is_open = True
            blocks.append({**one["content_block"], "json": "", "pieces": 0})
        elif one["type"] == "content_block_delta":
            assert is_open
            block, delta = blocks[one["index"]], one["delta"]
            block["text"] = block.get("text", "") + delta.get("text", "")
            block["json"] += delta.get("partial_json", "")
            block["pieces"] += 1
        elif one["type"] == "content_block_stop":
            is_open = False
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = input_of(block["json"])
    return blocks, next(one["delta"] for one in events if one["type"] == "message_delta")


def responses_told(served: Served, body: dict[str, Any]) -> Told:
    if not body.get("stream"):
        said = served.ask("/v1/responses", body).json()
        return Told("", calls_of_output(said), said["status"])
    events = served.ask("/v1/responses", body).events()
    name = "response.function_call_arguments"
    pieces = [one for one in events if one["type"] == f"{name}.delta"]
    done = [one for one in events if one["type"] == f"{name}.done"]
    whole = {one["item_id"]: "" for one in pieces}
    for one in pieces:
        whole[one["item_id"]] += one["delta"]
    assert whole == {one["item_id"]: one["arguments"] for one in done}
    items = [one["item"] for one in events if one["type"] == "response.output_item.done"]
    assert items == events[-1]["response"]["output"]
    last = events[-1]["response"]
    return Told("", calls_of_output(last), last["status"], len(pieces))


def calls_of_output(said: Any) -> list[tuple[str, Any]]:
    """With the status of each."""
    items = [one for one in said["output"] if one["type"] == "function_call"]
    return [(one["name"], (one["arguments"], one["status"])) for one in items]


RESPONSES = {
    "model": "small", "input": "How is the weather?", "tool_choice": "required", "temperature": 0,
    "tools": [{"type": "function", **ABOUT, "parameters": SCHEMA}],
}  # fmt: skip
ANTHROPIC = {**ASK, "tools": [{**ABOUT, "input_schema": SCHEMA}], "temperature": 0,
             "tool_choice": {"type": "tool", "name": "get_weather"}}  # fmt: skip
WAYS = {
    "chat": (openai_told, {**OPENAI, "temperature": 0}, "max_tokens", "length", "tool_calls"),
    "messages": (anthropic_told, ANTHROPIC, "max_tokens", "max_tokens", "tool_use"),
    "responses": (
        responses_told, RESPONSES, "max_output_tokens", "incomplete", "completed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_pieces_make_up_the_call_that_an_unstreamed_answer_has(served: Served, way: Any) -> None:
    ask, body, limit, _, ended = way
    whole = ask(served, {**body, limit: 200})
    told = ask(served, {**body, limit: 200, "stream": True})
    assert told == whole._replace(pieces=told.pieces)
    assert whole.ended == ended
    assert whole.calls[0][0] == "get_weather"
    assert told.pieces > 3


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a_call_that_is_cut_is_the_same_streamed_or_not(served: Served, way: Any) -> None:
    ask, body, limit, ended, _ = way
    beginnings = []
    for count in range(6, 40, 3):
        whole = ask(served, {**body, limit: count})
        told = ask(served, {**body, limit: count, "stream": True})
        assert told == whole._replace(pieces=told.pieces)
        assert whole.ended == ended or count > 20
        beginnings += whole.calls
    assert len({repr(one) for one in beginnings}) > 1


A, B = ((CallPiece(name, name, "{"), CallPiece(name, name, "}")) for name in "ab")
WHOLE = ToolCall("c", "c", "{}")
MIXED = (Chunk(call_pieces=(A[0], B[0])), Chunk(call_pieces=(B[1], A[1])),
         Chunk(tool_calls=(ToolCall("a", "a", "{}"), ToolCall("b", "b", "{}"), WHOLE)))  # fmt: skip


@pytest.mark.parametrize(("how", "told"), [
    ({}, ["begin 0 {", "begin 1 {", "1 }", "0 }", "begin 2 {}"]),
    ({"in_turn": True}, ["begin 0 {", "0 }", "begin 1 {", "1 }", "begin 2 {}"]),
    ({"only_one": True}, ["begin 0 {", "0 }"]),
])  # fmt: skip
def test_pieces_of_several_calls_keep_apart(how: dict[str, bool], told: list[str]) -> None:
    calling = Calling(**how)
    found = [one for chunk in MIXED for one in calling.pieces(chunk)]
    said = [f"{'begin ' * one.begins}{one.number} {one.call.arguments}" for one in found]
    assert said == told


def test_a_broken_call_holds_nobody_up() -> None:
    broken = CallPiece("a", "a", "{'")
    chunks = (Chunk(call_pieces=(broken, B[0])), Chunk(call_pieces=(B[1],)),
              Chunk(tool_calls=(ToolCall("a", "a", "{'"),)))  # fmt: skip
    calling = Calling(in_turn=True)
    found = [[(one.number, one.begins) for one in calling.pieces(chunk)] for chunk in chunks]
    assert found == [[(0, True)], [], [(1, True), (1, False)]]


def test_arguments_that_are_a_text_are_told_to_their_end() -> None:
    pieces = [CallPiece("a", "a", one) for one in ('"{', "}", '"')]
    chunks = [Chunk(call_pieces=(one, *(B if one is pieces[1] else ()))) for one in pieces]
    calling = Calling(in_turn=True)
    found = [one for chunk in chunks for one in calling.pieces(chunk)]
    assert [one.call for one in found] == pieces


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
