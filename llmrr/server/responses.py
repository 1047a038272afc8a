"""OpenAI's responses API. What was answered is kept, for a request that goes on with it."""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.protocols.base import Asked
from llmrr.protocols.fields import Fields
from llmrr.protocols.openai.output import ResponseWriter
from llmrr.protocols.openai.responses import response
from llmrr.server import callers, reading
from llmrr.server.answering import respond
from llmrr.server.kept_responses import KeptResponses
from llmrr.server.openai_paths import COUNT_PATH, RESPONDED, RESPONSE_PATH
from llmrr.server.openapi import Paths, answer, operation, parameter, shape
from llmrr.server.prompt_sizes import count, counted
from llmrr.server.telling import as_json
from llmrr.types import Message


async def create(request: Request) -> Response:
    """``POST /v1/responses``."""
    asked = await _asked(request)
    kept: KeptResponses = request.app.state.service.responses
    make = partial(ResponseWriter, keep=partial(kept.keep, callers.current().name))
    return await respond(request, asked, make)


async def input_tokens(request: Request) -> Response:
    """``POST /v1/responses/input_tokens``."""
    found = await count(request.app.state.service, await _asked(request))
    return as_json(counted(found))


async def _asked(request: Request) -> Asked:
    kept: KeptResponses = request.app.state.service.responses
    body = await reading.json_object(request)
    owner = callers.current().name
    body = {**body, "input": kept.resolved(owner, body.get("input"))}
    before: Sequence[Message] = ()
    if (id := Fields(body).text("previous_response_id")) is not None:
        before = kept.of(owner, id, "previous_response_id").messages
    return response(body, before)


async def one(request: Request) -> Response:
    """``GET`` and ``DELETE /v1/responses/{id}``."""
    kept: KeptResponses = request.app.state.service.responses
    owner, id = callers.current().name, request.path_params["id"]
    if request.method == "DELETE":
        kept.forget(owner, id)
        return as_json({"id": id, "object": "response", "deleted": True})
    return as_json(kept.of(owner, id).response)


ROUTES = [
    Route("/v1/responses", create, methods=["POST"]),
    Route("/responses", create, methods=["POST"]),
    Route("/v1/responses/input_tokens", input_tokens, methods=["POST"]),
    Route("/responses/input_tokens", input_tokens, methods=["POST"]),
    Route("/v1/responses/{id}", one, methods=["GET", "DELETE"]),
]
PATHS: Paths = {
    "/v1/responses": RESPONSE_PATH,
    "/responses": RESPONSE_PATH,
    "/v1/responses/input_tokens": COUNT_PATH,
    "/responses/input_tokens": COUNT_PATH,
    "/v1/responses/{id}": {
        "get": operation("A kept response.", answer(RESPONDED), parameters=[parameter("id")]),
        "delete": operation(
            "Forget a response.", answer(shape(["id", "deleted"])), parameters=[parameter("id")]
        ),
    },
}
