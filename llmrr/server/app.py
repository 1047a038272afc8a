"""The application: which path is answered by what."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from llmrr.errors import LlmrrError
from llmrr.server import (
    faults,
    health,
    models,
    openai,
    openapi,
    responses,
    routing,
    telling,
    vectors,
)
from llmrr.server.service import Service

PARTS = (openai, responses, vectors, models, routing, health)


async def described(request: Request) -> Response:
    """``GET /openapi.json``: all of them."""
    return telling.as_json(openapi.document([*(part.PATHS for part in PARTS), PATHS]))


PATHS: openapi.Paths = {
    "/openapi.json": {
        "get": openapi.operation("This document.", openapi.answer(openapi.OBJECT))
    }
}
ROUTES = [*(route for part in PARTS for route in part.ROUTES), Route("/openapi.json", described)]


def app(service: Service) -> Starlette:
    """An ASGI application over a service, which whoever made it closes."""
    found = Starlette(
        routes=ROUTES,
        exception_handlers={
            LlmrrError: faults.respond,
            HTTPException: faults.respond_http,
            ClientDisconnect: _nobody,
            Exception: faults.respond,
        },
    )
    found.state.service = service
    return found


async def _nobody(request: Request, error: Exception) -> Response:
    """The client has left: nobody reads this."""
    return Response(status_code=499)
