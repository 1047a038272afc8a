"""Models that are asked at the address where this server itself listens."""

import socket
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from llmrr.engines.remote.providers import address
from llmrr.errors import LlmrrError
from llmrr.router import Router
from llmrr.server.origins import is_here

_EVERYWHERE = ("0.0.0.0", "::")


def found(router: Router, listeners: Sequence[socket.socket]) -> Iterator[str]:
    """What is to be told of them. By another name of this machine such a model is not found here,
    but refused when it is asked."""
    own = {one.getsockname()[:2] for one in listeners}
    ports = {port for _, port in own}
    for model in router.config.models:
        try:
            endpoint = router.catalogue.configured(model).endpoint
        except LlmrrError:
            continue
        if endpoint is None:
            continue
        stated = model.options.get("base_url")
        url = str(stated or address(endpoint) or "")
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
        is_this = is_here(host) or host in _EVERYWHERE or (host, port) in own
        if port in ports and is_this:
            said = f"the model {model.name} is asked at {url}, which is this server itself"
            yield f"{said}: give it another base_url"
