"""From what is asked to a response."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from llmrr.protocols.base import Answered, Asked, Writer
from llmrr.server import telling
from llmrr.server.running import Running
from llmrr.server.service import Service
from llmrr.server.streaming import Encode, Finish, Streamed, nothing, sse

MakeWriter = Callable[[Answered, Asked], Writer]


async def respond(
    request: Request, asked: Asked, make: MakeWriter, encode: Encode = sse,
    started: Callable[[Running], None] = lambda running: None,
    before: Callable[[], None] | None = None, finish: Finish = nothing,
) -> Response:  # fmt: skip
    """The answer, whole or as it comes; when the client leaves, it is stopped. What goes wrong
    before its first piece is raised, so that it has a status of its own. What the router knows is
    in its headers. ``started`` is told of what is under way; ``before`` is done in its turn, before
    it begins, ``finish`` before its end is sent."""
    service: Service = request.app.state.service
    running = service.start(asked, before)
    started(running)
    leaving = asyncio.ensure_future(_watch(request.receive, running))
    goes_on = False
    try:
        if asked.stream:
            await running.first()
            about = service.about(asked, running)
            writer = make(about, asked)
            goes_on = True
            return Streamed(running, leaving, writer, encode, telling.headers(about), finish)
        chunks = await running.whole()
        about = service.about(asked, running)
        whole = make(about, asked).whole(chunks)
        await finish()
        return telling.as_json(whole, telling.headers(about))
    except BaseException:
        running.cancel()
        raise
    finally:
        if not goes_on:
            leaving.cancel()


async def _watch(receive: Receive, running: Running) -> None:
    """Stop an answer when its client has left. The body has been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass
    running.cancel()
