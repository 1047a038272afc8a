"""Providers on loopback that speak their real protocols, faults included.

One class per protocol; ``replies`` are what it says next, ``faults`` what goes wrong before that,
``seen`` what it was asked. The official clients are held against them in
``test_provider_clients.py``.
"""

import json
import socket
import ssl
import threading
import zlib
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
    the server ends; with ``raw`` these bytes come.
    """

    status: int | None = None
    code: str = ""
    message: str = "it went wrong"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    after: int | None = None
    stalls: bool = False
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


class OpenAIServer(Server):
    """Chat completions, completions and embeddings."""

    def knows(self, path: str, body: Any) -> bool:
        known = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
        return super().knows(path, body) and path.partition("?")[0] in known

    def complaint(self, path: str, body: Any) -> str | None:
        for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1)):
            if name in body and not low <= body[name] <= high:
                return f"'{name}' must be from {low} to {high}"
        if path.startswith("/v1/chat/completions"):
            for message in body["messages"]:
                if message["role"] not in ("system", "developer", "user", "assistant", "tool"):
                    return "a role is wrong"
        return None

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path.endswith("/embeddings"):
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [
                {"object": "embedding", "index": at, "embedding": [float(len(text)), 1.0, 0.0]}
                for at, text in enumerate(texts)
            ]
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            # The order of the list is not that of the texts.
            return {"object": "list", "data": data[::-1], "model": MODEL, "usage": usage}
        message: dict[str, Any] = {"role": "assistant", "content": "".join(said.text)}
        if said.calls:
            message["tool_calls"] = [_call(one) for one in said.calls]
        choices = [
            {"index": index, "message": message, "finish_reason": said.finish, "logprobs": None}
            for index in range(body.get("n", 1))
        ]
        return {"id": "c1", "object": "chat.completion", "created": 1, "model": MODEL,
                "choices": choices, "usage": self.usage()}  # fmt: skip

    def usage(self) -> dict[str, Any]:
        return {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 4}}  # fmt: skip

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        if not path.endswith("/chat/completions"):
            for text in said.text:
                yield self._event([{"index": 0, "text": text, "finish_reason": None}])
            yield self._event([{"index": 0, "text": "", "finish_reason": said.finish}])
            return
        choices = range(body.get("n", 1))
        for index in choices:
            yield self._event([self._choice(index, {"role": "assistant", "content": ""})])
        for thought in said.reasoning:
            yield self._event([self._choice(0, {"reasoning_content": thought})])
        for text in said.text:
            for index in choices:
                logprobs = _logprobs(text) if said.logprobs else None
                yield self._event([self._choice(index, {"content": text}, logprobs=logprobs)])
        if said.refusal:
            yield self._event([self._choice(0, {"refusal": said.refusal})])
        for place, call in enumerate(said.calls):
            whole = _call(call)
            text = whole["function"].pop("arguments")
            whole["function"]["arguments"] = ""
            yield self._event([self._choice(0, {"tool_calls": [{"index": place, **whole}]})])
            for piece in (text[:4], text[4:]):
                part = {"index": place, "function": {"arguments": piece}}
                yield self._event([self._choice(0, {"tool_calls": [part]})])
        for index in choices:
            yield self._event([self._choice(index, {}, said.finish)])
        if said.usage and (body.get("stream_options") or {}).get("include_usage"):
            yield self._event([], self.usage())
        yield b"data: [DONE]\n\n"

    def _choice(
        self, index: int, delta: Any, finish: str | None = None, logprobs: Any = None
    ) -> Any:
        return {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}

    def _event(self, choices: list[Any], usage: Any = None) -> bytes:
        return sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
                    "choices": choices, "usage": usage})  # fmt: skip


def _call(call: tuple[str, str, str]) -> dict[str, Any]:
    identity, name, arguments = call
    return {
        "id": identity, "type": "function", "function": {"name": name, "arguments": arguments}
    }


def _logprobs(text: str) -> Any:
    top = [{"token": text, "logprob": -0.5, "bytes": None},
           {"token": "x", "logprob": -2.0, "bytes": None}]  # fmt: skip
    return {
        "content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": top}],
        "refusal": None,
    }


class AnthropicServer(Server):
    """Messages."""

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-api-key") or super().key_of(headers)  # newer clients: a bearer

    def error(self, status: int, code: str, message: str) -> Any:
        error = {"type": code or "api_error", "message": message}
        return {"type": "error", "error": error, "request_id": "req_1"}

    def knows(self, path: str, body: Any) -> bool:
        return super().knows(path, body) and path.partition("?")[0] == "/v1/messages"

    def complaint(self, path: str, body: Any) -> str | None:
        if not isinstance(body.get("max_tokens"), int):
            return "max_tokens: Field required"
        known = {"model", "messages", "max_tokens", "system", "stream", "temperature", "top_p",
                 "top_k", "stop_sequences", "tools", "tool_choice", "thinking", "output_config",
                 "metadata"}  # fmt: skip
        if extra := set(body) - known:
            return f"{min(extra)}: Extra inputs are not permitted"
        roles = [one["role"] for one in body["messages"]]
        if not roles or roles[0] != "user" or set(roles) - {"user", "assistant"}:
            return "messages: a role is wrong"
        thinking = body.get("thinking") or {}
        if thinking.get("budget_tokens", 0) >= body["max_tokens"]:
            return "max_tokens must be greater than thinking.budget_tokens"
        return None

    def message(self, said: Said) -> dict[str, Any]:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL,
                "content": [], "stop_reason": None, "stop_sequence": None,
                "usage": {"input_tokens": 5, "cache_read_input_tokens": 4,
                          "cache_creation_input_tokens": 2, "output_tokens": 1}}  # fmt: skip

    def whole(self, path: str, body: Any, said: Said) -> Any:
        message = self.message(said)
        message["content"] = [{"type": "text", "text": "".join(said.text)}]
        for identity, name, arguments in said.calls:
            block = {"type": "tool_use", "id": identity, "name": name}
            message["content"].append({**block, "input": json.loads(arguments)})
        message["usage"]["output_tokens"] = 3
        return message | {"stop_reason": _stop_reason(said)}

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        yield self._event("message_start", message=self.message(said))
        yield self._event("ping")
        place = 0
        if said.reasoning:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield self._event("content_block_start", index=place, content_block=block)
            for thought in said.reasoning:
                yield self._delta(place, type="thinking_delta", thinking=thought)
            yield self._delta(place, type="signature_delta", signature="c2ln")
            yield self._event("content_block_stop", index=place)
            place += 1
        if said.text:
            block = {"type": "text", "text": ""}
            yield self._event("content_block_start", index=place, content_block=block)
            for text in said.text:
                yield self._delta(place, type="text_delta", text=text)
            yield self._event("content_block_stop", index=place)
            place += 1
        for identity, name, arguments in said.calls:
            block = {"type": "tool_use", "id": identity, "name": name, "input": {}}  # type: ignore[dict-item]
            yield self._event("content_block_start", index=place, content_block=block)
            for piece in ("", arguments[:5], arguments[5:]):
                yield self._delta(place, type="input_json_delta", partial_json=piece)
            yield self._event("content_block_stop", index=place)
            place += 1
        delta = {"stop_reason": _stop_reason(said), "stop_sequence": None}
        yield self._event("message_delta", delta=delta, usage={"output_tokens": 3})
        yield self._event("message_stop")

    def _delta(self, place: int, **delta: Any) -> bytes:
        return self._event("content_block_delta", index=place, delta=delta)

    def _event(self, kind: str, **more: Any) -> bytes:
        return sse({"type": kind, **more}, kind)


def _stop_reason(said: Said) -> str:
    known = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    return known.get(said.finish, said.finish)


class OllamaServer(Server):
    """Ollama's own interface, behind something that wants a key."""

    stream_type = "application/x-ndjson"

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": message}

    def knows(self, path: str, body: Any) -> bool:
        known = ("/api/chat", "/api/generate", "/api/embed")
        return super().knows(path, body) and path in known

    def streams(self, path: str, body: Any) -> bool:
        return path != "/api/embed" and body.get("stream", True) is not False

    def complaint(self, path: str, body: Any) -> str | None:
        for message in body.get("messages", ()):
            for call in message.get("tool_calls", ()):
                if not isinstance(call["function"]["arguments"], dict):
                    return "cannot unmarshal string into field arguments"
        return None

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path == "/api/embed":
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            vectors = [[float(len(text)), 1.0, 0.0] for text in texts]
            return {"model": MODEL, "embeddings": vectors, "prompt_eval_count": 2}
        message = {"role": "assistant", "content": "".join(said.text)}
        return self._line(message, done=True, **self._end(said))

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        for thought in said.reasoning:
            message = {"role": "assistant", "content": "", "thinking": thought}
            yield self._sent(self._line(message))
        for text in said.text:
            if path == "/api/generate":
                line = {"model": MODEL, "created_at": CREATED, "response": text, "done": False}
                yield self._sent(line)
                continue
            line = self._line({"role": "assistant", "content": text})
            if said.logprobs:
                top = [{"token": text, "logprob": -0.5}, {"token": "x", "logprob": -2.0}]
                line["logprobs"] = [{"token": text, "logprob": -0.5, "top_logprobs": top}]
            yield self._sent(line)
        if said.calls:
            calls = [
                {"function": {"name": name, "arguments": json.loads(arguments)}}
                for _, name, arguments in said.calls
            ]
            message = {"role": "assistant", "content": "", "tool_calls": calls}  # type: ignore[dict-item]
            yield self._sent(self._line(message))
        if path == "/api/generate":
            last = {"model": MODEL, "created_at": CREATED, "response": "", "done": True}
            yield self._sent(last | self._end(said))
        else:
            message = {"role": "assistant", "content": ""}
            yield self._sent(self._line(message, done=True, **self._end(said)))

    def _line(self, message: Any, done: bool = False, **more: Any) -> dict[str, Any]:
        return {"model": MODEL, "created_at": CREATED, "message": message, "done": done, **more}

    def _end(self, said: Said) -> dict[str, Any]:
        reason = {"done_reason": "length" if said.finish == "length" else "stop"}
        counts = {"prompt_eval_count": 11, "eval_count": 3} if said.usage else {}
        return {**reason, "total_duration": 5, "load_duration": 1, **counts}

    def _sent(self, line: Any) -> bytes:
        return json.dumps(line).encode() + b"\n"


