"""A model as the store notes it, installed or not, and what was measured of just that one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import formats
from llmrr.catalogue.files import cached, holding, require_files
from llmrr.catalogue.resolved import BUILTIN, Resolved
from llmrr.catalogue.stored import Database, Stored
from llmrr.errors import Unsupported

if TYPE_CHECKING:
    from llmrr.evaluate.scoring import Score
    from llmrr.speeds import Speed
    from llmrr.store.records import Entry


def entry(resolved: Resolved, stored: Stored) -> "Entry":
    """A model as the store notes it: with all its files. Raises what ``require_files`` does."""
    from llmrr.store import adoption, candidates, imports, records

    require_files(resolved)
    if resolved.label is not None:
        return replace(stored.matching(resolved.label)[0], recipe=resolved.recipe)
    if resolved.source == BUILTIN:
        info = formats.inspect(resolved.path)
        return records.Entry(  # without files: where the package lies may change
            BUILTIN, "", resolved.path, BUILTIN, (), format=info.format, quant=info.quant,
            bytes=info.bytes,
        )  # fmt: skip
    if held := holding(resolved.source) or cached(resolved.source):
        return adoption.held(held, resolved.name)
    try:
        found = imports.lying(candidates.candidate(resolved.path), resolved.name)
    except Unsupported:  # nothing to keep, and still something to look at
        found = records.Entry(resolved.name, "", resolved.path, resolved.source, ())
    return replace(found, recipe=resolved.recipe)


def measured(resolved: Resolved, stored: Stored) -> "Entry":
    """What a score of a model belongs to: the same as ``entry``, also for a remote one, which
    has no files."""
    from llmrr.store import records

    if resolved.endpoint is None:
        return entry(resolved, stored)
    where = resolved.recipe.options.get("base_url") or resolved.endpoint.provider
    return records.Entry(
        resolved.name, "", Path(), resolved.source, (), digest=f"at {where}",
        recipe=resolved.recipe,
    )  # fmt: skip


def scores(entry: "Entry", database: Database) -> "list[Score]":
    """What ``eval`` measured of exactly this model, the newest first."""
    from llmrr.evaluate import scoring

    identity = identity_of(entry)
    if identity is None:
        return []
    return database(
        lambda connection: scoring.scores(connection, entry.origin, identity),
        "what was measured is not known",
    ) or []


def speed(entry: "Entry", database: Database) -> "Speed | None":
    """What ``bench`` measured last of exactly this model."""
    from llmrr import speeds

    identity = identity_of(entry)
    if identity is None:
        return None
    return database(
        lambda connection: speeds.latest(connection, entry.origin, identity),
        "what was measured is not known",
    )


def identity_of(entry: "Entry") -> str | None:
    """What a score of this model belongs to; None where its files cannot be got at."""
    from llmrr.evaluate import scoring

    files = [file.path for file in entry.files] or [entry.path]
    try:
        return scoring.identity(files, entry.digest, entry.recipe)
    except OSError:
        return None
