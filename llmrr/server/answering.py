"""From what is asked to a response."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from llmrr.protocols.base import Answered, Asked, Writer
from llmrr.server.running import Running
from llmrr.server.service import Service
from llmrr.server.streaming import Encode, Streamed, left, sse
from llmrr.types import Chunk

T = TypeVar("T")
MakeWriter = Callable[[Answered, Asked], Writer]


async def respond(
    request: Request, asked: Asked, make: MakeWriter, encode: Encode = sse
) -> Response:
    """The answer, whole or as it comes. What goes wrong before its first piece is raised, so that
    it has a status of its own."""
    service: Service = request.app.state.service
    running = service.start(asked)
    try:
        await while_there(request, running.first())
        writer = make(service.about(asked, running), asked)
        if asked.stream:
            return Streamed(running, writer, encode)
        chunks = await while_there(request, whole(running))
    except BaseException:
        running.cancel()
        raise
    return JSONResponse(writer.whole(chunks))


async def whole(running: Running) -> list[Chunk]:
    """All chunks of an answer."""
    return [chunk async for chunks in running for chunk in chunks]


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do something as long as the client is there. Raises ``ClientDisconnect`` when it has left.
    The body has been read before."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(left(request.receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        leaving.cancel()
