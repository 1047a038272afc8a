"""What another tool holds becomes an installed model, where it lies."""

import re
from dataclasses import replace
from itertools import chain, count
from typing import TYPE_CHECKING

from llmrr import formats
from llmrr.errors import DamagedFile, LlmrrError, Unsupported, UsageError
from llmrr.store import locks, records
from llmrr.store.holders import Holding
from llmrr.store.looking import checked, kind_of
from llmrr.store.records import Entry, StoredFile, check_label, sound_label, split_label

if TYPE_CHECKING:
    import sqlite3


def adopt(connection: "sqlite3.Connection", holding: Holding, entry: Entry) -> Entry:
    """Install what another tool holds, where it lies; ``entry`` is what ``held`` says of it. One
    that was adopted before is noted anew; a copy of it that is here is left as it is."""
    with locks.settling():
        before = _before(connection, holding)
        if before and before.path != holding.path and not before.is_missing:
            return before  # a copy of it
        name, tag = split_label(before.label if before else free_label(connection, holding))
        entry = replace(entry, name=name, tag=tag)
        if before:
            stated = entry.recipe.license or before.recipe.license  # a model card's is nowhere else
            recipe = replace(entry.recipe, license=stated)
            entry = replace(entry, added=before.added, used=before.used, recipe=recipe)
        return records.add(connection, entry)


def label_of(connection: "sqlite3.Connection", holding: Holding) -> str:
    """What it is called here, or would be."""
    before = _before(connection, holding)
    return before.label if before else free_label(connection, holding)


def held(holding: Holding, label: str) -> Entry:
    """What another tool holds, as an entry that is not installed. Raises ``LlmrrError`` for what
    cannot be used."""
    if holding.problem is not None:
        raise LlmrrError(f"{holding.source}: {holding.problem}")
    name, tag = split_label(label)
    try:
        info = checked(holding.path)
    except DamagedFile:
        raise
    except Unsupported:  # it may run there, or with a later version
        info = formats.inspect(holding.path)
    return Entry(
        name=name,
        tag=tag,
        path=holding.path,
        origin=holding.source,
        files=tuple(
            replace(StoredFile.of(path), digest=holding.digest if at == 0 else None)
            for at, path in enumerate(holding.files)
        ),
        kind=kind_of(info),
        format=holding.format,
        quant=info.quant,
        bytes=holding.bytes,
        digest=holding.digest,
        revision=holding.revision,
        recipe=holding.recipe,
    )


def free_label(connection: "sqlite3.Connection", holding: Holding) -> str:
    """What a model of another tool is called here: as there, unless that name is taken."""
    label = _sound(holding)
    name, tag = split_label(f"{holding.holder}/{label}")
    numbered = (":".join(filter(None, (f"{name}-{at}", tag))) for at in count(2))
    tried = chain((label, f"{holding.holder}/{label}"), numbered)
    return next(one for one in tried if records.get(connection, one) is None)


def _sound(holding: Holding) -> str:
    label = sound_label(holding.name)[:150]
    try:
        return check_label(label)
    except UsageError:  # nothing of the name can stand in one, or it would read as a source
        return sound_label(f"{holding.holder}/{label}") if label else holding.holder


def _before(connection: "sqlite3.Connection", holding: Holding) -> Entry | None:
    """What was adopted of it: of the same place, under its name there (several configurations of
    LocalAI may share one file), or what was pulled into the place where it lies."""
    label = _sound(holding)
    name, tag = map(re.escape, split_label(label))
    ours = re.compile(rf"({holding.holder}/)?{name}(-\d+)?" + (f":{tag}" if tag else ""), re.I)
    found = (one for one in records.of_origin(connection, holding.source) if not one.is_made)
    named = (one for one in found if ours.fullmatch(one.label))
    if best := max(named, key=lambda one: one.label.lower() == label.lower(), default=None):
        return best
    if holding.holder != "huggingface":
        return None
    pulled = (one for one in records.entries(connection) if one.origin.startswith("huggingface:"))
    return next((one for one in pulled if one.path == holding.path and not one.is_made), None)
