"""Vectors of texts, over OpenAI's API."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.engines.remote.providers import PROVIDERS
from llmrr.kinds import split_source
from llmrr.protocols.fields import BadField
from llmrr.protocols.openai import embeddings
from llmrr.server import ids, reading
from llmrr.server.aliases import AUTO
from llmrr.server.leaving import while_there
from llmrr.server.openai_paths import EMBEDDING_PATH
from llmrr.server.openapi import Paths
from llmrr.server.service import OPTIONS, Service
from llmrr.server.telling import as_json, plain
from llmrr.server.working import in_turn


async def embed(request: Request) -> Response:
    """``POST /v1/embeddings``."""
    service: Service = request.app.state.service
    wanted = embeddings.embedding(await reading.json_object(request))
    _require_own_tokens(service, wanted)
    found = await while_there(request, in_turn(
        service, wanted.model, 1,
        lambda model, stopped: service.router.embedded(
            wanted.texts, model=model, options=OPTIONS, stopped=stopped
        ),
        lambda found: found.usage.prompt_tokens,
    ))  # fmt: skip
    service.metrics.tokens[found.model.name, "prompt"] += found.usage.prompt_tokens
    told = embeddings.vectors(
        wanted, found.vectors, wanted.model or found.model.name, found.usage
    )
    named = {"x-request-id": f"req_{ids.new()}", "x-llmrr-model": plain(found.model.name)}
    if wanted.left_out:
        named["x-llmrr-left-out"] = plain(", ".join(wanted.left_out))
    return as_json(told, named)


def _require_own_tokens(service: Service, wanted: embeddings.Wanted) -> None:
    """A name of the old system is another model's, and so are the ids of its tokens: their vectors
    would be those of other words."""
    name = service.alias_of(wanted.model or AUTO)
    by_ids = not all(isinstance(one, str) for one in wanted.texts)
    if name is not None and by_ids and not _is_elsewhere(service, name):
        raise BadField(
            "input", f"these are token ids of {wanted.model}, and {name} has other ones",
            "send the texts (in langchain check_embedding_ctx_length=False)",
        )  # fmt: skip


def _is_elsewhere(service: Service, name: str) -> bool:
    found = service.router.config.model(name)
    return found is not None and split_source(found.source)[0] in PROVIDERS


ROUTES = [Route(path, embed, methods=["POST"]) for path in ("/v1/embeddings", "/embeddings")]
PATHS: Paths = {"/v1/embeddings": EMBEDDING_PATH, "/embeddings": EMBEDDING_PATH}
