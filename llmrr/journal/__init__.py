"""Atomic, recorded, reversible changes to files.

    with change("config edit") as edit:
        edit.write(path, text)

Each file's old content is copied aside and the intention written down before the file is touched;
the new content goes to a temporary file in the same folder, is synced, and takes the place in one
step. So at every moment a file holds its old content or its new one, and after a crash ``undo``
still knows the way back. When the block raises, what it wrote is walked back at once.

An entry is a folder ``journal/<id>/`` in the data directory: ``entry.json`` (``entry``) and the old
contents. ``files`` changes one of them in one step, ``locking`` lets one process do so at a time.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from llmrr import paths
from llmrr.errors import LlmrrError, NotFound
from llmrr.journal import files
from llmrr.journal.entry import FILE, Entry, FileChange, read, save
from llmrr.journal.locking import alone


class Change:
    """A change under way: made by ``change``, and only good inside its block."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        self._folder = folder
        self.entry = entry

    def write(self, path: Path, content: str | bytes) -> None:
        """Put ``content`` in the place of the file, keeping its mode and following links."""
        data = content.encode() if isinstance(content, str) else content
        with files.errors():
            target = path.resolve()
            files.sweep(target)
            self._intend(target, files.digest(data), files.missing_folders(target.parent))
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.replace(target, data, like=target)

    def remove(self, path: Path) -> None:
        """Remove the file (a link itself stays); nothing happens when there is none."""
        with files.errors():
            target = path.resolve()
            if target.exists():
                self._intend(target, None, ())
                target.unlink()
                files.sync_folder(target.parent)

    def _intend(self, target: Path, after: str | None, folders: tuple[Path, ...]) -> None:
        """Keep the old content and write down what is about to happen."""
        old = files.content(target)
        backup = None
        if old is not None:
            backup = f"{len(self.entry.files)}.before"
            files.replace(self._folder / backup, old, like=target)
        file = FileChange(target, backup, files.digest(old), after, folders)
        self.save(self.entry._replace(files=(*self.entry.files, file)))

    def save(self, entry: Entry) -> None:
        """Write the entry down as it now is."""
        with files.errors():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            save(self._folder, entry)
        self.entry = entry


@contextmanager
def change(what: str) -> Iterator[Change]:
    """Record a change to files; one at a time per user. ``what`` begins with its kind.

    Raises ``DoesNotFit`` for a full disk, ``LlmrrError`` for a place that cannot be written; then,
    as after any exception of the block, the files are as they were.
    """
    import time

    with _locked():
        entry = Entry(_new_id(), what, time.time(), "open", ())
        folder = _journal() / entry.id
        under_way = Change(folder, entry)
        try:
            under_way.save(entry)
            yield under_way
            under_way.save(under_way.entry._replace(state="done"))
        except BaseException:
            with files.errors():
                _walk_back(folder, under_way.entry)
            _delete(folder)
            raise
        if not under_way.entry.files:
            _delete(folder)


def entries() -> list[Entry]:
    """What was recorded, newest last. What cannot be read any more is left out."""
    with suppress(FileNotFoundError, NotADirectoryError), files.errors(reading=True):
        folders = sorted(path for path in _journal().iterdir() if (path / FILE).is_file())
        return [entry for folder in folders if (entry := read(folder)) is not None]
    return []


def undo(entry_id: str = "last", *, kind: str | None = None, force: bool = False) -> Entry:
    """Put the files of an entry back: the named one, or the last that was not undone (of ``kind``).

    Nothing is touched, and ``LlmrrError`` raised, when one of them was changed since, unless
    ``force``; ``NotFound`` for an entry that does not exist.
    """
    with _locked(), files.errors():
        entry = _chosen(entry_id, kind)
        folder = _journal() / entry.id
        for file in entry.files if not force else ():
            if files.digest(files.content(file.path)) not in _expected(entry, file.path):
                raise LlmrrError(
                    f"{file.path} was changed since {entry.what!r} ({entry.id}) wrote it",
                    "look at it first; to put the old content back all the same: --force",
                )
        _walk_back(folder, entry)
        undone = entry._replace(state="undone")
        save(folder, undone)
    return undone


def _chosen(entry_id: str, kind: str | None) -> Entry:
    known = entries()
    if entry_id != "last":
        for entry in known:
            if entry.id == entry_id:
                return entry
        raise NotFound(f"no recorded change has the id {entry_id!r}", "llmrr config rollback")
    for entry in reversed(known):
        if entry.state != "undone" and kind in (None, entry.kind):
            return entry
    said = f"there is no {kind + ' ' if kind else ''}change to undo"
    raise LlmrrError(said, "llmrr config edit makes one")


def _expected(entry: Entry, path: Path) -> set[str | None]:
    """The contents that the entry itself may have left: it may have been cut short anywhere."""
    changed = [file for file in entry.files if file.path == path]
    return {digest for file in changed for digest in (file.before, file.after)}


def _walk_back(folder: Path, entry: Entry) -> None:
    """Restore every file of the entry, the last one first."""
    for file in reversed(entry.files):
        files.sweep(file.path)
        if file.backup is not None:
            backup = folder / file.backup
            file.path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(file.path, backup.read_bytes(), like=backup)
        elif file.path.exists():
            file.path.unlink()
            files.sync_folder(file.path.parent)
        for made in file.folders:  # the innermost first; kept when something else lies in it
            with suppress(OSError):
                made.rmdir()


def _journal() -> Path:
    return paths.data_dir() / "journal"


def _new_id() -> str:
    """Sorts by time; two in the same microsecond still differ."""
    import secrets
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(2)}"


def _locked() -> AbstractContextManager[None]:
    """One change at a time."""
    return alone(_journal() / "lock", "changing files")


def _delete(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
