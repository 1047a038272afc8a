"""The application: which path is answered by what."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from llmrr.errors import LlmrrError
from llmrr.server import (
    anthropic,
    faults,
    health,
    models,
    ollama,
    ollama_models,
    openai,
    openapi,
    page,
    responses,
    routing,
    telling,
    vectors,
)
from llmrr.server.service import Service
from llmrr.server.state import Looks

PARTS = (
    openai, responses, vectors, models, anthropic, ollama, ollama_models, routing, health,
)  # fmt: skip


async def described(request: Request) -> Response:
    """``GET /openapi.json``: all of them, but for what is the page's own."""
    return telling.as_json(openapi.document([*(part.PATHS for part in PARTS), PATHS]))


async def root(request: Request) -> Response:
    """``GET /``: the page for a browser; clients of Ollama look there whether it is up."""
    is_browser = "text/html" in request.headers.get("accept", "")
    found = await (page.respond if is_browser else ollama.alive)(request)
    found.headers["vary"] = "accept"
    return found


PATHS: openapi.Paths = {
    "/openapi.json": {
        "get": openapi.operation("This document.", openapi.answer(openapi.OBJECT))
    }
}
ROUTES = [
    *(route for part in PARTS for route in part.ROUTES),
    Route("/openapi.json", described),
    Route("/", root),
    *page.ROUTES,
]


class App(Starlette):
    """An ASGI application over a service, which whoever made it closes. A path without parameters
    is looked up, and its handler called, without what stands between in Starlette: that takes
    longer than all that a small answer needs."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            routes=ROUTES,
            exception_handlers={
                LlmrrError: faults.respond,
                HTTPException: faults.respond_http,
                ClientDisconnect: _nobody,
                Exception: faults.respond,
            },
        )
        self.state.service, self.state.looks = service, Looks(service)
        # What metrics call a request, by its path and by what answers it.
        self.paths: dict[object, str] = {route.endpoint: route.path for route in ROUTES}
        self.paths |= {route.path: route.path for route in ROUTES if not route.param_convertors}
        self._direct: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            (method, route.path): route.endpoint
            for route in ROUTES if not route.param_convertors
            for method in route.methods or ()
        }  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._direct.get((scope.get("method", ""), scope.get("path", "")))
        if handler is None:
            return await super().__call__(scope, receive, send)
        scope["app"] = self
        request = Request(scope, receive, send)
        try:
            response = await handler(request)
        except ClientDisconnect as error:
            response = await _nobody(request, error)
        except Exception as error:
            response = await faults.respond(request, error)
        await response(scope, receive, send)


async def _nobody(request: Request, error: Exception) -> Response:
    """The client has left: nobody reads this."""
    return Response(status_code=499)
