"""A decision without running: which model a request would go to, and why."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.protocols import openai
from llmrr.protocols.base import Asked
from llmrr.server import callers, reading
from llmrr.server.openai_paths import CHAT
from llmrr.server.openapi import TEXT, Paths, answer, listed, operation, parameter, shape
from llmrr.server.service import Service
from llmrr.server.telling import as_json

_QUERY: Final = ("prompt", "model", "strategy")


async def decide(request: Request) -> Response:
    """``POST /route``: the decision for the body of a chat completion, or of a completion; and
    ``GET /route?prompt=…``."""
    service: Service = request.app.state.service
    asked = await _asked(request)
    decision = await service.metered(lambda: service.decide(asked), lambda found: 0)
    return as_json(callers.visible(decision.facts()))


async def _asked(request: Request) -> Asked:
    if request.method == "POST":
        body = await reading.json_object(request)
        return openai.completion(body) if "prompt" in body else openai.chat(body)
    given = {name: request.query_params.get(name) for name in _QUERY}
    messages = [{"role": "user", "content": given.pop("prompt") or ""}]
    return openai.chat({**given, "messages": messages})


_DECISION: Final = shape(
    ["model", "strategy", "candidates", "rejected"],
    model={"type": ["string", "null"]}, strategy={"type": ["string", "null"]},
    candidates=listed(shape(["name", "score", "terms"], name=TEXT)),
    rejected=listed(shape(["name", "why"], name=TEXT, why=TEXT)),
)  # fmt: skip

ROUTES = [Route("/route", decide, methods=["GET", "POST"])]
PATHS: Paths = {
    "/route": {
        "post": operation("Which model a chat would go to.", answer(_DECISION), body=CHAT),
        "get": operation(
            "Which model a prompt would go to.", answer(_DECISION),
            parameters=[parameter(name, "query") for name in _QUERY],
        ),
    }
}  # fmt: skip
