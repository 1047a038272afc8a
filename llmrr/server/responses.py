"""OpenAI's responses API. What was answered is kept, for a request that goes on with it."""

from collections.abc import Callable, Mapping, Sequence
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
from llmrr.server import reading
from llmrr.server.answering import respond
from llmrr.server.kept_responses import Kept
from llmrr.server.openai_paths import COUNT_PATH, INPUT_ITEMS_PATH, RESPONDED, RESPONSE_PATH
from llmrr.server.openapi import Paths, answer, operation, parameter, shape
from llmrr.server.prompt_sizes import count, counted
from llmrr.server.service import Service
from llmrr.server.telling import as_json
from llmrr.types import Message


async def create(request: Request) -> Response:
    """``POST /v1/responses``."""
    service: Service = request.app.state.service
    asked, before = await _asked(request)
    responses, ended = service.responses, list[Callable[[], None]]()

    def make(about: Answered, asked: Asked) -> ResponseWriter:
        def keep(found: Mapping[str, Any], messages: Sequence[Message]) -> None:
            added = input_items.items(asked.body, about.id)
            ended.append(lambda: responses.keep(found, messages, added, before))

        return ResponseWriter(about, asked, keep)

    async def finish() -> None:
        for keep in ended:
            await service.aside(keep)

    return await respond(request, asked, make, finish=finish)


async def input_tokens(request: Request) -> Response:
    """``POST /v1/responses/input_tokens``."""
    asked, _ = await _asked(request)
    return as_json(counted(await count(request.app.state.service, asked)))


async def _asked(request: Request) -> tuple[Asked, Kept | None]:
    """What is asked, and what that goes on with."""
    service: Service = request.app.state.service
    body, responses = await reading.json_object(request), service.responses
    before = None
    if _names_items(body.get("input")):
        body = {**body, "input": await service.aside(lambda: responses.resolved(body["input"]))}
    if (id := Fields(body).text("previous_response_id")) is not None:
        before = await service.aside(lambda: responses.of(id, "previous_response_id"))
    if not responses.keeps:
        body = {**body, "store": False}
    return response(body, before.messages if before else ()), before


async def one(request: Request) -> Response:
    """``GET`` and ``DELETE /v1/responses/{id}``."""
    service: Service = request.app.state.service
    responses, id = service.responses, request.path_params["id"]
    if request.method == "DELETE":
        await service.aside(lambda: responses.forget(id))
        return as_json({"id": id, "object": "response", "deleted": True})
    found = await service.aside(lambda: responses.of(id))
    if request.query_params.get("stream") == "true":
        said = "stream: this response is complete, and none is made in the background here"
        raise BadField("stream", said, "leave it out", code="unsupported_value")
    return as_json(found.response)


async def cancel(request: Request) -> Response:
    """``POST /v1/responses/{id}/cancel``, which is for what is made in the background alone."""
    service: Service = request.app.state.service
    responses, id = service.responses, request.path_params["id"]
    await service.aside(lambda: responses.of(id))
    said = "a response that is not made in the background cannot be cancelled"
    raise InvalidRequest(said, "a client that leaves stops it")


async def inputs(request: Request) -> Response:
    """``GET /v1/responses/{id}/input_items``: of the whole conversation up to its answer."""
    service: Service = request.app.state.service
    responses, id = service.responses, request.path_params["id"]
    found = await service.aside(lambda: responses.of(id))
    return as_json(input_items.page(found.items, request.query_params))


def _names_items(given: object) -> bool:
    return isinstance(given, list) and any(
        isinstance(one, Mapping) and one.get("type") == "item_reference" for one in given
    )


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
