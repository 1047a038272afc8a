"""What validations and promotions say of a migration, for its status, its report and the
check-list."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr.migrate.validating import kept

if TYPE_CHECKING:
    import sqlite3


class Met(NamedTuple):
    """Which bars the last validation met; None where there was none."""

    all: bool | None = None
    latency: bool | None = None
    errors: bool | None = None


def met(connection: "sqlite3.Connection", since: float) -> Met:
    """Those of the last validation, if it was at or after ``since`` (epoch seconds)."""
    found = kept.last(connection)
    if found is None or found.at < since:
        return Met()
    bars = {one["name"]: bool(one["passed"]) for one in found.facts["bars"]}
    return Met(found.passed, bars.get("latency"), bars.get("error rate"))


def is_deployed(connection: "sqlite3.Connection", since: float) -> bool | None:
    """Whether the last step since then leads to the end; None where none was taken."""
    taken = [one for one in kept.steps(connection) if one.at >= since]
    return taken[-1].after in ("done", "100%") if taken else None


def facts(connection: "sqlite3.Connection") -> dict[str, Any] | None:
    """The last validation; None where there was none."""
    found = kept.last(connection)
    if found is None:
        return None
    keys = ("old", "new", "samples", "similarity", "bars", "waived")
    return {
        "timestamp": moment(found.at), "passed": found.passed,
        **{key: found.facts.get(key) for key in keys},
    }  # fmt: skip


def steps(connection: "sqlite3.Connection") -> list[dict[str, Any]]:
    """The steps that were taken, up and down."""
    return [
        {
            "timestamp": moment(one.at), "subject": one.subject, "before": one.before,
            "after": one.after, "forced": one.forced, "validation": one.validation,
        }
        for one in kept.steps(connection)
    ]  # fmt: skip


def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    """Both, as lines of a report; nothing where there is nothing."""
    last = found["validation"]
    if last is not None:
        yield from ("", "## Validation", "")
        verdict = "passed" if last["passed"] else "not passed"
        yield f"- {last['timestamp']}: {verdict}, {last['samples']} requests to each side"
        yield from (f"  - {'met' if one['passed'] else 'not met'}: {one['said']}"
                    for one in last["bars"] or ())  # fmt: skip
        yield from (f"  - {name} was waived" for name in last["waived"] or ())
    if found["promotions"]:
        yield from ("", "## Promotions", "")
    for one in found["promotions"]:
        forced = ", forced" if one["forced"] else ""
        yield f"- {one['timestamp']}: {one['subject']}, {one['before']} to {one['after']}{forced}"


def moment(at: float) -> str:
    """Epoch seconds as all reports have them."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(at))
