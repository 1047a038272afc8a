"""Whether the server is up, and its figures."""

import time
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmrr import __version__
from llmrr.server import callers, exposition
from llmrr.server.openapi import TEXT, Paths, answer, operation, shape


async def health(request: Request) -> Response:
    """``GET /health``: for load balancers. 503 while the server is about to end; ``degraded`` names
    the models that are left alone for having failed, while others answer; not where keys are
    needed, as it takes none."""
    service = request.app.state.service
    state = await request.app.state.looks.state()
    status = "draining" if service.is_draining else state.status
    return JSONResponse(
        {
            "status": status,
            "version": __version__,
            "uptime_s": round(time.time() - service.began, 3),
            "requests": len(service.under_way),
            "queue": service.queue.waiting,
            "failing": sorted(filter(callers.current().may_use, state.left_out)),
        },
        503 if status in ("draining", "failing") else 200,
    )


async def metrics(request: Request) -> Response:
    """``GET /metrics``: for Prometheus."""
    text = exposition.text(request.app.state.service, await request.app.state.looks.state())
    return Response(text, media_type=exposition.MEDIA_TYPE)


# The second one is what clients find that know no more than the address that ends in ``/v1``.
ROUTES = [Route("/health", health), Route("/v1/health", health), Route("/metrics", metrics)]
_EXPOSED = {"description": "The figures.", "content": {"text/plain": {"schema": TEXT}}}
_IS_UP: Final = {
    "get": operation("Whether it is up.", answer(shape(["status", "version", "requests"])))
}
PATHS: Paths = {
    "/metrics": {"get": operation("Figures for Prometheus.", _EXPOSED)},
    "/health": _IS_UP,
    "/v1/health": _IS_UP,
}
