"""Ollama's API: which models there are, and how they come and go."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llmrr import engines
from llmrr.choosing import infos
from llmrr.choosing.abilities import abilities
from llmrr.engines.base import Engine
from llmrr.errors import InvalidRequest, LlmrrError
from llmrr.inventory import Installed
from llmrr.protocols import base, ollama
from llmrr.protocols.base import Event
from llmrr.protocols.fields import Fields
from llmrr.server import callers, faults, hiding, managing, reading
from llmrr.server.aliases import AUTO
from llmrr.server.managing import require_management
from llmrr.server.ollama_paths import MODELS
from llmrr.server.openapi import Paths
from llmrr.server.service import Service
from llmrr.server.streaming import MEDIA_TYPES, ndjson
from llmrr.store.planning import Plan
from llmrr.types import Feature, ModelInfo

FOREVER_S = 100 * 365 * 86400.0  # what is never unloaded ends then, for clients that want a time
PROGRESS_S = 0.2


async def tags(request: Request) -> Response:
    """``GET /api/tags``: the models, then the aliases."""
    service: Service = request.app.state.service
    return JSONResponse({"models": await service.aside(lambda: list(_tags(service)))})


async def ps(request: Request) -> Response:
    """``GET /api/ps``: those in memory."""
    service: Service = request.app.state.service
    return JSONResponse({"models": await service.aside(lambda: list(_running(service)))})


async def show(request: Request) -> Response:
    """``POST /api/show``."""
    body = await reading.json_object(request)
    service: Service = request.app.state.service
    name = service.model_of(ollama.model_named(body))
    callers.visit().model = name or AUTO
    verbose = bool(Fields(body).flag("verbose"))
    return JSONResponse(await service.aside(lambda: _shown(service, name, verbose=verbose)))


async def pull(request: Request) -> Response:
    """``POST /api/pull``: from the hub, under the names that ``llmrr pull`` takes."""
    require_management(request)
    body = await reading.json_object(request)
    service: Service = request.app.state.service
    name = ollama.model_named(body)
    plan = await service.aside(lambda: managing.planned(service.router, name))
    pulling = Pulling(plan)
    if Fields(body).flag("stream") is False:
        try:
            await service.aside(pulling.work)
        finally:
            pulling.left.set()
        service.changed()
        return JSONResponse({"status": "success"})
    return StreamingResponse(_progress(service, pulling), media_type=MEDIA_TYPES[ndjson])


async def delete(request: Request) -> Response:
    """``DELETE /api/delete``."""
    require_management(request)
    name = ollama.model_named(await reading.json_object(request))
    service: Service = request.app.state.service
    found = service.model_of(name, by_itself=True)
    await service.aside(lambda: managing.remove(service.router, found or name))
    service.changed()
    return Response(status_code=200)


async def copy(request: Request) -> Response:
    """``POST /api/copy``."""
    require_management(request)
    given = Fields(await reading.json_object(request))
    source, name = given.text("source"), given.text("destination")
    if not source or not name:
        raise InvalidRequest("source and destination are two names", '{"source", "destination"}')
    service: Service = request.app.state.service
    found = service.model_of(source, by_itself=True)
    await service.aside(lambda: managing.copy(service.router, found or source, name))
    service.changed()
    return Response(status_code=200)


class Pulling:
    """A model that is fetched, by ``work`` on a thread. ``left`` is to be set when nobody waits for
    it any more: what has come is kept, and the next one goes on from there."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.left = plan, threading.Event()
        self._there: dict[str, int] = {}

    def work(self) -> None:
        """Fetch it."""
        managing.fetch(self.plan, self._arrived)

    def _arrived(self, name: str, count: int) -> None:
        if self.left.is_set():
            raise LlmrrError("nobody waits for this model any more", "ask for it again")
        self._there[name] = count

    def told(self) -> Iterator[Mapping[str, Any]]:
        """How far each file is that has begun to come."""
        for file in self.plan.files:
            if file.path in self._there:
                digest = f"sha256:{file.sha256}" if file.sha256 else file.path
                yield {
                    "status": f"pulling {digest.removeprefix('sha256:')[:12]}", "digest": digest,
                    "total": file.size, "completed": min(self._there[file.path], file.size),
                }  # fmt: skip


