"""Reads the body of a request: JSON, of a bounded size."""

import asyncio
import json
import re
from typing import Any, Final

from starlette.requests import Request

from llmrr.errors import InvalidRequest
from llmrr.jsonflaws import flaw
from llmrr.server.refusals import TooSlow

PIECE_S: Final = 30.0  # for the next piece of a body to come
BODY_S: Final = 300.0  # for all of it
LARGE: Final = 2**20  # bytes that take long enough to parse for others to wait
DEEPEST: Final = 200  # of lists and objects in each other
_DIGITS: Final = 300  # of a number: what has more may be no float
_LONG: Final = re.compile(rb"\d{%d}" % _DIGITS)
_SEND: Final = 'send an object, such as {"model": …}'


class NotArrived(TooSlow):
    """A body that does not come."""

    status = 408


class TooLarge(InvalidRequest):
    """A body with more bytes than a request may have."""

    status = 413


class Encoded(InvalidRequest):
    """A body that is compressed."""

    status = 415


async def body(request: Request, most: int | None = None) -> bytes:
    """The bytes of the body, ``[serve] max_body`` at most unless it is said. Raises ``TooLarge``,
    without reading what is too much, ``NotArrived`` for what does not come in time, and
    ``Encoded``."""
    if most is None:
        most = request.app.state.service.limits.max_body
    if (coding := request.headers.get("content-encoding", "identity")) != "identity":
        raise Encoded(f"content-encoding: {coding[:40]} is not read here", "send it as it is")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > most:
        raise TooLarge(f"the request has {int(stated)} bytes", f"{most} at most")
    found, now = bytearray(), asyncio.get_running_loop().time
    end = now() + BODY_S
    try:
        async with asyncio.timeout(PIECE_S) as limit:
            async for piece in request.stream():
                found += piece
                if len(found) > most:
                    raise TooLarge(f"the request has more than {most} bytes", "a smaller one")
                if str(len(found)) != stated:
                    limit.reschedule(min(end, now() + PIECE_S))
    except TimeoutError:
        raise NotArrived("the rest of the request did not come", "send all of it") from None
    return bytes(found)


async def json_object(request: Request, most: int | None = None) -> dict[str, Any]:
    """The JSON object that the body is. Raises ``InvalidRequest``."""
    content = await body(request, most)
    found = parsed(content) if len(content) < LARGE else await asyncio.to_thread(parsed, content)
    if not isinstance(found, dict):
        raise InvalidRequest("the body is no JSON object", _SEND)
    return found


def parsed(content: bytes) -> Any:
    """JSON, of which nothing is nested so deeply, and no number so long, that what reads it could
    break. Raises ``InvalidRequest``."""
    try:
        found = json.loads(content, parse_int=_whole if _LONG.search(content) else None)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is no JSON: {flaw(error)}", _SEND) from None
    if content.count(b"[") + content.count(b"{") > DEEPEST and depth(found) > DEEPEST:
        raise InvalidRequest(f"the body is nested more than {DEEPEST} times", "a flatter one")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def depth(value: Any) -> int:
    """How deeply lists and objects are nested in a value.

    >>> depth({"a": [[1]], "b": 2}), depth("x")
    (3, 0)
    """
    found, inside = 0, [value]
    while inside := [one for one in inside if isinstance(one, dict | list)]:
        found += 1
        inside = [
            one for each in inside for one in (each.values() if isinstance(each, dict) else each)
        ]
    return found
