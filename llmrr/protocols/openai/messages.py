"""The messages of a chat as OpenAI's clients send them, as turns: the older shape of calls too
(``function_call``, and the role function). What the model thought comes back as
``reasoning_content``, or as ``reasoning``. What else stands in a message (``annotations``) is no
part of the conversation, and is left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llmrr.choosing import turns
from llmrr.errors import InvalidRequest
from llmrr.protocols.fields import BadField, Fields
from llmrr.types import Message

_KEPT: Final = ("role", "content", "name", "tool_calls", "tool_call_id", "refusal")
_IMAGES: Final = ("image_url", "input_image", "image")


def messages(given: Fields) -> tuple[Message, ...]:
    """The turns. Raises ``BadField`` naming the message that is wrong."""
    listed = given.listed("messages")
    if not listed:
        raise given.bad("messages", 'list of messages, as [{"role": "user", "content": "…"}]')
    found: list[Message] = []
    for at, one in enumerate(listed):
        if isinstance(one, Mapping):
            one = _newer(one, found, f"messages[{at}]")
        found.append(turn(one, f"messages[{at}]"))
    return tuple(found)


def turn(given: object, place: str) -> Message:
    """One turn. Raises ``BadField`` that names its ``place``."""
    thought = _thought(given)
    if isinstance(given, Mapping):
        given = {key: value for key, value in given.items() if key in _KEPT}
        if given.get("content") is None and given.get("role") == "assistant":
            given["content"] = "" if not given.get("refusal") else None
        if isinstance(given.get("content"), list):
            content = [
                _part(one, f"{place}.content[{at}]") for at, one in enumerate(given["content"])
            ]
            given["content"] = content
        if not isinstance(given.get("tool_call_id", ""), str | None):
            raise BadField(f"{place}.tool_call_id", f"{place} has a tool_call_id that is no text")
    try:
        found = turns.message(given, place)
    except InvalidRequest as error:
        raise BadField(place, error.message, error.hint, code="invalid_value") from None
    return replace(found, reasoning=thought) if thought else found


def _thought(given: object) -> str:
    """What an assistant's turn says that it thought; in other shapes than text it is left out."""
    if not isinstance(given, Mapping) or given.get("role") != "assistant":
        return ""
    found = given.get("reasoning_content") or given.get("reasoning")
    return found if isinstance(found, str) else ""


def _part(part: object, place: str) -> object:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or not isinstance(kind, str):
        return part
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind in ("input_audio", "audio", "file", "input_file", "video_url", "input_video"):
        what = "audio" if "audio" in kind else "video" if "video" in kind else "files"
        said = f"{place} has the type {kind!r}: no model here takes {what}"
        raise BadField(place, said, "text and images", code="unsupported_value")
    if kind in _IMAGES:
        _require_image(part, place)
    return part


def _require_image(part: Mapping[str, Any], place: str) -> None:
    """An image comes in the request. The address of one is for a provider to fetch: a model of this
    machine refuses it, and nothing here opens it."""
    found = part.get("image_url")
    url = found.get("url") if isinstance(found, Mapping) else found
    if part.get("file_id"):
        said = f"{place} names a file: none is kept here"
        raise BadField(f"{place}.file_id", said, "a data: URL")
    if not isinstance(url, str) or not re.match(r"https?://|data:image/", url, re.IGNORECASE):
        said = f"{place} has no data: URL of an image, and no address of one"
        raise BadField(place, said, '{"url": "data:image/png;base64,…"}', code="invalid_image_url")
    if url[:5].lower() == "data:" and not re.fullmatch(
        r"data:image/[\w.+-]+;base64,[A-Za-z0-9+/\s]+={0,2}\s*", url, re.IGNORECASE
    ):
        said = f"{place} holds no base64 of an image"
        raise BadField(place, said, "data:image/png;base64,…", code="invalid_base64_string")


def _newer(
    given: Mapping[str, Any], before: Sequence[Message], place: str
) -> Mapping[str, Any]:
    """A message with an older call, or the result of one, in the shape of today: a call has its
    place for an id."""
    call = given.get("function_call")
    if call is not None and not given.get("tool_calls"):
        made = {"id": f"call_{place}", "type": "function", "function": call}
        return {**given, "tool_calls": [made]}
    if given.get("role") == "function":
        calls = [one for turn in before for one in turn.tool_calls if one.name == given.get("name")]
        if not calls:
            said = f"{place} is the result of a function that was not called"
            raise BadField(place, said, "the assistant's function_call stands before it")
        return {**given, "role": "tool", "name": None, "tool_call_id": calls[-1].id}
    return given
