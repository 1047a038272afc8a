"""Anthropic's API."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmrr.protocols import anthropic
from llmrr.server import answering, reading
from llmrr.server.anthropic_paths import COUNT_PATH, MESSAGES_PATH
from llmrr.server.openapi import Paths
from llmrr.server.prompt_sizes import count


async def messages(request: Request) -> Response:
    """``POST /v1/messages``."""
    asked = anthropic.messages(await reading.json_object(request))
    found = await answering.respond(request, asked, anthropic.MessageWriter)
    found.headers["request-id"] = found.headers["x-request-id"]
    return found


async def count_tokens(request: Request) -> Response:
    """``POST /v1/messages/count_tokens``: exact, by the model's own template and tokenizer."""
    asked = anthropic.counted(await reading.json_object(request))
    return JSONResponse({"input_tokens": await count(request.app.state.service, asked)})


ROUTES = [
    Route("/v1/messages", messages, methods=["POST"]),
    Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
]
PATHS: Paths = {"/v1/messages": MESSAGES_PATH, "/v1/messages/count_tokens": COUNT_PATH}
