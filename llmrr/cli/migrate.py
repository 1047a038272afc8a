"""`llmrr migrate`: bring over what runs today, with a plan, a proof and a way back."""

from typing import Annotated

import typer

from llmrr.cli import caching, migrate_options, migrating, options, patching, proof, scanning
from llmrr.cli.tree import Command, group

migrate = group("Bring over what you run today, with a way back.")

# -- scan ------------------------------------------------------------------------------------------


@migrate.command("scan")
def scan(
    paths: migrate_options.Paths,
    kind: migrate_options.From = None,
    only: migrate_options.Only = None,
    skip: migrate_options.Skip = None,
    max_latency: migrate_options.MaxLatency = None,
    max_cost: migrate_options.MaxCost = None,
    min_availability: migrate_options.MinAvailability = None,
    throughput: migrate_options.Throughput = None,
    candidates: migrate_options.Candidates = None,
    file: migrate_options.Report = None,
    json: options.Json = False,
) -> None:
    """Find what other tools say of models, and what of it can be taken along.

    Files are told by their content, not by their names. Nothing is run, imported or fetched, and
    no key is repeated. What is known of latency, cost and availability is from the runs of llmrr
    and from llmrr.toml; requirements are held against it.
    """
    required = scanning.needs(max_latency, max_cost, min_availability, throughput)
    found = scanning.look(
        paths, kind, only or (), skip or (), required, candidates or (), file=file, json=json
    )
    scanning.finish(found, paths)


# -- plan ------------------------------------------------------------------------------------------


@migrate.command(cls=Command)
def plan(
    paths: migrate_options.SomePaths = None,
    target: migrate_options.Target = None,
    only: migrate_options.OnlyWhat = None,
    skip: migrate_options.SkipWhat = None,
    replace: migrate_options.Replace = None,
    as_files: migrate_options.AsFiles = False,
    strategy: migrate_options.NewStrategy = None,
    mode: migrate_options.Mode = None,
    rollout: migrate_options.Rollout = None,
    adopt: migrate_options.Adopt = False,
    start: migrate_options.Start = None,
    kind: migrate_options.From = None,
    force: migrate_options.Overwrite = False,
    strict: migrate_options.Strict = False,
    keep: migrate_options.KeepPlan = None,
    patch: migrate_options.Patched = None,
    serve_url: migrate_options.ServeUrl = None,
    json: options.Json = False,
) -> None:
    """Show what llmrr.toml would become, and change nothing.

    What is found in the paths becomes one setup, shown as a difference of llmrr.toml: one that is
    there is added to, and keeps its comments and order. What cannot be taken over is told with a
    stable code. The same input gives the same plan. With --patch it prints what would be changed
    in your code instead; no source is written.

    A model whose file does not lie where it was looked for is planned all the same: until its file
    is there, llmrr config check ends with exit code 8, and no prompt goes to it. --skip leaves it
    out, by its name or by the file that states it.
    """
    wanted = migrating.wishes(
        only=only, skip=skip, replace=replace, as_files=as_files, strategy=strategy, mode=mode,
        rollout=rollout, adopt=adopt, start=start, overwrite=force,
    )  # fmt: skip
    if patch is not None or serve_url is not None:
        return patching.show(paths, kind, target, wanted, patch, serve_url, json=json)
    found = migrating.planned(paths, kind, target, wanted)
    migrating.show(found, keep=keep, json=json)
    migrating.require_no_warning(found, strict=strict)


# -- apply, rollback, status -----------------------------------------------------------------------


@migrate.command()
def apply(
    paths: migrate_options.SomePaths = None,
    plan_file: migrate_options.PlanFile = None,
    merge: migrate_options.Merge = False,
    force: migrate_options.Overwrite = False,
    target: migrate_options.Target = None,
    only: migrate_options.OnlyWhat = None,
    skip: migrate_options.SkipWhat = None,
    replace: migrate_options.Replace = None,
    as_files: migrate_options.AsFiles = False,
    strategy: migrate_options.NewStrategy = None,
    mode: migrate_options.Mode = None,
    rollout: migrate_options.Rollout = None,
    adopt: migrate_options.Adopt = False,
    start: migrate_options.Start = None,
    kind: migrate_options.From = None,
    strict: migrate_options.Strict = False,
    json: options.Json = False,
) -> None:
    """Write llmrr.toml, with a way back.

    Of what lies in the paths, or by a plan that was kept. Every step is recorded before it is done;
    sources are only read. Without a path or a plan it goes on with a migration that was cut short.
    """
    if not paths and plan_file is None:
        return migrating.resume(json=json)
    wanted = migrating.wishes(
        only=only, skip=skip, replace=replace, as_files=as_files, strategy=strategy, mode=mode,
        rollout=rollout, adopt=adopt, start=start, overwrite=force,
    )  # fmt: skip
    found = (
        migrating.planned(paths, kind, target, wanted) if plan_file is None
        else migrating.read_plan(plan_file, paths, wanted)
    )  # fmt: skip
    migrating.apply(found, merge=merge, force=force, strict=strict, json=json)


@migrate.command()
def rollback(
    id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Which migration (default: the last one)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where a file was changed since.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Undo a migration: every file is as it was before, byte for byte.

    Nothing is touched where somebody changed a file since. It also undoes what was cut short.
    """
    migrating.undo(id, force=force, json=json)


@migrate.command()
def status(json: options.Json = False) -> None:
    """Show the migrations, their steps, and what remains."""
    migrating.status(json=json)


# -- check, note, report ---------------------------------------------------------------------------


@migrate.command()
def check(
    item: Annotated[
        str | None, typer.Argument(metavar="[ITEM]", help="The item that is done.")
    ] = None,
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="What is to be said to it.")
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="It is not done, after all.")] = False,
    json: options.Json = False,
) -> None:
    """Tick an item of the check-list and print it, or list all of them.

    What llmrr can tell by itself needs no tick. x is done, ? is for you to say.
    """
    migrating.check(item, note, off=undo, json=json)


@migrate.command("note")
def write_note(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="decision, issue, optimization or lesson.")
    ],
    description: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be remembered.")],
    rationale: Annotated[
        str | None, typer.Option("--rationale", metavar="TEXT", help="Of a decision: why.")
    ] = None,
    alternatives: Annotated[
        str | None, typer.Option("--alternatives", metavar="TEXT", help="What else there was.")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="TEXT", help="What came of it.")
    ] = None,
    impact: Annotated[
        str | None, typer.Option("--impact", metavar="TEXT", help="Of an issue: whom it touched.")
    ] = None,
    resolution: Annotated[
        str | None, typer.Option("--resolution", metavar="TEXT", help="How it was resolved.")
    ] = None,
    prevention: Annotated[
        str | None, typer.Option("--prevention", metavar="TEXT", help="What prevents it.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write down a decision, an issue, an optimization or a lesson."""
    migrating.note(kind, description, {
        "rationale": rationale, "alternatives": alternatives, "outcome": outcome,
        "impact": impact, "resolution": resolution, "prevention": prevention,
    }, json=json)  # fmt: skip


@migrate.command()
def report(
    file: Annotated[
        str | None, typer.Option("--output", "-O", metavar="FILE", help="Write it into FILE.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Print all that is recorded of migrations, as Markdown or JSON."""
    migrating.report(file=file, json=json)


# -- validate, promote, demote ---------------------------------------------------------------------

migrate.command()(proof.validate)
migrate.command()(proof.promote)
migrate.command()(proof.demote)

# -- cache -----------------------------------------------------------------------------------------

migrate.command()(caching.cache)
