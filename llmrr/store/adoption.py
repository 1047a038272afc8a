"""What another tool holds becomes an installed model, where it lies."""

from dataclasses import replace
from typing import TYPE_CHECKING

from llmrr import formats
from llmrr.errors import LlmrrError
from llmrr.store import records
from llmrr.store.holders import Holding
from llmrr.store.looking import kind_of
from llmrr.store.records import Entry, StoredFile, sound_label, split_label

if TYPE_CHECKING:
    import sqlite3


def adopt(connection: "sqlite3.Connection", holding: Holding) -> Entry:
    """Install what another tool holds, where it lies. One that was adopted before is noted anew.
    Raises ``LlmrrError`` for one that cannot be used."""
    before = [one for one in records.of_origin(connection, holding.source) if not one.is_made]
    if before and before[0].path != holding.path and not before[0].is_missing:
        return before[0]  # a copy of it
    label = before[0].label if before else _free_label(connection, holding)
    entry = held(holding, label)
    if before:
        entry = replace(entry, added=before[0].added, used=before[0].used)
    return records.add(connection, entry)


def held(holding: Holding, label: str) -> Entry:
    """What another tool holds, as an entry that is not installed."""
    if holding.problem is not None:
        raise LlmrrError(f"{holding.source}: {holding.problem}")
    name, tag = split_label(label)
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


def _free_label(connection: "sqlite3.Connection", holding: Holding) -> str:
    """What a model of another tool is called here: as there, unless that name is taken."""
    label = sound_label(holding.name)
    taken = records.get(connection, label)
    return label if taken is None else f"{holding.holder}/{label}"
