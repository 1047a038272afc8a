"""What can be asked: the names of models, with what a menu says of them."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llmrr.catalogue import BUILTIN, place
from llmrr.choosing import infos
from llmrr.choosing.abilities import abilities
from llmrr.engines import for_format
from llmrr.errors import LlmrrError
from llmrr.router import Router
from llmrr.server.aliases import AUTO
from llmrr.server.page import sight
from llmrr.server.service import Service
from llmrr.strategies import STRATEGIES
from llmrr.types import Feature


async def respond(request: Request) -> Response:
    """``GET /page/models``. ``images`` is whether it takes some, ``thinks`` whether it can be asked
    to: of a model elsewhere, who runs it says so."""
    service: Service = request.app.state.service
    found = await run_in_threadpool(_found, service)
    return JSONResponse(found, headers={"cache-control": "no-store"})


def _found(service: Service) -> dict[str, Any]:
    router, names = service.router, service.names()
    configured: list[dict[str, Any]] = [
        {"name": one.name, "kind": "configured", "source": sight.source(one.source),
         "group": one.group, **_can(router, one.name)}
        for one in router.config.models if one.name in names
    ]  # fmt: skip
    seen = {one.name for one in router.config.models}
    groups = {one.group for one in router.config.models} & names - seen
    answering = (one.label for one in router.catalogue.entries() if one.kind in (None, "model"))
    installed = [*sorted(set(answering) & names - seen), *({BUILTIN} & names)]
    listed: list[dict[str, Any]] = [
        *configured,
        *({"name": one, "kind": "group", **_any(configured, one)}
          for one in sorted(filter(None, groups))),
        *({"name": one, "kind": "installed", **_can(router, one)} for one in installed),
        *({"name": one, "kind": "alias", "source": to, **_can(router, to)}
          for one, to in sorted(service.named_aliases().items()) if to in names),
    ]  # fmt: skip
    auto = {"name": AUTO, "kind": "auto", **_some(listed)}
    return {
        "models": [auto, *listed],
        "strategy": router.config.value("strategy"),
        "strategies": [{"name": name, "takes": said} for name, said in STRATEGIES.items()],
    }


def _any(configured: list[dict[str, Any]], group: str | None) -> dict[str, bool]:
    return _some([one for one in configured if one["group"] == group])


def _some(models: list[dict[str, Any]]) -> dict[str, bool]:
    """What one of them can."""
    return {name: any(one[name] for one in models) for name in ("images", "thinks")}


def _can(router: Router, name: str) -> dict[str, bool]:
    """What can be asked of a model: of one here its files say it."""
    try:
        found = router.resolve(name)
        if found.endpoint is not None:
            return {"images": True, "thinks": True}
        files = place(found)
        can = for_format(files.format, name, found.engine).engine.can
        info = infos.inspect(files.path, router.with_database)
    except (LlmrrError, OSError):
        return {"images": False, "thinks": True}  # who runs it says so
    has = abilities(can, info, found.options)
    return {"images": Feature.IMAGES in has, "thinks": Feature.THINKING in has}
