"""OpenAI's responses API. What was answered is kept, for a request that goes on with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.errors import InvalidRequest
from llmrr.protocols.base import Answered, Asked
from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai import input_items
from llmrr.protocols.openai.output import ResponseWriter
from llmrr.protocols.openai.responses import response
from llmrr.server import callers, reading
from llmrr.server.answering import respond
from llmrr.server.kept_responses import Kept, KeptResponses
from llmrr.server.openai_paths import COUNT_PATH, INPUT_ITEMS_PATH, RESPONDED, RESPONSE_PATH
from llmrr.server.openapi import Paths, answer, operation, parameter, shape
from llmrr.server.prompt_sizes import count, counted
from llmrr.server.telling import as_json
from llmrr.types import Message


async def create(request: Request) -> Response:
    """``POST /v1/responses``."""
    asked, before = await _asked(request)
    kept: KeptResponses = request.app.state.service.responses
    owner = callers.current().name

    def make(about: Answered, asked: Asked) -> ResponseWriter:
        def keep(found: Mapping[str, Any], messages: Sequence[Message]) -> None:
            added = input_items.items(asked.body, about.id)
            kept.keep(owner, found, messages, added, before)

        return ResponseWriter(about, asked, keep)

    return await respond(request, asked, make)


async def input_tokens(request: Request) -> Response:
    """``POST /v1/responses/input_tokens``."""
    asked, _ = await _asked(request)
    return as_json(counted(await count(request.app.state.service, asked)))


async def _asked(request: Request) -> tuple[Asked, Kept | None]:
    """What is asked, and what that goes on with."""
    kept: KeptResponses = request.app.state.service.responses
    body = await reading.json_object(request)
    owner = callers.current().name
    body = {**body, "input": kept.resolved(owner, body.get("input"))}
    before = None
    if (id := Fields(body).text("previous_response_id")) is not None:
        before = kept.of(owner, id, "previous_response_id")
    return response(body, before.messages if before else ()), before


async def one(request: Request) -> Response:
    """``GET`` and ``DELETE /v1/responses/{id}``."""
    kept: KeptResponses = request.app.state.service.responses
    owner, id = callers.current().name, request.path_params["id"]
    if request.method == "DELETE":
        kept.forget(owner, id)
        return as_json({"id": id, "object": "response", "deleted": True})
    found = kept.of(owner, id).response
    if request.query_params.get("stream") == "true":
        said = "stream: this response is complete, and none is made in the background here"
        raise BadField("stream", said, "leave it out", code="unsupported_value")
    return as_json(found)


async def cancel(request: Request) -> Response:
    """``POST /v1/responses/{id}/cancel``, which is for what is made in the background alone."""
    kept: KeptResponses = request.app.state.service.responses
    kept.of(callers.current().name, request.path_params["id"])
    said = "a response that is not made in the background cannot be cancelled"
    raise InvalidRequest(said, "a client that leaves stops it")


async def inputs(request: Request) -> Response:
    """``GET /v1/responses/{id}/input_items``: of the whole conversation up to its answer."""
    kept: KeptResponses = request.app.state.service.responses
    found = kept.of(callers.current().name, request.path_params["id"])
    return as_json(input_items.page(found.items, request.query_params))


ROUTES = [
    Route("/v1/responses", create, methods=["POST"]),
    Route("/responses", create, methods=["POST"]),
    Route("/v1/responses/input_tokens", input_tokens, methods=["POST"]),
    Route("/responses/input_tokens", input_tokens, methods=["POST"]),
    Route("/v1/responses/{id}", one, methods=["GET", "DELETE"]),
    Route("/v1/responses/{id}/cancel", cancel, methods=["POST"]),
    Route("/v1/responses/{id}/input_items", inputs),
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
    "/v1/responses/{id}/cancel": {
        "post": operation(
            "Refused: none is made in the background.",
            answer(RESPONDED),
            parameters=[parameter("id")],
        )
    },
    "/v1/responses/{id}/input_items": INPUT_ITEMS_PATH,
}
