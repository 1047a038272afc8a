"""Atomic, recorded, reversible changes to files.

    with change("config edit") as edit:
        edit.write(path, text)

Each file's old content is copied aside and the intention written down before the file is touched;
the new content goes to a temporary file in the same folder, is synced, and takes the place in one
step. So at every moment a file holds its old content or its new one, and after a crash ``undo``
still knows the way back. When the block raises, what it wrote is walked back at once.

An entry is a folder ``journal/<id>/`` in the data directory: ``entry.json`` and the old contents.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from llmrr import paths
from llmrr.errors import DoesNotFit, LlmrrError, NotFound

State = Literal["open", "done", "undone"]

LOCK_S = 10.0
_ENTRY = "entry.json"


class FileChange(NamedTuple):
    """One file of an entry. ``backup`` is the name of its old content inside the entry (None: it
    did not exist); the digests are SHA-256 (None: no file); ``folders`` were made for it."""

    path: Path
    backup: str | None
    before: str | None
    after: str | None
    folders: tuple[Path, ...] = ()


class Entry(NamedTuple):
    """One recorded change. ``what`` begins with its kind ("config edit"); ``open`` is one that
    never came to its end."""

    id: str
    what: str
    at: float
    state: State
    files: tuple[FileChange, ...]

    @property
    def kind(self) -> str:
        """The first word of ``what``."""
        return self.what.partition(" ")[0]


class Change:
    """A change under way: made by ``change``, and only good inside its block."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        self._folder = folder
        self.entry = entry

    def write(self, path: Path, content: str | bytes) -> None:
        """Put ``content`` in the place of the file, keeping its mode and following links."""
        data = content.encode() if isinstance(content, str) else content
        with _errors():
            target = path.resolve()
            _sweep(target)
            self._intend(target, _digest(data), _missing_folders(target.parent))
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(target, data, like=target)

    def remove(self, path: Path) -> None:
        """Remove the file (a link itself stays); nothing happens when there is none."""
        with _errors():
            target = path.resolve()
            if target.exists():
                self._intend(target, None, ())
                target.unlink()
                _sync_folder(target.parent)

    def _intend(self, target: Path, after: str | None, folders: tuple[Path, ...]) -> None:
        """Keep the old content and write down what is about to happen."""
        old = _content(target)
        backup = None
        if old is not None:
            backup = f"{len(self.entry.files)}.before"
            _replace(self._folder / backup, old, like=target)
        file = FileChange(target, backup, _digest(old), after, folders)
        self.save(self.entry._replace(files=(*self.entry.files, file)))

    def save(self, entry: Entry) -> None:
        """Write the entry down as it now is."""
        with _errors():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _save(self._folder, entry)
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
            with _errors():
                _walk_back(folder, under_way.entry)
            _delete(folder)
            raise
        if not under_way.entry.files:
            _delete(folder)


def entries() -> list[Entry]:
    """What was recorded, newest last. What cannot be read any more is left out."""
    with suppress(FileNotFoundError, NotADirectoryError), _errors(reading=True):
        folders = sorted(path for path in _journal().iterdir() if (path / _ENTRY).is_file())
        return [entry for folder in folders if (entry := _read(folder)) is not None]
    return []


def undo(entry_id: str = "last", *, kind: str | None = None, force: bool = False) -> Entry:
    """Put the files of an entry back: the named one, or the last that was not undone (of ``kind``).

    Nothing is touched, and ``LlmrrError`` raised, when one of them was changed since, unless
    ``force``; ``NotFound`` for an entry that does not exist.
    """
    with _locked(), _errors():
        entry = _chosen(entry_id, kind)
        folder = _journal() / entry.id
        for file in entry.files if not force else ():
            if _digest(_content(file.path)) not in _expected(entry, file.path):
                raise LlmrrError(
                    f"{file.path} was changed since {entry.what!r} ({entry.id}) wrote it",
                    "look at it first; to put the old content back all the same: --force",
                )
        _walk_back(folder, entry)
        undone = entry._replace(state="undone")
        _save(folder, undone)
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
    files = [file for file in entry.files if file.path == path]
    return {digest for file in files for digest in (file.before, file.after)}


