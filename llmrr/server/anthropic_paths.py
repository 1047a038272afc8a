"""What Anthropic's API takes and tells, for the OpenAPI document."""

from typing import Any, Final

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
_TURN: Final = shape(
    ["role", "content"],
    role={"enum": ["user", "assistant", "system"]},
    content={"anyOf": [{"type": "string", "minLength": 1}, listed(OBJECT, 1)]},
)
_ASKED: Final[dict[str, Schema]] = {
    "model": TEXT, "messages": listed(_TURN, 1), "system": {"type": ["string", "array", "null"]},
    "tools": {"type": ["array", "null"], "items": OBJECT}, "tool_choice": MAYBE_OBJECT,
    "thinking": MAYBE_OBJECT, "output_config": MAYBE_OBJECT, "metadata": MAYBE_OBJECT,
}  # fmt: skip
_MESSAGES: Final = shape(
    ["model", "max_tokens", "messages"],
    **_ASKED, max_tokens={"type": "integer", "minimum": 1}, stream=FLAG,
    temperature=number(0, 2), top_p=number(0, 1), top_k=whole(0),
    stop_sequences={"type": ["array", "null"], "items": TEXT},
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
    "A message.", _MESSAGES, answer(_MESSAGE, streams="text/event-stream")
)
COUNT_PATH: Final = _posts(
    "How many tokens a message would take.",
    shape(["model", "messages"], **_ASKED),
    answer(shape(["input_tokens"], input_tokens={"type": "integer"})),
)
