"""The turns of a conversation, as Anthropic's clients write them: texts, or lists of blocks."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llmrr.engines.remote.dialect import signed
from llmrr.protocols.anthropic.sealing import is_sealed, opened
from llmrr.protocols.anthropic.tools import is_change
from llmrr.protocols.fields import BadField, decoded
from llmrr.types import Image, Message, ToolCall

_THOUGHTS: Final = ("thinking", "redacted_thinking")
# Claude Code puts it before the system prompt: other in every request, so that nothing behind it
# would be known from the one before.
_BILLING: Final = re.compile(r"\A\s*x-anthropic-billing-header:[^\n]*\n*")


def system(given: object) -> tuple[Message, ...]:
    """The system prompt: a text, or blocks of text."""
    return () if given is None or given == "" else _system(given, "system")


def _system(given: object, place: str) -> tuple[Message, ...]:
    parts = list(_parts(given, place))
    if any(not isinstance(one, str) for one in parts):
        raise BadField(place, f"{place} holds an image", "blocks of text")
    texts = [_BILLING.sub("", one) for one in parts if isinstance(one, str)]
    text = "\n\n".join(one for one in texts if one)
    return (Message("system", text),) if text else ()


def _told(given: object, place: str) -> tuple[Message, ...]:
    """What a system message in the middle says, beside what it changes of the tools."""
    if given is None:
        return ()
    if isinstance(given, list):
        given = [one for one in given if not is_change(one)]
    return _system(given, place)


def conversation(given: Sequence[Any] | None) -> tuple[tuple[Message, ...], str]:
    """The turns, and how the answer begins already: the text of an assistant's turn that is the
    last. Raises ``BadField`` naming what is wrong."""
    if not given:
        raise BadField("messages", "messages is empty", '[{"role": "user", "content": "…"}]')
    found: list[Message] = []
    asked = max((at for at, one in enumerate(given) if _role(one) == "user"), default=0)
    for at, one in enumerate(given):
        if at < asked and _role(one) == "system" and one.get("clear_at") == "next_user_message":
            continue
        for message in _turn(one, f"messages[{at}]"):
            _add(found, message)
    if not found:
        raise BadField("messages", "messages holds nothing to answer", "a message of the user")
    last = found[-1]
    if last.role == "assistant" and not last.tool_calls:
        return tuple(found[:-1]), last.content
    return tuple(found), ""


def _role(given: object) -> object:
    return given.get("role") if isinstance(given, Mapping) else None


def _add(found: list[Message], message: Message) -> None:
    """Turns of one role side by side are one turn: many templates take no other."""
    before = found[-1] if found else None
    if before is None or before.role != message.role or message.role == "tool":
        found.append(message)
    else:
        between = ("\n\n",) if before.content and message.content else ()
        parts = (*_content(before), *between, *_content(message))
        calls = (*before.tool_calls, *message.tool_calls)
        made = _message(message.role, parts, calls)
        found[-1] = replace(made, reasoning=before.reasoning + message.reasoning)


def _content(message: Message) -> tuple[str | Image, ...]:
    return message.parts or (message.content,)


def _message(
    role: str, parts: Sequence[str | Image], calls: tuple[ToolCall, ...] = ()
) -> Message:
    made = Message.of(role, *parts)
    return Message(role, made.content, made.parts if made.images else (), calls)


def _turn(given: object, place: str) -> Iterator[Message]:
    if not isinstance(given, Mapping):
        raise BadField(place, f"{place} is no object", '{"role": "user", "content": "…"}')
    role, content = given.get("role"), given.get("content")
    if role not in ("user", "assistant", "system"):
        raise BadField(f"{place}.role", f"{place}.role = {role!r} is no role", "user, assistant")
    if role == "assistant":
        yield _assistant(content, f"{place}.content")
        return
    if role == "system":  # Claude Code has such in the middle
        yield from _told(content, f"{place}.content")
        return
    parts: list[str | Image] = []
    is_empty = True
    for one, at in _blocks(content, f"{place}.content"):
        is_empty = False
        if one.get("type") == "tool_result":
            if parts:
                yield _message(role, _lines(parts))
            parts = []
            yield _result(one, at)
        else:
            parts += _part(one, at)
    if parts or is_empty:
        if not any(parts):
            raise BadField(place, f"{place}.content is empty", "leave the message out")
        yield _message(role, _lines(parts))


def _assistant(content: object, place: str) -> Message:
    parts: list[str | Image] = []
    calls: list[ToolCall] = []
    thoughts: list[Mapping[str, Any]] = []
    thought = ""
    for one, at in _blocks(content, place):
        if one.get("type") in _THOUGHTS:
            thoughts.append(one)
            told = one.get("thinking")
            thought += told if told and isinstance(told, str) else opened(one.get("signature"))
        elif one.get("type") == "tool_use":
            calls.append(_call(one, at, thoughts))
            thoughts = []
        elif not _is_done_elsewhere(one["type"]):
            parts += _part(one, at)
    said = _message("assistant", parts, tuple(calls))
    return replace(said, reasoning=thought) if thought else said


def _is_done_elsewhere(kind: str) -> bool:
    """Whether a block of the model is of a tool that Anthropic's servers ran: what came of it is in
    the words behind."""
    return kind in ("server_tool_use", "mcp_tool_use") or kind.endswith("_tool_result")


def _call(block: Mapping[str, Any], place: str, thoughts: Sequence[Mapping[str, Any]]) -> ToolCall:
    identity, name, given = block.get("id"), block.get("name"), block.get("input")
    for key, value in (("id", identity), ("name", name)):
        if not isinstance(value, str) or not value:
            raise BadField(f"{place}.{key}", f"{place}.{key} = {value!r} is no text", "a text")
    if given is not None and not isinstance(given, Mapping):
        raise BadField(f"{place}.input", f"{place}.input is no object", "{}")
    own = block.get("signature")
    signature = own if isinstance(own, str) and own else None
    if signature is None and any(map(_is_foreign, thoughts)):
        signature = signed("anthropic", json.dumps(thoughts))
    return ToolCall(str(identity), str(name), json.dumps(given or {}), signature)


def _is_foreign(thought: Mapping[str, Any]) -> bool:
    """Whether a provider made it, which wants to see it again before the call."""
    signature = thought.get("signature")
    return bool(thought.get("data") or signature) and not is_sealed(signature)


def _result(block: Mapping[str, Any], place: str) -> Message:
    identity = block.get("tool_use_id")
    if not isinstance(identity, str) or not identity:
        said = f"{place}.tool_use_id = {identity!r} is no text"
        raise BadField(f"{place}.tool_use_id", said, "the id of the tool_use")
    content = block.get("content")
    parts = [] if content is None else _lines(list(_parts(content, f"{place}.content")))
    if block.get("is_error") is True:
        parts = ["Error: ", *parts]
    made = _message("tool", parts)
    return Message("tool", made.content, made.parts, tool_call_id=identity)


def _lines(parts: Sequence[str | Image]) -> list[str | Image]:
    """Blocks of text stand on lines of their own."""
    found: list[str | Image] = []
    for one in parts:
        if found and isinstance(found[-1], str) and isinstance(one, str):
            found.append("\n" + one)
        else:
            found.append(one)
    return found


def _parts(content: object, place: str) -> Iterator[str | Image]:
    for one, at in _blocks(content, place):
        yield from _part(one, at)


def _blocks(content: object, place: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    if isinstance(content, str):
        if content:
            yield {"type": "text", "text": content}, place
        return
    if not isinstance(content, list):
        raise BadField(place, f"{place} is no text and no list", "a text, or a list of blocks")
    for at, one in enumerate(content):
        where = f"{place}[{at}]"
        if not isinstance(one, Mapping) or not isinstance(one.get("type"), str):
            raise BadField(where, f"{where} is no block", '{"type": "text", "text": "…"}')
        yield one, where


def _part(block: Mapping[str, Any], place: str) -> Iterator[str | Image]:
    """The texts and images of a block. Raises ``BadField`` for one of another type."""
    kind = block["type"]
    if isinstance(wanted := block.get("citations"), Mapping) and wanted.get("enabled"):
        raise BadField(f"{place}.citations", f"{place}: no answer here cites", "no citations")
    if kind == "text":
        if not isinstance(text := block.get("text"), str):
            raise BadField(f"{place}.text", f"{place}.text is no text", "a text")
        if text:
            yield text
    elif kind == "image":
        yield _image(block.get("source"), f"{place}.source")
    elif kind == "document":
        yield from _document(block.get("source"), f"{place}.source")
    elif kind == "tool_reference":  # what a search for tools found, and is offered
        yield str(block.get("tool_name"))
    elif kind == "search_result":
        yield from _parts(block.get("content"), f"{place}.content")
    else:
        said = f"{place} has the type {kind!r}, which is none here"
        raise BadField(f"{place}.type", said, "text, image, tool_use, tool_result, thinking")


def _image(source: object, place: str) -> Image:
    kind = source.get("type") if isinstance(source, Mapping) else None
    if not isinstance(source, Mapping) or kind != "base64":
        raise BadField(place, f"{place}: {_elsewhere(kind)}", '{"type": "base64", "data": "…"}')
    media = source.get("media_type")
    if not isinstance(media, str) or not media.startswith("image/"):
        raise BadField(f"{place}.media_type", f"{place}.media_type = {media!r}", "image/png")
    return Image(data=decoded(source.get("data"), f"{place}.data"), media_type=media)


def _document(source: object, place: str) -> Iterator[str | Image]:
    kind = source.get("type") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and kind == "text" and isinstance(source.get("data"), str):
        yield source["data"]
    elif isinstance(source, Mapping) and kind == "content":
        yield from _parts(source.get("content"), f"{place}.content")
    elif kind == "base64":
        raise BadField(place, f"{place}: no document but plain text is read here", "its text")
    else:
        raise BadField(place, f"{place}: {_elsewhere(kind)}", '{"type": "text", "data": "…"}')


def _elsewhere(kind: object) -> str:
    if kind == "url":
        return "nothing is fetched from an address"
    if kind == "file":
        return "no files are kept here"
    return f"{kind!r} is no type of a source"
