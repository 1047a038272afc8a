"""A connection of uvicorn's, with what it leaves out: a bound on the bytes of a head, and of what
stands around the pieces of a body; on how long a client takes to send a head and to read what it is
sent; an end where nobody reads a request, requests that offer another protocol or name their host
by a whole address, and answers of no known length for clients of HTTP/1.0."""

import asyncio
import re
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES: Final = 64 * 1024
GRACE_S: Final = 1.0  # for the rest of what was answered before it had come
LINGER_S: Final = 5.0  # for an answer to be read by who still sends what was refused
HEAD_S: Final = 20.0
WRITE_S: Final = 60.0  # for what has been written to be read
# A target that is a whole address: its host takes the place of the header's
# (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2).
_WHOLE: Final = re.compile(rb"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)
_SAID: Final = b"The head is too large."
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\n"
    b"content-length: 22\r\nconnection: close\r\n\r\n" + _SAID
)


class Cycle(RequestResponseCycle):
    """A request and its answer, which does not end the connection by itself as long as the request
    has not come as a whole."""

    @property
    def stays(self) -> bool:
        """Whether another request may follow."""
        return bool(self.__dict__["keep_alive"])

    @property
    def keep_alive(self) -> bool:
        return self.stays or (self.response_complete and self.more_body)

    @keep_alive.setter
    def keep_alive(self, stays: bool) -> None:
        self.__dict__["keep_alive"] = stays


class Connection(HttpToolsProtocol):
    """One connection."""

    _head: asyncio.TimerHandle | None = None
    _write: asyncio.TimerHandle | None = None
    _linger: asyncio.TimerHandle | None = None
    _bytes = 0  # of a head, or of what is around the pieces of a body, that has yet to end
    _goes_on = False  # a head has ended, or a piece of a body has come
    _declined: bytes | None = None  # a head, without the protocol that it offered
    _is_shut = False  # nothing is written any more
    _is_deaf = False  # and nothing read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        for timer in (self._write, self._linger):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._unset_keepalive_if_required()
        self._goes_on = False
        try:
            self._parse(data)
        except HttpParserError:
            self._invalid()
            return
        if self._goes_on or (self._head is None and not (self.cycle and self.cycle.more_body)):
            return
        self._bytes += len(data)
        if self._bytes > HEAD_BYTES and not self.transport.is_closing():
            if self._head is None:  # of trailers, or of a chunk's line
                self._invalid()
                return
            self._stop()
            self.transport.write(_TOO_LARGE)
            self._is_deaf = True
            self._shut()

    def _invalid(self) -> None:
        if self._is_shut:
            self._is_deaf = True
        else:
            self.send_400_response("Invalid HTTP request received.")

    def _parse(self, data: bytes) -> None:
        """Java's client offers HTTP/2 (h2c) with its first request, and takes an answer in the
        protocol that it speaks (https://www.rfc-editor.org/rfc/rfc9110#section-7.8). The parser
        takes the body of such a request for the other protocol: so its head is read again."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as offer:
                head, self._declined = self._declined, None
                if head is None:  # CONNECT
                    self._unsupported_upgrade_warning()
                    return
                data = head + data[offer.args[0] :]
                self.parser = HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._await_head()
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """What stands behind a body is left out: it decides nothing of who asks, and for whom
        (https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)."""
        if self._head is not None:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._bytes, self._goes_on = 0, True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers):
            version = self.parser.get_http_version().encode()
            line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)
            left = (b"%s: %s" % one for one in self.headers if one[0] != b"upgrade")
            self._declined = b"\r\n".join((line, *left, b"", b""))
            return
        self._stop()
        self._bytes, self._goes_on = 0, True
        if self._is_shut:  # the last answer was given
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if whole := _WHOLE.match(self.url):
            others = [one for one in self.headers if one[0] != b"host"]
            self.headers[:] = [*others, (b"host", whole[1])]
        app, self.app = self.app, _too_large if size > HEAD_BYTES else self.app
        super().on_headers_complete()
        self.app = app
        self.cycle.__class__ = Cycle  # made by uvicorn, which has no place to say so
        if self.scope["http_version"] == "1.0":
            self.cycle.send = _unframed(self.cycle)  # type: ignore[assignment, method-assign]

    def on_message_complete(self) -> None:
        if self._declined is not None:
            return
        super().on_message_complete()
        if self._linger is None:
            return
        if self._is_shut:
            self.transport.close()
            return
        self._linger.cancel()
        self._linger = None
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def on_response_complete(self) -> None:
        """What was asked may be answered before it has come as a whole. The rest is let pass for a
        while: a connection that is closed before breaks, and the answer is lost with it
        (https://www.rfc-editor.org/rfc/rfc9112#section-9.6). A small one comes soon, and another
        request may follow it; else this answer is the last one."""
        is_read = bool(self.pipeline) or not self.cycle.more_body
        super().on_response_complete()
        if is_read or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        assert isinstance(self.cycle, Cycle)
        if self.cycle.stays:
            self._linger = self.loop.call_later(GRACE_S, self._shut)
        else:
            self._shut()

    def _shut(self) -> None:
        """Nothing more is answered, and what still comes is let pass."""
        if not self.transport.is_closing():
            self._is_shut = True
            self.transport.write_eof()
            self._linger = self.loop.call_later(LINGER_S, self._abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write is None:
            self._write = self.loop.call_later(WRITE_S, self._abort)

    def resume_writing(self) -> None:
        if self._write is not None:
            self._write.cancel()
            self._write = None
        super().resume_writing()

    def _await_head(self) -> None:
        self._bytes = 0
        if self._head is None:
            self._head = self.loop.call_later(HEAD_S, self._abort)

    def _stop(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _abort(self) -> None:
        """It took too long."""
        if not self.transport.is_closing():
            self.transport.abort()


def _unframed(cycle: RequestResponseCycle) -> Send:
    """HTTP/1.0 has no chunks: the end of the connection ends an answer of no known length."""
    send, is_open = cycle.send, False

    async def told(message: Any) -> None:
        nonlocal is_open
        if message["type"] == "http.response.start":
            is_open = all(name != b"content-length" for name, _ in message["headers"])
            cycle.chunked_encoding = False if is_open else None
        elif is_open:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    return told


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a head that came whole, and is too large."""
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": _SAID})
