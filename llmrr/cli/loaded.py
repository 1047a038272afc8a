"""``llmrr ps`` and ``llmrr stop``: the models that are loaded."""

from typing import Annotated

import typer

from llmrr.cli import loaded_views, names, options, output, unloading

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL]...", help="Which models; without any, those that runs have left.",
        show_default=False, autocompletion=names.model_names,
    ),
]  # fmt: skip


def ps(json: options.Json = False) -> None:
    """Show which models are loaded, and where.

    A run leaves its model to a process that the next one uses, for as long as `keepalive` says;
    `llmrr serve` has models of its own. A dash is a process without a model.
    """
    from llmrr.engines.resident import asking

    output.show(asking.known(), loaded_views.processes, as_json=json)


def stop(
    models: Names = None,
    everything: Annotated[
        bool, typer.Option("--all", help="End the servers of this user too.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Unload models.

    Answers that are under way are completed. Without a model, the process ends that runs have left
    behind, and all that it has with it.
    """
    output.show(
        unloading.stop(models or (), servers=everything), loaded_views.stopped, as_json=json
    )
