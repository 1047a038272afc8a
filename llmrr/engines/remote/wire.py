"""HTTP/1.1 on a connection of urllib3: a request as bytes, and its answer as it comes.

urllib3 finds, opens, secures and keeps the connections; httptools, the parser of Node.js, reads
what comes. What urllib3 does by itself, by http.client and the parser of e-mails, takes longer than
all else that asking needs.
"""

import re
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from http import client
from typing import Any, Final

from urllib3 import HTTPHeaderDict, connection, exceptions

BLOCK: Final = 1 << 16
LARGEST_HEAD: Final = 1 << 16  # bytes
_NAME: Final = re.compile(r"[^:\s][^:\r\n\0]*").fullmatch
_LINES: Final = re.compile(r"[\r\n\0]").search
_PACKED: Final = ("gzip", "x-gzip", "deflate")


def request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request, whose ``headers`` name the host. Raises ``ValueError`` for one that is none."""
    lines = [f"{method} {target} HTTP/1.1", f"content-length: {len(body)}"]
    for name, value in {name.lower(): value for name, value in headers.items()}.items():
        if not _NAME(name) or _LINES(value):
            raise ValueError(f"the header {name!r} cannot be sent")
        lines.append(f"{name}: {value}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Response:
    """An answer, whose head has come. ``closed`` is whether all of it was read."""

    # What urllib3 looks at, and sets.
    retries: Any = None
    length_remaining: int | None = None
    version_string = "HTTP/1.1"
    _pool: Any = None
    _connection: Any = None

    def __init__(self, made: connection.HTTPConnection) -> None:
        from httptools import HttpResponseParser

        self._made, self._sock = made, made.sock
        self.closed = self._has_head = self._has_all = False
        self.status, self._size = 0, 0
        self._came: deque[bytes] = deque()
        self._parser = HttpResponseParser(self)
        # Some servers of one's own end lines, and the lengths of chunks, as they like.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )  # fmt: skip
        while not self._has_head:
            self._size += self._feed()
            if self._size > LARGEST_HEAD and not self._has_head:
                raise client.HTTPException("its head is too large")
        self._pieces = self._unpacked(self._body())

    def read1(self, amount: int = BLOCK) -> bytes:
        """The next piece of the body, empty at its end."""
        return next(self._pieces, b"")

    @property
    def is_here(self) -> bool:
        """Whether the next piece, or the end, is known without waiting."""
        return bool(self._came) or self._has_all

    def of(self, pool: Any, made: Any) -> None:
        """Where the connection goes when all is read."""
        self._pool, self._connection = pool, made

    def close(self) -> None:
        """Read no more; the connection is of no use any more. Twice is allowed."""
        self._made.close()

    def release_conn(self) -> None:
        """Hand the connection to the next request."""
        made, self._connection = self._connection, None
        if made is not None:
            self._pool._put_conn(made)

    # -- what the parser calls -----------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._has_all:
            raise ValueError("more than one answer came")
        self.headers = HTTPHeaderDict()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self.headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = not 100 <= self.status < 200  # what comes before the answer

    def on_body(self, piece: bytes) -> None:
        self._came.append(piece)

    def on_message_complete(self) -> None:
        self._has_all = self._has_head
        self._goes_on = self._parser.should_keep_alive()

    # -- the body ------------------------------------------------------------------------------

    def _feed(self) -> int:
        """Give the parser what comes next; how many bytes that are."""
        from httptools import HttpParserError

        data = self._sock.recv(BLOCK)
        if not data:
            if not self._size and not self._has_head:
                raise client.RemoteDisconnected("the connection was closed without an answer")
            raise exceptions.ProtocolError("the connection was closed before its end")
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if self._has_all:  # what comes behind an answer is not for this request
                self._goes_on = False
            elif self._has_head:
                raise exceptions.ProtocolError(str(error)) from None
            else:
                raise client.BadStatusLine(repr(data[:80])) from None
        return len(data)

    def _body(self) -> Iterator[bytes]:
        until_closed = not {"content-length", "transfer-encoding"} & {*map(str.lower, self.headers)}
        while True:
            while self._came:
                yield self._came.popleft()
            if self._has_all:
                break
            try:
                self._feed()
            except exceptions.ProtocolError:
                if not until_closed:
                    raise
                self._goes_on = False
                break
        if not self._goes_on:
            self._made.close()
        self.closed = True

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Nobody was told that the answer may be packed: some servers do it all the same."""
        packed = self.headers.get("content-encoding", "").lower()
        if packed not in _PACKED:
            yield from pieces
            return
        unpacker = zlib.decompressobj(47)
        for piece in pieces:
            while piece:
                try:
                    found = unpacker.decompress(piece, BLOCK)
                except zlib.error as error:
                    raise exceptions.DecodeError(f"it is no {packed}") from error
                if found:
                    yield found
                piece = unpacker.unconsumed_tail
