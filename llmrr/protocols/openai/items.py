"""The input of the responses API, a text or a list of items, as the turns of a conversation.

https://platform.openai.com/docs/api-reference/responses/create
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai.messages import turn
from llmrr.types import Message

_RESULTS: Final = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")
# What OpenAI's servers did between: what came of it is in the words behind.
_DONE_ELSEWHERE: Final = ("web_search_call", "file_search_call")


def turns(given: Fields) -> tuple[Message, ...]:
    """The turns that the input adds. Raises ``BadField`` naming the item that is wrong."""
    value = given.get("input")
    if isinstance(value, str) and value:
        return (Message("user", value),)
    if not isinstance(value, list) or not value:
        raise given.bad("input", "text, or list of items")
    found: list[Message] = []
    for at, one in enumerate(value):
        _add(found, one, f"input[{at}]")
    found = [one for one in found if not _is_thought(one)]
    if not found:
        raise BadField("input", "the input holds nothing to answer", '{"role": "user", …}')
    return tuple(found)


def _add(found: list[Message], item: object, place: str) -> None:
    if not isinstance(item, Mapping):
        raise BadField(place, f"{place} is no item", '{"role": "user", "content": "…"}')
    kind = item.get("type") or "message"
    if kind == "message":
        made = turn(item, place)
        if made.role == "assistant" and found and _is_thought(found[-1]):
            made = replace(made, reasoning=found.pop().reasoning)
        found.append(made)
    elif kind == "reasoning":
        if thought := _thought(item):
            found.append(Message("assistant", "", reasoning=thought))
    elif kind == "function_call":
        _add_call(found, item, place)
    elif kind in ("custom_tool_call", "local_shell_call"):
        _add_call(found, _as_function(item), place)
    elif kind in _RESULTS:
        found.append(turn(_result(item, place), place))
    elif kind not in _DONE_ELSEWHERE:
        said = f"{place} has the type {kind!r}, which is not served here"
        raise BadField(f"{place}.type", said, "message", code="unsupported_value")


def _add_call(found: list[Message], item: Mapping[str, Any], place: str) -> None:
    """A call belongs to the turn of the model before it: several stand in one turn."""
    call = {"id": _id(item, place), "type": "function", "function": item}
    made = turn({"role": "assistant", "content": "", "tool_calls": [call]}, place)
    last = found[-1] if found else None
    if last is not None and last.role == "assistant":
        found[-1] = replace(last, tool_calls=(*last.tool_calls, *made.tool_calls))
    else:
        found.append(made)


def _as_function(item: Mapping[str, Any]) -> dict[str, Any]:
    """The call of another tool as one of a function: a conversation that began elsewhere goes on
    here.

    >>> _as_function({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "+"})
    {'call_id': 'c', 'name': 'f', 'arguments': '{"input": "+"}'}
    """
    found = {"call_id": item.get("call_id"), "name": item.get("name")}
    if item["type"] == "local_shell_call":
        return {**found, "name": "local_shell", "arguments": json.dumps(item.get("action"))}
    return {**found, "arguments": json.dumps({"input": item.get("input")})}


def _thought(item: Mapping[str, Any]) -> str:
    """What the model thought, in its words, else in short; what is sealed for OpenAI's own servers
    cannot be read."""
    found = item.get("content") or item.get("summary")
    parts = found if isinstance(found, list) else ()
    texts = [one.get("text") for one in parts if isinstance(one, Mapping)]
    return "".join(one for one in texts if isinstance(one, str))


def _is_thought(message: Message) -> bool:
    """Whether it waits for what the model said, or called, behind it."""
    return bool(message.reasoning) and not (message.content or message.tool_calls)


def _result(item: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": _id(item, place), "content": item.get("output")}


def _id(item: Mapping[str, Any], place: str) -> str:
    named = "id" if item.get("type") == "local_shell_call_output" else "call_id"
    id = item.get("call_id") or item.get(named)
    if not isinstance(id, str) or not id:
        raise BadField(f"{place}.call_id", f"{place} has no call_id")
    return id
