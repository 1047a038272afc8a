"""From a command line to a validation, and to a step that rests on one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.cli import output, saving, transfer
from llmrr.cli.proof_views import validated
from llmrr.errors import UsageError

if TYPE_CHECKING:
    from llmrr.migrate.validating.kept import Step
    from llmrr.migrate.validating.running import Wish
    from llmrr.router import Router


def validate(router: "Router", wish: "Wish", report: str | None, *, json: bool) -> None:
    """Ask both sides, print what was measured, write the report. Raises ``CheckFailed`` with the
    bars that are not met."""
    from llmrr.migrate.validating import comparison, running
    from llmrr.migrate.validating.report import markdown

    if report not in (None, "-"):
        saving.check_place(str(report))
    with transfer.work() as work:
        found = running.validate(
            router, wish, lambda done, total: work("requests to both sides", done, total)
        )
    if report == "-":
        output.write(markdown(found))
    else:
        output.show(comparison.facts(found), validated, as_json=json)
    if report not in (None, "-"):
        saving.save(str(report), markdown(found))
        output.note(f"{Path(str(report))} has the report")
    found.require()


def step(
    router: "Router", flag: str | None, to: str | None, *, up: bool, force: bool = False
) -> "Step":
    """Take a step. Raises what ``promoting`` does."""
    from llmrr.migrate.applying import promoting

    config = router.config
    if flag is not None:
        share = None if to is None else promoting.share(to)
        move = promoting.of_flag(config, flag, up=up, to=share)
    elif to is not None:
        raise UsageError("--to is the share of a flag", "--flag NAME --to 40%")
    else:
        move = promoting.of_migration(config, up=up)
    taken = promoting.take(router.database, config, move, up=up, force=force)
    output.note(f"{move.file} is changed; llmrr config rollback undoes it")
    return taken


def facts(step: "Step") -> dict[str, Any]:
    """``migrate promote --json``."""
    found = step._asdict()
    return {name: found[name] for name in ("subject", "before", "after", "validation", "forced")}
