"""What is kept of migrations: which were applied and how far each came, what was noted, which items
of the check-list were ticked. All of it lies in the database."""

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from llmrr import database
from llmrr.errors import NotFound
from llmrr.migrate import planning
from llmrr.migrate.applying.checklist import Tick
from llmrr.migrate.planning import Action, Plan

if TYPE_CHECKING:
    import sqlite3

State = Literal["applying", "done", "undoing", "undone"]
StepState = Literal["planned", "begun", "done", "skipped", "undone"]
# What a note of each kind may say, besides its description.
NOTES: Final[Mapping[str, tuple[str, ...]]] = {
    "decision": ("rationale", "alternatives", "outcome"),
    "issue": ("impact", "resolution", "prevention"),
    "optimization": ("impact", "outcome"),
    "lesson": ("outcome",),
}


class Step(NamedTuple):
    """One action of a migration and how far it came; ``undo`` is what its way back needs, ``said``
    why it was skipped."""

    number: int
    action: Action
    state: StepState
    said: str
    undo: Mapping[str, Any]


class Migration(NamedTuple):
    """A plan that was applied, with its own id. Times are in epoch seconds."""

    id: str
    at: float
    ended: float | None
    state: State
    plan: Plan
    steps: tuple[Step, ...]

    @property
    def remaining(self) -> tuple[Step, ...]:
        """What is left to do, or to undo."""
        if self.state == "undoing":
            return tuple(one for one in reversed(self.steps) if one.state != "undone")
        if self.state == "applying":
            return tuple(one for one in self.steps if one.state in ("planned", "begun"))
        return ()

    @property
    def what(self) -> str:
        """How the journal calls what it wrote."""
        return f"migrate {self.id}"


class Note(NamedTuple):
    """What somebody wrote down."""

    at: float
    kind: str
    fields: Mapping[str, str]


def begin(connection: "sqlite3.Connection", plan: Plan) -> str:
    """A migration that is about to be applied; its id."""
    import secrets
    from datetime import UTC, datetime

    now = time.time()
    id = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    with database.errors(), database.transaction(connection):
        connection.execute(
            "INSERT INTO migrations (id, at, state, plan) VALUES (?, ?, 'applying', ?)",
            (id, now, planning.text_of(plan)),
        )
        connection.executemany(
            "INSERT INTO migration_steps VALUES (?, ?, 'planned', '', '{}')",
            [(id, number) for number in range(len(plan.actions))],
        )
    return id


def mark(
    connection: "sqlite3.Connection", migration: str, step: int, state: StepState,
    said: str = "", undo: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """How far a step came; ``undo`` stays as it is where it is not stated."""
    with database.errors():
        connection.execute(
            "UPDATE migration_steps SET state = ?, said = ?, undo = coalesce(?, undo)"
            " WHERE migration = ? AND number = ?",
            (state, said, None if undo is None else json.dumps(undo), migration, step),
        )


def set_state(connection: "sqlite3.Connection", migration: str, state: State) -> None:
    """How far a migration came."""
    ended = time.time() if state in ("done", "undone") else None
    with database.errors():
        connection.execute(
            "UPDATE migrations SET state = ?, ended = ? WHERE id = ?", (state, ended, migration)
        )


def migrations(connection: "sqlite3.Connection") -> list[Migration]:
    """All of them, the newest last."""
    with database.errors():
        rows = connection.execute(
            "SELECT id, at, ended, state, plan FROM migrations ORDER BY at, id"
        ).fetchall()
        steps = connection.execute(
            "SELECT migration, number, state, said, undo FROM migration_steps ORDER BY number"
        ).fetchall()
    return [_migration(row, [one[1:] for one in steps if one[0] == row[0]]) for row in rows]


def find(connection: "sqlite3.Connection", id: str | None) -> Migration:
    """The migration of that id, or the last that was not undone. Raises ``NotFound``."""
    known = migrations(connection)
    if id is None:
        left = [one for one in known if one.state != "undone"]
        if left:
            return left[-1]
        raise NotFound("there is no migration to undo", "llmrr migrate status")
    for one in known:
        if id in (one.id, one.plan.id):
            return one
    raise NotFound(f'there is no migration "{id}"', "llmrr migrate status")


def unfinished(connection: "sqlite3.Connection") -> Migration | None:
    """The one that was cut short, in being applied or undone."""
    found = (one for one in migrations(connection) if one.state in ("applying", "undoing"))
    return next(found, None)


def add_note(connection: "sqlite3.Connection", kind: str, fields: Mapping[str, str]) -> None:
    """Write something down."""
    with database.errors():
        connection.execute(
            "INSERT INTO migration_notes (at, kind, fields) VALUES (?, ?, ?)",
            (time.time(), kind, json.dumps(fields)),
        )


def notes(connection: "sqlite3.Connection") -> list[Note]:
    """What was written down, newest last."""
    with database.errors():
        rows = connection.execute("SELECT at, kind, fields FROM migration_notes ORDER BY id")
        return [Note(at, kind, json.loads(fields)) for at, kind, fields in rows]


def tick(connection: "sqlite3.Connection", item: str, note: str) -> None:
    """An item of the check-list is done, a person says."""
    with database.errors():
        connection.execute(
            "INSERT OR REPLACE INTO migration_ticks VALUES (?, ?, ?)", (item, time.time(), note)
        )


def untick(connection: "sqlite3.Connection", item: str) -> None:
    """It is not, after all."""
    with database.errors():
        connection.execute("DELETE FROM migration_ticks WHERE item = ?", (item,))


def ticks(connection: "sqlite3.Connection") -> dict[str, Tick]:
    """The items that were ticked."""
    with database.errors():
        rows = connection.execute("SELECT item, at, note FROM migration_ticks ORDER BY item")
        return {item: Tick(at, note) for item, at, note in rows}


def _migration(row: tuple[Any, ...], steps: list[tuple[Any, ...]]) -> Migration:
    id, at, ended, state, text = row
    plan = planning.parsed(text, f"the plan of migration {id}")
    found = tuple(
        Step(number, plan.actions[number], how, said, json.loads(undo))
        for number, how, said, undo in steps
    )
    return Migration(id, at, ended, state, plan, found)
