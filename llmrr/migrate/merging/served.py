"""Which addresses are those of ``llmrr serve`` itself. Pure."""

from typing import Final
from urllib.parse import urlsplit

from llmrr.migrate.terms.naming import is_loopback

URL: Final = "http://127.0.0.1:8313/v1"


def is_own(address: object, url: str = URL) -> bool:
    """Whether a model at an address would be one that llmrr serves; ``url`` is where it does.

    >>> is_own("http://localhost:8313/v1/"), is_own("http://localhost:8080/v1"), is_own(None)
    (True, False, False)
    >>> is_own("http://box:9000", "http://box:9000/v1")
    True
    """
    known = _host(address) if isinstance(address, str) else None
    return known is not None and known in (_host(URL), _host(url))


def _host(address: str) -> tuple[str, int | None] | None:
    """The machine, this one by one name, and the port."""
    try:
        parts = urlsplit(address)
        name = "" if is_loopback(address) else parts.hostname
        return None if name is None else (name, parts.port)
    except ValueError:
        return None
