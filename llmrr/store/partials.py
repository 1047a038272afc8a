"""Downloads into the hub's cache that broke off: files that nobody is writing now."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from llmrr import paths

_ENDING = ".incomplete"


def is_partial(path: Path) -> bool:
    """Whether this is one, by its name."""
    return path.name.endswith(_ENDING) and path.parent.name == "blobs"


def is_random(path: Path) -> bool:
    """Whether no client ever comes back to it: it has a random part in its name.

    >>> is_random(Path("abc.incomplete")), is_random(Path("abc.0f3e.incomplete"))
    (False, True)
    """
    return "." in path.name.removesuffix(_ENDING)


def left_behind(root: Path) -> Iterator[Path]:
    """Those in the cache at ``root`` that nobody holds the client's lock for."""
    for path in sorted(root.glob(f"models--*/blobs/*{_ENDING}")):
        with _locked(path) as locked:
            is_free = locked
        if is_free:
            yield path


def delete(path: Path) -> bool:
    """Delete one, unless somebody goes on with it at this moment."""
    with _locked(path) as locked:
        if locked:
            path.unlink(missing_ok=True)
        return locked


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the client's lock on a download; False where somebody else does."""
    etag = path.name.partition(".")[0]
    folder = path.parent.parent
    lock = folder.parent / ".locks" / folder.name / f"{etag}.lock"
    if not paths.exists(lock):
        yield True
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(lock.open("r+b"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # held, or not ours to open
            yield False
        else:
            yield True
