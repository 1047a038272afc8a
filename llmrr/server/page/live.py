"""What is going on now: answers under way, models in memory."""

import time
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr import __version__
from llmrr.server.page import sight
from llmrr.server.running import Running
from llmrr.server.service import Service
from llmrr.server.state import Looks, State


async def respond(request: Request) -> Response:
    """``GET /page/live``. ``tokens`` only grows: how fast is the difference of two looks."""
    service: Service = request.app.state.service
    looks: Looks = request.app.state.looks
    running = [_running(one) for one in tuple(service.under_way)]
    found = {
        "version": __version__,
        "at": time.monotonic(),
        "uptime_s": time.time() - service.began,
        "tokens": _tokens(service),
        "answered": sum(service.metrics.answers.values()),
        "waiting": service.queue.waiting,
        "running": [
            one for one in sorted(running, key=lambda one: -one["seconds"])
            if sight.model(one["model"])
        ],
        **_here(service, await looks.state()),
    }
    return JSONResponse(found, headers={"cache-control": "no-store"})


def _tokens(service: Service) -> int:
    """Those that were generated since the server began, to the last one."""
    ended = sum(n for (_, kind), n in service.metrics.tokens.items() if kind == "generated")
    answers = (one.answer for one in service.under_way)
    return ended + sum(one.tokens for one in answers if one is not None and one.cache is None)


def _running(one: Running) -> dict[str, Any]:
    """An answer under way: it waits for its turn, its model is chosen and loaded, it reads its
    prompt, or writes."""
    answer = one.answer
    tokens = answer.tokens if answer is not None else 0
    if answer is None:
        state = "waiting" if one.began is None else "loading"
    else:
        state = "writing" if tokens else "reading"
    return {
        "model": answer.model.name if answer is not None else None,
        "state": state,
        "tokens": tokens,
        "seconds": time.monotonic() - one.entered,
    }


def _here(service: Service, state: State) -> dict[str, Any]:
    """The models in memory, and how full that is; as they were a second ago at most."""
    config, use, now = service.router.config, state.memory, time.monotonic()
    slots = cast(int, config.value("batching.max_batch_size"))
    busy = {name: n for name, n in service.router.pool.busy().items() if sight.model(name)}
    return {
        "status": state.status,
        "left_alone": sorted(filter(sight.model, state.open_breakers)),
        "memory": None if use is None else
            {"used_bytes": use.used_bytes, "limit_bytes": use.limit_bytes},
        "slots": slots if config.value("batching.enabled") else 1,
        "busy": busy,
        "loaded": [
            {"name": one.name, "bytes": one.bytes, "busy": busy.get(one.name, 0),
             "idle_s": None if one.name in busy else max(0.0, now - one.used)}
            for one in state.loaded if sight.model(one.name)
        ],
    }  # fmt: skip
