"""Models that lie on this machine become installed ones: where they lie, or as a copy, a link or
moved into llmrr's own folder."""

import os
import secrets
import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llmrr import paths
from llmrr.errors import DamagedFile, LlmrrError, NotFound
from llmrr.store import archive, locks, ownership, records, removal, unpacking, usage
from llmrr.store.archive import Arrived
from llmrr.store.candidates import Candidate, How, default_label
from llmrr.store.looking import checked, kind_of
from llmrr.store.records import Entry, StoredFile, check_label, split_label
from llmrr.store.staging import Staging, staged
from llmrr.store.unpacking import Archive

if TYPE_CHECKING:
    import sqlite3


def import_model(
    connection: "sqlite3.Connection",
    found: Candidate,
    *,
    how: How = "reference",
    label: str | None = None,
    arrived: Arrived = lambda name, count: None,
) -> Entry:
    """Install it. Raises ``LlmrrError`` when the name is taken by another, or moving would break
    something, ``DoesNotFit`` for a full disk. Killed at any moment, it leaves nothing that
    ``prune`` does not find, and never less than one copy of anything."""
    label = check_label(default_label(found) if label is None else label)
    if how == "move":
        _require_movable(connection, found, label)
    done = _again(connection, found, how, label)
    if done is None and how == "reference":
        with locks.settling():
            before = _replaced(connection, label, f"file:{found.path}")
            used = before.used if before else None
            done = records.add(connection, replace(lying(found, label), used=used))
            _discard(connection, before)
    done = done or _brought(connection, found, how, label, arrived)
    if how == "move":
        _unlink_sources(found, done)
    return done


def import_archive(
    connection: "sqlite3.Connection",
    found: Archive,
    *,
    label: str | None = None,
    arrived: Arrived = lambda name, count: None,
) -> Entry:
    """Install the model of an archive that ``export`` wrote. Raises ``DamagedFile`` for what is
    none, ``Unsupported`` for one with pickles or programs, ``LlmrrError`` when the name is taken,
    ``DoesNotFit`` for a full disk; then nothing of it is left."""
    unpacking.require_data(found)
    label = check_label(found.label if label is None else label)
    if there := _unpacked(connection, found, label):
        return there
    with locks.adding(), staged(connection, label, found.bytes) as staging:
        files = unpacking.unpack(found, staging.folder, arrived)
        _share(connection, files)
        try:
            info = checked(staging.folder / found.main)
        except LlmrrError as exc:  # the place is one that will be gone
            exc.message = exc.message.replace(str(staging.folder), str(found.path))
            raise
        if info.format != found.format:
            raise DamagedFile(
                f"{found.path} says that it holds {found.format}, and it is {info.format}",
                "nothing of it was kept",
            )
        name, tag = split_label(label)
        with locks.settling():
            if there := _unpacked(connection, found, label):
                return there
            removal.discard_unrecorded(connection)
            packed = unpacking.entry_of(found, staging.settle(files), staging.final)
            entry = replace(packed, name=name, tag=tag, kind=kind_of(info), quant=info.quant)
            return records.add(connection, replace(entry, format=info.format))


def _share(connection: "sqlite3.Connection", files: Iterable[StoredFile]) -> None:
    """Let what llmrr's own folder has already stand for the same content that has come."""
    entries = records.entries(connection)
    there = {file.digest: file for one in entries if _is_brought(one) for file in one.files}
    for new in files:
        old = there.get(new.digest) if new.bytes else None
        if old is None or not old.path.is_file() or archive.digest(old.path) != new.digest:
            continue
        name = new.path.with_name(f".{secrets.token_hex(8)}")
        with suppress(OSError):  # a file system without links
            name.hardlink_to(old.path)
            name.replace(new.path)


def lying(found: Candidate, label: str) -> Entry:
    """A file or folder of the user's, as an entry that is not installed."""
    files = tuple(StoredFile.of(found.root / name) for name in found.names("reference"))
    return _entry(found, found.path, files, label)


def _entry(found: Candidate, path: Path, files: tuple[StoredFile, ...], label: str) -> Entry:
    name, tag = split_label(label)
    return Entry(
        name=name,
        tag=tag,
        path=path,
        origin=f"file:{found.path}",
        files=files,
        kind=kind_of(found.info),
        format=found.info.format,
        quant=found.info.quant,
        bytes=sum(file.bytes for file in files),
        digest=files[0].digest,
    )


# -- what was there before ---------------------------------------------------------------------


def _replaced(connection: "sqlite3.Connection", label: str, origin: str) -> Entry | None:
    hint = f"--name with another name; or first: llmrr rm {label}"
    return records.replaced(connection, label, origin, hint)


def _unpacked(connection: "sqlite3.Connection", found: Archive, label: str) -> Entry | None:
    """The model that this archive brought before. Raises ``LlmrrError`` when the label is that of
    another model."""
    other = records.get(connection, label)
    if other is None:
        return None
    digests = {file.digest for file in other.files}
    if not other.is_missing and _is_brought(other) and digests == {m.digest for m in found.members}:
        return other
    raise LlmrrError(
        f'there is a model "{other.label}" already ({other.origin})',
        f"--name with another name; or first: llmrr rm {label}",
    )


