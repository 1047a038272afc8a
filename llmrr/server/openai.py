"""OpenAI's API: answers. The paths stand with and without ``/v1``, as llama-server has them."""

from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.choosing.scoring import Scored, scored
from llmrr.protocols import openai
from llmrr.protocols.base import Answered, Asked, Writer
from llmrr.server import answering, reading, telling
from llmrr.server.answering import MakeWriter
from llmrr.server.openai_paths import CHAT_PATH, COMPLETION_PATH
from llmrr.server.openapi import Paths
from llmrr.server.service import Service


async def chat_completions(request: Request) -> Response:
    """``POST /v1/chat/completions``."""
    return await told(request, openai.chat(await reading.json_object(request)), openai.ChatWriter)


async def completions(request: Request) -> Response:
    """``POST /v1/completions``."""
    asked = openai.completion(await reading.json_object(request))
    make = openai.CompletionWriter
    if (echo := openai.echoed(asked)) is None:
        return await told(request, asked, make)
    service: Service = request.app.state.service
    found: list[Scored] = []

    def score() -> None:  # by the model that would answer
        for one in (asked.request, *asked.others):
            found.append(scored(service.open(asked.model, one), one, echo.top))

    return await told(request, asked, partial(make, scored=found), score)


async def told(
    request: Request, asked: Asked, make: MakeWriter, before: Callable[[], None] | None = None
) -> Response:
    """The answer, with what the router knows in its headers; ``before`` is done before it begins.
    """
    headers: dict[str, str] = {}

    def making(about: Answered, asked: Asked) -> Writer:
        headers.update(telling.headers(about))
        return make(about, asked)

    response = await answering.respond(request, asked, making, before=before)
    response.headers.update(headers)
    return response


ROUTES = [
    Route(start + path, endpoint, methods=["POST"])
    for start in ("/v1", "")
    for path, endpoint in (("/chat/completions", chat_completions), ("/completions", completions))
]
PATHS: Paths = {
    start + path: item
    for start in ("/v1", "")
    for path, item in (("/chat/completions", CHAT_PATH), ("/completions", COMPLETION_PATH))
}
