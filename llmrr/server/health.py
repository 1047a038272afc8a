"""Whether the server is up."""

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmrr import __version__


async def health(request: Request) -> Response:
    """``GET /health``: for load balancers. Nothing is computed for it."""
    service = request.app.state.service
    return JSONResponse(
        {
            "status": "ok",
            "version": __version__,
            "uptime_s": round(time.time() - service.began, 3),
            "requests": len(service.under_way),
        }
    )


ROUTES = [Route("/health", health)]
