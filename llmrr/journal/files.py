"""Files that change in one step, and what the file system says of it."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmrr import paths
from llmrr.errors import DoesNotFit, LlmrrError


def replace(path: Path, data: bytes, *, like: Path | None) -> None:
    """Write ``path`` in one step, with the mode and owner of ``like`` where that exists; with None
    for this user alone."""
    import secrets

    temporary = path.with_name(f".{path.name}.llmrr-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb", opener=None if like else _private) as out:
            if like is not None:
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
    sync_folder(path.parent)


def sweep(path: Path) -> None:
    """Remove what a process that was killed left beside the file; the lock says it is dead."""
    from glob import escape

    for stale in path.parent.glob(f".{escape(path.name)}.llmrr-????????"):
        stale.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _dress(descriptor: int, like: Path) -> None:
    try:
        wanted = like.stat()
    except OSError:
        return
    with suppress(PermissionError):  # another's file in a folder of ours: it becomes ours
        os.fchown(descriptor, wanted.st_uid, wanted.st_gid)
    os.fchmod(descriptor, wanted.st_mode & 0o7777)


def sync_folder(folder: Path) -> None:
    """Make a rename or removal last; not every file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def content(path: Path) -> bytes | None:
    """What the file holds; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def digest(data: bytes | None) -> str | None:
    """The SHA-256 of a content; None of none."""
    from hashlib import sha256

    return None if data is None else sha256(data).hexdigest()


def missing_folders(folder: Path) -> tuple[Path, ...]:
    """The folders that would have to be made, the innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return tuple(missing)


@contextmanager
def errors(*, reading: bool = False) -> Iterator[None]:
    """Translate what the file system says."""
    import errno

    try:
        yield
    except OSError as exc:
        if reading and exc.errno in (errno.ENOENT, errno.ENOTDIR):
            raise
        place = exc.filename or paths.data_dir() / "journal"
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
