"""``llmrr serve``: the HTTP front."""

from typing import Annotated

import typer

from llmrr.cli import options, output
from llmrr.router import Router


def serve(
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", help="Which port; 0 takes a free one.")
    ] = None,
    ray: options.Ray = False,
    replicas: options.Replicas = None,
) -> None:
    """Answer over HTTP, in the protocols of OpenAI.

    Old code that speaks one of them is pointed at the address that is printed. Ctrl-C ends it.
    """
    from llmrr.cli import serving

    with Router(warn=output.note) as router:
        if ray or replicas:
            return serving.on_ray(router, host=host, port=port, replicas=replicas, ray=ray)
        return serving.serve(router, host=host, port=port)
