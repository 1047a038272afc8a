"""The turns of a conversation, as Ollama's clients write them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.protocols.fields import BadField, decoded
from llmrr.types import Image, Message, ToolCall

_KINDS: Final = ((b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))
_ROLES: Final = ("system", "user", "assistant", "tool")


def images(given: Sequence[Any] | None, place: str = "images") -> tuple[Image, ...]:
    """Images, each the base64 of its bytes."""
    found = (decoded(one, f"{place}[{at}]") for at, one in enumerate(given or ()))
    return tuple(Image(data=one, media_type=_media_type(one)) for one in found)


def _media_type(data: bytes) -> str:
    kind = next((kind for start, kind in _KINDS if data.startswith(start)), "png")
    return f"image/{kind}"


def conversation(given: Sequence[Any]) -> tuple[tuple[Message, ...], str]:
    """The turns, and how the answer begins already: the text of an assistant's turn that is the
    last. Raises ``BadField`` naming what is wrong."""
    calls = _Calls()
    found = [_turn(one, f"messages[{at}]", calls) for at, one in enumerate(given)]
    last = found[-1] if found else None
    if last is not None and last.role == "assistant" and not last.tool_calls:
        return tuple(found[:-1]), last.content
    return tuple(found), ""


class _Calls:
    """The calls of a conversation: who writes their results names a tool, where Ollama's clients
    have no id."""

    def __init__(self) -> None:
        self._open: list[ToolCall] = []
        self._count = 0

    def read(self, given: Sequence[Any], place: str) -> Iterator[ToolCall]:
        """The calls of a turn."""
        for at, one in enumerate(given):
            inner = one.get("function") if isinstance(one, Mapping) else None
            name = inner.get("name") if isinstance(inner, Mapping) else None
            if not isinstance(inner, Mapping) or not isinstance(name, str) or not name:
                where = f"{place}.tool_calls[{at}]"
                raise BadField(where, f"{where} is no call", '{"function": {"name": "…"}}')
            arguments = inner.get("arguments")
            text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
            call = ToolCall(str(one.get("id") or f"call_{self._count}"), name, text)
            self._count += 1
            self._open.append(call)
            yield call

    def answered(self, identity: object, name: object) -> str | None:
        """The id of the call that a result is of: of this id, else of this tool, else the first
        that has none yet."""
        if isinstance(identity, str) and identity:
            self._open = [one for one in self._open if one.id != identity]
            return identity
        if not self._open:
            return name if isinstance(name, str) else None
        found = next((one for one in self._open if one.name == name), self._open[0])
        self._open.remove(found)
        return found.id


def _turn(given: object, place: str, calls: _Calls) -> Message:
    if not isinstance(given, Mapping):
        raise BadField(place, f"{place} is no object", '{"role": "user", "content": "…"}')
    role, content = given.get("role"), given.get("content") or ""
    if role not in _ROLES:
        raise BadField(f"{place}.role", f"{place}.role = {role!r} is no role", ", ".join(_ROLES))
    if not isinstance(content, str):
        raise BadField(f"{place}.content", f"{place}.content is no text", "a text")
    found = images(_listed(given, "images", place), f"{place}.images")
    made = tuple(calls.read(_listed(given, "tool_calls", place), place))
    parts: tuple[str | Image, ...] = (*found, content) if found else ()
    of = None
    if role == "tool":
        of = calls.answered(given.get("tool_call_id"), given.get("tool_name") or given.get("name"))
    thought = given.get("thinking") if role == "assistant" else None
    reasoning = thought if isinstance(thought, str) else ""
    return Message(role, content, parts, made, of, reasoning=reasoning)


def _listed(given: Mapping[str, Any], name: str, place: str) -> list[Any]:
    value = given.get(name)
    if value is not None and not isinstance(value, list):
        raise BadField(f"{place}.{name}", f"{place}.{name} is no list", "a list")
    return value or []
