"""``llmrr keys``: the keys of providers."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from typer._click.core import Command, Context
from typer.core import TyperGroup

from llmrr import keys as keeping
from llmrr.cli import inputs, options, output, tree
from llmrr.cli.layout import Page
from llmrr.errors import LlmrrError, UsageError


class _Verbs(TyperGroup):
    """``set``, ``list`` and ``rm``. Another word may be a key, and is not repeated."""

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise UsageError("what follows keys is set, list or rm", "llmrr keys --help")
        return super().resolve_command(ctx, args)


keys = tree.group("Keep the keys of providers.")
keys.info.cls = _Verbs

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The variable's name, such as OPENAI_API_KEY.")
]


# Words too many are taken, to be refused with the reason and without being repeated.
@keys.command("set", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def set_key(context: typer.Context, name: Name) -> None:
    """Keep a key: it is asked for, and not shown; or it comes on stdin.

    It goes into the system's keyring, or without one (pip install 'llmrr[keyring]') into a file
    that only you can read. The environment and env_file come before what is kept.
    """
    keeping.require_name(name)
    if context.args:
        raise UsageError(
            "a key is no argument: the shell's history keeps it, and others see it in ps",
            f"llmrr keys set {name}\nprintenv {name} | llmrr keys set {name}",
        )
    done = keeping.keep(name, _secret(name))
    output.note(f"{name} is kept in {_place(done)}")
    if os.environ.get(name):
        output.note(f"the {name} of the environment comes before it: unset {name}")


@keys.command("list")
def list_keys(json: options.Json = False) -> None:
    """List the names of the keys that are kept, and where each lies."""
    found = keeping.kept()
    output.show([one._asdict() for one in found], _lines, as_json=json)
    if not found:
        output.note("no key is kept; llmrr keys set NAME keeps one")


@keys.command("rm")
def remove(name: Name) -> None:
    """Forget a key."""
    done = keeping.remove(name)
    output.note(f"{name} is gone from {_place(done)}")


def _secret(name: str) -> str:
    text = inputs.read_stdin(sys.stdin)
    if text is None:
        text = output.ask_hidden(f"{name} (what you type is not shown): ")
    if not text.strip():
        raise LlmrrError("nothing was kept: no key was given", f"llmrr keys set {name}")
    return text.strip()


def _place(kept: keeping.Kept) -> str:
    return "the system's keyring" if kept.where == keeping.KEYRING else kept.where


def _lines(page: Page, found: Sequence[dict[str, str]]) -> Iterator[str]:
    if found:
        yield from page.table(("NAME", "WHERE"), ((one["name"], one["where"]) for one in found))
