"""``llmrr migrate validate``, ``promote``, ``demote``: the proof, and what rests on it."""

from typing import Annotated

import typer

from llmrr.cli import names, options, output, proof_views, proving
from llmrr.router import Router

Flag = Annotated[
    str | None,
    typer.Option("--flag", metavar="NAME", help="A step along the shares of [flags.NAME]."),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="SHARE", help="That share of the flag: 40%, or 0.4.")
]


def validate(
    questions: Annotated[
        str | None,
        typer.Option(
            "--set", metavar="FILE", help="What is asked, a JSON object a line (see llmrr eval)."
        ),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Ask the last 100 different prompts of the history.")
    ] = False,
    old: Annotated[
        str | None,
        typer.Option(
            "--old", metavar="MODEL", help="What answered before: openai:gpt-4o, or another name.",
            autocompletion=names.model_names,
        ),
    ] = None,
    old_command: Annotated[
        str | None,
        typer.Option(
            "--old-command", metavar="CMD",
            help="Or a command: the prompt on its stdin, the answer on its stdout; no shell.",
        ),
    ] = None,
    old_url: Annotated[
        str | None,
        typer.Option("--old-url", metavar="URL", help="Or an address that is posted to."),
    ] = None,
    old_body: Annotated[
        str | None,
        typer.Option(
            "--old-body", metavar="JSON", help='What is posted: \'{"prompt": "{prompt}"}\'.'
        ),
    ] = None,
    old_path: Annotated[
        str | None,
        typer.Option(
            "--old-path", metavar="PATH",
            help="Where the text is in what comes back: choices.0.message.content.",
        ),
    ] = None,
    old_header: Annotated[
        list[str] | None,
        typer.Option(
            "--old-header", metavar="NAME=VARIABLE",
            help="A header with the secret that a variable holds. Repeatable.",
        ),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Compare what hybrid mode recorded; nothing is asked.")
    ] = False,
    new: Annotated[
        str | None,
        typer.Option(
            "--new", metavar="MODEL", help="Only this model as the new side.",
            autocompletion=names.model_names,
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="Requests to each side.")
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the random order.")] = 0,
    min_similarity: Annotated[
        float,
        typer.Option("--min-similarity", metavar="X", min=0.0, max=1.0, help="Of the answers."),
    ] = 0.8,
    no_similarity: Annotated[
        bool, typer.Option("--no-similarity", help="Do without that bar; the report says so.")
    ] = False,
    max_latency_ratio: Annotated[
        float,
        typer.Option("--max-latency-ratio", metavar="X", min=0.0, help="New over old, of means."),
    ] = 1.2,
    max_error_increase: Annotated[
        float,
        typer.Option(
            "--max-error-increase", metavar="X", min=0.0, max=1.0, help="Of the error rate, 0 to 1."
        ),
    ] = 0.0,
    embedding: Annotated[
        str | None,
        typer.Option(
            "--embedding", metavar="MODEL", help="What the answers are compared by.",
            autocompletion=names.model_names,
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge", metavar="MODEL", help="What judges answers that have an expectation.",
            autocompletion=names.model_names,
        ),
    ] = None,
    match: Annotated[
        str | None, typer.Option("--match", metavar="WAY", help="How they are judged otherwise.")
    ] = None,
    max_tokens: options.MaxTokens = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="S", min=0.1, help="Of a command or an address."),
    ] = 300.0,
    output_file: Annotated[
        str | None,
        typer.Option("--output", "-O", metavar="FILE", help="The report, Markdown; - is stdout."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Hold the new side against the old one, with the same requests to both.

    The new side is that of [migration], else all [[models]]; the old one is the legacy side, or
    what an option names. Without --set and --history the guide's two prompts are asked, and what
    must fail, once each: an empty prompt, a missing one, one longer than the context (12 MB where
    that is not known, which no provider bills), one of another type than text. A line of a set
    whose prompt is null or "" must fail too.

    Both are asked one after the other, in random order, the prompts over and over until there are
    --samples; no answer is a kept one. A model of this machine is loaded, and an address asked
    once, before that, and it does not count. The bars: the mean cosine of the answers' embeddings,
    which needs an embedding model; the mean latency, new over old; the error rate. Ends with exit
    code 9 when one is not met. `llmrr migrate promote` wants the last validation to have passed.
    """
    from llmrr.migrate.validating.bars import Bars
    from llmrr.migrate.validating.running import Wish

    bars = Bars(None if no_similarity else min_similarity, max_latency_ratio, max_error_increase)
    wish = Wish(
        questions, history, match, old, old_command, old_url, old_body, old_path, old_header or (),
        shadow, new, samples, seed, bars, embedding, judge, max_tokens, timeout,
    )  # fmt: skip
    with Router(warn=output.note) as router:
        proving.validate(router, wish, output_file, json=json)


def promote(
    flag: Flag = None,
    to: To = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also without a validation that passed; recorded.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Go a step further, when the last `llmrr migrate validate` passed.

    Along [migration] from legacy-primary to hybrid, to new-primary, to done: then a flag leaves
    only the new side to choose among, and the legacy models answer those who name them. With --flag
    along its shares: 1, 5, 10, 25, 50, 100 percent.

    Ends with exit code 9 when the last validation did not pass, or the configuration was changed
    since. `llmrr migrate demote` and `llmrr config rollback` lead back.
    """
    with Router(warn=output.note) as router:
        taken = proving.step(router, flag, to, up=True, force=force)
        output.show(proving.facts(taken), proof_views.stepped, as_json=json)


def demote(flag: Flag = None, to: To = None, json: options.Json = False) -> None:
    """Go a step back: along [migration], or with --flag along the shares of a flag."""
    with Router(warn=output.note) as router:
        taken = proving.step(router, flag, to, up=False)
        output.show(proving.facts(taken), proof_views.stepped, as_json=json)
