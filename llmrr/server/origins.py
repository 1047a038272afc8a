"""Which browsers may ask: none that shows another site, unless it is listed. A page of one could
otherwise reach a server on the visitor's machine, by a name that it makes point there (DNS
rebinding), or by a form.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from llmrr.server.refusals import Forbidden

Headers = Iterable[tuple[bytes, bytes]]

_HERE: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_HOST: Final = re.compile(r"\[([^]]*)\](?::\d*)?|([^:]*?)\.?(?::\d*)?|([\da-f:.]+)")
_SEEN: Final = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode")


class Origins:
    """What a server that listens at ``host`` may be called, with ``others`` besides. One that is
    reached from elsewhere takes keys, which a stranger's page has not, and any name, unless there
    are ``others``. Pages of ``sites`` may ask."""

    def __init__(
        self, host: str, others: Iterable[str] = (), sites: Iterable[str] = ()
    ) -> None:
        self._sites = frozenset(sites)
        others = [_name(one) for one in others]
        self._any = not is_here(host) and not others
        self._names = _HERE.union([_name(host)], others) - {""}

    def require(self, method: str, headers: Headers, http_version: str) -> str | None:
        """Raise ``Forbidden`` for a name that is none of this server's, and for a request that
        another site's page makes; the site of one that may ask."""
        found: dict[bytes, str] = {}
        for name, value in headers:
            if name in _SEEN:
                if name in found:
                    raise Forbidden(f"there are two {name.decode().title()} headers", "one")
                found[name] = value.decode("latin-1")
        host = found.get(b"host")
        if host is None:
            if http_version == "1.1":
                raise Forbidden("there is no Host header", "Host: localhost")
        elif not self._any and _name(host) not in self._names:
            raise Forbidden(
                f"this server is not called {host[:100]!r}", "[serve] hosts lists other names"
            )
        origin = found.get(b"origin")
        if origin is not None and origin.lower() in self._sites:
            return origin
        if origin is not None and not _is_same(origin, host):
            raise Forbidden(
                f"pages of {origin[:100]!r} may not ask here", "[serve] origins lists who may"
            )
        is_visit = method in ("GET", "HEAD") and found.get(b"sec-fetch-mode") == "navigate"
        if found.get(b"sec-fetch-site") == "cross-site" and not is_visit:
            raise Forbidden(
                "pages of other sites may not ask here", "[serve] origins lists who may"
            )
        return None


def is_here(host: str) -> bool:
    """Whether an address is this machine's own, which nobody else reaches.

    >>> is_here("127.0.0.1"), is_here("::1"), is_here("localhost"), is_here("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return _name(host) == "localhost"


@lru_cache(maxsize=256)
def _name(host: str) -> str:
    """A host without its port; of what is none, nothing.

    >>> _name("LocalHost:80"), _name("[::1]:8313"), _name("::1"), _name("localhost:80@evil")
    ('localhost', '::1', '::1', '')
    """
    found = _HOST.fullmatch(host.strip().lower())
    return "" if found is None else next(filter(None, found.groups()), "")


def _is_same(origin: str, host: str | None) -> bool:
    """Whether a page is one of the server's own."""
    scheme, found, netloc = origin.lower().partition("://")
    return bool(found) and scheme in ("http", "https") and netloc == (host or "").lower()
