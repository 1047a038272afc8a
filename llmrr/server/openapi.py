"""The OpenAPI document that the server publishes: each module of paths describes its own, in
``PATHS``, with what is here."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from llmrr import __version__

Schema = Mapping[str, Any]
Paths = Mapping[str, Mapping[str, Any]]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": ["boolean", "null"]}
OBJECT: Final[Schema] = {"type": "object"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
MAYBE_OBJECT: Final[Schema] = {"type": ["object", "null"]}
ERROR: Final[Schema] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": TEXT, "type": TEXT, "param": MAYBE_TEXT, "code": MAYBE_TEXT,
            },
        }
    },
}  # fmt: skip
_WRONG: Final = {
    "400": "The request is wrong, or asks for what the model cannot do.",
    "404": "There is no such model.",
    "413": "The request is too large.",
    "429": "Too many requests, or too many tokens; retry-after says when to ask again.",
    "default": "What else went wrong.",
}
_TOLD: Final = {
    "x-llmrr-model": "The model that answers.",
    "x-llmrr-strategy": "How it was chosen, where it was.",
    "x-llmrr-why": "Why that one.",
    "x-llmrr-cache": "Why nothing is run: exact, or semantic.",
    "x-llmrr-left-out": "What of the request has no effect: fields, and types of tools.",
}


def number(low: float, high: float) -> Schema:
    """A number that may be left out."""
    return {"type": ["number", "null"], "minimum": low, "maximum": high}


def whole(low: int, high: int | None = None) -> Schema:
    """A whole number that may be left out."""
    found: dict[str, Any] = {"type": ["integer", "null"], "minimum": low}
    return found if high is None else {**found, "maximum": high}


def shape(required: Iterable[str] = (), /, **properties: Schema) -> Schema:
    """An object with these properties; others may be there."""
    return {"type": "object", "required": list(required), "properties": properties}


def listed(items: Schema, least: int = 0) -> Schema:
    """A list."""
    return {"type": "array", "items": items, "minItems": least}


def answer(schema: Schema, *, streams: str | None = None) -> dict[str, Any]:
    """The good response; ``streams`` is the media type of the pieces of what a model answers."""
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    found: dict[str, Any] = {"description": "The answer.", "content": content}
    if streams is not None:
        content[streams] = {}
        found["headers"] = {
            name: {"description": said, "schema": TEXT} for name, said in _TOLD.items()
        }
    return found


def operation(
    summary: str,
    good: Mapping[str, Any],
    *,
    body: Schema | None = None,
    parameters: Iterable[Mapping[str, Any]] = (),
    error: Schema = ERROR,
) -> dict[str, Any]:
    """What one method of a path does; ``good`` is of ``answer``, ``error`` how it tells what went
    wrong."""
    wrong = {
        status: {"description": said, "content": {"application/json": {"schema": error}}}
        for status, said in _WRONG.items()
    }
    found: dict[str, Any] = {"summary": summary, "responses": {"200": good, **wrong}}
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        content = {"application/json": {"schema": body}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def parameter(name: str, where: str = "path", schema: Schema = TEXT) -> dict[str, Any]:
    """A value in the path, or in the query."""
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def document(parts: Iterable[Paths]) -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "llmrr serve",
            "version": __version__,
            "description": "Local and remote models behind the APIs of OpenAI and others.",
        },
        "paths": {path: item for part in parts for path, item in part.items()},
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"key": []}],
    }
