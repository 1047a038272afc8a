"""Vectors of texts, over OpenAI's API."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.protocols.openai import embeddings
from llmrr.server import reading
from llmrr.server.leaving import while_there
from llmrr.server.openai_paths import EMBEDDING_PATH
from llmrr.server.openapi import Paths
from llmrr.server.service import Service
from llmrr.server.telling import as_json, plain


async def embed(request: Request) -> Response:
    """``POST /v1/embeddings``."""
    service: Service = request.app.state.service
    wanted = embeddings.embedding(await reading.json_object(request))
    found = await while_there(request, service.work(
        wanted.model, 1, lambda model: service.router.embedded(wanted.texts, model=model),
        lambda found: found.usage.prompt_tokens,
    ))  # fmt: skip
    service.metrics.tokens[found.model.name, "prompt"] += found.usage.prompt_tokens
    told = embeddings.vectors(
        wanted, found.vectors, wanted.model or found.model.name, found.usage
    )
    return as_json(told, {"x-llmrr-model": plain(found.model.name)})


ROUTES = [Route(path, embed, methods=["POST"]) for path in ("/v1/embeddings", "/embeddings")]
PATHS: Paths = {"/v1/embeddings": EMBEDDING_PATH, "/embeddings": EMBEDDING_PATH}
