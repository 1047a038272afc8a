"""``llmrr bench``: speed."""

from typing import Annotated

import typer

from llmrr.cli import bench_views, benching, options, output, picture
from llmrr.router import Router


def bench(
    models: options.Models = None,
    prefill: Annotated[
        int | None,
        typer.Option(
            "--prefill", metavar="N", min=1,
            help="Tokens of the prompt that is read (default: 512, or what fits).",
        ),
    ] = None,
    decode: Annotated[
        int | None,
        typer.Option(
            "--decode", metavar="N", min=1,
            help="Tokens of the answer that is written (default: 128, or what fits).",
        ),
    ] = None,
    concurrency: Annotated[
        str,
        typer.Option(
            "--concurrency", metavar="N,...", help="Also so many answers at once: 1,4,8."
        ),
    ] = "1,4",
    repeats: Annotated[
        int,
        typer.Option("--repeats", metavar="N", min=1, max=1000, help="Measure everything N times."),
    ] = 5,
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", min=1, help="Compute with N threads of the CPU."),
    ] = None,
    ctx_size: options.ContextSize = None,
    engine: options.Engine = None,
    option: options.Settings = None,
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot", metavar="FILE",
            help="Draw the figures into FILE, a picture (SVG); - draws bars into the table.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure how fast models are, against each other.

    Prefill and decode mean the same as in llama-bench -p 512 -n 128: a prompt of exactly so many
    random tokens, nothing of it in a cache, and so many tokens written from an empty context,
    whatever they are; in tokens a second, after a run that does not count. With N answers at once
    it is the tokens of all of them.

    The first token is that of a question of some 40 words through the chat template, asked of a
    model that was just loaded in a new process; load is the time that the engine took to open it
    there, its files in the system's cache if that holds them (--json has the first load, too, which
    does not count). Peak memory is what one process had resident, mapped weights among it.

    Each model is measured in processes of its own: one that fails does not keep the others from
    being measured, and its error is the exit code. The last speed is kept: llmrr show prints it.
    """
    asked = benching.Asked(
        models=models or [None], prefill=prefill, decode=decode, concurrency=concurrency,
        repeats=repeats, threads=threads, context_size=ctx_size, engine=engine,
        options=option or (), plot=plot,
    )  # fmt: skip
    with Router(warn=output.note) as router:
        found = benching.bench(router, asked)
        view = bench_views.with_bars if plot == "-" else bench_views.benched
        output.show(bench_views.facts(found), view, as_json=json)
        benching.finish(found, asked, picture.picture)
