"""Models that are made on this machine out of others, kept in llmrr's own folder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr.store import locks, records, removal
from llmrr.store.looking import checked, kind_of
from llmrr.store.records import Entry, StoredFile, check_label, split_label
from llmrr.store.staging import staged

if TYPE_CHECKING:
    import sqlite3

# Writes what is to be kept at a path, or in parts beside it: its files, the one to open first.
Make = Callable[[Path], Sequence[Path]]


def require_free(connection: "sqlite3.Connection", label: str, origin: str) -> None:
    """Raise ``LlmrrError`` where the label is that of another model, ``UsageError`` where it can
    name none."""
    hint = f"--name with another name; or first: llmrr rm {label}"
    records.replaced(connection, check_label(label), origin, hint)


def make(
    connection: "sqlite3.Connection", label: str, origin: str, name: str, work: Make
) -> Entry:
    """Install what ``work`` writes under ``name``, a file or a folder, in the place of what was
    made of ``origin`` under this label before. Nothing is left of what fails."""
    require_free(connection, label, origin)
    with locks.adding(), staged(connection, label, 0) as staging:
        made = work(staging.folder / name)
        path = staging.folder / name
        if not path.exists():
            path = made[0]
        info = checked(path)
        with locks.settling():
            removal.discard_unrecorded(connection)
            before = records.replaced(connection, label, origin, f"llmrr rm {label}")
            files = staging.settle([StoredFile.of(file) for file in made])
            own, tag = split_label(label)
            entry = records.add(connection, Entry(
                name=own, tag=tag, path=staging.final / path.relative_to(staging.folder),
                origin=origin, files=files, kind=kind_of(info), format=info.format,
                quant=info.quant, bytes=sum(file.bytes for file in files),
            ))  # fmt: skip
            if before is not None:
                removal.discard(connection, [file.path for file in before.files])
    return entry
