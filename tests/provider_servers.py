"""Providers on loopback that speak their real protocols, faults included.

What all of them share; ``openai_servers`` and ``other_servers`` have a class per protocol.
``replies`` are what one says next, ``faults`` what goes wrong before that,
``seen`` what it was asked. The official clients are held against them in
``test_provider_clients.py``.
"""

import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEY = "sk-loopback-0123456789abcdef"
MODEL = "tiny-1"


@dataclass(frozen=True)
class Said:
    """What is said to one request, of which each choice says the same."""

    text: tuple[str, ...] = ("Hello", ", ", "world!")
    reasoning: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, str], ...] = ()  # id, name, arguments
    finish: str = "stop"
    logprobs: bool = False
    usage: bool = True
    refusal: str = ""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request: a status instead of an answer, or something on its way.

    ``after`` counts events: then the connection is cut, or with ``stalls`` nothing more comes until
    the server ends; with ``raw`` these bytes come. With ``drops`` there is no answer at all.
    """

    status: int | None = None
    code: str = ""
    message: str = "it went wrong"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    after: int | None = None
    stalls: bool = False
    drops: bool = False
    raw: bytes = b""


@dataclass(frozen=True)
class Seen:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: Any


class Server:
    """A provider. A subclass says what its answers look like."""

    stream_type = "text/event-stream"
    _scheme = "http"

    def __init__(self) -> None:
        self.replies: deque[Said] = deque()
        self.faults: deque[Fault] = deque()
        self.seen: list[Seen] = []
        self.connections = 0
        self.over = threading.Event()
        self.stalled = threading.Event()  # something waits for an answer that does not come
        self.gone = threading.Event()  # a client left in the middle of an answer
        outer = self

        class Handler(_Handler):
            server_of = outer

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def encrypt(self, certificate: Path) -> None:
        """Speak TLS from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._listener.socket = context.wrap_socket(
            self._listener.socket, server_side=True, do_handshake_on_connect=False
        )
        self._scheme = "https"

    @property
    def address(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._listener.server_port}"

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    # -- of each protocol ----------------------------------------------------------------------

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        """The key that was sent."""
        return headers.get("authorization", "").removeprefix("Bearer ") or None

    def error(self, status: int, code: str, message: str) -> Any:
        """The body of an error."""
        return {"error": {"message": message, "type": code or "error", "code": code or None}}

    def knows(self, path: str, body: Any) -> bool:
        """Is there such a model, and such a path?"""
        return bool(body.get("model") == MODEL)

    def streams(self, path: str, body: Any) -> bool:
        return bool(body.get("stream"))

    def whole(self, path: str, body: Any, said: Said) -> Any:
        """The answer in one piece."""
        raise NotImplementedError

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        """The answer in pieces, each as it goes over the wire."""
        raise NotImplementedError

    def complaint(self, path: str, body: Any) -> str | None:
        """What is wrong with a request, as a strict server says it."""
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.server_of.connections += 1
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server_of
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = json.loads(content)
        except ValueError:
            return self._json(400, server.error(400, "invalid_request_error", "no JSON"))
        server.seen.append(Seen(self.path, headers, body))
        fault = server.faults.popleft() if server.faults else Fault()
        if fault.status is not None:
            document = server.error(fault.status, fault.code, fault.message)
            return self._json(fault.status, document, fault.headers, fault.body)
        if fault.drops:
            self.close_connection = True
            return None
        if fault.after == 0 and fault.stalls:
            server.stalled.set()
            server.over.wait()
            return None
        if server.key_of(headers) != KEY:
            said = f"the key {server.key_of(headers)} is wrong"
            return self._json(401, server.error(401, "authentication_error", said))
        if not server.knows(self.path, body):
            return self._json(404, server.error(404, "not_found_error", "no such model"))
        if wrong := server.complaint(self.path, body):
            return self._json(400, server.error(400, "invalid_request_error", wrong))
        said = server.replies.popleft() if server.replies else Said()
        if server.streams(self.path, body):
            return self._stream(server.events(self.path, body, said), fault)
        return self._json(200, server.whole(self.path, body, said))

    def _json(
        self, status: int, document: Any, headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:  # fmt: skip
        content = json.dumps(document).encode() if body is None else body
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, events: Iterator[bytes], fault: Fault) -> None:
        self.send_response(200)
        self.send_header("content-type", self.server_of.stream_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for number, event in enumerate(events):
                if number == fault.after:
                    return self._fail(fault)
                self._chunk(event)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server_of.gone.set()
            self.close_connection = True

    def _fail(self, fault: Fault) -> None:
        if fault.raw:
            self._chunk(fault.raw)
            self.wfile.write(b"0\r\n\r\n")
            return
        if fault.stalls:
            self.server_of.stalled.set()
            self.connection.settimeout(30)
            with suppress(OSError):
                if self.connection.recv(1) == b"":  # it left
                    self.server_of.gone.set()
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def sse(document: Any, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(document)}\n\n".encode()
