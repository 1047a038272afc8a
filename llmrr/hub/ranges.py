"""Reading parts of files that lie on the hub: ``formats`` looks at a header without a download."""

import io
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from llmrr.errors import DamagedFile, NotFound
from llmrr.hub.client import endpoint, errors, headers
from llmrr.hub.listing import Repository

MEBIBYTE = 1 << 20
AHEAD = 4 * MEBIBYTE  # a header is read from its begin to its end: few requests, not many
FAR = 64 * MEBIBYTE  # what is thrown away at most where the server ignores ranges


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """The files of a repository, as ``formats`` wants them."""

    repository: Repository
    token: str | None = field(default=None, repr=False)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Path: bytes."""
        return self.repository.sizes

    def source(self, name: str) -> "RangeSource":
        """One of them. Raises ``NotFound``."""
        size = self.sizes.get(name)
        if size is None:
            raise NotFound(f"there is no file {name} in {self.repository.id}")
        return RangeSource(self.repository, name, size, self.token)

    def __str__(self) -> str:
        return self.repository.id


class RangeSource:
    """A file of a repository, read by byte ranges. Who reads on where he was is given more than he
    asked for, as the next piece of a header is mostly in it."""

    def __init__(self, repository: Repository, name: str, size: int, token: str | None) -> None:
        self.repository, self.name, self._size, self._token = repository, name, size, token
        self._start, self._window = 0, b""
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._size

    def __str__(self) -> str:
        return f"{self.repository.id}/{self.name}"

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at ``offset``. Raises ``Unreachable``, and ``DamagedFile`` for a server that
        sends other bytes."""
        length = min(length, self._size - offset)
        if length <= 0:
            return b""
        with self._lock:
            end = self._start + len(self._window)
            if not self._start <= offset <= offset + length <= end:
                goes_on = end - MEBIBYTE <= offset <= end and self._window
                wanted = min(AHEAD, self._size - offset) if goes_on else length
                self._window = self._fetch(offset, max(length, wanted))
                self._start = offset
            begin = offset - self._start
            return self._window[begin : begin + length]

    def _fetch(self, offset: int, length: int) -> bytes:
        sink = _Sink(offset, length)
        with errors(str(self)), suppress(_Enough):
            from huggingface_hub import hf_hub_url
            from huggingface_hub.file_download import http_get

            url = hf_hub_url(
                self.repository.id, self.name, revision=self.repository.commit, endpoint=endpoint()
            )
            # The client adds ``resume_size`` to where the range begins.
            asked = {"Range": f"bytes=0-{offset + length - 1}", "Accept-Encoding": "identity"}
            asked |= headers(self._token)
            http_get(url, cast(Any, sink), resume_size=offset, headers=asked)
        if len(sink.content) != length:
            raise DamagedFile(
                f"{self}: {length} bytes were asked for, and {len(sink.content)} came",
                "llmrr pull gets the whole file",
            )
        return bytes(sink.content)


class _Enough(Exception):
    """All that was asked for has come."""


class _Sink(io.RawIOBase):
    """What the client writes a range to. A server that ignores ranges sends all from the begin, and
    the client then goes back to 0: what lies before the range is dropped."""

    def __init__(self, start: int, length: int) -> None:
        self.start, self.length = start, length
        self.position = start
        self.content = bytearray()

    def write(self, chunk: Any) -> int:
        before = max(0, self.start - self.position)
        self.content += memoryview(chunk)[before : before + self.length - len(self.content)]
        self.position += len(chunk)
        if len(self.content) >= self.length:
            raise _Enough
        return len(chunk)

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = 0) -> int:
        if self.start > FAR:
            raise DamagedFile("the server ignores byte ranges", "llmrr pull gets the whole file")
        self.position = offset
        self.content.clear()
        return offset

    def truncate(self, size: int | None = None) -> int:
        return self.position
