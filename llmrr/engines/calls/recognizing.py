"""Which way of writing calls a chat template shows by what it makes of one: that of a family, or
one that can be told from the template itself."""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from llmrr.engines.calls.base import Said, Syntax, call_of, closing, members
from llmrr.engines.calls.families import FAMILIES
from llmrr.engines.calls.parsing import Parser
from llmrr.engines.calls.tagged import Tagged
from llmrr.types import Tool, ToolCall


class Turns(NamedTuple):
    """What a template made of a turn with a ``call``, and of the same turn with ``words``: each up
    to what follows it."""

    called: str
    call: ToolCall
    spoken: str
    words: str


def recognized(turns: Turns, signed: Syntax | None) -> Syntax | None:
    """The family that reads the call: the one whose sign the template has, if it does. None where
    none does, and where none can be made up that would."""
    head, _, tail = turns.spoken.partition(turns.words)
    at = _behind(turns.called, head)
    families = (*filter(None, (signed,)), *FAMILIES)
    found = next((one for one in families if _reads(one, turns, at)), None)
    if found is None and signed and turns.called[at:].lstrip().startswith(signed.leading or "\0"):
        return signed  # what stands in it no family could read
    return found or _inferred(turns, at, tail)


def _behind(text: str, head: str) -> int:
    """Where the head of a turn ends, however it is spaced; 0 where there is another one."""
    marks = (re.escape(one) for one in head if not one.isspace())
    found = re.match("".join(rf"\s*{one}" for one in marks), text)
    return found.end() if found else 0


def _reads(family: Syntax, turns: Turns, at: int) -> bool:
    text = turns.called
    starts = (*family.triggers, *filter(None, (family.opened,)))
    places = [place for place in range(len(text)) if text.startswith(starts, place)]
    if at and text[at:].lstrip().startswith(family.leading or "\0"):
        places.append(at)
    tools = {turns.call.name: Tool(turns.call.name, "", {"type": "object", "properties": {}})}
    return any(_is(turns.call, _said(family, text[place:], tools)) for place in places)


def _said(family: Syntax, text: str, tools: dict[str, Tool]) -> Iterable[Said]:
    parser = Parser(family, tools)
    return (said for one in (parser.push(text), parser.finish()) for said in one.calls)


def _is(call: ToolCall, said: Iterable[Said]) -> bool:
    """Is the first one that was said this?"""
    first = next(iter(said), None)
    try:
        return first is not None and first.name == call.name and (
            json.loads(first.arguments) == json.loads(call.arguments)
        )  # fmt: skip
    except ValueError:
        return False


def _inferred(turns: Turns, at: int, tail: str) -> Syntax | None:
    """Objects of JSON between marks that no family has."""
    begin, text = turns.called.find("{", at), turns.called
    end = closing(text, begin) if begin >= 0 else None
    said = call_of(text[begin:end]) if end else None
    if not (at and end and said and _is(turns.call, [said])):
        return None
    before, behind = text[at:begin].strip(), text[end:]
    listed = before.endswith("[")
    opening = before.removesuffix("[").strip()
    if len(opening) < 3 or opening.isalnum():  # no mark: words may hold it
        return None
    stop = behind.find(tail.lstrip()[:4] or "\0")
    close = behind[: max(stop, 0)].strip().removeprefix("]" if listed else "").strip()
    name, given = list(members(text[begin:end]) or {})[-2:]
    return Tagged("inferred", open=opening, close=close, listed=listed, keys=(name, given))
