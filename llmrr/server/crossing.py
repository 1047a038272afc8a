"""What a browser is told so that a page of another site may ask, and read the answer (CORS)."""

from typing import Final

from starlette.responses import Response
from starlette.types import Scope

Headers = list[tuple[bytes, bytes]]

READABLE: Final = (
    b"x-request-id, request-id, retry-after, x-llmrr-model, x-llmrr-strategy, x-llmrr-why, "
    b"x-llmrr-cache, x-llmrr-left-out"
)
KEPT_S: Final = "600"  # for so long the browser does not ask again whether it may


def granted(site: str) -> Headers:
    """Headers of a response that a page of ``site`` may read."""
    return [
        (b"access-control-allow-origin", site.encode("latin-1")), (b"vary", b"origin"),
        (b"access-control-expose-headers", READABLE),
    ]  # fmt: skip


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks what it may ask."""
    return scope["method"] == "OPTIONS" and first(scope, b"access-control-request-method") != ""


def preflight(scope: Scope) -> Response:
    """What it is told: whatever it wants, for who asks is looked at then."""
    headers = {
        "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-allow-headers": first(scope, b"access-control-request-headers") or "*",
        "access-control-max-age": KEPT_S,
    }
    if first(scope, b"access-control-request-private-network") == "true":
        headers["access-control-allow-private-network"] = "true"
    return Response(status_code=204, headers=headers)


def first(scope: Scope, wanted: bytes) -> str:
    """The value of a header; empty where it is not there."""
    found = (value.decode("latin-1") for name, value in scope["headers"] if name == wanted)
    return next(found, "")
