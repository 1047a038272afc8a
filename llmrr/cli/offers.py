"""From a command line to what is fetched: planned, told, offered on a terminal, done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmrr import paths
from llmrr.catalogue import runnable
from llmrr.cli import output, transfer
from llmrr.cli.layout import size
from llmrr.errors import LlmrrError, NotInstalled, Unreachable, UsageError

if TYPE_CHECKING:
    from llmrr.router import Router
    from llmrr.store.planning import Plan
    from llmrr.store.records import Entry
    from llmrr.store.references import HubReference


class Asked(NamedTuple):
    """What the command line states."""

    reference: str
    quant: str | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    revision: str | None = None
    local_dir: str | None = None
    token: str | None = None
    allow_pickle: bool = False
    workers: int = 8
    offline: bool = False


class File(NamedTuple):
    """A line of ``pull --dry-run``."""

    path: str
    bytes: int
    missing_bytes: int


def pull(router: "Router", asked: Asked) -> dict[str, object]:
    """Fetch a model and install it; offline, install what lies in the cache. What is there then, as
    ``pull --json`` prints it. Raises what ``store.pull`` does."""
    plan = planned(router, asked)
    tell(plan)
    return fetch(router, plan, asked)


def planned(router: "Router", asked: Asked) -> "Plan":
    """Ask the hub, or offline its cache, and choose."""
    from llmrr import hub
    from llmrr.store import cached, planning

    reference, label = _reference(router, asked)
    wish = planning.Wish(
        token=asked.token,
        quant=asked.quant,
        include=tuple(asked.include),
        exclude=tuple(asked.exclude),
        local_dir=paths.expanded(asked.local_dir) if asked.local_dir else None,
        allow_pickle=asked.allow_pickle,
        runs=runnable(),
        label=label,
        offline=asked.offline or hub.is_offline(),
    )
    try:
        return planning.plan(reference, wish)
    except Unreachable as error:
        if not wish.offline and cached.repository(reference):
            error.hint += "; what the cache has of it is taken with --offline"
        raise


def tell(plan: "Plan") -> None:
    """Say what was chosen, and why."""
    name, repo = plan.label or "", plan.repository.id
    whence = "" if repo in name or not name else f"{name} is {repo} on the hub"
    output.notes(filter(None, (whence, plan.why, *plan.notes)))


def fetch(router: "Router", plan: "Plan", asked: Asked) -> dict[str, object]:
    """Carry out a plan; what is there then."""
    from llmrr.store import pull
    from llmrr.store.records import Entry

    try:
        with transfer.bars({file.path: file.size for file in plan.files}) as bars:
            done = pull.run(
                router.database, plan, token=asked.token, arrived=bars, workers=asked.workers
            )
    except KeyboardInterrupt:
        output.note("interrupted: what has come is kept, and the same command goes on from there")
        raise
    if isinstance(done, Entry):
        return made(router, done)
    return {
        "name": None,
        "source": plan.source,
        "revision": plan.repository.commit,
        "bytes": plan.bytes,
        "path": plan.place.target("_").parent,
        "files": list(done.values()),
    }


def facts(plan: "Plan") -> dict[str, object]:
    """A plan, as ``pull --dry-run --json`` prints it."""
    from llmrr import hub

    files = [
        File(file.path, file.size, hub.missing_bytes([file], plan.place)) for file in plan.files
    ]
    return {
        "name": plan.label,
        "source": plan.source,
        "revision": plan.repository.commit,
        "why": plan.why,
        "path": plan.place.target("_").parent,
        "bytes": plan.bytes,
        "missing_bytes": plan.missing_bytes,
        "files": [file._asdict() for file in files],
    }


def require(router: "Router", name: str | None) -> None:
    """See to it that a model is here: on a terminal, one that could be fetched is offered. Raises
    ``LlmrrError`` when the answer is no, and what ``resolve`` does. Where nobody can be asked,
    whoever uses the name finds out."""
    if not output.can_ask():
        return
    try:
        router.resolve(name)
    except NotInstalled as absent:
        from llmrr import hub

        asked = Asked(absent.reference)
        plan = planned(router, asked)
        tell(plan)
        where = f"from {hub.address()} to {paths.hub_cache_dir()}"
        output.note(f"{plan.label}: {size(plan.missing_bytes)} are to be fetched {where}")
        if not output.confirm("Fetch it now?", default=True):
            raise LlmrrError("nothing was fetched", absent.hint) from None
        fetch(router, plan, asked)


def _reference(router: "Router", asked: Asked) -> "tuple[HubReference, str | None]":
    """What on the hub is meant, and the label that it gets if that is stated."""
    from llmrr.store import planning
    from llmrr.store.references import hub_reference

    entry = None if asked.quant else router.catalogue.find(asked.reference)
    again = entry and not entry.is_made and entry.label.lower() == asked.reference.lower()
    label: str | None
    if entry and again and (before := hub_reference(entry.origin)):
        reference, label = before, entry.label
    else:
        configured = (one.source for one in router.config.models if one.name == asked.reference)
        reference, label = planning.reference(next(configured, asked.reference))
    part = reference.tag or reference.file
    if asked.quant and part and part.lower() != asked.quant.lower():
        raise UsageError(f"--quant {asked.quant} contradicts {part}", "leave one out")
    if asked.revision is None:
        return reference, label
    if reference.revision not in (None, asked.revision):
        raise UsageError(
            f"--revision {asked.revision} contradicts @{reference.revision}", "leave one out"
        )
    return reference._replace(revision=asked.revision), label


def made(router: "Router", entry: "Entry") -> dict[str, object]:
    """An installed model, as the commands that make one print it."""
    for model in router.config.models:
        if model.name == entry.label:
            output.note(f"{model.name} in {model.file} goes before it")
    return {
        "name": entry.label,
        "format": entry.format,
        "quant": entry.quant,
        "bytes": entry.bytes,
        "source": entry.origin,
        "revision": entry.revision,
        "path": entry.path,
        "files": [file.path for file in entry.files],
    }
