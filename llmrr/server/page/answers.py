"""Why a model answered, and what that took."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr.errors import NotFound
from llmrr.server import callers
from llmrr.server.page import sight
from llmrr.server.service import Service


async def respond(request: Request) -> Response:
    """``GET /page/answers/ID``, the id of a response. Raises ``NotFound``: only the last ones are
    remembered."""
    service: Service = request.app.state.service
    asked = request.path_params["id"][-32:]
    if (found := service.recent.facts(asked)) is None:
        raise NotFound(f'no answer "{asked}" is remembered', "llmrr logs has all that ended")
    if "source" in found:
        found = {**found, "source": sight.source(found["source"])}
    if found.get("decision"):
        found = {**found, "decision": callers.visible(found["decision"])}
    return JSONResponse(found, headers={"cache-control": "no-store"})
