"""A prompt as programs write it, as the turns of a conversation: a text, or messages with role and
content, in the forms that OpenAI's and Anthropic's clients take too.

What is empty may be there: clients write out all that a turn could have. ``name`` of a turn,
``detail`` of an image and ``strict`` of a tool are hints: they go where the protocol has them, and
are left out elsewhere. The ``refusal`` of a turn is what it said, ``reasoning_content`` what was
thought before it. All else that is unknown is refused.
"""

import binascii
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from llmrr.errors import InvalidRequest
from llmrr.types import Image, Message, Request, Tool, ToolCall

Turn = Message | Mapping[str, Any]
Prompt = str | Turn | Sequence[Turn] | Request

ROLES: Final = ("system", "user", "assistant", "tool")
_ROLE_ALIASES: Final = {
    "developer": "system", "human": "user", "ai": "assistant", "model": "assistant",
}  # fmt: skip
_KEYS: Final = (
    "role", "content", "name", "tool_calls", "tool_call_id", "refusal", "reasoning_content",
)  # fmt: skip
_EXAMPLE: Final = '[{"role": "user", "content": "…"}]'


def turns(prompt: object) -> tuple[Message, ...]:
    """The turns that a prompt stands for. Raises ``InvalidRequest``.

    >>> turns("Hello") == (Message("user", "Hello"),)
    True
    >>> [(one.role, one.content) for one in turns([{"role": "system", "content": "Be brief."}])]
    [('system', 'Be brief.')]
    """
    if isinstance(prompt, str):
        if not prompt.strip():
            raise InvalidRequest("the prompt is empty", "a text, or messages")
        return (Message("user", prompt),)
    if isinstance(prompt, Message | Mapping):
        prompt = [prompt]
    if prompt is None or not isinstance(prompt, Iterable) or isinstance(prompt, bytes | bytearray):
        kind = "None" if prompt is None else f"of the type {type(prompt).__name__}"
        raise InvalidRequest(f"the prompt is {kind}", f"a text, or messages: {_EXAMPLE}")
    found = tuple(message(one, f"messages[{at}]") for at, one in enumerate(prompt))
    if not found:
        raise InvalidRequest("there are no messages", _EXAMPLE)
    return found


def message(given: object, place: str = "the message") -> Message:
    """One turn. Raises ``InvalidRequest`` that names its ``place``."""
    if isinstance(given, Message):
        if given.role not in ROLES:
            raise _no_role(given.role, place)
        return given
    if not isinstance(given, Mapping):
        raise InvalidRequest(
            f"{place} is of the type {type(given).__name__}", 'a dict such as {"role": "user", …}'
        )
    if unknown := [key for key in given if key not in _KEYS and not _is_empty(given[key])]:
        raise InvalidRequest(f"{place} has the unknown key {unknown[0]!r}", _EXAMPLE)
    if "role" not in given:
        raise InvalidRequest(f"{place} has no role", f"one of {', '.join(ROLES)}")
    role = given["role"]
    role = _ROLE_ALIASES.get(role, role) if isinstance(role, str) else role
    if role not in ROLES:
        raise _no_role(role, place)
    calls = tuple(_call(one, place) for one in _listed(given.get("tool_calls"), place))
    name = _stated(given, "name", str, place) or None
    refusal, said = _stated(given, "refusal", str, place), given.get("content")
    if refusal and said:
        raise InvalidRequest(f"{place} has a content and a refusal", "leave one out")
    parts = _parts(refusal or said, place, needed=not calls)
    found = Message.of(role, *parts) if parts != [""] else Message(role, "")
    if not found.images:
        found = Message(role, found.content)
    thought = _stated(given, "reasoning_content", str, place) or ""
    of = given.get("tool_call_id")
    return Message(found.role, found.content, found.parts, calls, of, name, thought)


def tools(given: Iterable[object]) -> tuple[Tool, ...]:
    """What a model may call: ``Tool``, or as OpenAI's or Anthropic's clients take them.

    >>> tools([{"type": "function", "function": {"name": "now", "parameters": {}}}])
    (Tool(name='now', description='', parameters={}, strict=None),)
    """
    return tuple(_tool(one, f"tools[{at}]") for at, one in enumerate(_listed(given, "tools")))


