"""Connections to providers, on urllib3: kept open, and each known to the exchange that it is of.

Certificates are verified. Proxies are those of the environment (``HTTPS_PROXY``, ``NO_PROXY`` and
their kin); this machine is asked directly.
"""

import socket
import threading
from typing import Any, Final

import urllib3
from urllib3 import connection, connectionpool

from llmrr.engines.remote import wire
from llmrr.engines.remote.exchange import Exchange

AT_ONCE: Final = 64  # connections that are kept to one host
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1", "[::1]")

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
        made.sock.settimeout(_current.seconds)
        made.exchange = _current.exchange
        made.exchange.uses(made.sock)


def _let_go(made: _Watched | None) -> None:
    # The connection is the next one's: who cancels now must not close it.
    if made is not None and made.exchange is not None:
        made.exchange.uses(None)
        made.exchange = None


class _Pool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _Watched

    def _put_conn(self, conn: Any) -> None:
        _let_go(conn)
        super()._put_conn(conn)


class _SecurePool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HTTPS

    def _put_conn(self, conn: Any) -> None:
        _let_go(conn)
        super()._put_conn(conn)


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
    found.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return found


def about_to_send(exchange: Exchange, seconds: float | None) -> None:
    """What this thread does next, and how long its answer may take to begin."""
    _current.exchange, _current.seconds = exchange, seconds


def was_reused() -> bool:
    """Whether this thread's last request went over a connection that was open before."""
    return bool(_current.reused)
