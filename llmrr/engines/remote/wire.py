"""HTTP/1.1 on a connection of urllib3: a request as bytes, and its answer as it comes.

urllib3 finds, opens, secures and keeps the connections. What it does besides for each request, by
way of http.client and the parser of e-mails, takes longer than all else that asking needs:
https://www.rfc-editor.org/rfc/rfc9112
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from http import client
from typing import Any, Final

from urllib3 import HTTPHeaderDict, connection, exceptions

BLOCK: Final = 1 << 16
LARGEST_HEAD: Final = 1 << 16  # bytes
_NAME: Final = re.compile(r"[^:\s][^:\r\n\0]*").fullmatch
_LINES: Final = re.compile(r"[\r\n\0]").search
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) +([1-9][0-9]{2})(?: |$)").match
_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,16}").fullmatch
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
        self._made, self._sock, self._rest = made, made.sock, b""
        self.closed = False
        status = 100
        while 100 <= status < 200:  # what comes before the answer
            minor, status = self._status()
            self.headers = self._fields()
        self.status = status
        options = self.headers.get("connection", "").lower()
        self._goes_on = "close" not in options and (minor == b"1" or "keep-alive" in options)
        self._pieces = self._unpacked(self._body())

    def read1(self, amount: int = BLOCK) -> bytes:
        """The next piece of the body, empty at its end."""
        return next(self._pieces, b"")

    def close(self) -> None:
        """Read no more; the connection is of no use any more. Twice is allowed."""
        self._made.close()

    def release_conn(self) -> None:
        """Hand the connection to the next request."""
        made, self._connection = self._connection, None
        if made is not None:
            self._pool._put_conn(made)

    # -- the head ------------------------------------------------------------------------------

    def _status(self) -> tuple[bytes, int]:
        self._rest = self._sock.recv(BLOCK) if not self._rest else self._rest
        if not self._rest:
            raise client.RemoteDisconnected("the connection was closed without an answer")
        line = self._line()
        if (found := _STATUS(line)) is None:
            raise client.BadStatusLine(repr(line[:80]))
        return found[1], int(found[2])

    def _fields(self) -> HTTPHeaderDict:
        found, size, last = HTTPHeaderDict(), 0, ""
        while line := self._line():
            size += len(line)
            if size > LARGEST_HEAD:
                raise client.HTTPException("its head is too large")
            name, colon, value = line.decode("latin-1").partition(":")
            if name[:1] in " \t" and last:  # the line before goes on
                found[last] = f"{found[last]} {name.strip()}{colon}{value.rstrip()}"
            elif colon:
                last = name.strip()
                found.add(last, value.strip())
        return found

    # -- the body ------------------------------------------------------------------------------

    def _body(self) -> Iterator[bytes]:
        length = self.headers.get("content-length", "").partition(",")[0]  # told twice
        if self.status in (204, 304):
            self._end()
        elif self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif length.isascii() and length.isdecimal():
            yield from self._counted(int(length))
            self._end()
        else:
            self._goes_on = False
            while piece := self._some():
                yield piece
            self._end()

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = self._line().partition(b";")[0].strip()
            if not _SIZE(size):
                raise exceptions.ProtocolError(f"the length of a chunk is {size[:20]!r}")
            if not int(size, 16):
                self._fields()
                return self._end()
            yield from self._counted(int(size, 16))
            if self._line():
                raise exceptions.ProtocolError("a chunk is longer than its length")

    def _counted(self, count: int) -> Iterator[bytes]:
        while count:
            piece = self._some()
            if not piece:
                raise exceptions.ProtocolError("the connection was closed before its end")
            if len(piece) > count:
                piece, self._rest = piece[:count], piece[count:]
            count -= len(piece)
            yield piece

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

    def _end(self) -> None:
        if self._rest or not self._goes_on:
            self._made.close()
        self.closed = True

    def _some(self) -> bytes:
        """What is here already, or comes next."""
        found, self._rest = self._rest, b""
        return found or self._sock.recv(BLOCK)

    def _line(self) -> bytes:
        """The next line, without its end."""
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > LARGEST_HEAD:
                raise client.LineTooLong("line")
            more = self._sock.recv(BLOCK)
            if not more:
                raise exceptions.ProtocolError("the connection was closed before its end")
            self._rest += more
        line, self._rest = self._rest[:end], self._rest[end + 1 :]
        return line.removesuffix(b"\r")
