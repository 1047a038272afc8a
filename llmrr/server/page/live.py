"""What is going on now: answers under way, models in memory."""

import time
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr import __version__
from llmrr.server.running import Running
from llmrr.server.service import Service


async def respond(request: Request) -> Response:
    """``GET /page/live``. ``tokens`` only grows: how fast is the difference of two looks."""
    service: Service = request.app.state.service
    running = [_running(one) for one in tuple(service.under_way)]
    found = {
        "version": __version__,
        "at": time.monotonic(),
        "uptime_s": time.time() - service.began,
        "tokens": service.tokens(),
        "answered": service.answered,
        "running": sorted(running, key=lambda one: -one["seconds"]),
        "waiting": sum(one["state"] == "waiting" for one in running),
        **await run_in_threadpool(_memory, service),
    }
    return JSONResponse(found, headers={"cache-control": "no-store"})


def _running(one: Running) -> dict[str, Any]:
    """An answer under way: it waits for its model, reads its prompt, or writes."""
    answer = one.answer
    tokens = answer.tokens if answer is not None else 0
    state = "waiting" if answer is None else "writing" if tokens else "reading"
    return {
        "model": answer.model.name if answer is not None else None,
        "state": state,
        "tokens": tokens,
        "seconds": time.monotonic() - one.entered,
    }


def _memory(service: Service) -> dict[str, Any]:
    """The models in memory, and how full that is."""
    router = service.router
    use, now = router.memory(), time.monotonic()
    slots = cast(int, router.config.value("batching.max_batch_size"))
    return {
        "memory": None if use is None else
            {"used_bytes": use.used_bytes, "limit_bytes": use.limit_bytes},
        "slots": slots if router.config.value("batching.enabled") else 1,
        "loaded": [
            {"name": one.name, "bytes": one.bytes, "busy": one.leases,
             "idle_s": None if one.leases else max(0.0, now - one.used)}
            for one in router.loaded()
        ],
        "busy": dict(router.pool.busy()),
    }  # fmt: skip
