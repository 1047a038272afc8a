"""``llmrr pull``, ``search``, ``import`` and ``export``: how models come here, and leave."""

from typing import Annotated

import typer

from llmrr.cli import bringing, names, offers, options, output, store_options, store_views
from llmrr.router import Router


def pull(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="owner/repo[:QUANT][@REVISION], hf:owner/repo/file.gguf, an address of the hub, "
            "or a short name such as qwen3:4b.",
        ),
    ],
    quant: store_options.Quant = None,
    include: store_options.Include = None,
    exclude: store_options.Exclude = None,
    revision: store_options.Revision = None,
    local_dir: store_options.LocalDir = None,
    token: store_options.Token = None,
    allow_pickle: store_options.AllowPickle = False,
    max_workers: store_options.MaxWorkers = 8,
    offline: store_options.Offline = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Fetch a model from the hub.

    Into the cache that all Hugging Face tools share. Of several quantizations the best one that
    fits this machine is taken, with what it needs and nothing else; every file is checked. What
    broke off goes on where it was. The name to run it by is printed.
    """
    asked = offers.Asked(
        reference=reference, quant=quant, include=include or (), exclude=exclude or (),
        revision=revision, local_dir=local_dir, token=token, allow_pickle=allow_pickle,
        workers=max_workers, offline=offline,
    )  # fmt: skip
    with Router(warn=output.note) as router:
        if dry_run:
            plan = offers.planned(router, asked)
            offers.tell(plan)
            return output.show(offers.facts(plan), store_views.plan, as_json=json)
        return output.show(offers.pull(router, asked), store_views.pulled, as_json=json)


def search(
    words: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Words of the name.")],
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many.")
    ] = 20,
    everything: Annotated[
        bool, typer.Option("--all", help="Also models in formats that nothing here runs.")
    ] = False,
    token: store_options.Token = None,
    json: options.Json = False,
) -> None:
    """Search the hub for models that run here.

    In a format that runs here, the most downloaded first; HERE says which also fit. What a
    repository takes of memory is told by: llmrr fit owner/repo.
    """
    found = bringing.search(" ".join(words), limit=limit, everything=everything, token=token)
    output.show(found, store_views.found, as_json=json)


def import_model(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH]",
            help="A model file or folder, or an archive of llmrr export; with --from the place to "
            "look in.",
            show_default=False,
        ),
    ] = None,
    name: store_options.NewName = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy it into llmrr's own folder.")] = False,
    hardlink: Annotated[
        bool, typer.Option("--hardlink", help="Give it a second name there, without a copy.")
    ] = False,
    move: Annotated[
        bool, typer.Option("--move", help="Move it there; llmrr rm then deletes it.")
    ] = False,
    tool: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TOOL",
            help="Adopt, where they lie, the models of: ollama, lmstudio, gpt4all, huggingface, "
            "localai, or folder.",
            autocompletion=names.tool_names,
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include", metavar="PATTERN",
            help="With --from, only the models whose names match, with * and ?. Repeatable.",
        ),
    ] = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Install models that are on this machine already.

    Where they lie, unless --copy, --hardlink or --move says otherwise; an archive is unpacked into
    llmrr's own folder. --from lists what another tool holds and adopts it; nothing of it is copied
    or changed.
    """
    ways = [way for way, wanted in (("copy", copy), ("hardlink", hardlink), ("move", move))
            if wanted]  # fmt: skip
    with Router(warn=output.note) as router:
        asked = bringing.Asked(path, name, tuple(ways), tool, tuple(include or ()), dry_run)
        output.show(bringing.install(router, asked), store_views.adopted, as_json=json)


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", autocompletion=names.installed_names,
                                         help="An installed model.")],
    output_file: Annotated[
        str | None,
        typer.Option(
            "--output", "-O", metavar="FILE",
            help="The archive to write, or a folder for it (default: NAME.tar).",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write a model into one .tar.

    `llmrr import FILE.tar` takes it on another machine, without a network, and checks every byte.
    """  # fmt: skip
    with Router(warn=output.note) as router:
        output.show(bringing.export(router, model, output_file), store_views.exported, as_json=json)
