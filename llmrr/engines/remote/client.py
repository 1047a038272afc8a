"""The HTTP client, on urllib3: requests to one provider, and their answers, cancelled from any
thread.

Redirects are not followed, so that a key goes only where it was meant to go.
"""

import json
import ssl
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions

from llmrr import __version__
from llmrr.engines.remote import connections, faults, wire
from llmrr.engines.remote.deadlines import Deadlines
from llmrr.engines.remote.events import Event, events
from llmrr.engines.remote.exchange import Exchange, watched
from llmrr.engines.remote.faults import Party
from llmrr.engines.remote.keys import Headers
from llmrr.errors import BadConfig, ConnectionFailed, LlmrrError, Unreachable

BLOCK: Final = 1 << 16
LARGEST_ERROR: Final = 1 << 16  # bytes of an error's body that are read
LARGEST_WHOLE: Final = 64 << 20  # and of an answer that is wanted as it came
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


class Call(NamedTuple):
    """One request: what follows the address, and the JSON body."""

    path: str
    body: Mapping[str, Any]


class Whole(NamedTuple):
    """An answer as it came: its status, its headers and its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Connections to one address. Safe to use from several threads."""

    def __init__(self, url: str, party: Party) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadConfig(
                f'{party.name}: "{url}" is no address of a server', "base_url = \"https://HOST/v1\""
            )
        self.url, self._party = url.rstrip("/"), party
        self.reached = False  # by the last request of all
        self._manager = connections.watched(parts.scheme, parts.hostname)
        # Only a proxy is told the whole address; to find the connections by it takes a while.
        pool = None if self._manager.proxy else self._manager.connection_from_url(url)
        self._pool = cast("connections.Pool | None", pool)
        self._host = _host(url)
        self._root = self.url if self._pool is None else parts.path.rstrip("/")

    def close(self) -> None:
        """Close what is not in use."""
        if self._pool is not None:
            self._pool.close()
        self._manager.clear()

    def answers(
        self, exchange: Exchange, call: Call, headers: Mapping[str, str], deadlines: Deadlines,
        party: Party,
    ) -> Generator[list[Event], None, None]:  # fmt: skip
        """Send a request; the events of the answer as they come, those that came at once together.
        Raises ``Unreachable``, ``EngineFailed`` and their kin, and whatever once ``exchange`` was
        closed."""
        with watched(exchange):
            yield from self._answered(exchange, call, headers, deadlines, party)

    def _answered(
        self, exchange: Exchange, call: Call, headers: Mapping[str, str], deadlines: Deadlines,
        party: Party,
    ) -> Generator[list[Event], None, None]:  # fmt: skip
        response = self._response(exchange, call, headers, deadlines, party)
        try:
            if response.status != 200:
                body = b"".join(_blocks(response, exchange, deadlines, party, LARGEST_ERROR))
                raise faults.of_status(party, response.status, body, response.headers)
            kind = response.headers.get("content-type", "").lower()
            yield from events(party, kind, _blocks(response, exchange, deadlines, party))
            _drain(response, exchange)
        finally:
            response.close() if not response.closed else response.release_conn()

    def whole(
        self, call: Call, headers: Mapping[str, str], deadlines: Deadlines, party: Party
    ) -> Whole:
        """Send a request; what came back, also where that is no success."""
        deadlines.begin()
        exchange = Exchange()
        with watched(exchange):
            response = self._response(exchange, call, headers, deadlines, party)
            try:
                blocks = _blocks(response, exchange, deadlines, party, LARGEST_WHOLE)
                body = b"".join(blocks)
                if len(body) >= LARGEST_WHOLE:
                    raise party.broken(f"is longer than {LARGEST_WHOLE >> 20} MiB")
            finally:
                response.close() if not response.closed else response.release_conn()
        return Whole(response.status, response.headers, body)

    def document(
        self, call: Call, headers: Mapping[str, str], deadlines: Deadlines, party: Party
    ) -> Event:
        """Send a request; the one object of its answer."""
        deadlines.begin()
        for came in self.answers(Exchange(), call, headers, deadlines, party):
            if came:
                return came[0]
        raise party.broken("holds nothing")

    def _response(
        self, exchange: Exchange, call: Call, headers: Mapping[str, str], deadlines: Deadlines,
        party: Party,
    ) -> wire.Response:  # fmt: skip
        """Send a request; its answer has begun."""
        try:
            with _translated(party, deadlines, exchange):
                response = self._sent(exchange, call, headers, deadlines)
        except LlmrrError:
            self.reached = False
            raise
        self.reached = True
        return response

    def _sent(
        self, exchange: Exchange, call: Call, headers: Mapping[str, str], deadlines: Deadlines
    ) -> wire.Response:
        body = _encode(call.body).encode()
        known = {
            "host": self._host, "content-type": "application/json",
            "user-agent": f"llmrr/{__version__}",
        }  # fmt: skip
        sent, target = Headers(known, **headers), self._root + call.path
        while True:
            left = deadlines.left()
            connections.about_to_send(exchange, left)
            try:
                if self._pool and (found := self._pool.again("POST", target, sent, body)):
                    return found
                opened = (self._pool or self._manager).urlopen(
                    "POST", target, body=body, headers=sent, retries=False, redirect=False,
                    preload_content=False,
                    timeout=urllib3.Timeout(connect=deadlines.connect, read=left),
                )  # fmt: skip
                return cast(wire.Response, opened)
            except exceptions.ProtocolError:
                # A kept connection that the server closed at this moment: nothing was answered.
                if not connections.was_reused() or exchange.cancelled or exchange.expired:
                    raise


