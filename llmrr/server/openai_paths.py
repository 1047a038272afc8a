"""What OpenAI's API takes and tells, for the OpenAPI document."""

from typing import Any, Final

from llmrr.protocols.openai import input_items
from llmrr.server.openapi import (
    FLAG,
    MAYBE_OBJECT,
    MAYBE_TEXT,
    OBJECT,
    TEXT,
    Schema,
    answer,
    listed,
    number,
    operation,
    parameter,
    shape,
    whole,
)
from llmrr.strategies import STRATEGIES

SSE: Final = "text/event-stream"
_WORDS: Final[Schema] = {"type": ["string", "array", "null"], "items": TEXT}
_TOKENS: Final[Schema] = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
_LISTS: Final = (_TOKENS, listed(_TOKENS, 1))
_TEXTS: Final[Schema] = {"anyOf": [TEXT, listed(TEXT, 1), *_LISTS]}
_SAID: Final[Schema] = {"type": "string", "pattern": r"\S"}
_LIMIT: Final[Schema] = {
    "anyOf": [{"type": "null"}, {"const": -1}, {"type": "integer", "minimum": 1}]
}
_CHOICE: Final[Schema] = {
    "anyOf": [{"enum": ["auto", "none", "required", "any", None]}, {"type": "object"}]
}
_COUNTS: Final[Schema] = {
    "type": "object",
    "required": ["prompt_tokens", "total_tokens"],
    "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}},
}

CHOOSING: Final[dict[str, Schema]] = {
    "model": MAYBE_TEXT, "user": MAYBE_TEXT, "strategy": {"enum": [*STRATEGIES, None]},
    "need": _WORDS, "models": _WORDS,
}  # fmt: skip
_SAMPLING: Final[dict[str, Schema]] = {
    "temperature": number(0, 2), "top_p": number(0, 1), "min_p": number(0, 1),
    "top_k": whole(-1), "seed": {"type": ["integer", "null"]}, "stop": {**_WORDS, "maxItems": 16},
    "frequency_penalty": number(-2, 2), "presence_penalty": number(-2, 2), "n": whole(1, 128),
    "logit_bias": MAYBE_OBJECT, "stream": FLAG, "stream_options": MAYBE_OBJECT,
    "response_format": MAYBE_OBJECT,
}  # fmt: skip
_MESSAGE: Final = shape(
    ["role"],
    role={"enum": ["system", "developer", "user", "assistant", "tool", "function"]},
    content={"type": ["string", "array", "null"]},
)
CHAT: Final = shape(
    ["messages"],
    messages=listed(_MESSAGE, 1), max_tokens=_LIMIT, max_completion_tokens=whole(1),
    logprobs=FLAG, top_logprobs=whole(0, 20), tools={"type": ["array", "null"], "items": OBJECT},
    tool_choice=_CHOICE, parallel_tool_calls=FLAG,
    reasoning_effort=MAYBE_TEXT, **CHOOSING, **_SAMPLING,
)  # fmt: skip
COMPLETION: Final = shape(
    ["prompt"],
    prompt=_TEXTS, max_tokens=whole(-1), logprobs=whole(0, 20), echo=FLAG, best_of=whole(1, 20),
    **CHOOSING, **_SAMPLING,
)  # fmt: skip
RESPONSE: Final = shape(
    ["input"],
    input={"type": ["string", "array"], "minLength": 1, "minItems": 1}, instructions=MAYBE_TEXT,
    max_output_tokens=whole(1), temperature=number(0, 2), top_p=number(0, 1),
    top_logprobs=whole(0, 20), text=MAYBE_OBJECT, reasoning=MAYBE_OBJECT, stream=FLAG,
    store=FLAG, previous_response_id=MAYBE_TEXT, parallel_tool_calls=FLAG,
    tools={"type": ["array", "null"], "items": OBJECT},
    tool_choice=_CHOICE, **CHOOSING,
)  # fmt: skip
_EMBEDDING: Final = shape(
    ["input"], input={"anyOf": [_SAID, listed(_SAID, 1), *_LISTS]}, model=MAYBE_TEXT,
    dimensions=whole(1), encoding_format={"enum": ["float", "base64", None]},
)  # fmt: skip


def _completed(kind: str) -> Schema:
    return shape(
        ["id", "object", "created", "model", "choices", "usage"],
        id=TEXT, object={"const": kind}, created={"type": "integer"}, model=TEXT,
        choices=listed(shape(["index", "finish_reason"], finish_reason=TEXT), 1), usage=_COUNTS,
    )  # fmt: skip


RESPONDED: Final = shape(
    ["id", "object", "created_at", "status", "model", "output", "usage"],
    object={"const": "response"}, output=listed(shape(["id", "type"])),
    status={"enum": ["completed", "incomplete", "failed"]},
)  # fmt: skip
_INPUT_ITEMS: Final = shape(
    ["object", "data", "first_id", "last_id", "has_more"],
    object={"const": "list"}, data=listed(shape(["id", "type"])), has_more={"type": "boolean"},
    first_id=MAYBE_TEXT, last_id=MAYBE_TEXT,
)  # fmt: skip
MODEL: Final = shape(
    ["id", "object", "created", "owned_by"],
    id=TEXT, object={"const": "model"}, created={"type": "integer"}, owned_by=TEXT,
)  # fmt: skip
_VECTORS: Final = shape(
    ["object", "data", "model", "usage"],
    data=listed(shape(["object", "index", "embedding"]), 1), usage=_COUNTS,
)  # fmt: skip


def posts(summary: str, body: Schema, good: Schema, streams: str | None = SSE) -> dict[str, Any]:
    """A path that takes a body."""
    return {"post": operation(summary, answer(good, streams=streams), body=body)}


CHAT_PATH: Final = posts("A chat completion.", CHAT, _completed("chat.completion"))
COMPLETION_PATH: Final = posts("A completion.", COMPLETION, _completed("text_completion"))
RESPONSE_PATH: Final = posts("A response.", RESPONSE, RESPONDED)
_COUNT: Final = shape(["object", "input_tokens"], input_tokens={"type": "integer"})
COUNT_PATH: Final = posts(
    "How many tokens a response would be asked with.", RESPONSE, _COUNT, None
)
CHAT_COUNT_PATH: Final = posts("How many tokens a chat has.", CHAT, _COUNT, None)
_PAGE: Final[dict[str, Schema]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": input_items.MOST},
    "order": {"enum": ["asc", "desc"]}, "after": TEXT,
}  # fmt: skip
INPUT_ITEMS_PATH: Final = {
    "get": operation(
        "What a kept response was asked with, the newest item first.", answer(_INPUT_ITEMS),
        parameters=[parameter("id"), *(parameter(name, "query", _PAGE[name]) for name in _PAGE)],
    )
}
EMBEDDING_PATH: Final = posts("Vectors of texts.", _EMBEDDING, _VECTORS, None)
MODELS_PATH: Final = {
    "get": operation("The models.", answer(shape(["object", "data"], data=listed(MODEL))))
}
