"""Which models there are, over OpenAI's API: the names that a request may have."""

from collections.abc import Iterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmrr.engines.remote.providers import PROVIDERS
from llmrr.kinds import split_source
from llmrr.protocols import anthropic
from llmrr.protocols.openai import models
from llmrr.server import callers
from llmrr.server.aliases import AUTO
from llmrr.server.openai_paths import MODEL, MODELS_PATH
from llmrr.server.openapi import Paths, answer, operation, parameter
from llmrr.server.service import Service

ANTHROPICS: Final = "anthropic-version"  # its clients send it


async def listed(request: Request) -> Response:
    """``GET /v1/models``, also as Anthropic's clients read it."""
    found = _all(request.app.state.service)
    if ANTHROPICS in request.headers:
        return JSONResponse(anthropic.models((one["id"], one["created"]) for one in found))
    return JSONResponse(models.models(found))


async def one(request: Request) -> Response:
    """``GET /v1/models/{name}``, under the name that is asked for, whatever it stands for: slashes
    and colons may be in it."""
    name = request.path_params["name"]
    if not name:
        return await listed(request)
    service: Service = request.app.state.service
    found = next((found for found in _all(service) if found["id"] == name), None)
    if found is None and (meant := service.model_of(name)) is not None:
        found = next((one for one in _all(service) if one["id"] == meant), None)
    if found is None:
        raise callers.no_model(name)
    if ANTHROPICS in request.headers:
        return JSONResponse(anthropic.model(name, found["created"]))
    return JSONResponse({**found, "id": name})


def _all(service: Service) -> Iterator[dict[str, Any]]:
    began = int(service.began)
    owners = {one.name: _owner(one.source) for one in service.router.config.models}
    added = {one.label: int(one.added) for one in service.router.catalogue.entries()}
    names = service.names()
    stated = service.named_aliases().items()
    aliases = (alias for alias, meant in stated if meant in names or meant == AUTO)
    for name in (AUTO, *sorted(names), *aliases):
        yield models.model(name, added.get(name, began), owners.get(name, "llmrr"))


def _owner(source: str) -> str:
    """The provider of a remote model; of one on this machine we are."""
    provider = split_source(source)[0]
    return provider if provider in PROVIDERS else "llmrr"


ROUTES = [
    Route("/v1/models", listed),
    Route("/models", listed),
    Route("/v1/models/{name:path}", one),
]
PATHS: Paths = {
    "/v1/models": MODELS_PATH,
    "/models": MODELS_PATH,
    "/v1/models/{name}": {
        "get": operation("One model.", answer(MODEL), parameters=[parameter("name")])
    },
}
