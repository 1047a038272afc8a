"""``llmrr config``: the settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from llmrr import config as settings
from llmrr import trust as trusted
from llmrr.cli import editor, options, output, tree, views
from llmrr.errors import BadConfig, LlmrrError
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.router import Router

config = tree.group("Show, check and change the settings.")


@config.command()
def show(json: options.Json = False) -> None:
    """Print every setting with its value and who set it."""
    found = settings.load()
    output.notes(found.warnings)
    output.show(views.setting_facts(found), views.settings, as_json=json)


@config.command()
def check(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The file (default: those in use).")
    ] = None,
    json: options.Json = False,
) -> None:
    """Tell everything that is wrong with llmrr.toml.

    Ends with exit code 8 when something is.
    """
    found = settings.check_here(Path(file) if file else None)
    problems = [problem for each in found.values() for problem in each]
    output.show(problems, views.problems, as_json=json)
    if problems:
        wrong = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
        broken = next(each for each in found if found[each])
        raise BadConfig(f"{wrong} wrong", settings.edit_line(broken) if broken else "")
    if not file:
        output.notes(settings.load().warnings)
        output.notes(_absent())
        output.notes(_untrusted())
        output.notes(_unserved())


@config.command()
def path(json: options.Json = False) -> None:
    """Print where your own llmrr.toml is, or belongs."""
    places = {"user": settings.user_file(), "project": settings.project_file()}
    output.show(places, lambda page, value: [str(value["user"])], as_json=json)


@config.command()
def edit() -> None:
    """Edit your own llmrr.toml.

    With the program that VISUAL or EDITOR names. The file is replaced only by one that is valid;
    `llmrr config rollback` undoes it.
    """
    changed = settings.edit(editor.run, again=editor.again)
    output.note(f"{changed} is changed; llmrr config rollback undoes it")


@config.command()
def trust(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="The file (default: the project's llmrr.toml)."),
    ] = None,
    yes: options.Yes = False,
) -> None:
    """Agree to what a project's llmrr.toml sends where, and runs.

    A base_url together with a key (bedrock finds its keys by itself), and the command and the
    webhook of alerts, take effect only then, and until the file changes. It lists them, and on a
    terminal asks.
    """
    agreed = settings.given_or_project(file)
    content, said = settings.agreements(agreed)
    output.notes(said or ["it sends no key to an address of its own, and runs nothing"])
    if not yes and output.can_ask() and not output.confirm(f"Trust {agreed}?", default=False):
        raise LlmrrError("nothing was agreed to", "llmrr config trust")
    trusted.trust(agreed, content)
    output.note(f"{agreed} is trusted until it changes")


@config.command()
def rollback(
    force: Annotated[
        bool,
        typer.Option("--force", help="Also a file that was changed since, or another project's."),
    ] = False,
) -> None:
    """Undo the last change of the settings that are in effect here."""
    entry = settings.rollback(force=force)
    files = ", ".join(str(file.path) for file in entry.files)
    output.note(f"undone: {entry.what} ({files})")


def _untrusted() -> Iterator[str]:
    """What takes no effect before the user agrees."""
    found = settings.load()
    for said in filter(None, (found.untrusted(model.name) for model in found.models)):
        yield f"{said}, and nobody agreed to that: llmrr config trust"
    for key in settings.ALERTS:
        setting = found.settings[f"alerts.{key}"]
        if setting.value is not None and not found.is_agreed(f"alerts.{key}"):
            said = f"{settings.of_alerts(key, setting.value)} ({setting.where})"
            yield f"{said}, and nobody agreed to that: llmrr config trust"


def _unserved() -> Iterator[str]:
    """What ``llmrr serve`` would not begin with."""
    from llmrr.server import aliases, security

    with Router() as router:
        found = router.config
        host = str(found.value("serve.host"))
        for error in (
            *security.refused(found, host), *aliases.wrong(found, aliases.installed(router))
        ):  # fmt: skip
            yield f"llmrr serve: {error.message} ({error.hint})"


def _absent() -> Iterator[str]:
    """The models of the configuration that are not here."""
    with Router() as router:
        found = router.config
        local = (model.name for model in found.models if model.provider in LOCAL_PROVIDERS)
        named = [(name, name) for name in local]
        for key in ("default_model", "preload", "cache.semantic.model"):
            value = found.value(key)
            each = value if isinstance(value, tuple) else filter(None, [value])
            named += [(f"{key} = {name}", str(name)) for name in each]
        for template in found.templates.values():
            if template.model and not router.selection.members(template.model):
                named.append((template.model, template.model))
        for label, name in named:
            try:
                router.resolve(name)
            except LlmrrError as error:
                yield f"{label}: {error.message} ({error.hint})"
