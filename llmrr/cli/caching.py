"""``llmrr migrate cache``: what other tools kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrr.cli import names, options, output, transfer
from llmrr.cli.layout import Page, counted, size
from llmrr.errors import LlmrrError, NotFound, UsageError
from llmrr.router import Router

if TYPE_CHECKING:
    from llmrr.migrate.caches import Brought


def cache(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files of answers, folders of models, or folders.",
            show_default=False,
        ),
    ] = None,
    tool: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TOOL", autocompletion=names.tool_names,
            help="Whose models the folders hold, where that cannot be seen: lmstudio, gpt4all, ...",
        ),
    ] = None,
    undo: Annotated[
        str | None, typer.Option("--undo", metavar="ID", help="Take out what an import brought.")
    ] = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Bring over the answers and the models that other tools keep.

    Answers of LangChain's SQLiteCache, of GPTCache, of simonw's llm and of the guide's JSON go to
    the history: llmrr logs shows them, and no figure counts them; they stay until --undo. The
    models in the folders of Hugging Face, Ollama, LM Studio, GPT4All and LocalAI are adopted where
    they lie.

    Files are told by their content; databases are opened to be read, pickles never. Twice is once.
    Nothing goes to [cache], whose key is more than any of them records: the output says what. With
    --json also in the guide's shape, version 2.0.0.
    """
    with Router(warn=output.note) as router:
        if undo is not None:
            take_out(router, undo, paths or [], json=json)
            return
        found, facts = bring(router, paths or [], tool, dry_run=dry_run)
        output.show(facts, brought, as_json=json)
        require(found)


def bring(
    router: "Router", places: Sequence[str], tool: str | None, *, dry_run: bool
) -> tuple[list["Brought"], dict[str, Any]]:
    """Bring over what lies there. Raises ``LlmrrError`` where no words are kept here."""
    from llmrr.migrate.caches import bringing

    if not router.config.value("log_prompts"):
        raise LlmrrError(
            "log_prompts = false: the history keeps no words, and so none of others",
            "llmrr logs on",
        )
    if not places:
        raise UsageError("no path is named", "llmrr migrate cache PATH")
    import_id = bringing.new_id()
    with transfer.work() as work:
        found = bringing.bring(
            router.database, places, import_id, tool=tool, dry_run=dry_run,
            told=lambda count: work("answers", count, 0),
        )  # fmt: skip
    return found, bringing.facts(found, import_id, dry_run=dry_run)


def take_out(router: "Router", import_id: str, places: Sequence[str], *, json: bool) -> None:
    """Take out an import. Raises ``UsageError`` where paths are named too, ``NotFound`` for an id
    that brought nothing, or is taken out already."""
    from llmrr.migrate import caches

    if places:
        said = "--undo and paths exclude each other"
        raise UsageError(said, f"llmrr migrate cache --undo {import_id}")
    gone = caches.undo(router.database, import_id)
    if not gone.answers and not gone.models:
        raise NotFound(f'no import "{import_id}" has left anything here', "llmrr migrate status")
    output.show(gone._asdict(), undone, as_json=json)


def undone(page: Page, facts: Mapping[str, Any]) -> Iterator[str]:
    """What was taken out."""
    said = f"{counted(facts['answers'], 'answer')} and {counted(facts['models'], 'model')}"
    yield page.fitted(f"taken out: {said}")


def require(found: Sequence["Brought"]) -> None:
    """Raise ``LlmrrError`` where nothing was recognised."""
    if not any(one.tool for one in found):
        said = "; ".join(f"{one.path}: {one.error}" for one in found) or "nothing was found"
        raise LlmrrError(said, "llmrr migrate cache FILE, of LangChain, GPTCache or simonw's llm")


def brought(page: Page, facts: Mapping[str, Any]) -> Iterator[str]:
    """A line for each path, then what was left and why."""
    rows = [
        (str(one["path"]), one["tool"], one["answers"], sum(not it["problem"]
         for it in one["models"]), one["known"], size(one["bytes"]))
        for one in facts["caches"]
    ]  # fmt: skip
    if rows:
        yield from page.table(("PATH", "TOOL", "ANSWERS", "MODELS", "KNOWN", "SIZE"), rows)
    for one in facts["caches"]:
        for left in one["left"]:
            yield f"{one['path']}: {left['count']:,} left: {left['why']}"
        for note in (*one["notes"], *filter(None, [one["error"]])):
            yield f"{one['path']}: {note}"
    has_new = any(one["answers"] or any(it["is_new"] for it in one["models"])
                  for one in facts["caches"])  # fmt: skip
    if facts["import"] and has_new:
        yield f"llmrr migrate cache --undo {facts['import']} takes it out again"
