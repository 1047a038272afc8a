"""The tree of commands. Only the module of the command that is used is imported: thirty eager
commands would cost more than Typer itself. The tree can still be walked (``root().commands``),
which the manual pages, the completions and the README's table are made from.
"""

import os
import re
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer._click.core import Command as ClickCommand
from typer._click.core import Context
from typer._click.exceptions import ClickException, NoSuchOption
from typer._click.formatting import HelpFormatter
from typer._click.shell_completion import (
    CompletionItem,
    _resolve_context,
    _resolve_incomplete,
)
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from llmrr.cli import neighbours, output
from llmrr.errors import UsageError

COMPLETE_VARIABLE = "_LLMRR_COMPLETE"
_HELP = {"help_option_names": ["-h", "--help"]}


class Entry(NamedTuple):
    """Where a command is: ``function`` (or a Typer group) in ``llmrr.cli.module``."""

    module: str
    function: str
    help: str
    hidden: bool = False


COMMANDS = {
    "run": Entry("run", "run", "Answer one prompt."),
    "chat": Entry("chat", "chat", "Hold a conversation."),
    "embed": Entry("embed", "embed", "Turn texts into vectors."),
    "batch": Entry("batch", "batch", "Answer a file of requests."),
    "route": Entry("route", "route", "Show which model a prompt would go to, and why."),
    "serve": Entry("serve", "serve",
                   "Answer over HTTP, in the protocols of OpenAI, Anthropic and Ollama."),
    "ps": Entry("loaded", "ps", "Show which models are loaded, and where."),
    "stop": Entry("loaded", "stop", "Unload models."),
    "pull": Entry("fetching", "pull", "Fetch a model from the hub."),
    "search": Entry("fetching", "search", "Search the hub for models that run here."),
    "list": Entry("models", "list_models", "List the models that are here."),
    "ls": Entry("models", "list_models", "List the models that are here.", hidden=True),
    "show": Entry("models", "show", "Show what is known of a model."),
    "fit": Entry("models", "fit", "Tell whether a model fits this machine, and how."),
    "rm": Entry("models", "rm", "Remove models."),
    "cp": Entry("models", "cp", "Give a model another name."),
    "create": Entry("models", "create", "Make a model with a recipe of its own."),
    "import": Entry("fetching", "import_model", "Install models that are on this machine already."),
    "export": Entry("fetching", "export", "Write a model into one .tar."),
    "df": Entry("models", "df", "Show what the models take on the disks."),
    "convert": Entry("convert", "convert", "Convert a model to another format, or quantize it."),
    "prune": Entry("models", "prune", "Remove what nobody needs any more."),
    "bench": Entry("bench", "bench", "Measure how fast models are, against each other."),
    "eval": Entry("eval", "evaluate", "Measure how well models answer."),
    "optimize": Entry("optimize", "optimize", "Propose settings from how models were used."),
    "probe": Entry("machine", "probe", "Show what this machine is."),
    "doctor": Entry("machine", "doctor", "Check the installation; name what mends it."),
    "stats": Entry("history", "stats", "Summarise what past runs cost."),
    "logs": Entry("history", "logs", "Search and print past runs."),
    "config": Entry("config", "config", "Show, check and change the settings."),
    "keys": Entry("keys", "keys", "Keep the keys of providers."),
    "migrate": Entry("migrate", "migrate", "Bring over what you run today, with a way back."),
    "completion": Entry("completion", "completion", "Print the completion script of a shell."),
}


class Command(TyperCommand):
    """A command whose KEY VALUE options take two words.

    Typer 0.27 fails on ``list[tuple[str, str]]``: such an option is declared ``list[str]`` with a
    metavar of two words, and the second word is added here. One whose metavar is ``[a|b]`` may
    stand without a value, and then it is ``a``.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for param in self.params:
            if param.param_type_name == "option" and len((param.metavar or "").split()) == 2:
                param.nargs = 2

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the values that were left out."""
        for param in self.params:
            words = re.fullmatch(r"\[(\w+(?:\|\w+)+)\]", param.metavar or "")
            if param.param_type_name == "option" and words:
                args = _with_value(args, param.opts, words[1].split("|"))
        return super().parse_args(ctx, args)


def _with_value(args: list[str], names: list[str], words: list[str]) -> list[str]:
    """The arguments, with the first of the words after an option that none of them follows.

    >>> _with_value(["--patch", "a.py", "--", "--patch"], ["--patch"], ["serve", "library"])
    ['--patch', 'serve', 'a.py', '--', '--patch']
    """
    found: list[str] = []
    for at, one in enumerate(args):
        if one == "--":
            return [*found, *args[at:]]
        found.append(one)
        if one in names and args[at + 1 : at + 2] not in [[word] for word in words]:
            found.append(words[0])
    return found


