"""What migrations look like on a page: lines of text, pure."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from llmrr.cli.layout import Page, counted
from llmrr.migrate import planning
from llmrr.migrate.planning import sides

if TYPE_CHECKING:
    from llmrr.migrate.planning import Item, Plan


def plan(found: "Plan") -> Iterator[str]:
    """The difference of the file, and what else would be done."""
    lines = planning.difference(found)
    yield from lines
    if not lines:
        yield f"{found.target} says all of this already"
    models = [str(one.source) for one in found.actions if one.do == "register-model"]
    caches = [str(one.path) for one in found.actions if one.do == "import-cache"]
    if models:
        yield ""
        yield f"{counted(len(models), 'model')} of other tools to be entered in place:"
        yield from (f"  {name}" for name in models)
    if caches:
        yield ""
        yield f"{counted(len(caches), 'file')} with answers that go to the history:"
        yield from (f"  {name}" for name in caches)
    yield ""
    if told := list(remarks(found)):
        yield from (*told, "")
    done = sum(one.done is True for one in found.checklist)
    warned = counted(len(found.warnings), "warning")
    items = f"{done} of {len(found.checklist)} items of the check-list done"
    yield f"plan {found.id}: {warned}, {items}"


def remarks(found: "Plan") -> Iterator[str]:
    """What a plan leaves to be done or known, once it is applied too."""
    if missing := planning.absent(found):
        yield f"no file yet: {', '.join(missing)}"
        yield "  until it lies there llmrr config check fails and no prompt goes to the model; edit"
        yield "  its source, or leave it out: --skip NAME"
    if waiting := sides.waiting(found.toml):
        yield f"off until promoted, one a week: {', '.join(waiting)}"
        yield "  llmrr migrate promote --flag NAME --to 100%, or --adopt --start DATE"
    if (above := planning.hidden(found)) is not None:
        yield f"{above} no longer counts in {found.target.parent}"
        yield f"  --target {above} adds to it instead"


def status(page: Page, found: dict[str, Any]) -> Iterator[str]:
    """Every migration with its steps and what remains."""
    if not found["migrations"]:
        yield "nothing was migrated yet: llmrr migrate plan PATH"
    for one in found["migrations"]:
        yield f"{one['id']}  {one['state']}  {one['target']}  ({one['at']})"
        for step in one["steps"]:
            said = f": {step['said']}" if step["said"] else ""
            yield f"  {step['state']:<8} {step['what']}{said}"
        if one["remaining"]:
            way = "rollback" if one["state"] == "undoing" else "apply"
            yield f"  {counted(len(one['remaining']), 'step')} left: llmrr migrate {way}"
        for path in one["changed_since"]:
            yield f"  changed since: {path}"
    items = found["checklist"]
    done = sum(one.done is True for one in items)
    yield f"check-list: {done} of {len(items)} done; llmrr migrate check lists it"


def checklist(page: Page, found: Iterable["Item"]) -> Iterator[str]:
    """The items by phase."""
    phase = ""
    for one in found:
        if one.phase != phase:
            phase = one.phase
            yield f"{phase}:"
        mark = {True: "x", False: " ", None: "?"}[one.done]
        how = f" ({one.how})" if one.how else ""
        yield page.fitted(f"  [{mark}] {one.id:<22} {one.text}{how}")
