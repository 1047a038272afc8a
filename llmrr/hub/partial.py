"""A file that is not complete yet: appended to, hashed as it grows, found again after a kill."""

import hashlib
import io
import queue
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEBIBYTE = 1 << 20
START = 4096  # bytes that are looked at before more is fetched


class Stopped(Exception):
    """The download was told to stop; what has come is kept."""


class Digest:
    """What the content must hash to. ``expected`` is a SHA-256 (large files), a Git blob id (small
    ones; some proxies give the plain SHA-1 instead), or a text that says nothing about it."""

    def __init__(self, expected: str, size: int) -> None:
        self.expected, self._size = expected, size
        self._sha256 = bool(re.fullmatch(r"[0-9a-f]{64}", expected))
        self._sha1 = bool(re.fullmatch(r"[0-9a-f]{40}", expected))

    def begin(self) -> list[Any]:
        """Fresh hashes, of which one must come to ``expected``; none where nothing is known."""
        if self._sha256:
            return [hashlib.sha256()]
        if self._sha1:
            return [hashlib.sha1(b"blob %d\0" % self._size), hashlib.sha1()]
        return []

    def is_met(self, hashes: list[Any]) -> bool:
        """Whether the content that they saw is the right one."""
        return not hashes or self.expected in [one.hexdigest() for one in hashes]

    def of(self, path: Path, stop: threading.Event) -> bool:
        """Whether a whole file is the right one. Raises ``Stopped``."""
        hashes = self.begin()
        with path.open("rb", buffering=0) as file:
            read_into(hashes, file, stop)
        return self.is_met(hashes)


def read_into(hashes: list[Any], file: Any, stop: threading.Event) -> int:
    """Hash what follows in a file; how many bytes that was."""
    count = 0
    buffer = memoryview(bytearray(MEBIBYTE))
    while hashes and (got := file.readinto(buffer)):
        for one in hashes:
            one.update(buffer[:got])
        count += got
        if stop.is_set():
            raise Stopped
    return count


class Hasher:
    """Hashes what passes on a thread of its own, so that the connection does not wait for it."""

    def __init__(self, hashes: list[Any]) -> None:
        self._hashes = hashes
        self._chunks: queue.Queue[bytes | None] = queue.Queue(maxsize=64)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._chunks.put(chunk)

    def end(self) -> list[Any]:
        """The hashes, when all pieces are in them. Twice is allowed."""
        self._chunks.put(None)
        self._thread.join()
        return self._hashes

    def _work(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            for one in self._hashes:
                one.update(chunk)


class Partial(io.RawIOBase):
    """What the client writes a file to. Opened at the end of what is there; a write is where a
    download can be stopped."""

    def __init__(
        self,
        path: Path,
        digest: Digest,
        *,
        arrived: Callable[[int], None],
        look: Callable[[bytes], None],
        stop: threading.Event,
    ) -> None:
        self.name = str(path)
        self._digest, self._arrived, self._look, self._stop = digest, arrived, look, stop
        self._raw = path.open("r+b" if path.exists() else "w+b", buffering=0)
        try:
            self._hasher = self._begun()
        except BaseException:
            self._raw.close()
            raise

    def write(self, chunk: Any) -> int:
        chunk = bytes(chunk)
        if self._stop.is_set():
            raise Stopped
        if self._raw.tell() == 0:
            self._look(chunk[:START])
        view = memoryview(chunk)
        while view:
            view = view[self._raw.write(view) :]
        self._hasher.add(chunk)
        self._arrived(self.tell())
        return len(chunk)

    def tell(self) -> int:
        return self._raw.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        """A server that ignores ranges sends all of it: the client begins anew."""
        size = self._raw.truncate(size)
        self._hasher.end()
        self._hasher = self._begun()
        return size

    def is_right(self, size: int) -> bool:
        """Whether it is complete, and what it should be."""
        return self.tell() == size and self._digest.is_met(self._hasher.end())

    def close(self) -> None:
        if not self.closed:
            self._hasher.end()
            self._raw.close()
        super().close()

    def _begun(self) -> Hasher:
        """Hash what is there, and stand at its end."""
        self._raw.seek(0)
        if start := self._raw.read(START):  # of an earlier try, or of another client's
            self._look(start)
        self._raw.seek(0)
        hashes = self._digest.begin()
        read_into(hashes, self._raw, self._stop)
        self._arrived(self._raw.seek(0, io.SEEK_END))
        return Hasher(hashes)


def adopt(path: Path, etag: str, size: int) -> None:
    """Go on with what was left behind under other names: newer clients give each try a random one
    and never come back to it. Only for the holder of the lock, who knows that nobody writes them.
    """
    orphans = [one for one in path.parent.glob(f"*{etag}.*.incomplete") if one != path]
    orphans.sort(key=lambda one: one.stat().st_size)
    largest = orphans[-1] if orphans else None
    if largest and largest.stat().st_size > (path.stat().st_size if path.exists() else 0):
        orphans.pop().replace(path)
    for orphan in orphans:
        orphan.unlink(missing_ok=True)
    if path.exists() and path.stat().st_size > size:
        path.unlink()
