"""Which servers of llmrr a request has come through, so that one that would ask itself, at once or
by way of others, says so (as HTTP's Via, https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3).
Nothing of that is sent to a provider at the address that it is known by."""

import re
from contextvars import ContextVar
from typing import Final

from llmrr.engines.remote.providers import PROVIDERS, is_own
from llmrr.errors import BadConfig
from llmrr.types import Endpoint

HEADER: Final = "x-llmrr-via"
MOST: Final = 8  # servers one behind the other
LOOP: Final = 508  # Loop Detected

_through: ContextVar[str] = ContextVar("through", default="")


class Circular(BadConfig):
    """Whoever is asked asks this server in turn."""

    status = LOOP


def enter(seen: str, own: str) -> None:
    """A request that came through ``seen`` servers is with the one whose id is ``own``. Raises
    ``Circular`` where it has been here before, or comes through very many."""
    before = re.findall(r"\b[0-9a-f]{32}\b", seen) if seen else []
    if own in before or len(before) >= MOST:
        raise Circular(
            "this request was sent by this server itself",
            "give the model another base_url, or this server another port",
        )
    _through.set(" ".join((*before, own)))


def headers(endpoint: Endpoint) -> dict[str, str]:
    """What says so of the request that is being answered, for who may be such a server."""
    found = _through.get()
    is_server = not is_own(endpoint) or PROVIDERS[endpoint.provider].keyless
    return {HEADER: found} if found and is_server else {}