def tool_choice(given: object) -> str | None:
    """auto, none, required or a tool's name; as OpenAI's or Anthropic's clients take it too.

    >>> tool_choice({"type": "function", "function": {"name": "now"}}), tool_choice("any")
    ('now', 'required')
    """
    if isinstance(given, Mapping):
        inner = given.get("function")
        named = inner if isinstance(inner, Mapping) else given
        given = named.get("name") or given.get("type")
    if given is None or isinstance(given, str):
        return "required" if given == "any" else given
    raise InvalidRequest(f"tool_choice = {given!r} is no choice", '"auto", or the name of a tool')


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, Sequence | Mapping) and not value)


def _stated(given: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
    """A value that may be absent. Raises ``InvalidRequest`` for one of another type."""
    value = given.get(key)
    if value is not None and not isinstance(value, kind):
        what = "text" if kind is str else "true or false"
        raise InvalidRequest(f"{place} has {key} = {value!r}, which is no {what}", f"no {key}")
    return value


def _no_role(role: object, place: str) -> InvalidRequest:
    return InvalidRequest(f"{place} has the role {role!r}", f"one of {', '.join(ROLES)}")


def _listed(given: object, place: str) -> Iterable[object]:
    if given is None:
        return ()
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InvalidRequest(f"{place}: {type(given).__name__} is no list", "a list of dicts")
    return given


def _parts(content: object, place: str, *, needed: bool) -> list[str | Image]:
    if isinstance(content, str):
        return [content]
    if content is None and not needed:
        return [""]
    if content is None or isinstance(content, bytes | Mapping) or not isinstance(content, Iterable):
        said = "no content" if content is None else f"a content of type {type(content).__name__}"
        raise InvalidRequest(f"{place} has {said}", "a text, or a list of parts")
    return [_part(one, f"{place}.content[{at}]") for at, one in enumerate(content)]


def _part(part: object, place: str) -> str | Image:
    if isinstance(part, str | Image):
        return part
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping):
        if kind in ("text", "input_text", "output_text", None) and isinstance(
            part.get("text"), str
        ):
            return str(part["text"])
        if kind in ("image_url", "input_image", "image"):
            return _image(part, place)
    said = f"the type {kind!r}" if kind else f"the type {type(part).__name__}"
    raise InvalidRequest(f"{place} has {said}, which is none here", "a part of text or image_url")


def _image(part: Mapping[str, Any], place: str) -> Image:
    """An image as ``image_url``, or as Anthropic's ``source``."""
    found = part.get("image_url") or part.get("source") or part.get("url")
    detail = _stated(part, "detail", str, place)
    if isinstance(found, Mapping):
        detail = _stated(found, "detail", str, place) or detail
        if found.get("type") == "base64":
            kind = str(found.get("media_type") or "image/png")
            return Image(data=_bytes(found.get("data"), place), media_type=kind)
        found = found.get("url")
    if not isinstance(found, str) or not found:
        raise InvalidRequest(f"{place} has no address of an image", '{"url": "https://…"}')
    return Image(url=found, detail=detail)


def _bytes(data: object, place: str) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return b64decode(str(data), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{place} holds no base64", "the bytes of an image") from None


def _call(call: object, place: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    if isinstance(call, Mapping):
        inner = call.get("function", call)
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if isinstance(name, str) and name:
            given = inner.get("arguments", "{}")
            arguments = given if isinstance(given, str) else json.dumps(given)
            return ToolCall(str(call.get("id") or ""), name, arguments)
    raise InvalidRequest(f"{place} has a call without a name", '{"id", "function": {"name", …}}')


def _tool(tool: object, place: str) -> Tool:
    if isinstance(tool, Tool):
        return tool
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
        shape = inner.get("parameters", inner.get("input_schema")) or {}
        if isinstance(shape, Mapping):
            strict = _stated(inner, "strict", bool, place)
            return Tool(inner["name"], str(inner.get("description") or ""), shape, strict)
    raise InvalidRequest(f"{place} is no tool", '{"name": …, "parameters": {…}}')
