"""One file from the hub to its place: resumed, checked, in its place only when it is whole.

The client resumes only in some versions and checks no SHA-256, so plain files are streamed here,
by its own ``http_get``, with its lock and layout. Files that the hub serves by its chunk protocol
(Xet) are left to the client, and checked afterwards; what it fails to get is streamed, too.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from llmrr.errors import DamagedFile, LlmrrError
from llmrr.hub.client import TIMEOUT_S, endpoint, errors, headers, is_broken_off, patiently
from llmrr.hub.listing import RemoteFile, Repository
from llmrr.hub.partial import START, Digest, Partial, Stopped, adopt
from llmrr.hub.places import Made, Place

POLL_S = 0.2
AGAIN = "check the connection and run the same command again: what has come is kept"
TRIES = 5  # in a row that bring nothing
PAUSE_S = 1.0  # after the first of them; then longer


class Checked(Protocol):
    """Remembers which files were found to have their digest."""

    def holds(self, path: Path, digest: str) -> bool:
        """Whether this very file was checked, and not changed since."""

    def note(self, path: Path, digest: str) -> None:
        """It was checked now."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a download tells and asks while it goes on, from any thread.

    ``arrived`` is told how many bytes of a file are there; ``look`` sees its first bytes, however
    it came, and may raise; ``made`` is told of what is written.
    """

    arrived: Callable[[str, int], None]
    look: Callable[[str, bytes], None]
    made: Made
    checked: Checked
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file on its way: where from, where to, and what it must turn out to be."""

    name: str
    what: str
    url: str
    etag: str
    size: int
    digest: Digest
    by_client: bool
    place: Place
    token: str | None
    watch: Watch

    @property
    def content(self) -> Path:
        return self.place.content(self.name, self.etag)

    def headers(self) -> dict[str, str]:
        # Compressed, a file has no ranges, and its size is not known.
        return {**headers(self.token), "Accept-Encoding": "identity"}


def fetch(
    repository: Repository, file: RemoteFile, place: Place, watch: Watch, token: str | None
) -> Path:
    """Get one file, and return where it is. Raises what ``client.errors`` does, ``DamagedFile`` for
    content that is not what the hub announced, and ``Stopped``."""
    with errors(f"{repository.id}/{file.path}", AGAIN):
        wanted = _ask(repository, file, place, watch, token)
        with _locked(wanted):
            is_there = _is_there(wanted)
        if not is_there:
            place.guard(file.path)  # not under the lock, like ``finish``
            if wanted.by_client:
                try:
                    _by_client(wanted, repository)
                except LlmrrError:
                    raise
                except Exception:  # then it is streamed, and that says what is wrong
                    pass
        with _locked(wanted):
            if not _is_there(wanted):
                _stream(wanted)
        watch.arrived(file.path, wanted.size)
        return place.finish(file.path, wanted.etag, watch.made)


