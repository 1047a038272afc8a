"""``llmrr serve``: the HTTP front."""

from typing import Annotated

import typer

from llmrr.cli import options, output
from llmrr.router import Router


def serve(
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Where to listen (default: 127.0.0.1, this "
                     "machine alone)."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", min=0, max=65535, help="Which port; 0 takes a free one "
                     "(default: 8313)."),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", metavar="N", min=1, max=256, help="How many sequences a model "
                     "on this machine computes at once (default: 10)."),
    ] = None,
    speculate: Annotated[
        int | None,
        typer.Option("--speculate", min=0, max=64, metavar="N", help="Guess N tokens ahead at "
                     "most, from what was said before: faster where answers repeat prompts."),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", metavar="NAME=MODEL", help="Answer to a name of the old system "
                     "with a model of this one; claude-* is any that begins so, * any that means "
                     "nothing here. Repeatable; besides those of serve.aliases."),
    ] = None,
    max_queue: Annotated[
        int | None,
        typer.Option("--max-queue", metavar="N", min=0, help="How many requests wait at most; more "
                     "are answered 429 (default: 256)."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="SECONDS", help="How long an answer may take, waiting "
                     "included; also as 10m (default: 600)."),
    ] = None,
    api_key_env: Annotated[
        list[str] | None,
        typer.Option("--api-key-env", metavar="NAME", help="Let in who has the key that this "
                     "environment variable holds. Repeatable; see also [serve.keys]."),
    ] = None,
    ollama: Annotated[
        bool,
        typer.Option("--ollama", help="Listen on 127.0.0.1:11434 too, as Ollama does."),
    ] = False,
    log_level: Annotated[
        str,
        typer.Option("--log-level", metavar="LEVEL", help="error, warning, info (a line for each "
                     "request) or debug."),
    ] = "warning",
    log_requests: Annotated[
        bool,
        typer.Option("--log-requests", help="Log what is asked and answered, too."),
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option("--unit", metavar="KIND", help="Print a unit that keeps this running, for "
                     "systemd or launchd, and end."),
    ] = None,
    hash_key: Annotated[
        bool,
        typer.Option("--hash-key", help="Read a key, print its hash for [serve.keys.NAME], and "
                     "end."),
    ] = False,
    ray: options.Ray = False,
    replicas: options.Replicas = None,
) -> None:  # fmt: skip
    """Answer over HTTP, in the protocols of OpenAI, Anthropic and Ollama.

    Old code that speaks one of them is pointed at the address that is printed. An address that
    others can reach takes keys. A browser gets a page at `/`; who does not ask for text/html is
    told `Ollama is running` there, as clients of Ollama expect.

    Ctrl-C, or SIGTERM, ends it: what is under way may end within `serve.drain` (30 seconds unless
    that is set), the second time nothing may.
    """
    from llmrr.cli import serving

    if hash_key:
        return serving.hash_key()
    stated = serving.stated(
        host, port, parallel, max_queue, timeout, log_requests, ollama, speculate, alias or ()
    )
    keys = api_key_env or []
    is_front = unit is None and not (ray or replicas)
    warn = serving.logging(log_level) if is_front else output.note
    with Router(warn=warn, **stated) as router:
        if unit is not None:
            return serving.unit(router, unit, stated, keys, log_level, replicas, ray=ray)
        if ray or replicas:
            return serving.on_ray(router, keys, replicas, ray=ray)
        return serving.serve(router, keys)
