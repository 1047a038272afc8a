"""The application: which path is answered by what."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from llmrr.errors import LlmrrError
from llmrr.server import faults, health, openai
from llmrr.server.service import Service

ROUTES = [*openai.ROUTES, *health.ROUTES]


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
