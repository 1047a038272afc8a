"""What Anthropic's API takes and tells, for the OpenAPI document."""

from typing import Any, Final

from llmrr.protocols import hosted
from llmrr.server.openapi import (
    FLAG,
    MAYBE_OBJECT,
    OBJECT,
    TEXT,
    Schema,
    answer,
    listed,
    number,
    operation,
    shape,
    whole,
)

_ERROR: Final = shape(
    ["type", "error"],
    type={"const": "error"}, error=shape(["type", "message"], type=TEXT, message=TEXT),
)  # fmt: skip
_WORD: Final[Schema] = {"type": "string", "minLength": 1}
_SAID: Final = shape(["type", "text"], type={"const": "text"}, text=TEXT)
_IMAGE: Final = shape(
    ["type", "source"],
    type={"const": "image"},
    source=shape(
        ["type", "media_type", "data"],
        type={"const": "base64"}, media_type={"type": "string", "pattern": "^image/.+"},
        data={"type": "string", "minLength": 4, "pattern": "^([A-Za-z0-9+/]{4})+$"},
    ),
)  # fmt: skip
_RESULT: Final = shape(
    ["type", "tool_use_id"],
    type={"const": "tool_result"}, tool_use_id=_WORD,
    content={"anyOf": [TEXT, listed(_SAID), {"type": "null"}]},
)  # fmt: skip
_USE: Final = shape(
    ["type", "id", "name"],
    type={"const": "tool_use"}, id=_WORD, name=_WORD, input=MAYBE_OBJECT,
)  # fmt: skip
_THOUGHT: Final = shape(["type"], type={"const": "thinking"})  # left out, unread


def _turn(role: str, *blocks: Schema) -> Schema:
    content = {"anyOf": [TEXT, listed({"anyOf": blocks})]}
    return shape(["role", "content"], role={"const": role}, content=content)


_TURN: Final[Schema] = {
    "anyOf": [_turn("user", _SAID, _IMAGE, _RESULT), _turn("assistant", _SAID, _USE, _THOUGHT)]
}
_TOOL: Final = shape(
    ["name", "input_schema"],
    name={"type": "string", "minLength": 1}, input_schema=OBJECT,
    type={"enum": ["custom", None]},
)  # fmt: skip
# Beside others it is left out.
_HOSTED: Final = shape(["type"], type={"type": "string", "pattern": rf"^({hosted.ANTHROPICS})$"})
_ASKED: Final[dict[str, Schema]] = {
    "model": TEXT, "messages": listed(_TURN, 1), "system": {"type": ["string", "array", "null"]},
    "tools": {"type": ["array", "null"], "items": {"anyOf": [_TOOL, _HOSTED]}},
    "metadata": MAYBE_OBJECT,
    "tool_choice": {"anyOf": [
        {"type": "null"}, shape(["type"], type={"enum": ["auto", "any", "none"]}),
        shape(["type", "name"], type={"const": "tool"}, name={"type": "string", "minLength": 1}),
    ]},
    "thinking": {"anyOf": [
        {"type": "null"}, shape(["type"], type={"enum": ["disabled", "adaptive"]}),
        shape(["type", "budget_tokens"], type={"const": "enabled"},
              budget_tokens={"type": "integer", "minimum": 1}),
    ]},
    "output_config": {"type": ["object", "null"], "properties": {
        "effort": {"enum": ["low", "medium", "high", "xhigh", "max", None]},
    }},
}  # fmt: skip
MESSAGES: Final = shape(
    ["model", "max_tokens", "messages"],
    **_ASKED, max_tokens={"type": "integer", "minimum": 1}, stream=FLAG,
    temperature=number(0, 2), top_p=number(0, 1), top_k=whole(0),
    stop_sequences={"type": ["array", "string", "null"], "items": TEXT},
)  # fmt: skip
_MESSAGE: Final = shape(
    ["id", "type", "role", "content", "model", "stop_reason", "stop_sequence", "usage"],
    type={"const": "message"}, role={"const": "assistant"},
    content=listed(shape(["type"], type=TEXT)),
    usage=shape(["input_tokens", "output_tokens"]),
)  # fmt: skip


def _posts(summary: str, body: Schema, good: dict[str, Any]) -> dict[str, Any]:
    return {"post": operation(summary, good, body=body, error=_ERROR)}


MESSAGES_PATH: Final = _posts(
    "A message.", MESSAGES, answer(_MESSAGE, streams="text/event-stream")
)
COUNT_PATH: Final = _posts(
    "How many tokens a message would take.",
    shape(["model", "messages"], **_ASKED),
    answer(shape(["input_tokens"], input_tokens={"type": "integer"})),
)
