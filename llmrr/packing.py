"""Values of the vocabulary as what JSON has, and back: what goes to another process, or into the
database."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from llmrr.types import (
    CallPiece,
    Chunk,
    Format,
    Image,
    Message,
    ModelFiles,
    ModelInfo,
    Request,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)

Facts = dict[str, Any]
_NO_CALL = {"id": "", "name": "", "arguments": ""}  # answers of old have no empty texts
_FIELDS: dict[type, tuple[tuple[str, object], ...]] = {}


def facts(value: Any) -> Any:
    """A value without what is as it is by default; bytes are base64.

    >>> facts(Chunk(text="a", tokens=(1,))), facts(Image(data=b"a"))
    ({'text': 'a', 'tokens': [1]}, {'data': 'YQ=='})
    """
    if isinstance(value, tuple | list):
        return [facts(one) for one in value]
    if is_dataclass(value):
        stated = ((name, getattr(value, name), usual) for name, usual in _fields(type(value)))
        return {name: facts(one) for name, one, usual in stated if one != usual}
    if isinstance(value, Mapping):
        return {str(name): facts(one) for name, one in value.items()}
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    return str(value) if isinstance(value, Path) else value


def _fields(of: type) -> tuple[tuple[str, object], ...]:
    if of not in _FIELDS:
        _FIELDS[of] = tuple((one.name, one.default) for one in fields(of) if one.compare)
    return _FIELDS[of]


def chunk(found: Facts) -> Chunk:
    """The inverse for a piece of an answer. What is none raises ``KeyError``, ``TypeError`` or
    ``AttributeError``, here and below."""
    if "usage" in found:
        found["usage"] = Usage(**found["usage"])
    if "tokens" in found:
        found["tokens"] = tuple(found["tokens"])
    if "tool_calls" in found:
        found["tool_calls"] = tuple(ToolCall(**{**_NO_CALL, **one}) for one in found["tool_calls"])
    if "call_pieces" in found:
        found["call_pieces"] = tuple(CallPiece(**one) for one in found["call_pieces"])
    if "logprobs" in found:
        found["logprobs"] = tuple(_logprob(one) for one in found["logprobs"])
    return Chunk(**found)


def _logprob(found: Facts) -> TokenLogprob:
    top = tuple((text, logprob) for text, logprob in found.get("top", ()))
    spelled = tuple(octets(one) for one in found.get("spelled", ()))
    return TokenLogprob(found.get("text", ""), found["logprob"], top, spelled)


def request(found: Facts) -> Request:
    """The inverse for a request, without what it is not compared by.

    >>> asked = Request((Message.of("user", "a", Image(data=b"b")),), sampling=Sampling(seed=1))
    >>> request(facts(asked)) == asked
    True
    """
    found["messages"] = tuple(_message(one) for one in found.get("messages", ()))
    found["sampling"] = sampling(found.get("sampling", {}))
    found["tokens"] = tuple(found.get("tokens", ()))
    found["tools"] = tuple(Tool(**one) for one in found.get("tools", ()))
    return Request(**found)


def _message(found: Facts) -> Message:
    parts = (one if isinstance(one, str) else _image(one) for one in found.get("parts", ()))
    calls = (ToolCall(**one) for one in found.get("tool_calls", ()))
    return Message(**{**found, "parts": tuple(parts), "tool_calls": tuple(calls)})


def _image(found: Facts) -> Image:
    if "data" in found:
        found["data"] = octets(found["data"])
    return Image(**found)


def octets(found: str | bytes) -> bytes:
    """The inverse for bytes; those that never were text stay.

    >>> octets(facts(b"a")), octets(b"a")
    (b'a', b'a')
    """
    from base64 import b64decode

    return found if isinstance(found, bytes) else b64decode(found)


def sampling(found: Facts) -> Sampling:
    """The inverse for sampling: token ids are numbers again."""
    if (bias := found.get("logit_bias")) is not None:
        found["logit_bias"] = {int(token): value for token, value in bias.items()}
    for name in ("stop", "stop_tokens"):
        if found.get(name) is not None:
            found[name] = tuple(found[name])
    return Sampling(**found)


def files(found: Facts) -> ModelFiles:
    """The inverse for where a model lies."""
    return ModelFiles(Path(found["path"]), Format(found["format"]))


def info(found: Facts) -> ModelInfo:
    """The inverse for what a model's files say; ``metadata`` keeps its lists."""
    known = {one.name for one in fields(ModelInfo)}
    found = {name: _frozen(name, one) for name, one in found.items() if name in known}
    stated = found.get("format")
    found["format"] = None if stated is None else Format(stated)
    found["sampling"] = sampling(found.get("sampling", {}))
    return ModelInfo(**found)


def _frozen(name: str, value: Any) -> Any:
    if name == "metadata":
        return value
    if isinstance(value, list):
        return tuple(_frozen("", one) for one in value)
    if isinstance(value, dict):
        return {key: _frozen("", one) for key, one in value.items()}
    return value
