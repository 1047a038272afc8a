"""What is taken off the disk, and what is not.

Deleted is only what llmrr wrote itself or was told to move (``ownership``), and only when no
installed model and no snapshot that another tool made refers to it; besides, downloads that nobody
is at any more, and the client's notes about a repository of which nothing is left. The record goes
last: killed in between, the model shows as missing, and the same command ends the work. What was
planned is planned again under the lock before it is done, as another command may have come to need
it.
"""

import os
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import paths
from llmrr.errors import LlmrrError
from llmrr.store import locks, ownership, partials, records, staging, usage
from llmrr.store.ownership import content, place
from llmrr.store.records import Entry
from llmrr.types import Recipe

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
    """Something that ``prune`` takes away; of an ``entry`` only the record."""

    path: Path
    bytes: int
    why: str
    entry: Entry | None = None

    @property
    def name(self) -> str:
        """What people call it: a label, or a repository of the hub with the file as it is noted."""
        if self.entry is not None:
            return self.entry.label
        root = paths.hub_cache_dir()
        if root not in self.path.parents:
            return str(self.path)
        folder, *inside = self.path.relative_to(root).parts
        links = _links(root / folder / "snapshots").get(self.path, [])
        if inside[0] == "snapshots" or links:
            inside = [*(links[0] if links else self.path).relative_to(root / folder).parts[2:]]
        return "/".join((folder.removeprefix("models--").replace("--", "/", 1), *inside))


def plan(connection: "sqlite3.Connection", entries: Sequence[Entry]) -> list[Removal]:
    """What removing these would do, one after the other."""
    books = _Books(connection)
    return [books.without(entry) for entry in entries]


def remove(connection: "sqlite3.Connection", entries: Sequence[Entry]) -> list[Removal]:
    """Remove them; what that did. Raises ``LlmrrError`` for a file that cannot be deleted: that
    model stays."""
    with locks.alone() as alone, locks.settling():
        known = {entry.label for entry in records.entries(connection)}
        books, done = _Books(connection), []
        for entry in entries:
            if entry.label in known:  # and nobody was faster
                done.append(books.without(entry))
                for path in done[-1].deleted:
                    books.delete(path)
                for file in entry.files:  # also what an earlier try left
                    _tidy(place(file.path), alone=alone)
                records.remove(connection, entry)
        return done


def discard(connection: "sqlite3.Connection", files: Iterable[Path]) -> None:
    """Delete those of these files that are llmrr's own and that no model has; what cannot be
    deleted is left to ``prune``. Only while ``settling``."""
    books = _Books(connection)
    for path in files:
        if os.path.lexists(path) and books.reason(path) is None:
            with suppress(LlmrrError):
                books.delete(path)
            _tidy(place(path), alone=False)


def discard_unrecorded(connection: "sqlite3.Connection") -> None:
    """Delete what a command, killed between the two, gave its name in llmrr's own folder and did
    not note. Only while ``settling``: whoever is about to note something holds that lock."""
    books = _Books(connection)
    # What a download is about to call by its name in the hub's cache is noted, and not there yet.
    for one in list(books.orphans([paths.models_dir()])):
        with suppress(LlmrrError):
            books.delete(one.path)
        _tidy(one.path, alone=False)


def garbage(connection: "sqlite3.Connection") -> list[Garbage]:
    """What nobody needs any more: downloads that broke off, files of llmrr's own that no model has,
    remains of commands that were killed, and models whose files are gone."""
    with locks.alone() as alone:
        return list(_garbage(connection, alone=alone))


def prune(connection: "sqlite3.Connection", agreed: Iterable[Garbage]) -> list[Garbage]:
    """Take away what was ``agreed`` upon and still is garbage; what that was. Raises ``LlmrrError``
    for a file that cannot be deleted."""
    done = []
    wanted = {(one.path, one.why) for one in agreed}
    with locks.alone() as alone, locks.settling():
        books = _Books(connection)
        for one in list(_garbage(connection, alone=alone)):
            if (one.path, one.why) not in wanted:
                continue
            if one.entry is not None:
                records.remove(connection, one.entry)
            elif one.path.is_symlink():
                books.unlink([one.path])
            elif one.path.is_dir():
                shutil.rmtree(one.path, ignore_errors=True)
            elif partials.is_partial(one.path):
                if not partials.delete(one.path):
                    continue
            else:
                books.delete(one.path)
            _tidy(one.path, alone=alone)
            done.append(one)
    return done


