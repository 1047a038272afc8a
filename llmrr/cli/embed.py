"""``llmrr embed``: vectors."""

import sys
from typing import Annotated

import typer

from llmrr import parameters
from llmrr.cli import inputs, options, output, readiness, views
from llmrr.router import Router

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TEXT]...", help="The texts.", show_default=False),
]


def embed(
    texts: Texts = None,
    model: options.Model = None,
    file: options.TextFiles = None,
    option: options.Settings = None,
    engine: options.Engine = None,
    keepalive: options.Keepalive = None,
    json: options.Json = False,
) -> None:
    """Turn texts into vectors.

    Each argument, and each line of the files and of stdin that is not blank, is a text. One vector
    is printed per line, as a JSON array of numbers; --json prints model, texts and vectors as one
    object.
    Without a model, one of the [[models]] that make vectors is chosen.
    """
    wanted = inputs.texts(texts or (), file or (), sys.stdin)
    loading = parameters.read_loading(option or ())
    with Router(warn=output.note, warm=True, **options.kept(keepalive)) as router:
        readiness.require(router, model)
        made = router.embedded(wanted, model=model, options=loading, engine=engine)
    if json:
        facts = views.embeddings(made.model.name, wanted, made.vectors)
        return output.document(facts, indent=None)
    return output.lines(output.dumps(vector, indent=None) for vector in made.vectors)