def _walk_back(folder: Path, entry: Entry) -> None:
    """Restore every file of the entry, the last one first."""
    for file in reversed(entry.files):
        _sweep(file.path)
        if file.backup is not None:
            backup = folder / file.backup
            file.path.parent.mkdir(parents=True, exist_ok=True)
            _replace(file.path, backup.read_bytes(), like=backup)
        elif file.path.exists():
            file.path.unlink()
            _sync_folder(file.path.parent)
        for made in file.folders:  # the innermost first; kept when something else lies in it
            with suppress(OSError):
                made.rmdir()


def _replace(path: Path, data: bytes, *, like: Path) -> None:
    """Write ``path`` in one step, with the mode and owner of ``like`` where that exists."""
    import secrets

    temporary = path.with_name(f".{path.name}.llmrr-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as out:
            _dress(out.fileno(), like)
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException as exc:
        temporary.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            exc.filename = str(path)  # not the temporary one, nor none, as of a full disk
        raise
    _sync_folder(path.parent)


def _sweep(path: Path) -> None:
    """Remove what a process that was killed left beside the file; the lock says it is dead."""
    from glob import escape

    for stale in path.parent.glob(f".{escape(path.name)}.llmrr-????????"):
        stale.unlink(missing_ok=True)


def _dress(descriptor: int, like: Path) -> None:
    try:
        wanted = like.stat()
    except OSError:
        return
    with suppress(PermissionError):  # another's file in a folder of ours: it becomes ours
        os.fchown(descriptor, wanted.st_uid, wanted.st_gid)
    os.fchmod(descriptor, wanted.st_mode & 0o7777)


def _sync_folder(folder: Path) -> None:
    """Make a rename or removal last; not every file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest(data: bytes | None) -> str | None:
    from hashlib import sha256

    return None if data is None else sha256(data).hexdigest()


def _missing_folders(folder: Path) -> tuple[Path, ...]:
    """The folders that would have to be made, the innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return tuple(missing)


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


@contextmanager
def alone(file: Path, doing: str) -> Iterator[None]:
    """Hold this lock, among all processes of this user; it dies with its process. Raises
    ``LlmrrError`` where another goes on ``doing`` that."""
    import fcntl
    import time

    deadline = time.monotonic() + LOCK_S
    with _errors():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LlmrrError(
                        f"another llmrr has been {doing} for {LOCK_S:.0f} seconds",
                        "wait for it to end, and try again",
                    ) from None
                time.sleep(0.02)
        yield


def _save(folder: Path, entry: Entry) -> None:
    import json

    value = {
        **entry._asdict(),
        "files": [
            {**file._asdict(), "path": str(file.path), "folders": [str(f) for f in file.folders]}
            for file in entry.files
        ],
    }
    text = json.dumps(value, indent=1, ensure_ascii=False)
    _replace(folder / _ENTRY, text.encode("utf-8", "surrogateescape"), like=folder / _ENTRY)


def _read(folder: Path) -> Entry | None:
    import json

    try:
        text = (folder / _ENTRY).read_bytes().decode("utf-8", "surrogateescape")
        value: dict[str, Any] = json.loads(text)
        files = tuple(
            FileChange(
                **{
                    **file,
                    "path": Path(file["path"]),
                    "folders": tuple(map(Path, file["folders"])),
                }
            )
            for file in value.pop("files")
        )
        return Entry(**value, files=files)
    except (ValueError, TypeError, KeyError):
        return None


def _delete(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _errors(*, reading: bool = False) -> Iterator[None]:
    """Translate what the file system says."""
    import errno

    try:
        yield
    except OSError as exc:
        if reading and exc.errno in (errno.ENOENT, errno.ENOTDIR):
            raise
        place = exc.filename or _journal()
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DoesNotFit(
                f"no space left to write {place}", "free some space; nothing was changed"
            ) from exc
        raise LlmrrError(
            f"cannot {'read' if reading else 'write'} {place}: {exc.strerror}",
            "make it writable, or set LLMRR_HOME to a folder that is"
            if Path(place).is_relative_to(paths.data_dir())
            else f"ls -ld {shlex.quote(str(Path(place).parent))} says who may write there",
        ) from exc