CREATED = "2026-01-01T00:00:00.000000Z"


class GoogleServer(Server):
    """Gemini's ``generateContent`` and its kin."""

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-goog-api-key") or super().key_of(headers)

    def error(self, status: int, code: str, message: str) -> Any:
        names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
                 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}  # fmt: skip
        return {"error": {"code": status, "message": message,
                          "status": names.get(status, "INTERNAL")}}  # fmt: skip

    def knows(self, path: str, body: Any) -> bool:
        return f"/models/{MODEL}:" in path

    def streams(self, path: str, body: Any) -> bool:
        return ":streamGenerateContent?alt=sse" in path

    def complaint(self, path: str, body: Any) -> str | None:
        known = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig",
                 "safetySettings", "requests"}  # fmt: skip
        if extra := set(body) - known:
            return f'Invalid JSON payload received. Unknown name "{min(extra)}"'
        roles = {one.get("role", "user") for one in body.get("contents", ())}
        if roles - {"user", "model"}:
            return "Please use a valid role: user, model."
        return None

    def usage(self, said: Said) -> Any:
        return {"promptTokenCount": 11, "candidatesTokenCount": 2, "thoughtsTokenCount": 1,
                "totalTokenCount": 14, "cachedContentTokenCount": 4}  # fmt: skip

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if ":batchEmbedContents" in path:
            texts = ["".join(part["text"] for part in one["content"]["parts"])
                     for one in body["requests"]]  # fmt: skip
            return {"embeddings": [{"values": [float(len(text)), 1.0, 0.0]} for text in texts]}
        parts = [{"text": "".join(said.text)}] if said.text else []
        return self._event_body(parts + self._calls(said), said, _google_reason(said))

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        parts: list[Any] = [{"text": thought, "thought": True} for thought in said.reasoning]
        parts += [{"text": text} for text in said.text]
        parts += self._calls(said)
        for number in range(len(parts)):
            last = number == len(parts) - 1
            reason = _google_reason(said) if last else None
            for index in range((body.get("generationConfig") or {}).get("candidateCount", 1)):
                yield sse(self._event_body([parts[number]], said, reason, index))

    def _calls(self, said: Said) -> list[Any]:
        return [
            {"functionCall": {"name": name, "args": json.loads(arguments)},
             "thoughtSignature": "c2ln"}
            for _, name, arguments in said.calls
        ]  # fmt: skip

    def _event_body(
        self, parts: Any, said: Said, reason: str | None, index: int = 0
    ) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": parts}, "index": index}
        if said.logprobs and "text" in parts[0]:
            text = parts[0]["text"]
            tops = [{"token": text, "logProbability": -0.5}, {"token": "x", "logProbability": -2}]
            candidate["logprobsResult"] = {
                "chosenCandidates": tops[:1], "topCandidates": [{"candidates": tops}]
            }  # fmt: skip
        if reason:
            candidate["finishReason"] = reason
        usage = {"usageMetadata": self.usage(said)} if said.usage else {}
        return {"candidates": [candidate], "modelVersion": MODEL, **usage}


