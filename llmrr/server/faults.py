"""Errors as responses, in the protocol of the path that was asked."""

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr.errors import LlmrrError, NotFound, UsageError
from llmrr.protocols import base, openai

logger = logging.getLogger("llmrr.server")


class NoPath(NotFound):
    """Nothing is served under a path."""

    code = "unknown_url"


async def respond(request: Request, error: Exception) -> Response:
    """The response for an error. A bug is logged with its traceback, and told as such."""
    status = base.status_of(error)
    if not isinstance(error, LlmrrError):
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return response(request.url.path, error, status)


async def respond_http(request: Request, error: Exception) -> Response:
    """The same for what the routing found: no such path, no such method."""
    assert isinstance(error, HTTPException)
    said = f"{request.method} {request.url.path}"
    if error.status_code == 404:
        told: LlmrrError = NoPath(f"there is no {said}", "GET /openapi.json lists what there is")
    else:
        told = UsageError(f"{said}: {error.detail}")
    return response(request.url.path, told, error.status_code, error.headers)


def response(
    path: str, error: BaseException, status: int, headers: Any = None
) -> JSONResponse:
    """An error in the words of a protocol."""
    after = getattr(error, "retry_after", None)
    if after is not None:
        headers = {**(headers or {}), "retry-after": str(max(1, round(after)))}
    if status == 401:
        headers = {**(headers or {}), "www-authenticate": "Bearer"}
    return JSONResponse(openai.error(error, status), status, headers)