class Lazy(MutableMapping[str, ClickCommand]):
    """The commands by name, each imported when it is first looked up."""

    def __init__(self) -> None:
        self.loaded: dict[str, ClickCommand] = {}

    def __getitem__(self, name: str) -> ClickCommand:
        if name not in self.loaded:
            self.loaded[name] = _load(name, COMMANDS[name])
        return self.loaded[name]

    def __setitem__(self, name: str, command: ClickCommand) -> None:
        self.loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self.loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS


class Root(TyperGroup):
    """The top of the tree, which prints its help and completes names without any import."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.commands = Lazy()

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, ClickCommand | None, list[str]]:
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise neighbours.refusal(args, list(visible()))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in visible().items()])

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in visible() if name.startswith(incomplete)]
        options = ClickCommand.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=COMMANDS[name].help) for name in names] + options


def visible() -> dict[str, Entry]:
    """The commands that help and manual list."""
    return {name: entry for name, entry in COMMANDS.items() if not entry.hidden}


def group(help: str | None = None) -> typer.Typer:
    """A group of commands; without ``help`` that of its callback holds."""
    app = _typer(context_settings=_HELP)
    if help is not None:
        app.info.help = help
    return app


def root() -> Root:
    """Build the top of the tree."""
    app = _typer(cls=Root, context_settings=_HELP)
    app.callback()(_llmrr)
    command = get_command(app)
    assert isinstance(command, Root)
    return command


def invoke(args: list[str]) -> None:
    """Run one command line. Raises ``UsageError`` for what the parser refuses."""
    top = root()
    if args[0] == "help":
        args = [*args[1:], "--help"]
    try:
        with top.make_context("llmrr", list(args)) as context:
            top.invoke(context)
    except typer.Exit:
        return
    except NoSuchOption as error:
        raise neighbours.no_such_option(
            args, error.option_name, error.possibilities, _help_line(error, args)
        ) from None
    except ClickException as error:
        hint = neighbours.extra_words(args) if "extra argument" in error.format_message() else None
        raise UsageError(_sentence(error), hint or _help_line(error, args)) from None


def completion_wanted() -> bool:
    """Whether a completion script is asking."""
    return COMPLETE_VARIABLE in os.environ


def complete(words: list[str]) -> list[tuple[str, str]]:
    """What the last of ``words`` may become, each with a line of help; nothing means: a file."""
    *before, incomplete = words or [""]
    if before and not before[0].startswith("-") and before[0] not in COMMANDS:
        return []
    context = _resolve_context(root(), {}, "llmrr", before)
    target, incomplete = _resolve_incomplete(context, before, incomplete)
    items = target.shell_complete(context, incomplete)
    plain = [item for item in items if item.type == "plain"]
    return [(str(item.value), item.help or "") for item in plain]


def _llmrr(
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit."),
) -> None:
    """Run language models on this machine.

    Every command prints data on stdout and everything else on stderr; most take --json.
    """
    if version:
        output.version()
        raise typer.Exit


def _typer(**named: Any) -> typer.Typer:
    return typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, **named
    )


def _load(name: str, entry: Entry) -> ClickCommand:
    target = getattr(import_module(f"llmrr.cli.{entry.module}"), entry.function)
    if not isinstance(target, typer.Typer):
        app = _typer()
        app.command(name, cls=Command, hidden=entry.hidden)(target)
        target = app
    command = get_command(target)
    command.name = name
    return command


def _sentence(error: ClickException) -> str:
    message = error.format_message().rstrip(".")
    message = re.sub(r"is not a valid (int|float)\w*( range)?$", _no_number, message)
    return message[:1].lower() + message[1:]


def _no_number(kind: re.Match[str]) -> str:
    return f"is not a {'whole ' if kind[1] == 'int' else ''}number"


def _help_line(error: ClickException, args: list[str]) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else _path(args)} --help"


def _path(args: list[str]) -> str:
    """The command that the first words name: the parser does not say where an option without its
    value stood."""
    command: ClickCommand | None = root()
    path = ["llmrr"]
    for word in args:
        command = command.commands.get(word) if isinstance(command, TyperGroup) else None
        if command is None:
            break
        path.append(word)
    return " ".join(path)