async def _progress(service: Service, pulling: Pulling) -> AsyncIterator[str]:
    working = asyncio.ensure_future(service.aside(pulling.work))
    working.add_done_callback(lambda done: done.cancelled() or done.exception())  # if nobody asks
    try:
        yield ndjson(Event({"status": "pulling manifest"}))
        told: list[Mapping[str, Any]] = []
        while not working.done():
            await asyncio.wait((working,), timeout=PROGRESS_S)
            before, told = told, list(pulling.told())
            for line in told:
                if line not in before:
                    yield ndjson(Event(line))
        await working
        service.changed()
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            yield ndjson(Event({"status": status}))
    except Exception as error:
        if not isinstance(error, LlmrrError):
            faults.logger.error("a pull broke off", exc_info=error)
        yield ndjson(Event(ollama.error(hiding.told(error), base.status_of(error))))
    finally:
        pulling.left.set()


def _tags(service: Service) -> Iterator[dict[str, Any]]:
    lines = {one.name: one for one in _models(service) if not one.is_missing}
    names = service.names()
    for name, one in lines.items():
        if name in names:
            yield ollama.listed(one, _info(service, one))
    for alias, name in service.named_aliases().items():
        if name in lines and name in names:
            yield ollama.listed(lines[name], _info(service, lines[name]), alias)


def _models(service: Service) -> list[Installed]:
    """What can be named; what nobody added has been there since the server began."""
    found = service.router.models()
    return [replace(one, added=one.added or service.began) for one in found]


def _info(service: Service, one: Installed) -> ModelInfo | None:
    if one.path is not None:
        with suppress(LlmrrError, OSError):
            return infos.inspect(one.path, service.router.with_database)
    return None


def _running(service: Service) -> Iterator[dict[str, Any]]:
    router, now = service.router, time.time()
    lines = {one.name: one for one in _models(service)}
    names = service.names()
    for held in router.loaded():
        left = router.pool.expiry(held)
        is_over = left is not None and left <= 0 and not held.leases  # it goes at this moment
        if held.name in names and not is_over:
            line = lines.get(held.name)
            known = ollama.listed(line, _info(service, line)) if line else None
            expires = now + min(FOREVER_S if left is None else left, FOREVER_S)
            yield ollama.running(held, known, expires)


def _shown(service: Service, name: str | None, *, verbose: bool) -> dict[str, Any]:
    router = service.router
    resolved = service.resolved(name)
    if resolved.endpoint is not None:
        engine = engines.for_endpoint(resolved.endpoint, resolved.engine).engine
        return ollama.elsewhere(resolved, engine.can, service.began)
    found = router.describe(name)
    takes = [one for one in engines.ENGINES if found.info.format in one.formats]
    runs = [one for one in takes if one.name == resolved.engine] or takes
    stated = _template_of_all(service, runs)
    recipe = replace(resolved.recipe, options={**stated, **resolved.recipe.options})
    found = replace(found, added=found.added or service.began, recipe=recipe)  # as in ``_models``
    entry = router.catalogue.entry(name)
    start = str(entry.path) if entry.provider == "file" else entry.origin
    can = frozenset[Feature]().union(*(one.can for one in runs))
    can = abilities(can, found.info, {**stated, **resolved.options})
    return ollama.shown(found, start, can, verbose=verbose)


def _template_of_all(service: Service, runs: Sequence[Engine]) -> dict[str, object]:
    """The chat template that is configured for every model of an engine."""
    own = service.router.config.engine_options(runs[0].name) if runs else {}
    return {name: one for name, one in own.items() if name == "chat_template"}


ROUTES = [
    Route("/api/tags", tags),
    Route("/api/ps", ps),
    Route("/api/show", show, methods=["POST"]),
    Route("/api/pull", pull, methods=["POST"]),
    Route("/api/delete", delete, methods=["DELETE"]),
    Route("/api/copy", copy, methods=["POST"]),
]
PATHS: Paths = MODELS