class _Books:
    """Who needs which file: read once, and kept true while models are removed."""

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection
        self.marks = ownership.noted(connection)
        entries = records.entries(connection)
        # Two names of an entry for the same bytes (links to one blob) are one use.
        self.users = Counter(one for entry in entries for one in _contents(entry))
        self.names = {place(file.path) for entry in entries for file in entry.files}
        self._snapshots: dict[Path, dict[Path, list[Path]]] = {}

    def without(self, entry: Entry) -> Removal:
        """What removing it does, once those before it are gone."""
        self.users.subtract(_contents(entry))
        present = [file.path for file in entry.files if os.path.lexists(file.path)]
        reasons = {path: self.reason(path) for path in present}
        deleted = tuple(path for path, why in reasons.items() if why is None)
        kept = tuple((path, why) for path, why in reasons.items() if why is not None)
        freed = sum(map(_freed, {content(path) for path in deleted}))
        return Removal(entry, deleted, freed, kept)

    def reason(self, path: Path) -> str | None:
        """Why a file stays; None when it goes."""
        bytes_at = content(path)
        if self.users[bytes_at] > 0:
            return "another model has it too"
        if not ownership.is_own(self.marks, bytes_at):
            return "it is not llmrr's"
        own = place(path)
        if any(one != own and not self._is_own(one) for one in self.links(bytes_at)):
            return "another snapshot has it too"
        return None

    def links(self, blob: Path) -> list[Path]:
        """The links of snapshots that lead to a blob of the hub's cache."""
        snapshots = blob.parent.parent / "snapshots"
        if blob.parent.name != "blobs" or not snapshots.is_dir():
            return []
        if snapshots not in self._snapshots:
            self._snapshots[snapshots] = _links(snapshots)
        return self._snapshots[snapshots].get(blob, [])

    def delete(self, path: Path) -> None:
        """Delete a file, and the links to it."""
        bytes_at = content(path)
        self.unlink(dict.fromkeys((bytes_at, place(path), *self.links(bytes_at))))

    def unlink(self, files: Iterable[Path]) -> None:
        """Delete just these. Raises ``LlmrrError`` for the first that stays."""
        stays: OSError | None = None
        gone = []
        for one in files:
            try:
                one.unlink(missing_ok=True)
                gone.append(one)
            except OSError as exc:
                stays = stays or exc
        ownership.forget(self._connection, gone)
        if stays is not None:
            folder = shlex.quote(str(Path(stays.filename).parent))
            said = f"{stays.filename} cannot be deleted: {stays.strerror}"
            raise LlmrrError(said, f"ls -ld {folder}")

    def _is_own(self, path: Path) -> bool:
        return ownership.is_own(self.marks, path)

    def orphans(self, roots: Sequence[Path]) -> Iterator[Garbage]:
        """Files of llmrr's own below ``roots`` that no model has any more: an older commit that was
        pulled again, or a command that was killed before it noted the model. A link of an older
        commit goes also where its bytes stay."""
        for path in sorted(self.marks):
            if not any(root in path.parents for root in roots):
                continue
            if not os.path.lexists(path):
                ownership.forget(self._connection, [path])
            elif partials.is_partial(path) or not self._is_own(path):
                continue
            elif path.is_symlink():
                if path not in self.names and not (path.exists() and self._goes(content(path))):
                    yield Garbage(path, 0, "no model has it any more")
            elif self._goes(path):
                yield Garbage(path, _freed(path), "no model has it any more")

    def _goes(self, path: Path) -> bool:
        return self.reason(path) is None


def _garbage(connection: "sqlite3.Connection", *, alone: bool) -> Iterator[Garbage]:
    marks = ownership.noted(connection)
    for path in partials.left_behind(paths.hub_cache_dir()):
        # The name without a random part is also that of older clients, which come back to it.
        if partials.is_random(path) or ownership.is_own(marks, path):
            yield Garbage(path, path.stat().st_blocks * 512, "a download that broke off")
    if alone:  # a command under way has files that no model has yet
        yield from _Books(connection).orphans(_roots())
        for folder in staging.left_behind(alone=True):
            size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
            yield Garbage(folder, size, "an import that was not completed")
    for entry in records.entries(connection):
        # What the user put together stays, to be had again with its weights.
        own = entry.is_made or (entry.provider == "file" and entry.recipe != Recipe())
        if entry.is_missing and not own and _is_gone(entry):
            yield Garbage(entry.path, 0, "its files are gone", entry)


def _is_gone(entry: Entry) -> bool:
    """Whether its files are missing from a place that is there: a disk may not be mounted."""
    _, root = usage.place_of(entry.path)
    try:
        return any(root.iterdir())
    except OSError:
        return False


def _links(snapshots: Path) -> dict[Path, list[Path]]:
    """The links of the snapshots of a repository, by the blob that they lead to."""
    found: dict[Path, list[Path]] = {}
    for link in sorted(snapshots.rglob("*")):
        if link.is_symlink():
            found.setdefault(content(link), []).append(place(link))
    return found


def _contents(entry: Entry) -> set[Path]:
    return {content(file.path) for file in entry.files}


def _roots() -> tuple[Path, Path]:
    return paths.hub_cache_dir(), paths.models_dir()


def _freed(path: Path) -> int:
    """Bytes that deleting a file gives back: none while it has another name."""
    with suppress(OSError):
        status = path.stat()
        return status.st_size if status.st_nlink == 1 else 0
    return 0


def _tidy(path: Path, *, alone: bool) -> None:
    """Remove what is empty of the folder that a file of llmrr's own lay in: a copy's, or that of a
    repository in the hub's cache, which somebody may be filling unless this is ``alone``."""
    root = next((root for root in _roots() if root in path.parents), None)
    if root is None or (root == paths.hub_cache_dir() and not alone):
        return
    top = root / path.relative_to(root).parts[0]
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()
    if root == paths.hub_cache_dir() and not any(
        (top / name).exists() for name in ("blobs", "snapshots")
    ):
        for notes in ("refs", ".no_exist"):
            shutil.rmtree(top / notes, ignore_errors=True)
        with suppress(OSError):
            top.rmdir()
