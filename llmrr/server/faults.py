"""Errors as responses, in the protocol of the path that was asked."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from llmrr.errors import LlmrrError, NotFound, UsageError
from llmrr.protocols import anthropic, base, ollama, openai
from llmrr.server import hiding, ids

# How an error is told, by the beginning of the path; elsewhere as OpenAI does.
SHAPES: Final[tuple[tuple[str, Callable[[BaseException, int], Mapping[str, Any]]], ...]] = (
    ("/v1/messages", anthropic.error),
    ("/api/", ollama.error),
)

logger = logging.getLogger("llmrr.server")


class NoPath(NotFound):
    """Nothing is served under a path."""

    code = "unknown_url"


async def respond(request: Request, error: Exception) -> Response:
    """The response for an error. A bug is logged with its traceback, and told as such; of what
    lies where on this machine only the log tells."""
    status = base.status_of(error)
    if not isinstance(error, LlmrrError):
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return response(request.url.path, hiding.told(error), status)


async def respond_http(request: Request, error: Exception) -> Response:
    """The same for what the routing found: no such path, no such method."""
    assert isinstance(error, HTTPException)
    said = f"{request.method} {request.url.path}"
    if error.status_code == 404:
        told: LlmrrError = NoPath(f"there is no {said}", "GET /openapi.json lists what there is")
    else:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "GET").split(", ")))
        told = UsageError(f"there is no {said}", f"this path takes {allowed}")
    return response(request.url.path, told, error.status_code, error.headers)


def response(
    path: str, error: BaseException, status: int, headers: Any = None
) -> Response:
    """An error in the words of a protocol."""
    after = getattr(error, "retry_after", None)
    if after is not None:
        headers = {**(headers or {}), "retry-after": str(max(1, round(after)))}
    if status == 401:
        headers = {**(headers or {}), "www-authenticate": "Bearer"}
    shape = next((shape for start, shape in SHAPES if path.startswith(start)), openai.error)
    told = dict(shape(error, status))
    if path.startswith("/v1/messages"):
        told["request_id"] = f"req_{ids.new()}"
        headers = {**(headers or {}), "request-id": told["request_id"]}
    body = json.dumps(told)  # ASCII: whatever was sent may be in it
    return Response(body, status, headers, "application/json")
