"""``llmrr config``: the settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from llmrr import config as settings
from llmrr import trust as trusted
from llmrr.cli import editor, options, output, views
from llmrr.errors import BadConfig, LlmrrError
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.router import Router

config = options.group("Show, check and change the settings.")


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
    here = [settings.project_file(), settings.user_file()]
    files = [Path(file)] if file else [one for one in here if one and one.is_file()]
    found = {each: settings.check(each) for each in files}
    problems = [problem for each in found.values() for problem in each]
    output.show(problems, views.problems, as_json=json)
    if problems:
        wrong = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
        broken = next(each for each in found if found[each])
        raise BadConfig(f"{wrong} wrong", settings.edit_line(broken))
    if not file:
        output.notes(settings.load().warnings)
        output.notes(_absent())


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
) -> None:
    """Agree to what a project's llmrr.toml sends where, and runs.

    A base_url together with a key (bedrock finds its keys by itself), and the command and the
    webhook of alerts, take effect only then, and until the file changes.
    """
    agreed = settings.given_or_project(file)
    trusted.trust(agreed)
    output.note(f"{agreed} is trusted until it changes")


@config.command()
def rollback(
    force: Annotated[
        bool, typer.Option("--force", help="Also when the file was changed since.")
    ] = False,
) -> None:
    """Undo the last change of the settings."""
    entry = settings.rollback(force=force)
    output.note(f"undone: {entry.what}")


def _absent() -> Iterator[str]:
    """The models of the configuration that are not here."""
    with Router() as router:
        found = router.config
        named = [model.name for model in found.models if model.provider in LOCAL_PROVIDERS]
        if default := found.value("default_model"):
            named.append(str(default))
        models = (template.model for template in found.templates.values() if template.model)
        named += [name for name in models if not router.selection.members(name)]
        for name in named:
            try:
                router.resolve(name)
            except LlmrrError as error:
                yield f"{name}: {error.message} ({error.hint})"
