"""Tools, calls and their results, as the values that a chat template is rendered with.

Chat templates differ in what they take: arguments as an object or as text, several calls in one
turn or one, ids of nine letters; and some know nothing of tools. So a template is tried with a
short conversation, and what it drops or refuses it is not given.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any, Final, NamedTuple

from llmrr.engines.calls.base import ANY_OBJECT, Syntax
from llmrr.engines.calls.recognizing import Turns
from llmrr.engines.thinking import thought
from llmrr.types import Message, Tool, ToolCall

Turn = dict[str, Any]
# Renders turns with tools; None where the template cannot.
Try = Callable[[list[Turn], list[Turn]], str | None]


class Shape(NamedTuple):
    """What a chat template takes: tools, calls with their results, arguments as objects, several
    calls in one turn; whether ids must have nine letters or name their tools, and a turn without
    words None for them.
    """

    tools: bool = False
    calls: bool = False
    objects: bool = True
    several: bool = True
    short_ids: bool = False
    null: bool = False
    named_ids: bool = False


def shape_of(render: Try) -> Shape:
    """What this template takes, found by trying. A template that writes an object as Python would,
    or the text of one as a string, takes the other."""
    ids = ((False, False), (True, False), (False, True))
    for several, null, objects, (short, named) in product((True, False), (False, True),
                                                          (True, False), ids):  # fmt: skip
        shape = Shape(True, True, objects, several, short, null, named)
        text = render(as_turns(_TRIED if several else _TRIED_ONE, shape), [function(_TOOL)])
        if text is not None and _keeps(text, several=several):
            return shape._replace(tools=_TOOL.name in text)
    text = render(as_turns(_TRIED[:1], Shape()), [function(_TOOL)])
    return Shape(tools=text is not None and _TOOL.name in text)


def tried_turns(shape: Shape, render: Try) -> Turns:
    """What a template of this shape makes of a turn with a call, and of one with words."""
    called, spoken = (
        (render(as_turns(each, shape), [function(_TOOL)]) or "")
        .partition(each[0].content)[2].partition(each[2].content)[0]
        for each in (_TRIED_ONE, _SPOKEN)
    )  # fmt: skip
    return Turns(called, _TRIED[1].tool_calls[0], spoken, _SPOKEN[1].content)


def function(tool: Tool) -> dict[str, Any]:
    """A tool as transformers hands it to a template."""
    about = {
        "name": tool.name,
        "description": tool.description,
        "parameters": {**ANY_OBJECT, **tool.parameters},
    }
    return {"type": "function", "function": about}


def as_turns(messages: Sequence[Message], shape: Shape) -> list[Turn]:
    """The messages as values for a template of this shape."""
    calls = {call.id: call.name for one in messages for call in one.tool_calls}
    known = {
        identifier: _Known(name, _id(identifier, f"functions.{name}:{number}", shape))
        for number, (identifier, name) in enumerate(calls.items())
    }
    found = messages if shape.several else _one_by_one(messages)
    return [_turn(one, known, shape) for one in found]


class _Known(NamedTuple):
    """The name of the tool that was called with an id, and that id as a template takes it."""

    name: str
    id: str


def explained(messages: Sequence[Message], tools: Sequence[Tool], syntax: Syntax) -> list[Message]:
    """The messages with the tools in the system message, for a template that has no place for
    them."""
    if not tools:
        return [*messages]
    told = instructions(tools, syntax)
    if messages and messages[0].role == "system":
        whole = f"{messages[0].content}\n\n{told}".strip()
        return [replace(messages[0], content=whole), *messages[1:]]
    return [Message("system", told), *messages]


def instructions(tools: Sequence[Tool], syntax: Syntax) -> str:
    """What a model is told that its template tells nothing of tools."""
    listed = "\n".join(json.dumps(function(one), ensure_ascii=False) for one in tools)
    example = syntax.written([ToolCall("", "FUNCTION-NAME", '{"PARAMETER-NAME": "VALUE"}')])
    return (
        "You may call functions to help with the user's request. Their signatures:\n"
        f"<tools>\n{listed}\n</tools>\n"
        "To call a function, write its name and its arguments in exactly this form, and nothing "
        f"behind it:\n{example}\n"
        "The results are given to you in the next message. Where no function helps, answer as "
        "usual."
    )


def spelled(messages: Sequence[Message], syntax: Syntax) -> list[Message]:
    """The messages with calls and results as plain words, for a template that has no place for
    them. Results that follow each other, and the question behind them, are one turn of the user.
    """
    found: list[Message] = []
    for one in messages:
        if one.role == "tool":
            one = Message("user", f"<tool_response>\n{one.content}\n</tool_response>")
            if found and found[-1].role == "user" and "<tool_response>" in found[-1].content:
                one = replace(one, content=f"{found.pop().content}\n{one.content}")
        elif one.role == "user" and found and _is_result(found[-1]):
            before = found.pop().content
            parts = (f"{before}\n\n", *one.parts) if one.parts else ()
            one = replace(one, content=f"{before}\n\n{one.content}", parts=parts)
        elif one.tool_calls:
            said = "\n".join(filter(None, (one.content, syntax.written(one.tool_calls))))
            one = replace(one, content=said, tool_calls=())
        found.append(one)
    return found


def _is_result(message: Message) -> bool:
    return message.role == "user" and message.content.startswith("<tool_response>")


def _turn(message: Message, known: Mapping[str, _Known], shape: Shape) -> Turn:
    turn: Turn = {"role": message.role, "content": message.content, **thought(message)}
    if message.tool_calls:
        if shape.null and not message.content:
            turn["content"] = None
        turn["tool_calls"] = [_call(one, known, shape) for one in message.tool_calls]
    if message.role == "tool":
        identifier = message.tool_call_id or ""
        call = known.get(identifier) or _Known("", _id(identifier, identifier, shape))
        turn["tool_call_id"] = call.id
        turn["name"] = message.name or call.name
    return turn


def _call(call: ToolCall, known: Mapping[str, _Known], shape: Shape) -> dict[str, Any]:
    given: Any = call.arguments or "{}"
    if shape.objects:
        with suppress(ValueError, RecursionError):  # what a model wrote once it is shown again
            given = json.loads(given)
    about = {"name": call.name, "arguments": given}
    return {"id": known[call.id].id, "type": "function", "function": about}


_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _id(identifier: str, named: str, shape: Shape) -> str:
    """The same id always becomes the same, so that a prompt begins as the one before it did."""
    if shape.named_ids:
        return named
    if not shape.short_ids or re.fullmatch(r"[0-9A-Za-z]{9}", identifier):
        return identifier
    import hashlib

    digest = hashlib.sha256(identifier.encode()).digest()
    return "".join(_LETTERS[one % len(_LETTERS)] for one in digest[:9])


def in_order(messages: Sequence[Message]) -> list[Message]:
    """The messages with results in the order of the calls that they answer: most templates write
    no ids, and a model takes the first result for that of the first call.

    >>> calls = ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")
    >>> results = [Message("tool", one, tool_call_id=one) for one in "ba"]
    >>> [one.content for one in in_order([Message("assistant", "", tool_calls=calls), *results])]
    ['', 'a', 'b']
    """
    found: list[Message] = []
    for turn, results in _answered(messages):
        places = {call.id: at for at, call in reversed([*enumerate(turn.tool_calls)])}
        if all(one.tool_call_id in places for one in results):
            results.sort(key=lambda one: places[one.tool_call_id or ""])
        found += [turn, *results]
    return found


def _one_by_one(messages: Sequence[Message]) -> list[Message]:
    """The messages with one call in each turn, and its result behind it."""
    found: list[Message] = []
    for turn, results in _answered(messages):
        calls = turn.tool_calls if len(turn.tool_calls) > 1 else ()
        for at, call in enumerate(calls):
            said = turn.content if at == 0 else ""
            found.append(replace(turn, content=said, tool_calls=(call,)))
            mine = [one for one in results if one.tool_call_id == call.id]
            if any(later.id == call.id for later in calls[at + 1 :]):
                mine = mine[:1]  # the others answer the later ones
            found += mine
            results = [one for one in results if all(one is not each for each in mine)]
        found += results if calls else [turn, *results]
    return found


def _answered(messages: Sequence[Message]) -> Iterator[tuple[Message, list[Message]]]:
    """Each turn with the results that follow it, where it has calls."""
    left = deque(messages)
    while left:
        turn, results = left.popleft(), []
        while turn.tool_calls and left and left[0].role == "tool":
            results.append(left.popleft())
        yield turn, results


# A conversation with words that occur in no template.
_TOOL = Tool(
    "zq_offered", "zq about",
    {"type": "object", "required": ["zq_key"], "properties": {
        "zq_key": {"type": "string", "description": "zq key"}, "zq_other": {"type": "integer"}}},
)  # fmt: skip
_TRIED = (
    Message("user", "zq question"),
    Message("assistant", "", tool_calls=(ToolCall("zq-1", "zq_tool", '{"zq_key": "zq_one"}'),
                                         ToolCall("zq-2", "zq_tool", '{"zq_key": "zq_two"}'))),
    Message("tool", "zq_result_one", tool_call_id="zq-1"),
    Message("tool", "zq_result_two", tool_call_id="zq-2"),
)  # fmt: skip

_TRIED_ONE = (_TRIED[0], replace(_TRIED[1], tool_calls=_TRIED[1].tool_calls[:1]), _TRIED[2])
_SPOKEN = (_TRIED[0], Message("assistant", "zq words"), Message("user", "zq more"))


def _keeps(text: str, *, several: bool) -> bool:
    """Is all of the conversation there, its arguments as a model should write them?"""
    wanted = ["zq_one", "zq_result_one", *(["zq_two", "zq_result_two"] if several else [])]
    wrong = ("'zq_one'", '\\"zq_one')
    # The name also stands where a result is: only before is it that of the call.
    is_named = "zq_tool" in text.partition("zq_two" if several else "zq_result_one")[0]
    return is_named and all(one in text for one in wanted) and not any(
        one in text for one in wrong
    )  # fmt: skip