def _host(url: str) -> str:
    """What a request names as its host.

    >>> _host("https://box:443/v1"), _host("http://me:secret@[::1]:80/"), _host("http://box:81")
    ('box', '[::1]', 'box:81')
    """
    found = urllib3.util.parse_url(url)
    usual = {"http": 80, "https": 443}[found.scheme or ""]
    return f"{found.host}" if found.port in (None, usual) else f"{found.host}:{found.port}"


def _blocks(
    response: wire.Response, exchange: Exchange, deadlines: Deadlines, party: Party,
    limit: int | None = None,
) -> Iterator[bytes]:  # fmt: skip
    """The body as it comes, at most about ``limit`` bytes of it."""
    count = 0
    while limit is None or count < limit:
        if not response.is_here:
            if deadlines.passed():
                raise deadlines.error(party)
            exchange.wait_at_most(deadlines.left())
        with _translated(party, deadlines, exchange):
            block = response.read1(BLOCK)
        if not block:
            return
        count += len(block)
        yield block


def _drain(response: wire.Response, exchange: Exchange) -> None:
    """Read the end of the body, which is mostly here already, so that the connection is of use
    again."""
    late = time.monotonic() + 0.1
    exchange.passed = lambda: time.monotonic() > late
    with suppress(exceptions.HTTPError, OSError):
        for _ in range(8):
            if not response.is_here:
                exchange.wait_at_most(0.02)
            if not response.read1(BLOCK):
                return


class _translated:
    """Waiting within the deadlines; urllib3's errors as ours. A class: a generator costs more at
    every block."""

    def __init__(self, party: Party, deadlines: Deadlines, exchange: Exchange) -> None:
        self._party, self._deadlines, self._exchange = party, deadlines, exchange

    def __enter__(self) -> None:
        self._exchange.passed = self._deadlines.passed

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._exchange.passed = None
        if self._exchange.expired and not self._exchange.cancelled:
            raise self._deadlines.error(self._party) from None
        if isinstance(error, exceptions.HTTPError | OSError | ValueError):
            raise _error(error, self._party, self._deadlines) from None


def _error(error: Exception, party: Party, deadlines: Deadlines) -> LlmrrError:
    why = party.clean(str(_cause(error)))
    where = f" at {party.at}" if party.at else ""
    if isinstance(error, exceptions.NewConnectionError):
        return ConnectionFailed(
            f"{party.name} cannot be reached{where}: {why}",
            party.hint or f"look at the network, at the server{where}, or at base_url",
        )
    if isinstance(error, exceptions.ConnectTimeoutError) and not deadlines.passed():
        return ConnectionFailed(
            f"{party.name}{where}: no connection within {deadlines.connect_limit:g} s",
            party.hint or "[timeouts] connect of llmrr.toml allows more",
        )
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return deadlines.error(party)
    if isinstance(error, exceptions.SSLError | ssl.SSLError):
        return Unreachable(
            f"{party.name}: no secure connection: {why}",
            "SSL_CERT_FILE=FILE names the certificates that are trusted",
        )
    if isinstance(error, exceptions.ProxyError):
        return ConnectionFailed(f"{party.name}: the proxy failed: {why}", "env | grep -i proxy")
    return party.broken(f"broke off: {why}")


def _cause(error: BaseException) -> object:
    """What lies under an error of urllib3's, which repeats addresses and objects."""
    inner = error.__cause__ or error.__context__
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    last = error.args[-1] if error.args else error
    if isinstance(last, BaseException):
        return _cause(last)
    return last if isinstance(last, str) and last else "the connection was closed"


