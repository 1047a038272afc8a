"""``llmrr optimize``: what the record of runs proposes."""

from typing import Annotated

import typer

from llmrr.cli import optimizing, options, output
from llmrr.router import Router


def optimize(
    since: options.Since = None,
    write: Annotated[
        bool, typer.Option("--write", help="Change the files as proposed, once you have agreed.")
    ] = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Propose settings from how models were used.

    The runs of the last 7 days, or of what [optimize] window says, are summed up: how often each
    model answered, how fast, and how often it failed; how prompts begin, the busiest hours, the
    patterns of errors, how often the cache had the answer, how many runs there were at once.

    From that come proposals, by the rules that [optimize] sets, as a difference of the file. Behind
    each line stands the evidence for it, which does not belong to the file.

    Nothing is changed without --write; `llmrr config rollback` undoes it.
    """
    with Router(warn=output.note) as router:
        found = optimizing.report(router, since, json=json)
        optimizing.finish(found, write=write, yes=yes)
