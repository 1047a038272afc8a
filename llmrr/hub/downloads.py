"""Several files at once, until all are there or something goes wrong."""

import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from shlex import quote

from llmrr import paths
from llmrr.errors import DamagedFile, DoesNotFit
from llmrr.hub.client import api
from llmrr.hub.listing import RemoteFile, Repository
from llmrr.hub.partial import Digest, Stopped
from llmrr.hub.places import Made, Place
from llmrr.hub.transfer import Checked, Watch, fetch, is_right

SPARE = 64 << 20  # bytes of the disk that are left free
WORKERS = 8


def download(
    repository: Repository,
    files: Sequence[RemoteFile],
    place: Place,
    *,
    checked: Checked,
    token: str | None = None,
    workers: int = WORKERS,
    arrived: Callable[[str, int], None] = lambda name, count: None,
    look: Callable[[str, bytes], None] = lambda name, start: None,
    made: Made | None = None,
) -> dict[str, Path]:
    """Get ``files``, and return where each is. The callbacks are those of ``transfer.Watch``.

    Raises ``DoesNotFit`` before anything is fetched when the disk has no room for what is missing;
    else the first error of any file. What has come until then is kept, and found again.
    """
    if not files:
        return {}
    api(token)  # offline, nothing can come
    require_space(files, place)
    watch = Watch(arrived, look, made or _Untold(), checked, threading.Event())
    waiting: queue.SimpleQueue[RemoteFile] = queue.SimpleQueue()
    for file in sorted(files, key=lambda one: -one.size):  # the largest decides how long it takes
        waiting.put(file)
    results: queue.SimpleQueue[tuple[RemoteFile, Path | BaseException]] = queue.SimpleQueue()

    def work() -> None:
        while not watch.stop.is_set():
            try:
                file = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results.put((file, fetch(repository, file, place, watch, token)))
            except BaseException as error:
                results.put((file, error))

    # Daemons: Ctrl-C ends the process while a connection hangs.
    threads = [
        threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(files)) or 1)
    ]
    for thread in threads:
        thread.start()
    try:
        found = _collected(len(files), results)
    finally:
        watch.stop.set()
    place.complete()
    return found


def present(
    files: Iterable[RemoteFile],
    place: Place,
    *,
    checked: Checked,
    arrived: Callable[[str, int], None] = lambda name, count: None,
    look: Callable[[str, bytes], None] = lambda name, start: None,
) -> dict[str, Path]:
    """Where ``files`` of the cache are, each looked at and checked like one that comes: the names
    of the cache are digests. Raises ``DamagedFile`` for another content."""
    watch = Watch(arrived, look, _Untold(), checked, threading.Event())
    found = {}
    for file in files:
        path = place.target(file.path)
        content = paths.real(path)
        digest = Digest(file.sha256 or content.name, file.size)
        if not is_right(content, file.path, digest, watch):
            raise DamagedFile(
                f"{content} is not what its name says: its digest is another",
                f"rm {quote(str(content))}; then pull the model again",
            )
        arrived(file.path, file.size)
        found[file.path] = path
    return found


def missing_bytes(files: Iterable[RemoteFile], place: Place) -> int:
    """How much is still to be fetched."""
    return sum(_missing(file, place) for file in files)


def require_space(files: Iterable[RemoteFile], place: Place) -> None:
    """Raise ``DoesNotFit`` when the disk has no room for what is missing."""
    where = place.target(".").parent
    needed, free = missing_bytes(files, place), paths.free_bytes(where)
    if needed and needed + SPARE > free:
        raise DoesNotFit(
            f"{needed / 1e9:.2f} GB are to be fetched, and {free / 1e9:.2f} GB are free at {where}",
            "llmrr prune, or llmrr rm NAME; or HF_HUB_CACHE or --local-dir on another disk",
        )


def _missing(file: RemoteFile, place: Place) -> int:
    etag = file.sha256 or ""
    for path in (place.target(file.path), *([place.content(file.path, etag)] if etag else [])):
        if path.is_file() and path.stat().st_size == file.size:
            return 0
    partial = place.partial(file.path, etag) if etag else None
    there = partial.stat().st_size if partial is not None and partial.is_file() else 0
    return max(0, file.size - there)


def _collected(
    count: int, results: "queue.SimpleQueue[tuple[RemoteFile, Path | BaseException]]"
) -> dict[str, Path]:
    """Wait for all of them, or for the first error."""
    found: dict[str, Path] = {}
    while len(found) < count:
        file, result = results.get()
        if isinstance(result, Stopped):
            continue
        if isinstance(result, BaseException):
            raise result
        found[file.path] = result
    return found


class _Untold:
    """Nobody wants to know what is written."""

    def partial(self, path: Path, status: os.stat_result) -> None:
        pass

    def file(self, path: Path, status: os.stat_result, was: Path | None = None) -> None:
        pass
