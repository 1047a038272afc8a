"""The guide's cache of the JavaScript original, and the shape that it becomes there."""

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

from llmrr.migrate.caches.answers import (
    Answer,
    Left,
    Row,
    Rows,
    checked,
    count_of,
    moment_of,
    text_of,
)
from llmrr.migrate.parsing.shapes import tables

VERSION: Final = "2.0.0"
_FORMATS: Final = {
    ".gguf": "gguf", ".ggml": "ggml", ".safetensors": "safetensors", ".onnx": "onnx",
    ".bin": "pytorch", ".pt": "pytorch", ".pth": "pytorch",
}  # fmt: skip


def fits(shape: Any) -> bool:
    """Whether it has models with paths, or responses with input and output.

    >>> fits({"responses": [{"input": "a", "output": "b"}]}), fits({"models": [{"name": "a"}]})
    (True, False)
    """
    if not isinstance(shape, dict):
        return False
    models = tables(shape.get("models"))
    responses = tables(shape.get("responses"))
    told = [one for one in responses if {"input", "output"} <= set(one)]
    if "responses" in shape and not isinstance(shape["responses"], list | None):
        return False
    held = [one for one in models if "path" in one and {"size", "lastAccess"} & set(one)]
    return bool(told) or (bool(held) and len(held) == len(models))


def rows(shape: Mapping[str, Any]) -> Rows:
    """Its responses."""
    found = shape.get("responses")
    for one in found if isinstance(found, list) else ():
        yield _row(one) if isinstance(one, dict) else Left("no text")


def _row(one: Mapping[str, Any]) -> Row:
    prompt, response = text_of(one.get("input")), text_of(one.get("output"))
    if prompt is None or response is None:
        return Left("no text")
    return checked(
        Answer(
            prompt, response, text_of(one.get("modelName")), moment_of(one.get("created")),
            completion_tokens=count_of(one.get("tokenCount")),
        )
    )  # fmt: skip


def models(shape: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its models as the guide has them after a migration."""
    found = []
    for one in tables(shape.get("models")):
        path, last = text_of(one.get("path")), moment_of(one.get("lastAccess"))
        metadata = {
            "size": count_of(one.get("size")), "lastUsed": _iso(last),
            "format": _FORMATS.get(PurePath(path or "").suffix.lower()),
        }  # fmt: skip
        found.append({"id": text_of(one.get("name")), "source": path, "metadata": metadata})
    return found


def inference(answers: Iterable[Answer]) -> list[dict[str, Any]]:
    """Answers as the guide has them after a migration."""
    return [
        {
            "prompt": one.prompt, "response": one.response, "model": one.model,
            "timestamp": _iso(one.at), "tokens": one.completion_tokens,
        }
        for one in answers
    ]  # fmt: skip


def _iso(at: float | None) -> str | None:
    from datetime import UTC, datetime

    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