def _ask(
    repository: Repository, file: RemoteFile, place: Place, watch: Watch, token: str | None
) -> _Wanted:
    """What the hub says of the file."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import is_xet_available

    url = hf_hub_url(repository.id, file.path, revision=repository.commit, endpoint=endpoint())
    found = patiently(
        lambda: get_hf_file_metadata(url, timeout=TIMEOUT_S, headers=headers(token)),
        watch.stop.is_set,
    )
    etag = found.etag or file.sha256 or ""
    if not etag.replace("-", "").isalnum():  # it will be the name of a file
        raise DamagedFile(f"the hub gives {file.path} no usable ETag", "try again later")
    size = file.size if found.size is None else found.size
    return _Wanted(
        name=file.path,
        what=f"{repository.id}/{file.path}",
        url=url,
        etag=etag,
        size=size,
        digest=Digest(file.sha256 or etag, size),
        by_client=found.xet_file_data is not None and is_xet_available(),
        place=place,
        token=token,
        watch=watch,
    )


def _is_there(wanted: _Wanted) -> bool:
    """Whether the content lies in its place, and is what it should be."""
    target = wanted.place.target(wanted.name)
    return any(
        path.is_file()
        and path.stat().st_size == wanted.size
        and is_right(path, wanted.name, wanted.digest, wanted.watch)
        for path in (wanted.content, target)
    )


def is_right(path: Path, name: str, digest: Digest, watch: Watch) -> bool:
    """Whether a whole file has its digest; noted where it has. Raises what ``look`` does."""
    if not watch.checked.holds(path, digest.expected):
        if not digest.of(path, watch.stop):
            return False
        watch.checked.note(path, digest.expected)
    with path.open("rb") as file:
        watch.look(name, file.read(START))
    return True


def _stream(wanted: _Wanted) -> None:
    """Stream it, going on where an earlier try ended. Bytes that turn out wrong may be those of
    that earlier try: then once more, from nothing."""
    path = wanted.place.partial(wanted.name, wanted.etag)
    path.parent.mkdir(parents=True, exist_ok=True)
    adopt(path, wanted.etag, wanted.size)
    resumed = path.exists()
    try:
        right = _arrives(wanted, path)
    except LlmrrError:  # its first bytes were refused
        if not resumed:
            path.unlink(missing_ok=True)
        raise
    if not right:
        path.unlink()
        if not resumed or not _arrives(wanted, path):
            path.unlink(missing_ok=True)
            raise DamagedFile(
                f"what came of {wanted.what} is not what the hub announced: its digest is another",
                "run the same command again; if that repeats, hub or proxy serve a damaged file",
            )
    content = wanted.content
    content.parent.mkdir(parents=True, exist_ok=True)
    wanted.watch.made.file(content, path.lstat(), path)
    path.replace(content)
    wanted.watch.checked.note(content, wanted.digest.expected)


def _arrives(wanted: _Wanted, path: Path) -> bool:
    """Append what is missing; whether the whole is then right. A connection that breaks is made
    again, as long as something comes."""
    watch = wanted.watch
    with Partial(
        path,
        wanted.digest,
        arrived=lambda count: watch.arrived(wanted.name, count),
        look=lambda start: watch.look(wanted.name, start),
        stop=watch.stop,
    ) as partial:
        watch.made.partial(path, path.lstat())
        idle = 0
        while partial.tell() < wanted.size:
            before = partial.tell()
            try:
                patiently(lambda: _get(wanted, partial), watch.stop.is_set)
                break
            except Exception as exc:
                idle = 0 if partial.tell() > before else idle + 1
                if not is_broken_off(exc) or idle >= TRIES or watch.stop.wait(idle * PAUSE_S):
                    raise
        return partial.is_right(wanted.size)


def _get(wanted: _Wanted, partial: Partial) -> None:
    from huggingface_hub.file_download import http_get

    # Without ``expected_size``: the client would refuse more than 50 GB, and we compare anyway.
    begin = partial.tell()
    http_get(wanted.url, cast(Any, partial), resume_size=begin, headers=wanted.headers())


def _by_client(wanted: _Wanted, repository: Repository) -> None:
    """Let the client get it, by the hub's chunk protocol. It takes the lock itself."""
    from huggingface_hub import hf_hub_download

    with _locked(wanted):
        if _is_there(wanted):
            return
        wanted.content.unlink(missing_ok=True)
    where: dict[str, Any] = {**wanted.place.by_client(), "endpoint": endpoint()}
    with _polled(wanted):
        hf_hub_download(
            repository.id, wanted.name, revision=repository.commit, token=wanted.token, **where
        )
    for path in dict.fromkeys((wanted.content, wanted.place.target(wanted.name))):
        if os.path.lexists(path):
            wanted.watch.made.file(path, path.lstat())
    try:
        _is_there(wanted)
    except LlmrrError:  # it looks like no data
        for path in (wanted.content, wanted.place.target(wanted.name)):
            path.unlink(missing_ok=True)
        raise


@contextmanager
def _locked(wanted: _Wanted) -> Iterator[None]:
    """Hold the client's lock. Who waits for it is shown what the holder has got so far."""
    from filelock import Timeout
    from huggingface_hub.utils import WeakFileLock

    path = wanted.place.lock(wanted.name, wanted.etag)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        held = WeakFileLock(path, timeout=POLL_S)
        try:
            held.__enter__()
            break
        except Timeout:
            if wanted.watch.stop.is_set():
                raise Stopped from None
            _tell_size(wanted)
    try:
        yield
    finally:
        held.__exit__(None, None, None)


@contextmanager
def _polled(wanted: _Wanted) -> Iterator[None]:
    """Tell how much has come while the client works, by the size of its temporary file."""
    done = threading.Event()

    def poll() -> None:
        while not done.wait(POLL_S):
            _tell_size(wanted)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell_size(wanted: _Wanted) -> None:
    folder = wanted.place.partial(wanted.name, wanted.etag).parent
    try:
        sizes = [path.stat().st_size for path in folder.glob(f"*{wanted.etag}*.incomplete")]
    except OSError:  # it got its final name just now
        return
    wanted.watch.arrived(wanted.name, max(sizes, default=0))