def _again(
    connection: "sqlite3.Connection", found: Candidate, how: How, label: str
) -> Entry | None:
    """What an earlier import brought of just this content, in just this way. Raises ``LlmrrError``
    when the label is that of another model, also of one that lay at the same place: its bytes may
    be nowhere else."""
    before = _replaced(connection, label, f"file:{found.path}")
    if before is None or not _is_brought(before):
        return None
    if before.is_missing and not any(file.path.exists() for file in before.files):
        return None
    pairs = [(found.root / one, file) for one, file in zip(found.files, before.files, strict=False)]
    there = [pair for pair in pairs if pair[1].path.exists()]
    is_link = [source.samefile(file.path) for source, file in there]
    same = all(linked or _is_same(*pair) for linked, pair in zip(is_link, there, strict=True))
    if not same or len(pairs) < len(found.files):
        raise LlmrrError(
            f'there is a model "{before.label}" already, of what lay at {found.path} then',
            f"--name with another name; or first: llmrr rm {before.label}",
        )
    if before.is_missing:
        return None
    if how == "hardlink":
        return before if all(is_link) else None
    return None if how == "copy" and any(is_link) else before


def _is_brought(entry: Entry) -> bool:
    """Whether all its files lie in llmrr's own folder."""
    own = paths.models_dir()
    return all(own in ownership.content(file.path).parents for file in entry.files)


def _is_same(source: Path, file: StoredFile) -> bool:
    """Whether a file has the content of a copy; read in full, and only where the sizes agree."""
    if source.stat().st_size != file.path.stat().st_size:
        return False
    return archive.digest(source) == archive.digest(file.path)


def _discard(connection: "sqlite3.Connection", before: Entry | None) -> None:
    """Delete the copy that an import replaced. While ``settling``."""
    if before is not None:
        removal.discard(connection, [file.path for file in before.files])


def _require_movable(connection: "sqlite3.Connection", found: Candidate, label: str) -> None:
    """Raise ``LlmrrError`` where moving would take a file from somebody else."""
    instead = "leave out --move, or take --hardlink or --copy"
    for name in found.moved():
        source = found.root / name
        if source.is_symlink():
            said = f"{source} is a link: moving what it leads to would break what else uses it"
            raise LlmrrError(said, instead)
    owner, _ = usage.place_of(ownership.content(found.path))
    if owner not in ("folder", "llmrr"):
        raise LlmrrError(f"{found.path} belongs to {owner}, which would miss it", instead)
    moved = {ownership.content(found.root / name) for name in found.moved()}
    for entry in records.entries(connection):
        uses = moved.intersection(ownership.content(file.path) for file in entry.files)
        if uses and entry.label.lower() != label.lower():
            raise LlmrrError(f"{entry.label} uses {min(uses)}, and would miss it", instead)


# -- bringing it -------------------------------------------------------------------------------


def _brought(
    connection: "sqlite3.Connection", found: Candidate, how: How, label: str, arrived: Arrived
) -> Entry:
    """Put its files into llmrr's own folder, and note it."""
    sizes = found.sizes(how)
    copied = sum(sizes.values()) if how == "copy" or _is_far(found.root) else 0
    with locks.adding(), staged(connection, label, copied) as staging:
        taken = [_taken(found.root, name, staging.folder, how, arrived) for name in sizes]
        inside = found.path.relative_to(found.root)
        checked(staging.folder / inside)  # it may have changed while it was copied
        with locks.settling():
            removal.discard_unrecorded(connection)
            before = _replaced(connection, label, f"file:{found.path}")
            done = _settled(connection, found, staging, taken, label)
            _discard(connection, before)
            return done


def _settled(
    connection: "sqlite3.Connection",
    found: Candidate,
    staging: Staging,
    taken: list[StoredFile],
    label: str,
) -> Entry:
    files = staging.settle(taken)
    path = staging.final / found.path.relative_to(found.root)
    return records.add(connection, _entry(found, path, files, label))


def _is_far(root: Path) -> bool:
    """Whether it lies on another disk than llmrr's folder, where nothing can be linked to."""
    own = paths.models_dir()
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root.stat().st_dev != own.stat().st_dev


def _taken(root: Path, name: str, folder: Path, how: How, arrived: Arrived) -> StoredFile:
    """Put a file into ``folder``: as a copy, or under a second name."""
    source, target = root / name, folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    size = source.stat().st_size
    if how != "copy" and _linked(source, target, how):
        arrived(name, size)
        return StoredFile(target, size)
    with archive.writing(target), _reading(source) as raw, target.open("xb") as out:
        digest = archive.copy(raw, out, size, lambda count: arrived(name, count))
        out.flush()
        os.fsync(out.fileno())
    return StoredFile(target, size, digest)


def _reading(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as exc:
        raise NotFound(f"{source} cannot be read: {exc.strerror}", f"ls -l {source}") from exc


def _linked(source: Path, target: Path, how: How) -> bool:
    """Give a file a second name; False for a move to another disk, which is a copy."""
    try:
        target.hardlink_to(source.resolve())
    except OSError as exc:
        if how == "move":
            return False
        raise LlmrrError(
            f"{source} cannot be linked into {paths.models_dir()}: {exc.strerror}", "--copy"
        ) from exc
    return True


def _unlink_sources(found: Candidate, done: Entry) -> None:
    """Take away what was moved: each file only where the one that was installed is it, or has its
    content."""
    moved = found.moved()
    for name, file in zip(found.files, done.files, strict=False):  # a copy may have more
        source = found.root / name
        if name not in moved:
            continue
        if source.samefile(file.path) or _is_same(source, file):
            try:
                source.unlink()
            except OSError as exc:
                raise LlmrrError(
                    f"{source} is installed as {done.label}, and stays too: {exc.strerror}",
                    f"rm {shlex.quote(str(source))}",
                ) from exc
