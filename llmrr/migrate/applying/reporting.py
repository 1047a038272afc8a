"""Where migrations stand, and all that was written down about them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr import config, summaries
from llmrr.errors import LlmrrError
from llmrr.migrate import applying
from llmrr.migrate.applying import checklist, proof, records
from llmrr.migrate.applying.checklist import Facts
from llmrr.migrate.applying.records import Migration
from llmrr.migrate.planning import Action

if TYPE_CHECKING:
    import sqlite3

    from llmrr.migrate.planning import Item

_GROUPS: Final = {
    "decision": "decisions", "issue": "issues", "optimization": "optimizations",
    "lesson": "lessons",
}  # fmt: skip


def status(connection: "sqlite3.Connection") -> dict[str, Any]:
    """Every migration with its steps and what remains, and the check-list as it stands."""
    return {
        "migrations": [facts(one) for one in records.migrations(connection)],
        "validation": proof.facts(connection),
        "promotions": proof.steps(connection),
        "checklist": list(items(connection)),
    }


def items(connection: "sqlite3.Connection") -> tuple["Item", ...]:
    """The check-list as it stands."""
    return checklist.judged(_known(connection), records.ticks(connection))


def report(connection: "sqlite3.Connection") -> dict[str, Any]:
    """All of it, the guide's figures first.

    ``migrationDuration`` is in seconds from the first to the last thing that is recorded,
    ``successRate`` the share of the migrations that ended and were not undone; null where nothing
    is known.
    """
    known, notes = records.migrations(connection), records.notes(connection)
    times = [one.at for one in notes] + [one.at for one in known]
    times += [one.ended for one in known if one.ended is not None]
    return {
        "summary": {
            "totalDecisions": sum(one.kind == "decision" for one in notes),
            "totalIssues": sum(one.kind == "issue" for one in notes),
            "migrationDuration": max(times) - min(times) if times else None,
            "successRate": _share(known),
        },
        "details": {
            group: [{"timestamp": proof.moment(one.at), **one.fields} for one in notes
                    if one.kind == kind]
            for kind, group in _GROUPS.items()
        },
        **status(connection),
    }  # fmt: skip


def markdown(found: dict[str, Any]) -> Iterator[str]:
    """A report as Markdown, line by line."""
    summary = found["summary"]
    yield from ("# Migration", "", "## Summary", "")
    yield f"- Decisions: {summary['totalDecisions']}"
    yield f"- Issues: {summary['totalIssues']}"
    yield f"- Duration: {_duration(summary['migrationDuration'])}"
    rate = summary["successRate"]
    yield f"- Success rate: {'-' if rate is None else f'{100 * rate:.0f} %'}"
    yield from ("", "## Migrations", "")
    for one in found["migrations"]:
        yield f"- `{one['id']}`, {one['at']}: {one['state']}, {one['target']}"
        yield from (f"  - {step['what']}: {step['state']}{_because(step)}" for step in one["steps"])
    yield from proof.markdown(found)
    for group, notes in found["details"].items():
        yield from ("", f"## {group.capitalize()}", "")
        for note in notes:
            yield f"- {note['timestamp']}: {_line(note['description'])}"
            yield from (f"  - {name.capitalize()}: {_line(text)}" for name, text in note.items()
                        if name not in ("timestamp", "description"))  # fmt: skip
    yield from ("", "## Check-list")
    phase = ""
    for item in found["checklist"]:
        if item.phase != phase:
            phase = item.phase
            yield from ("", f"### {phase.capitalize()}", "")
        how = f" ({item.how})" if item.how else ""
        yield f"- [{ {True: 'x', False: ' ', None: '?'}[item.done] }] {item.text}{how}"


def note(
    connection: "sqlite3.Connection", kind: str, fields: dict[str, str | None]
) -> dict[str, str]:
    """Write down a note, with no key in it; what was written, as ``--json`` prints it."""
    stated = {name: safe(text) for name, text in fields.items() if text}
    records.add_note(connection, kind, stated)
    return {"kind": kind, **stated}


def safe(text: str) -> str:
    """A text of the user's, without what looks like a key."""
    from llmrr.migrate.terms.secrets import masked

    return masked(text)


def words(action: Action) -> str:
    """What an action does, in words."""
    if action.do == "write-config":
        return f"write {action.path}"
    if action.do == "register-model":
        return f"enter {action.source}"
    return f"bring over {action.path}"


def facts(found: Migration) -> dict[str, Any]:
    """A migration as ``--json`` prints it."""
    return {
        "id": found.id, "plan": found.plan.id, "at": proof.moment(found.at),
        "ended": None if found.ended is None else proof.moment(found.ended), "state": found.state,
        "target": str(found.plan.target),
        "steps": [{"what": words(one.action), "state": one.state, "said": one.said}
                  for one in found.steps],
        "remaining": [words(one.action) for one in found.remaining],
        "changed_since": [] if found.state == "undone" else
                         [str(path) for path in applying.changed_since(found)],
    }  # fmt: skip


def _known(connection: "sqlite3.Connection") -> Facts:
    """What the check-list can be held against."""
    done = [one for one in records.migrations(connection) if one.state == "done"]
    noted = len(records.notes(connection))
    if not done:
        return Facts(notes=noted)
    last = done[-1]
    met = proof.met(connection, last.at)
    return checklist.facts_of(_table(last.plan.target))._replace(
        sources=len(last.plan.sources), applied=True, valid=_is_valid(last.plan.target),
        notes=noted, answers=summaries.answered(connection, last.at), validated=met.all,
        quick=met.latency, reliable=met.errors, deployed=proof.is_deployed(connection, last.at),
    )  # fmt: skip


def _table(path: Path) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}


def _is_valid(path: Path) -> bool:
    try:
        return not config.check(path)
    except LlmrrError:
        return False


def _share(known: Iterable[Migration]) -> float | None:
    ended = [one.state for one in known if one.state in ("done", "undone")]
    return ended.count("done") / len(ended) if ended else None


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _because(step: dict[str, str]) -> str:
    return f" ({step['said']})" if step["said"] else ""


def _line(text: str) -> str:
    return " ".join(text.split())
