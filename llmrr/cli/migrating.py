"""From a command line of ``llmrr migrate`` to plans, and to what is kept of them."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from llmrr.cli import migrate_views, output, saving
from llmrr.cli.layout import counted
from llmrr.errors import CheckFailed, LlmrrError, UsageError, nearest
from llmrr.migrate import applying, planning
from llmrr.migrate.applying import records, reporting
from llmrr.migrate.planning import replacing, sides
from llmrr.paths import user_path

if TYPE_CHECKING:
    import sqlite3

    from llmrr.migrate.applying.records import Migration
    from llmrr.migrate.planning import Plan, Wishes


@contextmanager
def database() -> "Iterator[sqlite3.Connection]":
    """The database, for the time of one command."""
    from llmrr.database import open_database

    with closing(open_database()) as connection:
        yield connection


def wishes(
    *, only: Sequence[str] | None, skip: Sequence[str] | None, replace: Sequence[str] | None,
    as_files: bool, strategy: str | None, mode: str | None, rollout: str | None, adopt: bool,
    start: str | None, overwrite: bool = False,
) -> "Wishes":  # fmt: skip
    """What the options ask for. Raises ``UsageError``."""
    if start is not None and not adopt:
        raise UsageError("--start is for --adopt", "--adopt --start 2026-12-01")
    return planning.Wishes(
        only=tuple(only or ()), skip=tuple(skip or ()),
        replace=tuple(replacing.pair(one) for one in replace or ()), as_files=as_files,
        strategy=strategy, mode=None if mode is None else sides.mode(mode),
        rollout=None if rollout is None else sides.share(rollout), adopt=adopt,
        start=None if start is None else sides.day(start), overwrite=overwrite,
    )  # fmt: skip


def planned(
    paths: Sequence[str] | None, kind: str | None, target: str | None, wanted: "Wishes"
) -> "Plan":
    """The plan for what lies in these paths. Raises what scanning and planning do."""
    from llmrr.migrate.scanning import scan

    if not paths:
        raise UsageError("no path is named to take things over from", "llmrr migrate plan .")
    place = planning.target_of(target)
    found = scan(paths, kind=kind)
    return planning.make((*found.artefacts, *found.lost), place, wanted)


def show(plan: "Plan", *, keep: str | None, json: bool) -> None:
    """Print a plan, and keep it where that is wanted."""
    if keep is not None:
        keep_plan(plan, keep)
    if json:
        output.document(plan.as_json())
        return
    output.lines(migrate_views.plan(plan))
    tell(plan.warnings)
    if keep is not None:
        output.note(f"kept in {keep}: llmrr migrate apply --plan {keep}")


def keep_plan(plan: "Plan", file: str) -> None:
    """Write the plan into a file that only this user can read."""
    saving.save(file, planning.text_of(plan), private=True)


def tell(warnings: Iterable[planning.Notice]) -> None:
    """Tell warnings on stderr."""
    output.notes(f"{one.code}: {one.where}: {one.message}" for one in warnings)


def require_no_warning(plan: "Plan", *, strict: bool) -> None:
    """Raise ``CheckFailed`` for a plan with warnings, where they count."""
    if strict and plan.warnings:
        raise CheckFailed(
            f"{counted(len(plan.warnings), 'warning')}, and --strict is set",
            "llmrr migrate plan tells them; --skip leaves things out",
        )


def read_plan(file: str, paths: Sequence[str] | None, wanted: "Wishes") -> "Plan":
    """A plan that was kept. Raises ``UsageError`` beside paths, or wishes that it cannot have."""
    if paths:
        raise UsageError("a plan is applied, or what lies in paths: not both", "--plan FILE alone")
    if dataclasses.replace(wanted, overwrite=False) != planning.Wishes():
        said = f"{file} was made without these options"
        raise UsageError(said, "llmrr migrate plan PATH -O FILE")
    return planning.read(user_path(file))


def apply(plan: "Plan", *, merge: bool, force: bool, strict: bool, json: bool) -> None:
    """Apply a plan and tell what came of it."""
    require_no_warning(plan, strict=strict)
    with database() as connection:
        if not json:
            applying.require_applicable(connection, plan, may_change=merge or force)
            tell(plan.warnings)
        _told(applying.apply(connection, plan, may_change=merge or force), json=json)


def resume(*, json: bool) -> None:
    """Go on with what was cut short."""
    with database() as connection:
        _told(applying.resume(connection), json=json)


def undo(id: str | None, *, force: bool, json: bool) -> None:
    """Walk back and tell it."""
    with database() as connection:
        found = applying.undo(connection, id, force=force)
        if json:
            output.document(reporting.facts(found))
        else:
            output.note(f"{found.id} is undone: {_undone(found)}")


def status(*, json: bool) -> None:
    """Print where things stand."""
    with database() as connection:
        output.show(reporting.status(connection), migrate_views.status, as_json=json)


def check(item: str | None, note: str, *, off: bool, json: bool) -> None:
    """Print the check-list, or tick one item of it, or take that back, and print it. Raises
    ``NotFound``, and ``UsageError`` for what is said of no item."""
    from llmrr.migrate.applying import checklist

    if item is None and (note or off):
        raise UsageError("no item is named", "llmrr migrate check ITEM")
    known = None if item is None else checklist.known(item)
    with database() as connection:
        if known is not None and off:
            records.untick(connection, known)
        elif known is not None:
            records.tick(connection, known, reporting.safe(note))
        found = reporting.items(connection)
    shown = tuple(one for one in found if known in (None, one.id))
    output.show(shown, migrate_views.checklist, as_json=json)
    if off and shown[0].done:
        output.note(f"{known} stays done: llmrr sees that by itself ({shown[0].how})")


def note(
    kind: str, description: str, fields: dict[str, str | None], *, json: bool
) -> None:
    """Write down a note. Raises ``UsageError`` for a kind that there is not, and for what notes of
    that kind do not say."""
    if kind not in records.NOTES:
        near = nearest(kind, records.NOTES)
        hint = f"did you mean {near}?" if near else f"one of {', '.join(records.NOTES)}"
        raise UsageError(f'there are no notes of the kind "{kind}"', hint)
    if not description.strip():
        raise UsageError("the note says nothing", f"llmrr migrate note {kind} TEXT")
    strange = [name for name, text in fields.items() if text and name not in records.NOTES[kind]]
    if strange:
        known = ", ".join(f"--{name}" for name in records.NOTES[kind])
        raise UsageError(f"a note of the kind {kind} has no {strange[0]}", f"it takes {known}")
    with database() as connection:
        made = reporting.note(connection, kind, {"description": description, **fields})
    if json:
        output.document(made)


def report(*, file: str | None, json: bool) -> None:
    """Print all that is recorded, or write it into a file."""
    with database() as connection:
        found = reporting.report(connection)
    told = (*found["details"].values(), found["migrations"], found["validation"],
            found["promotions"])  # fmt: skip
    if not any(told):
        raise LlmrrError("nothing is recorded of a migration", "llmrr migrate apply PATH")
    text = output.dumps(found) if json else "\n".join(reporting.markdown(found))
    if file is not None:
        saving.save(file, f"{text}\n")
    elif json:
        output.document(found)
    else:
        output.lines(text.split("\n"))


def _undone(found: "Migration") -> str:
    """What became of the file."""
    if not applying.has_written(found):
        return f"it had changed nothing in {found.plan.target}"
    return f"{found.plan.target} is {'as it was' if found.plan.base else 'gone, as it was before'}"


def _told(found: "Migration", *, json: bool) -> None:
    facts: dict[str, Any] = reporting.facts(found)
    if json:
        output.document(facts)
        return
    for one in found.steps:
        if one.state == "skipped":
            output.note(f"skipped: {reporting.words(one.action)}: {one.said}")
    output.notes(migrate_views.remarks(found.plan))
    said = "is written" if applying.has_written(found) else "says all of this already"
    output.note(f"{found.plan.target} {said}; llmrr migrate rollback {found.id} undoes it")
