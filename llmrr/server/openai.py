"""OpenAI's API."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.protocols import openai
from llmrr.server import answering, reading


async def chat_completions(request: Request) -> Response:
    """``POST /v1/chat/completions``."""
    asked = openai.chat(await reading.json_object(request))
    return await answering.respond(request, asked, openai.ChatWriter)


async def completions(request: Request) -> Response:
    """``POST /v1/completions``."""
    asked = openai.completion(await reading.json_object(request))
    return await answering.respond(request, asked, openai.CompletionWriter)


ROUTES = [
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
]
