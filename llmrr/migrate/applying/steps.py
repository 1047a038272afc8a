"""Applying a plan, one recorded step after the other, and walking back.

Before each step its way back is written down, and every step may be done twice: so wherever a
process is killed, ``resume`` goes on and ``undo`` goes back. The file itself is written and put
back by the journal; nothing else in the user's folders is touched.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr import config, journal, paths, trust
from llmrr.errors import LlmrrError, NotFound
from llmrr.journal.locking import alone
from llmrr.migrate import caches
from llmrr.migrate.applying import records, registering
from llmrr.migrate.applying.records import Migration, Step
from llmrr.migrate.merging.setup import digest_of
from llmrr.migrate.planning import Action, Plan

if TYPE_CHECKING:
    import sqlite3

    from llmrr.journal.entry import Entry

# What takes a migration further, or back, as the journal has it.
_STEPS: Final = ("config promote", "config demote")
_AGAIN: Final = "llmrr migrate plan, to look at it again"


def apply(connection: "sqlite3.Connection", plan: Plan, *, may_change: bool = False) -> Migration:
    """Do what the plan says. ``may_change`` lets it write over a file that is there. Raises what
    ``require_applicable`` does, and has done nothing then.
    """
    with _alone():
        require_applicable(connection, plan, may_change=may_change)
        id = records.begin(connection, plan)
        try:
            return _go_on(connection)
        except LlmrrError:  # the file could not be written: nothing is to be left half done
            _walk_back(connection, records.find(connection, id))
            raise


def require_applicable(
    connection: "sqlite3.Connection", plan: Plan, *, may_change: bool = False
) -> None:
    """Raise ``LlmrrError`` where the target is there and may not be changed, where another
    migration was cut short, where a source or the target was changed since the plan was made, and
    where nothing is left to do."""
    require_none_open(connection)
    require_unchanged(plan)
    if plan.base is not None and plan.base != digest_of_text(plan) and not may_change:
        raise LlmrrError(
            f"{plan.target} is there already", "--merge adds to it, --force begins a new one"
        )
    if digest_of(plan.target) == digest_of_text(plan) and not _has_more(connection, plan):
        raise LlmrrError(
            f"{plan.target} says all of this already: there is nothing to do",
            "llmrr migrate status shows what was done",
        )


def _has_more(connection: "sqlite3.Connection", plan: Plan) -> bool:
    """Whether anything but the file is to be done: a model is to be entered, or answers are to be
    brought that no migration which stands has brought."""
    brought = {
        step.action.path for one in records.migrations(connection) if one.state == "done"
        for step in one.steps if (step.action.do, step.state) == ("import-cache", "done")
    }  # fmt: skip
    return any(
        one.path not in brought if one.do == "import-cache"
        else registering.is_to_be_entered(connection, one)
        for one in plan.actions if one.do != "write-config"
    )  # fmt: skip


def resume(connection: "sqlite3.Connection") -> Migration:
    """Go on with the migration that was cut short. Raises ``NotFound`` where there is none."""
    with _alone():
        return _go_on(connection)


def _alone() -> AbstractContextManager[None]:
    """What is not done when no other process is at it was cut short."""
    return alone(paths.data_dir() / "migrate.lock", "migrating")


def _go_on(connection: "sqlite3.Connection") -> Migration:
    found = records.unfinished(connection)
    if found is None or found.state != "applying":
        raise NotFound("no migration was cut short in being applied", "llmrr migrate apply PATH")
    for step in found.remaining:
        try:
            if step.state == "planned":
                way_back = _PREPARE[step.action.do](connection, found, step.action)
                records.mark(connection, found.id, step.number, "begun", undo=way_back)
                step = step._replace(undo=way_back)
            _DO[step.action.do](connection, found, step)
        except LlmrrError as error:
            if step.action.do == "write-config":
                raise
            records.mark(connection, found.id, step.number, "skipped", error.message)
        else:
            records.mark(connection, found.id, step.number, "done")
    records.set_state(connection, found.id, "done")
    return records.find(connection, found.id)


def undo(connection: "sqlite3.Connection", id: str | None, *, force: bool = False) -> Migration:
    """Walk back, the last step first: the named migration, else the last that was not undone.

    Raises ``LlmrrError``, and has undone nothing, where a file was changed since, unless ``force``;
    ``NotFound`` for an id that there is not.
    """
    with _alone():
        found = records.find(connection, id)
        if found.state == "undone":
            raise LlmrrError(f"the migration {found.id} is undone already", "llmrr migrate status")
        if not force:
            _require_ours(found, records.migrations(connection))
        return _walk_back(connection, found)


def _walk_back(connection: "sqlite3.Connection", found: Migration) -> Migration:
    records.set_state(connection, found.id, "undoing")
    for step in reversed(found.steps):
        if step.state in ("begun", "done"):
            _UNDO[step.action.do](connection, found, step)
        records.mark(connection, found.id, step.number, "undone")
    records.set_state(connection, found.id, "undone")
    return records.find(connection, found.id)


def require_none_open(connection: "sqlite3.Connection") -> None:
    """Raise ``LlmrrError`` where a migration was cut short."""
    found = records.unfinished(connection)
    if found is not None:
        raise LlmrrError(
            f"the migration {found.id} was cut short",
            "llmrr migrate apply goes on with it, llmrr migrate rollback undoes it"
            if found.state == "applying" else "llmrr migrate rollback goes on with it",
        )  # fmt: skip


def require_unchanged(plan: Plan) -> None:
    """Raise ``LlmrrError`` where what the plan was made from is not as it was."""
    changed = [str(path) for path, digest in plan.sources
               if digest is not None and digest_of(path) != digest]  # fmt: skip
    now = digest_of(plan.target)
    if now not in (plan.base, digest_of_text(plan)):
        changed.append(str(plan.target))
    if changed:
        raise LlmrrError(f"changed since the plan was made: {', '.join(changed)}", _AGAIN)


def digest_of_text(plan: Plan) -> str:
    """The SHA-256 of what is written."""
    return hashlib.sha256(plan.toml.encode()).hexdigest()


def has_written(found: Migration) -> bool:
    """Whether it changed the file: that may have said all of it before."""
    return any(one.what == found.what for one in journal.entries())


def changed_since(found: Migration) -> list[Path]:
    """The files of a migration that were changed since."""
    paths = []
    for entry in _entries(found):
        for file in entry.files:
            known = _led_to(file.path, {file.before, file.after})
            if _digest(file.path) not in known and file.path not in paths:
                paths.append(file.path)
    return paths


def _led_to(path: Path, known: set[str | None]) -> set[str | None]:
    """The contents of a file that promotions made of known ones: they belong to the migration."""
    for entry in journal.entries():
        for file in entry.files if entry.what in _STEPS else ():
            if file.path == path and file.before in known:
                known.add(file.after)
    return known


def _require_ours(found: Migration, known: Sequence[Migration]) -> None:
    if changed := changed_since(found):
        later = _built_on(found, known)
        hint = f"llmrr migrate rollback {later.id} first, which was built on it" if later else (
            "look at it first; to put the old content back all the same: --force"
        )
        raise LlmrrError(
            f"changed since the migration {found.id}: {', '.join(map(str, changed))}", hint
        )


def _built_on(found: Migration, known: Sequence[Migration]) -> Migration | None:
    """The last of the later migrations that changed the same file, and are not undone."""
    later = (one for one in reversed(known) if one.at > found.at and one.state == "done")
    return next(
        (one for one in later if one.plan.target == found.plan.target and has_written(one)), None
    )


# -- the file --------------------------------------------------------------------------------------


def _prepare_write(
    connection: "sqlite3.Connection", found: Migration, action: Action
) -> dict[str, Any]:
    """Whether what is written was agreed to before, and whether it is from now on."""
    target, content = found.plan.target, found.plan.toml.encode()
    return {"was_trusted": trust.is_trusted(target, content), "trust": _is_ours(target)}


def _is_ours(target: Path) -> bool:
    """Whether all that the target holds may be trusted: what came from elsewhere with keys and
    addresses of its own is not agreed to by being added to."""
    if not target.exists() or trust.is_trusted(target):
        return True
    with suppress(LlmrrError):
        return not config.agreements(target)[1]
    return False


def _write(connection: "sqlite3.Connection", found: Migration, step: Step) -> None:
    target, content = found.plan.target, found.plan.toml.encode()
    now = _digest(target)
    if now == digest_of_text(found.plan):
        return
    if now != found.plan.base:
        raise LlmrrError(
            f"{target} was changed by someone else in the meantime",
            "llmrr migrate rollback, then llmrr migrate plan",
        )
    if step.undo["trust"]:
        trust.agree(target, content)
    with journal.change(found.what) as change:
        change.write(target, content)


def _unwrite(connection: "sqlite3.Connection", found: Migration, step: Step) -> None:
    for entry in reversed(_entries(found)):
        journal.undo(entry.id, force=True)  # whether it may was asked before
    if not step.undo.get("was_trusted"):
        trust.withdraw(found.plan.target, found.plan.toml.encode())


def _entries(found: Migration) -> "list[Entry]":
    """What the journal has of a migration; several where it was cut short and went on."""
    return [one for one in journal.entries() if one.what == found.what and one.state != "undone"]


def _digest(path: Path) -> str | None:
    with suppress(FileNotFoundError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return None


# -- models of other tools -------------------------------------------------------------------------


def _prepare_model(
    connection: "sqlite3.Connection", found: Migration, action: Action
) -> dict[str, Any]:
    return registering.expected(connection, action)


def _register(connection: "sqlite3.Connection", found: Migration, step: Step) -> None:
    registering.register(connection, step.action)


def _forget(connection: "sqlite3.Connection", found: Migration, step: Step) -> None:
    registering.forget(connection, step.action, step.undo)


# -- answers of other tools ------------------------------------------------------------------------


def _prepare_cache(
    connection: "sqlite3.Connection", found: Migration, action: Action
) -> dict[str, Any]:
    """Under which id the answers come, so that a second time is the same import."""
    path = hashlib.sha256(str(action.path).encode()).hexdigest()
    return {"import": f"{found.id}.{path[:8]}"}


def _import(connection: "sqlite3.Connection", found: Migration, step: Step) -> None:
    if not config.load().value("log_prompts"):
        raise LlmrrError("log_prompts = false: the history keeps no words", "llmrr logs on")
    assert step.action.path is not None
    for one in caches.bring(connection, [step.action.path], step.undo["import"]):
        if one.error is not None and not one.answers:
            raise LlmrrError(one.error)


def _take_out(connection: "sqlite3.Connection", found: Migration, step: Step) -> None:
    caches.undo(connection, str(step.undo["import"]))


_Prepare = Callable[["sqlite3.Connection", Migration, Action], dict[str, Any]]
_Do = Callable[["sqlite3.Connection", Migration, Step], None]
_PREPARE: Final[Mapping[str, _Prepare]] = {
    "write-config": _prepare_write, "register-model": _prepare_model,
    "import-cache": _prepare_cache,
}  # fmt: skip
_DO: Final[Mapping[str, _Do]] = {
    "write-config": _write, "register-model": _register, "import-cache": _import,
}  # fmt: skip
_UNDO: Final[Mapping[str, _Do]] = {
    "write-config": _unwrite, "register-model": _forget, "import-cache": _take_out,
}  # fmt: skip
