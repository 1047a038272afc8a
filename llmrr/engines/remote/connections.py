"""Connections to providers, on urllib3: kept open, and each known to the exchange that it is of.

Certificates are verified. Proxies are those of the environment (``HTTPS_PROXY``, ``NO_PROXY`` and
their kin); this machine is asked directly.
"""

import queue
import re
import socket
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Final

import urllib3
from urllib3 import connection, connectionpool, exceptions

from llmrr.engines.remote import wire
from llmrr.engines.remote.exchange import Exchange

AT_ONCE: Final = 64  # connections that are kept to one host
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1", "[::1]")
_PLAIN: Final = re.compile(r"[\w.~!$&'()*+,;=:@%/?-]*", re.ASCII).fullmatch

# What this thread is about to send: urllib3 does not say which of its connections it takes.
_current = threading.local()


class _Watched(connection.HTTPConnection):
    exchange: Exchange | None = None

    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())

    def connect(self) -> None:
        super().connect()
        _wait_for_answer(self)

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **named: Any
    ) -> None:
        """Send a request, its head and its body at once: who reads it is woken once."""
        _current.reused = self.sock is not None
        data = wire.request(method, url, headers, body)
        if self.sock is None:
            self.connect()
        _wait_for_answer(self)
        self.sock.sendall(data)

    def getresponse(self) -> Any:
        return wire.Response(self)


class _HTTPS(_Watched, connection.HTTPSConnection):
    pass


def _noted(found: socket.socket) -> socket.socket:
    # A proxy may drip, too.
    _current.exchange.uses(found)
    return found


def _wait_for_answer(made: _Watched) -> None:
    # Sending a long prompt may take longer than connecting, and a kept connection has the limit of
    # the answer before.
    if made.sock is not None:
        made.exchange = _current.exchange
        made.exchange.uses(made.sock)
        made.exchange.wait_at_most(_current.seconds)


def _let_go(made: _Watched | None) -> None:
    # The connection is the next one's: who cancels now must not close it.
    if made is not None and made.exchange is not None:
        made.exchange.uses(None)
        made.exchange = None


class _Stack:
    """Open connections, those on top that were of use last: urllib3's queue of them takes longer
    than to send a request. Safe to use from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: deque[_Watched] = deque()

    def put(self, item: _Watched | None, block: bool = False) -> None:
        """Keep it. Raises ``queue.Full``."""
        if item is None:
            return
        if len(self._kept) >= self._most:
            raise queue.Full
        self._kept.append(item)

    def get(self, block: bool = False, timeout: float | None = None) -> _Watched:
        """Take the last one. Raises ``queue.Empty``."""
        try:
            return self._kept.pop()
        except IndexError:
            raise queue.Empty from None

    def ready(self) -> _Watched | None:
        """Take the last one that is open, and where nothing has come: that would be no answer to
        what is asked next."""
        with suppress(queue.Empty):
            while not (made := self.get()).is_connected:
                made.close()
            return made
        return None

    def qsize(self) -> int:
        """How many there are."""
        return len(self._kept)


class Pool(connectionpool.HTTPConnectionPool):
    """Connections to one host."""

    ConnectionCls = _Watched
    QueueCls = _Stack  # type: ignore[assignment]

    def again(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> wire.Response | None:
        """Ask over a connection that is open, without all that urllib3 does for one that may not
        be; None where there is none. Raises what ``urlopen`` does, and ``OSError``."""
        kept, made = self.pool, None
        if isinstance(kept, _Stack) and _PLAIN(target):
            made = kept.ready()
        if made is None:
            return None
        try:
            made.request(method, target, body, headers)
            response = wire.Response(made)
        except BaseException as error:
            _let_go(made)
            made.close()
            is_told = isinstance(error, TimeoutError | ssl.SSLError)
            if not is_told and isinstance(error, OSError | HTTPException):
                raise exceptions.ProtocolError("Connection aborted.", error) from error
            raise
        response.of(self, made)
        return response

    def _put_conn(self, conn: Any) -> None:
        _let_go(conn)
        super()._put_conn(conn)


class _SecurePool(Pool, connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


def manager(scheme: str, host: str) -> urllib3.PoolManager:
    """What connects to a host: directly, or through the proxy of the environment."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy is None or host in LOOPBACK or proxy_bypass(host):
        return urllib3.PoolManager(maxsize=AT_ONCE)
    return urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}", maxsize=AT_ONCE)


def watched(scheme: str, host: str) -> urllib3.PoolManager:
    """The same, with connections that exchanges can end."""
    found = manager(scheme, host)
    found.pool_classes_by_scheme = {"http": Pool, "https": _SecurePool}
    return found


def about_to_send(exchange: Exchange, seconds: float | None) -> None:
    """What this thread does next, and how long its answer may take to begin."""
    _current.exchange, _current.seconds = exchange, seconds


def was_reused() -> bool:
    """Whether this thread's last request went over a connection that was open before."""
    return bool(_current.reused)
