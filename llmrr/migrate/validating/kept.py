"""What came of validations, and the configuration that each was about; steps that were promoted."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmrr import database
from llmrr.config import Config

if TYPE_CHECKING:
    import sqlite3


DONE: Final = "migration-done"  # the flag that leaves the new side alone


class Validation(NamedTuple):
    """One that was run. ``configuration`` is the digest of what it was about; ``new`` is the model
    that stood for the new side, None where that was the whole of it."""

    id: int | None
    at: float
    configuration: str
    new: str | None
    passed: bool
    facts: Mapping[str, Any]


class Step(NamedTuple):
    """A step that was taken, up or down; ``subject`` is ``migration``, or ``flags.NAME``.
    ``validation`` is the one that it rests on, None where it was forced, or leads down; ``entry``
    that of the journal."""

    id: int | None
    at: float
    subject: str
    before: str
    after: str
    validation: int | None
    forced: bool
    entry: str


def record(connection: "sqlite3.Connection", found: Validation) -> None:
    """Append one; the answers are not kept."""
    with database.errors():
        connection.execute(
            "INSERT INTO validations (at, configuration, new, passed, facts)"
            " VALUES (?, ?, ?, ?, ?)",
            (found.at, found.configuration, found.new, found.passed, json.dumps(found.facts)),
        )


def last(connection: "sqlite3.Connection") -> Validation | None:
    """The last one; None where there was none."""
    sql = "SELECT id, at, configuration, new, passed, facts FROM validations ORDER BY id DESC"
    with database.errors():
        row = connection.execute(f"{sql} LIMIT 1").fetchone()
    if row is None:
        return None
    return Validation._make((*row[:4], bool(row[4]), json.loads(row[5])))


def record_step(connection: "sqlite3.Connection", step: Step) -> None:
    """Append a step."""
    with database.errors():
        connection.execute(
            "INSERT INTO promotions (at, subject, before, after, validation, forced, entry)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)", step[1:],
        )  # fmt: skip


def steps(connection: "sqlite3.Connection") -> list[Step]:
    """All steps, newest last."""
    sql = "SELECT id, at, subject, before, after, validation, forced, entry FROM promotions"
    with database.errors():
        rows = connection.execute(f"{sql} ORDER BY id").fetchall()
    return [Step._make((*row[:6], bool(row[6]), row[7])) for row in rows]


def of(facts: Mapping[str, Any], config: Config, new: str | None) -> Validation:
    """A validation of this configuration, now."""
    left = {name: one for name, one in facts.items() if name != "performance"}
    speed = {name: one for name, one in facts["performance"].items() if name != "latencies"}
    kept = {"performance": speed, **left}
    return Validation(None, time.time(), digest(config), new, bool(facts["passed"]), kept)


def digest(config: Config) -> str:
    """Of all that the files in use state, but for what a promotion changes: the mode, and the
    shares of flags. Comments do not count."""
    import tomllib

    found = []
    for file in config.files:
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            continue
        if isinstance(table.get("migration"), dict):
            table["migration"].pop("mode", None)
        if isinstance(table.get("flags"), dict):
            _forget_shares(table["flags"])
            table = {name: one for name, one in table.items() if name != "flags" or one}
        found.append(table)
    text = json.dumps(found, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _forget_shares(flags: dict[str, Any]) -> None:
    flags.pop(DONE, None)
    for flag in flags.values():
        if isinstance(flag, dict):
            flag.pop("rollout", None)
