"""``llmrr eval``: quality."""

from typing import Annotated

import typer

from llmrr.cli import evaluating, measure_views, options, output
from llmrr.cli.evaluating import match_names
from llmrr.router import Router


def evaluate(
    models: options.Models = None,
    questions: Annotated[
        str | None,
        typer.Option(
            "--set", metavar="FILE",
            help="Questions, a JSON object a line; builtin:mini is the built-in model's own set.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="FILE", help="Perplexity of this text; - is stdin."),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            "--match", metavar="WAY", autocompletion=match_names,
            help="How lines are judged that do not say it: exact, contains, regex, number, choice "
            "or json.",
        ),
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(
            "--min", metavar="X", min=0.0, max=1.0,
            help="End with exit code 9 where a model answers a smaller share right.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="Only the first N questions, or windows of a text."
        ),
    ] = None,
    last: options.Last = None,
    window: Annotated[
        int,
        typer.Option("--window", metavar="N", min=3, help="Tokens of a window of the text."),
    ] = evaluating.WINDOW,
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", metavar="N", min=1, max=64, help="So many answers at once."),
    ] = 4,
    system: options.System = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    think: options.ThinkLevel = None,
    ctx_size: options.ContextSize = None,
    option: options.Settings = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show every question that was answered wrong.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Measure how well models answer.

    A line of a set is {"question": "2 + 2?", "expected": "4"}. In place of the question: prompt, or
    messages with roles; expected may be a list of which any one is right. Further keys: system,
    raw, choices, match, tolerance (number), subset (json), schema, max_tokens, params, id.

    Unless the line or --match says otherwise, choices are matched by letter or text, an expected
    object as JSON, an expected number by the last number of the answer, and a text has to be in
    the answer as whole words. The likeliest token is taken unless an option says otherwise;
    reasoning is not judged.

    The share of right answers is kept, and llmrr show prints it; not so with --system. --text
    measures perplexity as llama-perplexity does: the second half of each window counts.
    """
    asked = evaluating.Asked(
        models=models or [None], questions=questions, text=text, match=match, minimum=minimum,
        limit=limit, last=last, window=window, concurrency=concurrency, system=system,
        options=option or (), context_size=ctx_size,
        stated=dict(
            max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, think=think
        ),
    )  # fmt: skip
    with Router(warn=output.note) as router:
        found = evaluating.evaluate(router, asked)
        view = measure_views.wrong_too if verbose else measure_views.evaluated
        output.show(evaluating.facts(found), view, as_json=json)
        evaluating.require(found)