def _google_reason(said: Said) -> str:
    known = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
    return known.get(said.finish, said.finish)


class AzureServer(OpenAIServer):
    """OpenAI's protocol below the address of a deployment."""

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("api-key")

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": {"code": code or str(status), "message": message}}

    def knows(self, path: str, body: Any) -> bool:
        start = f"/openai/deployments/{MODEL}/"
        name, _, query = path.removeprefix(start).partition("?")
        known = ("chat/completions", "completions", "embeddings")
        return path.startswith(start) and name in known and "api-version=20" in query

    def whole(self, path: str, body: Any, said: Said) -> Any:
        return super().whole(path.partition("?")[0], body, said)

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        filtered = [{"prompt_index": 0, "content_filter_results": {}}]
        yield sse({"id": "", "object": "", "created": 0, "model": "", "choices": [],
                   "prompt_filter_results": filtered})  # fmt: skip
        yield from super().events(path.partition("?")[0], body, said)


class CohereServer(Server):
    """Cohere's chat and embed, second version."""

    def error(self, status: int, code: str, message: str) -> Any:
        return {"id": "e1", "message": message}

    def knows(self, path: str, body: Any) -> bool:
        return super().knows(path, body) and path in ("/v2/chat", "/v2/embed")

    def complaint(self, path: str, body: Any) -> str | None:
        if path == "/v2/embed" and not {"input_type", "texts"} <= set(body):
            return "input_type and texts are needed"
        return None

    def usage(self) -> Any:
        return {"billed_units": {"input_tokens": 9, "output_tokens": 3},
                "tokens": {"input_tokens": 11, "output_tokens": 3}, "cached_tokens": 4}  # fmt: skip

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path == "/v2/embed":
            vectors = [[float(len(text)), 1.0, 0.0] for text in body["texts"]]
            return {"id": "e1", "response_type": "embeddings_by_type", "texts": body["texts"],
                    "embeddings": {"float": vectors}, "meta": {}}  # fmt: skip
        content = [{"type": "text", "text": "".join(said.text)}]
        message = {"role": "assistant", "content": content}
        return {"id": "c1", "finish_reason": _cohere_reason(said), "message": message,
                "usage": self.usage()}  # fmt: skip

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        yield sse({"id": "c1", "type": "message-start", "delta": {"message": empty}})
        place = 0
        for kind, pieces in (("thinking", said.reasoning), ("text", said.text)):
            if not pieces:
                continue
            yield self._event("content-start", place, content={"type": kind, kind: ""})
            for piece in pieces:
                yield self._event("content-delta", place, content={kind: piece})
            yield sse({"type": "content-end", "index": place})
            place += 1
        for at, (identity, name, arguments) in enumerate(said.calls):
            call = {"id": identity, "type": "function", "function": {"name": name, "arguments": ""}}
            yield self._event("tool-call-start", at, tool_calls=call)
            for piece in (arguments[:5], arguments[5:]):
                part = {"function": {"arguments": piece}}
                yield self._event("tool-call-delta", at, tool_calls=part)
            yield sse({"type": "tool-call-end", "index": at})
        end = {"finish_reason": _cohere_reason(said), "usage": self.usage()}
        yield sse({"id": "c1", "type": "message-end", "delta": end})

    def _event(self, kind: str, index: int, **message: Any) -> bytes:
        return sse({"type": kind, "index": index, "delta": {"message": message}})


