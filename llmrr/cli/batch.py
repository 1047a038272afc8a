"""``llmrr batch``: a file of requests."""

from typing import Annotated

import typer

from llmrr.cli import batching, options, output
from llmrr.router import Router

In = Annotated[
    str,
    typer.Argument(
        metavar="IN", help="Requests, one JSON object in each line; - is stdin.", show_default=False
    ),
]
Out = Annotated[
    str,
    typer.Argument(metavar="OUT", help="Where the answers go; - is stdout.", show_default=False),
]
Errors = Annotated[
    str | None,
    typer.Option("--errors", metavar="FILE", help="Write the lines that failed here, not to OUT."),
]
Parallel = Annotated[
    int | None,
    typer.Option(
        "--parallel", metavar="N", min=1, max=1024,
        help="So many lines at once (default: [batching] max_batch_size).",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Ask this server, which speaks OpenAI's protocol, as it is."
    ),
]
KeyVariable = Annotated[
    str | None,
    typer.Option("--api-key-env", metavar="NAME", help="The variable that holds its key."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Begin anew, whatever OUT and --errors hold.")
]


def batch(
    source: In,
    target: Out,
    model: options.Model = None,
    system: options.System = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    option: options.Settings = None,
    engine: options.Engine = None,
    strategy: options.Strategy = None,
    no_cache: options.NoCache = False,
    no_log: options.NoLog = False,
    parallel: Parallel = None,
    url: Url = None,
    api_key_env: KeyVariable = None,
    ray: options.Ray = False,
    replicas: options.Replicas = None,
    errors: Errors = None,
    force: Force = False,
    json: options.Json = False,
) -> None:
    """Answer a file of requests.

    Each line is one of OpenAI's batches: custom_id, method, url and body; or a short one, with
    messages, a prompt or an input, and what else a body may state. Each gets one line in OUT, as
    OpenAI writes them, in the order of IN, also what fails.

    -m and -s hold for all lines; what else is stated, for those that do not state it. The same
    command goes on with what was interrupted: no line is lost, none is answered twice.
    """
    asked = batching.Asked(
        source, target, errors, model, system, option or (), engine, strategy, not no_cache,
        not no_log, parallel, url, api_key_env, ray, replicas, force, json,
        dict(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed),
    )  # fmt: skip
    with Router(warn=output.note, **batching.tables(parallel)) as router:
        batching.finish(batching.run(router, asked), json=json)
