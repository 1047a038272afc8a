"""Ollama's API: what answers. Its models are in ``ollama_models``."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from llmrr.choosing.embedding import Embedded
from llmrr.engines.remote.model import unit
from llmrr.errors import FeatureMissing, LlmrrError
from llmrr.protocols import ollama
from llmrr.protocols.base import Answered, Asked, Writer
from llmrr.server import answering, reading
from llmrr.server.leaving import while_there
from llmrr.server.ollama_paths import ANSWERING
from llmrr.server.openapi import Paths
from llmrr.server.refusals import Forbidden
from llmrr.server.running import Running
from llmrr.server.service import OPTIONS, Service
from llmrr.server.streaming import ndjson
from llmrr.server.telling import as_json, plain
from llmrr.server.working import in_turn
from llmrr.types import Request as Wish

# Of the interface that is spoken here: clients refuse what is older than they know.
VERSION: Final = "0.12.6"


async def generate(request: Request) -> Response:
    """``POST /api/generate``."""
    wanted = ollama.generate(await reading.json_object(request))
    service: Service = request.app.state.service
    if wanted.asked is None:
        return await _load(request, wanted, is_chat=False)
    if wanted.is_raw:
        return await _respond(request, wanted.asked, wanted.keep_s, ollama.GenerateWriter)
    stated = wanted.asked
    name, tokens, asked = await service.aside(lambda: _prompt(service, wanted, stated))

    def writer(about: Answered, asked: Asked) -> Writer:
        known = tokens if about.answered == name else ()  # another one has tokens of its own
        return ollama.GenerateWriter(about, asked, known)

    return await _respond(request, asked, wanted.keep_s, writer)


async def chat(request: Request) -> Response:
    """``POST /api/chat``."""
    wanted = ollama.chat(await reading.json_object(request))
    if wanted.asked is None:
        return await _load(request, wanted, is_chat=True)
    return await _respond(request, wanted.asked, wanted.keep_s, ollama.ChatWriter)


async def embed(request: Request) -> Response:
    """``POST /api/embed``."""
    wanted = ollama.embed(await reading.json_object(request))
    found = await _embedded(request, wanted)
    vectors = found.vectors if found else []
    if (size := wanted.dimensions) is not None:
        vectors = [unit(one[:size]) for one in vectors]
    answer: dict[str, Any] = {"model": wanted.model, "embeddings": vectors}
    if found is not None:
        usage = found.usage
        answer |= {
            "total_duration": ollama.nanoseconds(usage.total_s),
            "load_duration": ollama.nanoseconds(usage.load_s),
            "prompt_eval_count": usage.prompt_tokens,
        }
    return as_json(answer, _answered(found))


async def embeddings(request: Request) -> Response:
    """``POST /api/embeddings``: the older one, for one text."""
    wanted = ollama.embed(await reading.json_object(request), "prompt")
    found = await _embedded(request, wanted)
    return as_json({"embedding": found.vectors[0] if found else []}, _answered(found))


async def version(request: Request) -> Response:
    """``GET /api/version``."""
    return JSONResponse({"version": VERSION})


async def alive(request: Request) -> Response:
    """``GET /``, ``HEAD /``: what clients look for before they ask."""
    return PlainTextResponse("Ollama is running")


def _prompt(
    service: Service, wanted: ollama.Wanted, asked: Asked
) -> tuple[str, tuple[int, ...], Asked]:
    """The model that is taken, the tokens that it is given, and what is asked of it: with the
    tokens of an earlier conversation these are put before its own."""
    try:
        opened = service.open(asked.model, asked.request)
        name, found = opened.resolved.name, opened.prompt_tokens(asked.request)
    except LlmrrError:
        if wanted.context:
            raise
        return "", (), asked  # another model may answer
    if wanted.context:
        if found is None:
            raise FeatureMissing(f"{name} takes no tokens: it runs elsewhere", "/api/chat")
        if asked.request.messages[-1].images:
            raise FeatureMissing("context goes with texts alone", "/api/chat")
        found = [*wanted.context, *found]
        request = replace(asked.request, messages=(), tokens=tuple(found))
        asked = replace(asked, request=request)
    known = found is not None and min(found, default=0) >= 0
    return name, tuple(found or ()) if known else (), asked


def _placed(service: Service, name: str | None, options: Mapping[str, object]) -> dict[str, object]:
    """What a client may say of how a model is loaded: what another Ollama is told. One of this
    machine is loaded once for all, as it is configured, and its context grows with its prompts."""
    if not options or service.router.chooses(model := service.model_of(name)):
        return {}
    endpoint = service.router.resolve(model).endpoint
    return dict(options) if endpoint is not None and endpoint.provider == "ollama" else {}


async def _respond(
    request: Request, asked: Asked, keep_s: float | None,
    make: Callable[[Answered, Asked], Writer],
) -> Response:  # fmt: skip
    service: Service = request.app.state.service
    asked = replace(asked, options=_placed(service, asked.model, asked.options))

    def started(running: Running) -> None:
        def ended(_: object) -> None:
            if running.answer is not None:
                service.router.pool.keep(running.answer.model.name, keep_s)

        running.done.add_done_callback(ended)

    return await answering.respond(request, asked, make, ndjson, started)


async def _load(request: Request, wanted: ollama.Wanted, *, is_chat: bool) -> Response:
    """Load the model, or unload it."""
    service: Service = request.app.state.service
    keep_s = wanted.keep_s

    def work() -> None:
        if keep_s == 0:
            service.router.pool.keep(service.resolved(wanted.model).name, 0)
            service.router.pool.unload(lambda held: [one for one in held if one.keeps == 0])
            return
        opened = service.open(wanted.model, Wish())
        service.router.pool.keep(opened.resolved.name, keep_s)

    await service.metered(work, lambda done: 0)
    return JSONResponse(ollama.loaded(wanted.model, is_chat=is_chat, keeps=keep_s != 0))


async def _embedded(request: Request, wanted: ollama.Texts) -> Embedded | None:
    service: Service = request.app.state.service
    if not any(wanted.texts):
        service.model_of(wanted.model)
        return None
    options = {**OPTIONS, **_placed(service, wanted.model, wanted.options)}
    router = service.router
    found = await while_there(request, in_turn(
        service, wanted.model, 1,
        lambda model, stopped: router.embedded(
            wanted.texts, model=model, options=options, cuts=wanted.cuts, stopped=stopped
        ),
        lambda found: found.usage.prompt_tokens,
    ))  # fmt: skip
    router.pool.keep(found.model.name, wanted.keep_s)
    return found


def _answered(found: Embedded | None) -> dict[str, str]:
    return {"x-llmrr-model": plain(found.model.name)} if found is not None else {}


async def not_offered(request: Request) -> Response:
    """What would take Ollama's own store."""
    raise Forbidden(
        f"{request.url.path} is not offered here",
        "llmrr create, import and export do it at the command line",
    )


ROUTES = [
    Route("/api/version", version),
    Route("/api/generate", generate, methods=["POST"]),
    Route("/api/chat", chat, methods=["POST"]),
    Route("/api/embed", embed, methods=["POST"]),
    Route("/api/embeddings", embeddings, methods=["POST"]),
    Route("/api/create", not_offered, methods=["POST"]),
    Route("/api/push", not_offered, methods=["POST"]),
    Route("/api/blobs/{digest}", not_offered, methods=["POST", "HEAD"]),
]
PATHS: Paths = ANSWERING