def _cohere_reason(said: Said) -> str:
    known = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
    return known.get(said.finish, said.finish)


class ResponsesServer(OpenAIServer):
    """OpenAI's responses."""

    def knows(self, path: str, body: Any) -> bool:
        return bool(body.get("model") == MODEL) and path in ("/v1/responses", "/v1/embeddings")

    def complaint(self, path: str, body: Any) -> str | None:
        for item in body["input"] if path == "/v1/responses" else ():
            if "role" not in item and "call_id" not in item:
                return "input: an item is neither a message nor a call"
        return None

    def response(self, said: Said, status: str, output: Any = ()) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": MODEL, "error": None,
            "status": status, "output": list(output), "parallel_tool_calls": True, "tools": [],
            "tool_choice": "auto", "incomplete_details": None, "usage": None, "metadata": {},
        }  # fmt: skip
        if status != "in_progress":
            found["usage"] = {
                "input_tokens": 11, "input_tokens_details": {"cached_tokens": 4},
                "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 14,
            }  # fmt: skip
        if status == "incomplete":
            reasons = {"length": "max_output_tokens"}
            found["incomplete_details"] = {"reason": reasons.get(said.finish, said.finish)}
        return found

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path.endswith("/embeddings"):
            return super().whole(path, body, said)
        return self.response(said, "completed", self._items(said))

    def _items(self, said: Said) -> list[Any]:
        content = {"type": "output_text", "text": "".join(said.text), "annotations": []}
        items: list[Any] = []
        if said.text:
            items.append({"id": "m1", "type": "message", "role": "assistant",
                          "status": "completed", "content": [content]})  # fmt: skip
        for identity, name, arguments in said.calls:
            items.append({"id": "f1", "type": "function_call", "call_id": identity, "name": name,
                          "arguments": arguments, "status": "completed"})  # fmt: skip
        return items

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        number = iter(range(1000))

        def event(kind: str, **more: Any) -> bytes:
            return sse({"type": kind, "sequence_number": next(number), **more}, kind)

        yield event("response.created", response=self.response(said, "in_progress"))
        for thought in said.reasoning:
            yield event("response.reasoning_summary_text.delta", item_id="r1", output_index=0,
                        summary_index=0, delta=thought)  # fmt: skip
        output = self._items(said)
        for place, item in enumerate(output):
            begun = {**item, "content": []} if item["type"] == "message" else item
            yield event("response.output_item.added", output_index=place, item=begun)
            if item["type"] == "message":
                where = {"item_id": "m1", "output_index": place, "content_index": 0}
                part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
                yield event("response.content_part.added", **where, part=part)
                for text in said.text:
                    top = [{"token": text, "logprob": -0.5}, {"token": "x", "logprob": -2.0}]
                    known = {"token": text, "logprob": -0.5, "top_logprobs": top}
                    logprobs = [known] if said.logprobs else []
                    yield event("response.output_text.delta", **where, delta=text,
                                logprobs=logprobs)  # fmt: skip
            yield event("response.output_item.done", output_index=place, item=item)
        if said.refusal:
            yield event("response.refusal.done", item_id="m1", output_index=0, content_index=0,
                        refusal=said.refusal)  # fmt: skip
        status = "completed" if said.finish in ("stop", "tool_calls") else "incomplete"
        yield event(f"response.{status}", response=self.response(said, status, output))


