"""What can be asked: the names of models, with what a menu says of them."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr.catalogue import BUILTIN
from llmrr.errors import LlmrrError
from llmrr.router import Router
from llmrr.server.aliases import AUTO
from llmrr.server.page import sight
from llmrr.server.service import Service
from llmrr.strategies import STRATEGIES


async def respond(request: Request) -> Response:
    """``GET /page/models``. ``images`` is whether it takes some: of a model elsewhere, who runs it
    says so."""
    service: Service = request.app.state.service
    found = await run_in_threadpool(_found, service)
    return JSONResponse(found, headers={"cache-control": "no-store"})


def _found(service: Service) -> dict[str, Any]:
    router, names = service.router, service.names()
    configured: list[dict[str, Any]] = [
        {"name": one.name, "kind": "configured", "source": sight.source(one.source),
         "group": one.group, "images": _sees(router, one.name)}
        for one in router.config.models if one.name in names
    ]  # fmt: skip
    seen = {one.name for one in router.config.models}
    groups = {one.group for one in router.config.models} & names - seen
    answering = (one.label for one in router.catalogue.entries() if one.kind in (None, "model"))
    installed = [*sorted(set(answering) & names - seen), *({BUILTIN} & names)]
    listed: list[dict[str, Any]] = [
        *configured,
        *({"name": one, "kind": "group", "images": _any(configured, one)}
          for one in sorted(filter(None, groups))),
        *({"name": one, "kind": "installed", "images": _sees(router, one)} for one in installed),
        *({"name": one, "kind": "alias", "source": to, "images": _sees(router, to)}
          for one, to in sorted(service.named_aliases().items()) if to in names),
    ]  # fmt: skip
    auto = {"name": AUTO, "kind": "auto", "images": any(one["images"] for one in listed)}
    return {
        "models": [auto, *listed],
        "strategy": router.config.value("strategy"),
        "strategies": [{"name": name, "takes": said} for name, said in STRATEGIES.items()],
    }


def _any(configured: list[dict[str, Any]], group: str | None) -> bool:
    return any(one["images"] for one in configured if one["group"] == group)


def _sees(router: Router, name: str) -> bool:
    """Whether a model may take images: one of this machine has an image encoder among its files."""
    try:
        found = router.resolve(name)
    except LlmrrError:
        return False
    return found.endpoint is not None or "mmproj" in found.options
