"""What Ollama's API takes and tells, for the OpenAPI document."""

from typing import Any, Final

from llmrr.server.openapi import (
    FLAG,
    MAYBE_OBJECT,
    MAYBE_TEXT,
    OBJECT,
    TEXT,
    Schema,
    answer,
    listed,
    operation,
    parameter,
    shape,
    whole,
)

NDJSON: Final = "application/x-ndjson"
_ERROR: Final = shape(["error"], error=TEXT)
_NAMED: Final[Schema] = {
    "anyOf": [shape(["model"], model={"type": "string", "minLength": 1}),
              shape(["name"], name={"type": "string", "minLength": 1})],
}  # fmt: skip
_COMMON: Final[dict[str, Schema]] = {
    "model": {"type": "string", "minLength": 1}, "stream": FLAG, "options": MAYBE_OBJECT,
    "keep_alive": {"type": ["string", "number", "null"],
                   "pattern": r"^[+-]?([0-9]+|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+)$"},
    "format": {"anyOf": [{"enum": ["", "json", None]}, OBJECT]},
    "think": {"enum": [True, False, None, "low", "medium", "high"]},
    "logprobs": FLAG, "top_logprobs": whole(0, 20),
}  # fmt: skip
_BASE64: Final[Schema] = {"type": "string", "minLength": 4, "pattern": "^([A-Za-z0-9+/]{4})+$"}
_IMAGES: Final[Schema] = {"type": ["array", "null"], "items": _BASE64}
_CALL: Final = shape(
    ["function"], function=shape(["name"], name={"type": "string", "minLength": 1})
)
_TOOL: Final = shape(["function"], function=shape(["name"], name=TEXT, parameters=OBJECT))
_GENERATE: Final = shape(
    ["model"],
    **_COMMON, prompt=MAYBE_TEXT, system=MAYBE_TEXT, raw=FLAG, images=_IMAGES,
    context={"type": ["array", "null"], "items": {"type": "integer", "minimum": 0}},
)  # fmt: skip
_TURN: Final = shape(
    ["role"],
    role={"enum": ["system", "user", "assistant", "tool"]}, content=MAYBE_TEXT, images=_IMAGES,
    tool_calls={"type": ["array", "null"], "items": _CALL},
)  # fmt: skip
_CHAT: Final = shape(
    ["model"],
    **_COMMON, messages={"type": ["array", "null"], "items": _TURN},
    tools={"type": ["array", "null"], "items": _TOOL},
)  # fmt: skip
_TEXTS: Final[Schema] = {"type": ["string", "array", "null"], "items": TEXT}
_EMBED: Final = shape(
    ["model"], model=_COMMON["model"], input=_TEXTS, dimensions=whole(1), options=MAYBE_OBJECT
)
_DONE: Final[dict[str, Schema]] = {
    "model": TEXT, "created_at": TEXT, "done": {"type": "boolean"}, "done_reason": TEXT,
}  # fmt: skip


def _posts(summary: str, body: Schema, good: dict[str, Any], method: str = "post") -> Any:
    return {method: operation(summary, good, body=body, error=_ERROR)}


def _gets(summary: str, good: Schema) -> dict[str, Any]:
    return {"get": operation(summary, answer(good), error=_ERROR)}


def _refused(*parameters: Schema) -> dict[str, Any]:
    """What only Ollama itself does."""
    error = {"description": "Not offered.", "content": {"application/json": {"schema": _ERROR}}}
    found: dict[str, Any] = {"summary": "Not offered here.", "responses": {"403": error}}
    return {"post": {**found, **({"parameters": parameters} if parameters else {})}}


_EMPTY: Final = {"description": "It is done."}
ANSWERING: Final[dict[str, Any]] = {
    "/api/generate": _posts(
        "An answer to a prompt.", _GENERATE,
        answer(shape(["model", "response", "done"], **_DONE, response=TEXT), streams=NDJSON),
    ),
    "/api/chat": _posts(
        "An answer to a conversation.", _CHAT,
        answer(shape(["model", "message", "done"], **_DONE, message=OBJECT), streams=NDJSON),
    ),
    "/api/embed": _posts(
        "Vectors of texts.", _EMBED,
        answer(shape(["model", "embeddings"], embeddings=listed({"type": "array"}))),
    ),
    "/api/embeddings": _posts(
        "The vector of a text.", shape(["model"], model=_COMMON["model"], prompt=MAYBE_TEXT),
        answer(shape(["embedding"], embedding={"type": "array"})),
    ),
    "/api/create": _refused(),
    "/api/push": _refused(),
    "/api/blobs/{digest}": _refused(parameter("digest")),
    "/": {"get": {"summary": "Whether it is up, for clients of Ollama; a page for browsers.",
                  "responses": {"200": {"description": "It is.", "content": {
                      "text/plain": {"schema": TEXT}, "text/html": {"schema": TEXT}}}}}},
    "/api/version": _gets("The version of the interface.", shape(["version"], version=TEXT)),
}  # fmt: skip
_LINE: Final = ("name", "model", "size", "digest", "details")
_MODELS: Final = shape(["models"], models=listed(shape(_LINE)))
_RUNNING: Final = shape(
    ["models"], models=listed(shape((*_LINE, "expires_at", "size_vram")))
)
MODELS: Final[dict[str, Any]] = {
    "/api/tags": _gets("The models.", _MODELS),
    "/api/ps": _gets("The models in memory.", _RUNNING),
    "/api/show": _posts(
        "One model.", _NAMED, answer(shape(["details", "model_info", "capabilities"]))
    ),
    "/api/pull": _posts(
        "Fetch a model.", _NAMED, answer(shape(["status"], status=TEXT), streams=NDJSON)
    ),
    "/api/delete": _posts("Remove a model.", _NAMED, _EMPTY, "delete"),
    "/api/copy": _posts(
        "Another name for a model.",
        shape(["source", "destination"], source=TEXT, destination=TEXT), _EMPTY,
    ),
}  # fmt: skip
