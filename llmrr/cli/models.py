"""``llmrr list``, ``show``, ``fit``, ``rm``, ``cp``, ``create``, ``df``, ``prune``: what is here.
"""

from typing import Annotated

import typer

from llmrr.cli import (
    keeping,
    model_views,
    names,
    options,
    output,
    store_options,
    store_views,
    views,
)
from llmrr.router import Router

Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="KEY",
        help="By name, size, added or used.",
        autocompletion=lambda: list(keeping.SORTS),
    ),
]


def list_models(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]", help="Only names that contain it, or match it with * and ?.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what other tools hold on this disk.")
    ] = False,
    sort: Sort = None,
    json: options.Json = False,
) -> None:
    """List the models that are here.

    Those of llmrr.toml first, then what is installed, the built-in model last.
    """
    with Router(warn=output.note) as router:
        found = keeping.listed(router.models(others=everything), pattern, sort)
        output.show(found, views.models, as_json=json)


def show(
    model: store_options.Named,
    template: Annotated[bool, typer.Option("--template", help="Only its chat template.")] = False,
    modelfile: Annotated[
        bool, typer.Option("--modelfile", help="Only a Modelfile that makes it.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show what is known of a model.

    Also of a file or folder that is not installed, and of one that nothing here runs: for a pickle,
    what loading it would import.
    """
    with Router(warn=output.note) as router:
        if modelfile:
            text = keeping.modelfile(router, model)
            return output.document({"modelfile": text}) if json else output.write(text)
        found = router.describe(model)
        if template:
            return output.data(keeping.template(found))
        return output.show(model_views.description(found), model_views.described, as_json=json)


def fit(
    model: store_options.NamedOrHub,
    ctx_size: Annotated[
        int | None,
        typer.Option(
            "--ctx-size", metavar="N", min=1,
            help="Context in tokens (default: 4096, or what the model was trained for).",
        ),
    ] = None,
    kv_type: store_options.KvType = "f16",
    token: store_options.Token = None,
    json: options.Json = False,
) -> None:
    """Tell whether a model fits this machine, and how.

    Weights, KV cache, buffers, layers on a GPU and the largest context, before it is loaded. Of
    owner/repo only headers are fetched, and every quantization is weighed; without the network,
    what is here.
    """
    with Router(warn=output.note) as router:
        found = router.fit(model, context=ctx_size, kv_type=kv_type, token=token)
        output.show(model_views.fit_facts(found), model_views.fits, as_json=json)


def rm(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Installed models.", autocompletion=names.installed_names
        ),
    ],
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Remove models.

    Files are deleted when llmrr wrote them, or moved them into its own folder, and no other model
    needs them; what another tool owns is never touched.
    """
    with Router(warn=output.note) as router:
        found = keeping.removals(router, models)
        if dry_run:
            return output.show(
                store_views.removal_facts(found), store_views.removable, as_json=json
            )
        done = keeping.remove(router, found, yes=yes)
        output.show(store_views.removal_facts(done), store_views.removed, as_json=json)


def cp(
    model: store_options.Named,
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG]", help="The other name.")],
    force: store_options.Force = False,
    json: options.Json = False,
) -> None:
    """Give a model another name.

    Nothing is copied: both names stand for the same files.
    """
    with Router(warn=output.note) as router:
        made = keeping.derive(router, keeping.Asked(model, name, force=force))
        output.show(made, store_views.pulled, as_json=json)


def create(
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG]", help="What it is called.")],
    file: Annotated[
        str | None,
        typer.Option(
            "--file", "-f", metavar="MODELFILE",
            help="An Ollama Modelfile; - is stdin (default: ./Modelfile, without --from).",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MODEL", help="The model whose weights it has.",
            autocompletion=names.model_names,
        ),
    ] = None,
    system: options.System = None,
    option: options.Settings = None,
    force: store_options.Force = False,
    json: options.Json = False,
) -> None:
    """Make a model with a recipe of its own.

    System prompt, parameters, chat template (-o chat_template file:PATH) and adapters (-o lora
    FILE) over the weights of another one, which are not copied. From a Modelfile, from options, or
    both: the options win.
    """
    asked = keeping.Asked(base, name, file, system, option or (), force=force, is_made=True)
    with Router(warn=output.note) as router:
        output.show(keeping.derive(router, asked), store_views.pulled, as_json=json)


def df(
    everything: Annotated[
        bool, typer.Option("--all", help="Also what other tools hold on this disk.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show what the models take on the disks.

    By model and by place; bytes that several share count once in the sums.
    """
    with Router(warn=output.note) as router:
        output.show(keeping.usage(router, everything=everything), store_views.usage, as_json=json)


def prune(
    answers: Annotated[
        bool, typer.Option("--answers", help="Also the answers that are kept for the same request.")
    ] = False,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Remove what nobody needs any more.

    Downloads into the hub's cache that broke off, files of llmrr's own that no model has, what
    killed imports left, and entries whose files are gone, except those that cp and create made.
    Asks unless -y.
    """
    with Router(warn=output.note) as router:
        found = keeping.garbage(router, answers=answers)
        if dry_run:
            return output.show(
                store_views.garbage_facts(found), store_views.prunable, as_json=json
            )
        done = keeping.prune(router, found, yes=yes)
        output.show(store_views.garbage_facts(done), store_views.pruned, as_json=json)
