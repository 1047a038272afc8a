"""What is taken off the disk, and what is not.

Deleted is only what llmrr wrote itself (``records.owned``), and only when no other installed model
and no other snapshot of the cache refers to it. Files go before the record: killed in between, the
model shows as missing, and the same command ends the work.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import paths
from llmrr.store import locks, records
from llmrr.store.records import Entry, content

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a model does: ``deleted`` files, which free ``bytes``, and files that are
    ``kept`` with the reason."""

    entry: Entry
    deleted: tuple[Path, ...]
    bytes: int
    kept: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that ``prune`` takes away; a record has no ``path`` that is deleted."""

    path: Path
    bytes: int
    why: str
    entry: Entry | None = None


def plan(connection: "sqlite3.Connection", entries: Sequence[Entry]) -> list[Removal]:
    """What removing these would do, one after the other."""
    owned = frozenset(records.owned(connection))
    left = {entry.label: entry for entry in records.entries(connection)}
    found = []
    for entry in entries:
        left.pop(entry.label, None)
        others = _used(left.values())
        reasons = {file.path: _kept(file.path, owned, others) for file in entry.files}
        deleted = tuple(path for path, why in reasons.items() if why is None)
        kept = tuple((path, why) for path, why in reasons.items() if why is not None)
        found.append(Removal(entry, deleted, sum(map(_freed, deleted)), kept))
    return found


def remove(connection: "sqlite3.Connection", removal: Removal) -> None:
    """Do it."""
    for path in removal.deleted:
        _delete(connection, path)
    records.remove(connection, removal.entry)


def garbage(connection: "sqlite3.Connection") -> list[Garbage]:
    """What nobody needs any more: partial downloads that nobody writes, files of llmrr's own that
    no model has, remains of commands that were killed, and models whose files are gone."""
    found = list(_partials())
    if locks.is_idle():  # a command under way has files that no model has yet
        found += [*_orphans(connection), *_remains(connection)]
    for entry in records.entries(connection):
        if entry.is_missing and not entry.is_made:  # what the user wrote is kept
            found.append(Garbage(entry.path, 0, "its files are gone", entry))
    return found


def prune(connection: "sqlite3.Connection", found: Iterable[Garbage]) -> None:
    """Take it away."""
    for one in found:
        if one.entry is not None:
            records.remove(connection, one.entry)
        elif one.path.is_dir():
            shutil.rmtree(one.path, ignore_errors=True)
        else:
            _delete(connection, one.path)


def _used(entries: Iterable[Entry]) -> frozenset[Path]:
    return frozenset(content(file.path) for entry in entries for file in entry.files)


def _kept(path: Path, owned: frozenset[Path], others: frozenset[Path]) -> str | None:
    """Why a file stays; None when it goes."""
    place = content(path)
    if place in others:
        return "another model has it too"
    if place not in owned:
        return "it is not llmrr's"
    if _links(place, path):
        return "another snapshot has it too"
    return None


def _links(place: Path, but: Path) -> list[Path]:
    """The links of snapshots that lead to a blob of the hub's cache."""
    repository = place.parent.parent
    if place.parent.name != "blobs" or not (repository / "snapshots").is_dir():
        return []
    return [
        link
        for link in (repository / "snapshots").rglob("*")
        if link.is_symlink() and link != but and content(link) == place
    ]


def _freed(path: Path) -> int:
    """Bytes that deleting a file gives back: none while it has another name."""
    with suppress(OSError):
        status = content(path).stat()
        return status.st_size if status.st_nlink == 1 else 0
    return 0


def _delete(connection: "sqlite3.Connection", path: Path) -> None:
    """Delete a file and the link to it, and the folders that become empty."""
    place = content(path)
    for one in dict.fromkeys((path, place)):
        one.unlink(missing_ok=True)
    records.disown(connection, [place])
    for one in (path, place):
        _remove_empty(one.parent)
    if place.parent.name == "blobs":
        _remove_repository(place.parent.parent)


def _remove_empty(folder: Path) -> None:
    """Remove a folder and those above it as far as they are empty, but not the roots."""
    roots = {paths.hub_cache_dir(), paths.models_dir()}
    for one in (folder, *folder.parents):
        if one in roots or not any(root in one.parents for root in roots):
            return
        try:
            one.rmdir()
        except OSError:
            return


def _remove_repository(folder: Path) -> None:
    """Remove what remains of a repository in the cache when nothing of it is left but notes."""
    if any((folder / name).exists() for name in ("blobs", "snapshots")):
        return
    if folder.name.startswith("models--"):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder.parent / ".locks" / folder.name, ignore_errors=True)


def _partials() -> Iterator[Garbage]:
    """Downloads into the cache that broke off."""
    root = paths.hub_cache_dir()
    for path in sorted(root.glob("models--*/blobs/*.incomplete")):
        etag = path.name.partition(".")[0]
        lock = root / ".locks" / path.parent.parent.name / f"{etag}.lock"
        with suppress(OSError):
            if not _is_held(lock):
                yield Garbage(path, path.stat().st_blocks * 512, "a download that broke off")


def _is_held(lock: Path) -> bool:
    """Whether somebody holds the client's lock on a download."""
    import fcntl

    if not lock.exists():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _orphans(connection: "sqlite3.Connection") -> Iterator[Garbage]:
    """Files of llmrr's own that no model has any more: an older commit that was pulled again, or a
    command that was killed before it noted the model."""
    used = _used(records.entries(connection))
    for path, size in sorted(records.owned(connection).items()):
        if not path.exists():
            records.disown(connection, [path])
        elif path not in used:
            yield Garbage(path, size, "no model has it any more")


def _remains(connection: "sqlite3.Connection") -> Iterator[Garbage]:
    """What killed imports left in the folder of models."""
    used = _used(records.entries(connection))
    for folder in sorted(paths.models_dir().glob("*")):
        if folder.is_dir() and not any(folder in path.parents for path in used):
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            yield Garbage(folder, size, "an import that was not completed")
