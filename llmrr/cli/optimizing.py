"""From a command line to what is proposed, and to what is changed."""

import time
from typing import TYPE_CHECKING, cast

from llmrr.cli import optimize_views, output, times
from llmrr.cli.layout import counted
from llmrr.errors import LlmrrError
from llmrr.optimize import report as core

if TYPE_CHECKING:
    from llmrr.optimize.report import Report
    from llmrr.router import Router


def report(router: "Router", since: str | None, *, json: bool) -> "Report":
    """Look, and print what was found. Raises ``LlmrrError`` where nothing was recorded."""
    window = cast("float", router.config.value("optimize.window"))
    moment = times.parse(since)
    found = core.look(router, time.time() - window if moment is None else moment)
    if not (found.history.runs or json):
        which = f"since {since}" if since else f"in the last {_span(window)}"
        raise LlmrrError(f"no run is recorded {which}", 'llmrr run "…"')
    if json:
        output.document(found.facts())
    else:
        output.show(found, optimize_views.report, as_json=False)
    return found


def finish(found: "Report", *, write: bool, yes: bool) -> None:
    """Change the files where that is wanted. Raises ``LlmrrError`` where there is nothing that
    could be changed, or the user has not agreed."""
    files = ", ".join(str(draft.path) for draft in found.drafts)
    if found.is_unconfigured:
        raise LlmrrError(
            "there are no [[models]] in llmrr.toml, and so nothing to propose", "llmrr config edit"
        )
    if not write:
        if found.drafts:
            output.note("nothing is changed yet: llmrr optimize --write")
        return
    if not found.drafts:
        output.note("there is nothing to change")
        return
    if not yes:
        question = f"Make {counted(len(found.advice.proposals), 'change')} to {files}?"
        if not output.confirm(question, default=False):
            raise LlmrrError("nothing was changed", "")
    found.write()
    output.note(f"{files} is changed; llmrr config rollback undoes it")


def _span(seconds: float) -> str:
    """A time as it would be written.

    >>> _span(7 * 86400.0), _span(5400.0)
    ('7d', '90m')
    """
    for unit, length in reversed(times.SECONDS.items()):
        if seconds >= length and seconds % length == 0 and unit != "w":
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"
