"""A decision without running: which model a request would go to, and why."""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.protocols import openai
from llmrr.protocols.base import Asked
from llmrr.server import reading
from llmrr.server.openai_paths import CHAT
from llmrr.server.openapi import TEXT, Paths, answer, listed, operation, parameter, shape
from llmrr.server.service import Service
from llmrr.server.telling import as_json

_QUERY: Final = ("prompt", "model", "strategy")


async def by_body(request: Request) -> Response:
    """``POST /route``: the decision for the body of a chat completion, or of a completion."""
    body = await reading.json_object(request)
    understood = openai.completion if "prompt" in body else openai.chat
    return await _decided(request, understood(body))


async def by_query(request: Request) -> Response:
    """``GET /route?prompt=…``."""
    asked = {name: request.query_params.get(name) for name in _QUERY}
    messages = [{"role": "user", "content": asked.pop("prompt") or ""}]
    return await _decided(request, openai.chat({**asked, "messages": messages}))


async def _decided(request: Request, asked: Asked) -> Response:
    service: Service = request.app.state.service
    work = asyncio.get_running_loop().run_in_executor(None, lambda: _facts(service, asked))
    return as_json(await work)


def _facts(service: Service, asked: Asked) -> dict[str, Any]:
    return service.decide(asked).facts()


_DECISION: Final = shape(
    ["model", "strategy", "candidates", "rejected"],
    model={"type": ["string", "null"]}, strategy={"type": ["string", "null"]},
    candidates=listed(shape(["name", "score", "terms"], name=TEXT)),
    rejected=listed(shape(["name", "why"], name=TEXT, why=TEXT)),
)  # fmt: skip

ROUTES = [Route("/route", by_body, methods=["POST"]), Route("/route", by_query)]
PATHS: Paths = {
    "/route": {
        "post": operation("Which model a chat would go to.", answer(_DECISION), body=CHAT),
        "get": operation(
            "Which model a prompt would go to.", answer(_DECISION),
            parameters=[parameter(name, "query") for name in _QUERY],
        ),
    }
}  # fmt: skip
