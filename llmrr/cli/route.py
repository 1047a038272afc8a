"""``llmrr route``: which model a prompt would go to."""

import sys
from typing import Annotated

import typer

from llmrr.cli import asking, options, output, route_views
from llmrr.router import Router


def route(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT]...", help="The prompt.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="NAME", help="Only this model, or the models of this group."
        ),
    ] = None,
    system: options.System = None,
    file: options.Files = None,
    attach: options.Attachments = None,
    option: options.Settings = None,
    ctx_size: options.ContextSize = None,
    engine: options.Engine = None,
    max_tokens: options.MaxTokens = None,
    schema: options.Schema = None,
    grammar: options.Grammar = None,
    raw: options.Raw = False,
    strategy: options.Strategy = None,
    fallback: options.Fallback = None,
    need: options.Need = None,
    json: options.Json = False,
) -> None:
    """Show which model a prompt would go to, and why.

    The candidates are the [[models]] of llmrr.toml, each with its score and what is known of it; a
    dash is unknown. Below them stand those that cannot take the prompt, with the reason. Nothing is
    run, and nothing counts as chosen. Where no model can take the prompt it ends as run would, with
    the same exit code.
    """
    asked = asking.Asked(
        words=words or (), model=model or "", system=system, files=file or (),
        attached=attach or (), options=option or (),
        schema=schema, grammar=grammar, raw=raw, strategy=strategy, need=need or (),
        fallback=fallback or (), context_size=ctx_size, engine=engine,
        stated=dict(max_tokens=max_tokens),
    )  # fmt: skip
    with Router(warn=output.note) as router:
        found = asking.decide(asked, router, asking.read_piped(asked, sys.stdin))
        output.show(found.facts(), route_views.decision, as_json=json)
        found.require_winner()
