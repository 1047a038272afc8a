"""Who may change which models there are, and how that is done."""

from collections.abc import Callable

from starlette.requests import Request

from llmrr import database
from llmrr.catalogue import BUILTIN, runnable
from llmrr.errors import InvalidRequest, NotFound
from llmrr.router import Router
from llmrr.server import callers
from llmrr.server.aliases import AUTO
from llmrr.server.refusals import Forbidden
from llmrr.store import creation, planning, pull, removal
from llmrr.store.references import hub_reference
from llmrr.store.shortnames import short_name
from llmrr.types import Recipe


def require_management(request: Request) -> None:
    """Raise ``Forbidden`` where whoever asks may not change which models there are. Where there are
    keys, one that may is needed."""
    caller = callers.current()
    allows = bool(request.app.state.service.router.config.value("serve.manage"))
    if caller.rules.may_manage or (allows and not caller.name):
        return
    if caller.name:
        raise Forbidden(
            f"the key {caller.name} may not fetch or remove models",
            f"[serve.keys.{caller.name}] may_manage = true",
        )
    raise Forbidden(
        "this server does not let its clients fetch or remove models",
        "serve.manage = true in llmrr.toml, or LLMRR_SERVE__MANAGE=true, allows it",
    )


def planned(router: Router, name: str) -> planning.Plan:
    """What fetching a model of the hub takes; one that is here is looked for anew. Raises
    ``NotFound`` for what is no name of the hub's, without a look at what lies on this machine, and
    what ``store.planning`` does."""
    entry = router.catalogue.find(name)
    found = hub_reference(entry.origin) if entry and not entry.is_made else hub_reference(name)
    label = entry.label if found and entry else None
    if found is None:
        if (short := short_name(name.removesuffix(":latest"))) is None:
            raise NotFound(f'"{name}" is no repository and no short name', "hf.co/owner/repo")
        found, label = short.reference, short.label
    return planning.plan(found, planning.Wish(runs=runnable(), label=label))


def fetch(plan: planning.Plan, arrived: Callable[[str, int], None]) -> None:
    """Carry out a plan; ``arrived`` is told how many bytes of a file are there, and may raise.
    Over a connection of its own: it goes on for long."""
    connection = database.open_database()
    try:
        pull.run(connection, plan, arrived=arrived)
    finally:
        connection.close()


def remove(router: Router, name: str) -> None:
    """Remove an installed model. Raises ``NotFound``, and ``InvalidRequest`` for one that is not
    installed but configured, or ships inside."""
    if name == BUILTIN:
        raise InvalidRequest(f"{BUILTIN} ships inside llmrr and stays", "another model")
    if router.config.model(name) is not None:
        raise InvalidRequest(f"{name} is configured, and not installed", "its entry in llmrr.toml")
    entry = router.catalogue.installed(name)
    router.pool.keep(entry.label, 0.0)
    connection = database.open_database()
    try:
        removal.remove(connection, [entry])
    finally:
        connection.close()


def copy(router: Router, source: str, name: str) -> None:
    """Give an installed model another name. Raises ``NotFound``, and ``InvalidRequest`` for a name
    that is taken."""
    labels = {entry.label for entry in router.catalogue.entries()}
    if name == AUTO or name in labels:
        what = "leaves the choice to the router" if name == AUTO else "is a model already"
        raise InvalidRequest(f"{name} {what}", "another name")
    if source not in labels | {BUILTIN}:
        raise NotFound(f'no model "{source}" is installed', "GET /api/tags lists them")
    connection = database.open_database()
    try:
        base = router.catalogue.entry(source)
        creation.derive(connection, base, name, Recipe(), force=False)
    finally:
        connection.close()
