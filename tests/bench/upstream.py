"""A server that speaks OpenAI's chat completions and answers at once, in a process of its own: what
the benchmarks of the router put behind every side.

It looks at no more of a request than its length and whether it is to be streamed, and writes an
answer that was put together beforehand, so that it is never what is measured: ``router.py`` prints
what it does alone.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final

PIECES: Final = 10
TEXT: Final = "word " * PIECES
_KNOWN = '"id":"c","created":1,"model":"m"'
_USAGE = '{"prompt_tokens":5,"completion_tokens":10,"total_tokens":15}'


def event(choices: str, usage: str = "null") -> bytes:
    """One event of a streamed answer."""
    head = f'{_KNOWN},"object":"chat.completion.chunk"'
    return f'data: {{{head},"choices":[{choices}],"usage":{usage}}}\n\n'.encode()


WORD: Final = event('{"index":0,"delta":{"content":"word "},"finish_reason":null}')
END: Final = (
    event('{"index":0,"delta":{},"finish_reason":"stop"}') + event("", _USAGE) + b"data: [DONE]\n\n"
)


def chunked(body: bytes) -> bytes:
    """A part of a body whose length was not told."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def answer(status: str, kind: str, body: bytes, *more: str) -> bytes:
    """A whole answer."""
    lines = (f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *more)
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAMED: Final = STREAM_HEAD + chunked(WORD * PIECES) + chunked(END) + b"0\r\n\r\n"
WHOLE: Final = answer(
    "200 OK", "application/json",
    f'{{{_KNOWN},"object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant",'
    f'"content":{json.dumps(TEXT)}}},"finish_reason":"stop"}}],"usage":{_USAGE}}}'.encode(),
)  # fmt: skip


class Connection(asyncio.Protocol):
    """One connection. ``reply`` is overridden by servers that fail."""

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        made = transport.get_extra_info("socket")
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")  # none with a question whether it is up
            size = 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._data) < end + 4 + size:
                return
            body, self._data = self._data[end + 4 : end + 4 + size], self._data[end + 4 + size :]
            self.reply(body)

    def reply(self, body: bytes) -> None:
        """Answer a request."""
        streams = b'"stream":true' in body or b'"stream": true' in body
        self.transport.write(STREAMED if streams else WHOLE)


def _serve(listener: socket.socket, makes: Callable[[], Connection]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(makes, sock=listener, backlog=512)
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def serving(makes: Callable[[], Connection] = Connection) -> Iterator[str]:
    """Its address, while it runs."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    process = get_context("fork").Process(target=_serve, args=(listener, makes), daemon=True)
    process.start()
    port = listener.getsockname()[1]
    listener.close()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.join()
