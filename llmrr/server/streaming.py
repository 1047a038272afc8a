"""A response that is sent as its answer comes: server-sent events, or lines of JSON."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llmrr.errors import LlmrrError
from llmrr.protocols.base import Event, Writer
from llmrr.server import hiding
from llmrr.server.faults import logger
from llmrr.server.running import Running

Encode = Callable[[Event], str]
Finish = Callable[[], Awaitable[None]]
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def sse(event: Event) -> str:
    """A server-sent event."""
    data = event.data if isinstance(event.data, str) else dumps(event.data)
    return f"event: {event.name}\ndata: {data}\n\n" if event.name else f"data: {data}\n\n"


def ndjson(event: Event) -> str:
    """A line of JSON."""
    return (event.data if isinstance(event.data, str) else dumps(event.data)) + "\n"


def dumps(data: Any) -> str:
    """JSON without spaces."""
    return _encode(data)


async def nothing() -> None:
    """What there is to do before the end of most answers is sent."""


MEDIA_TYPES: Final[dict[Encode, str]] = {sse: "text/event-stream", ndjson: "application/x-ndjson"}


class Streamed(Response):
    """An answer as it comes. ``watching`` stops it when the client leaves."""

    def __init__(
        self, running: Running, watching: asyncio.Task[None], writer: Writer, encode: Encode = sse,
        headers: Mapping[str, str] = MappingProxyType({}), finish: Finish = nothing,
    ) -> None:  # fmt: skip
        self.background = None
        self.status_code = 200
        self._running, self._watching = running, watching
        self._writer, self._encode, self._finish = writer, encode, finish
        self.media_type = MEDIA_TYPES[encode]
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no", **headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._send(send)
        finally:
            self._running.cancel()
            self._watching.cancel()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._put(send, self._writer.begin())
        try:
            async for chunks in self._running:
                events = (one for chunk in chunks for one in self._writer.piece(chunk))
                await self._put(send, events)
            last = [*self._writer.end()]
            await self._finish()
            await self._put(send, last)
        except Exception as error:
            if not isinstance(error, LlmrrError):
                logger.error("an answer broke off", exc_info=error)
            await self._put(send, self._writer.failed(hiding.told(error)))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _put(self, send: Send, events: Iterable[Event]) -> None:
        if text := "".join(map(self._encode, events)):
            body = text.encode(errors="replace")
            await send({"type": "http.response.body", "body": body, "more_body": True})
