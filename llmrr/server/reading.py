"""Reads the body of a request: JSON, of a bounded size."""

import json
from typing import Any, Final

from starlette.requests import Request

from llmrr.errors import InvalidRequest

MOST_BYTES: Final = 64 * 2**20  # of a body: images come in it


class TooLarge(InvalidRequest):
    """A body with more bytes than a request may have."""

    status = 413


async def body(request: Request, most: int = MOST_BYTES) -> bytes:
    """The bytes of the body. Raises ``TooLarge``, without reading what is too much."""
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > most:
        raise TooLarge(f"the request has {int(stated)} bytes", f"{most} at most")
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > most:
            raise TooLarge(f"the request has more than {most} bytes", "a smaller one")
    return bytes(found)


async def json_object(request: Request, most: int = MOST_BYTES) -> dict[str, Any]:
    """The JSON object that the body is. Raises ``InvalidRequest``."""
    try:
        found = json.loads(await body(request, most))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is no JSON: {error}", "a JSON object") from None
    if not isinstance(found, dict):
        raise InvalidRequest("the body is no JSON object", '{"model": …}')
    return found
