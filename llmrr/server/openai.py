"""OpenAI's API: answers. The paths stand with and without ``/v1``, as llama-server has them."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.choosing.scoring import Scored, scored
from llmrr.protocols import openai
from llmrr.server import reading
from llmrr.server.answering import respond
from llmrr.server.openai_paths import CHAT_COUNT_PATH, CHAT_PATH, COMPLETION_PATH
from llmrr.server.openapi import Paths
from llmrr.server.prompt_sizes import count, counted
from llmrr.server.service import Service
from llmrr.server.telling import as_json


async def chat_completions(request: Request) -> Response:
    """``POST /v1/chat/completions``."""
    asked = openai.chat(await reading.json_object(request))
    return await respond(request, asked, openai.ChatWriter)


async def input_tokens(request: Request) -> Response:
    """``POST /v1/chat/completions/input_tokens``, as llama-server has it."""
    asked = openai.chat(await reading.json_object(request))
    return as_json(counted(await count(request.app.state.service, asked)))


async def completions(request: Request) -> Response:
    """``POST /v1/completions``."""
    asked = openai.completion(await reading.json_object(request))
    make = openai.CompletionWriter
    if (echo := openai.echoed(asked)) is None:
        return await respond(request, asked, make)
    service: Service = request.app.state.service
    found: list[Scored] = []

    def score() -> None:  # by the model that would answer
        for one in (asked.request, *asked.others):
            found.append(scored(service.open(asked.model, one), one, echo.top))

    return await respond(request, asked, partial(make, scored=found), before=score)


ROUTES = [
    Route(start + path, endpoint, methods=["POST"])
    for start in ("/v1", "")
    for path, endpoint in (
        ("/chat/completions", chat_completions), ("/completions", completions),
        ("/chat/completions/input_tokens", input_tokens),
    )
]  # fmt: skip
PATHS: Paths = {
    start + path: item
    for start in ("/v1", "")
    for path, item in (
        ("/chat/completions", CHAT_PATH), ("/completions", COMPLETION_PATH),
        ("/chat/completions/input_tokens", CHAT_COUNT_PATH),
    )
}  # fmt: skip
