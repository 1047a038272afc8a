"""OpenAI's responses API. What was answered is kept, for a request that goes on with it."""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.protocols.fields import Fields
from llmrr.protocols.openai.output import ResponseWriter
from llmrr.protocols.openai.responses import response
from llmrr.server import reading
from llmrr.server.kept_responses import KeptResponses
from llmrr.server.openai import told
from llmrr.server.openai_paths import RESPONDED, RESPONSE_PATH
from llmrr.server.openapi import Paths, answer, operation, parameter, shape
from llmrr.server.telling import as_json
from llmrr.types import Message


async def create(request: Request) -> Response:
    """``POST /v1/responses``."""
    kept: KeptResponses = request.app.state.service.responses
    body = await reading.json_object(request)
    before: Sequence[Message] = ()
    if (id := Fields(body).text("previous_response_id")) is not None:
        before = kept.of(id, "previous_response_id").messages
    return await told(request, response(body, before), partial(ResponseWriter, keep=kept.keep))


async def retrieve(request: Request) -> Response:
    """``GET /v1/responses/{id}``."""
    kept: KeptResponses = request.app.state.service.responses
    return as_json(kept.of(request.path_params["id"]).response)


async def delete(request: Request) -> Response:
    """``DELETE /v1/responses/{id}``."""
    id = request.path_params["id"]
    request.app.state.service.responses.forget(id)
    return as_json({"id": id, "object": "response", "deleted": True})


ROUTES = [
    Route("/v1/responses", create, methods=["POST"]),
    Route("/responses", create, methods=["POST"]),
    Route("/v1/responses/{id}", retrieve),
    Route("/v1/responses/{id}", delete, methods=["DELETE"]),
]
PATHS: Paths = {
    "/v1/responses": RESPONSE_PATH,
    "/responses": RESPONSE_PATH,
    "/v1/responses/{id}": {
        "get": operation("A kept response.", answer(RESPONDED), parameters=[parameter("id")]),
        "delete": operation(
            "Forget a response.", answer(shape(["id", "deleted"])), parameters=[parameter("id")]
        ),
    },
}
