"""``llmrr config``: the settings."""

from pathlib import Path
from typing import Annotated

import typer

from llmrr import config as settings
from llmrr import trust as trusted
from llmrr.cli import cautions, editor, options, output, tree, views
from llmrr.errors import BadConfig, LlmrrError

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

    Ends with exit code 8 when something is. What is valid and will not work as stated is a warning:
    a name that stands for no model, what nobody agreed to, a variable that sets nothing.
    """
    at = Path(file) if file else None
    found = settings.check_here(at)
    problems = [problem for each in found.values() for problem in each]
    warnings = [] if problems else cautions.of_use(at)
    output.show(views.problem_facts(problems, warnings), views.problems, as_json=json)
    if problems:
        wrong = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
        broken = next(each for each in found if found[each])
        raise BadConfig(f"{wrong} wrong", settings.edit_line(broken) if broken else "")


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