class BedrockServer(Server):
    """Bedrock's converse, whose events are frames of bytes."""

    stream_type = "application/vnd.amazon.eventstream"

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        signed = headers.get("authorization", "")
        right = signed.startswith("AWS4-HMAC-SHA256 Credential=right/")
        return KEY if right and "Signature=" in signed else signed

    def error(self, status: int, code: str, message: str) -> Any:
        return {"message": message}

    def knows(self, path: str, body: Any) -> bool:
        return path in (f"/model/{MODEL}/converse-stream", f"/model/{MODEL}/converse")

    def streams(self, path: str, body: Any) -> bool:
        return path.endswith("-stream")

    def complaint(self, path: str, body: Any) -> str | None:
        roles = [one["role"] for one in body["messages"]]
        return None if roles and roles[0] == "user" else "A conversation must start with a user"

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        yield aws_frame("messageStart", {"role": "assistant"})
        place = 0
        for thought in said.reasoning:
            delta = {"reasoningContent": {"text": thought}}
            yield self._delta(place, delta)
        if said.reasoning:
            yield self._delta(place, {"reasoningContent": {"signature": "c2ln"}})
            place += 1
        for text in said.text:
            yield self._delta(place, {"text": text})
        place += bool(said.text)
        for identity, name, arguments in said.calls:
            start = {"toolUse": {"toolUseId": identity, "name": name}}
            yield aws_frame("contentBlockStart", {"start": start, "contentBlockIndex": place})
            for piece in (arguments[:5], arguments[5:]):
                yield self._delta(place, {"toolUse": {"input": piece}})
            place += 1
        yield aws_frame("messageStop", {"stopReason": _stop_reason(said)})
        usage = {"inputTokens": 5, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 2,
                 "outputTokens": 3, "totalTokens": 14}  # fmt: skip
        yield aws_frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})

    def _delta(self, place: int, delta: Any) -> bytes:
        return aws_frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": place})


def aws_frame(name: str, document: Any, kind: str = "event") -> bytes:
    """A message of vnd.amazon.eventstream: lengths, checksums, headers, JSON. ``kind`` is event or
    exception."""
    headers = b""
    for key, value in (
        (f":{kind}-type", name), (":content-type", "application/json"), (":message-type", kind),
    ):  # fmt: skip
        raw = value.encode()
        headers += bytes([len(key)]) + key.encode() + b"\7" + len(raw).to_bytes(2, "big") + raw
    payload = json.dumps(document).encode()
    total = 12 + len(headers) + len(payload) + 4
    prelude = total.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    prelude += zlib.crc32(prelude).to_bytes(4, "big")
    message = prelude + headers + payload
    return message + zlib.crc32(message).to_bytes(4, "big")
