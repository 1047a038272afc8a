"""A remote engine against the vendor's own client: the same streamed answers from a server on
loopback that answers at once, in alternating pairs.

    python tests/bench/remote.py [--rounds 5] [--seconds 2]        # needs: pip install openai

Answers a second with 1 and with 64 threads, each of ten pieces, and pieces a second of a long one.
"""

import argparse
import os
import socket
import statistics
import threading
import time
from collections.abc import Callable
from multiprocessing import Process

from llmrr.engines import remote
from llmrr.engines.base import Options
from llmrr.types import Endpoint, Message, Request

PIECES, LONG = 10, 20_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
KNOWN = '"id":"c","object":"chat.completion.chunk","created":1,"model":"m"'


def event(choices: str, usage: str = "null") -> bytes:
    """A chunk of HTTP with one event in it."""
    text = f'data: {{{KNOWN},"choices":[{choices}],"usage":{usage}}}\n\n'.encode()
    return b"%x\r\n%s\r\n" % (len(text), text)


WORD = event('{"index":0,"delta":{"content":"word "},"finish_reason":null}')
END = (
    event('{"index":0,"delta":{},"finish_reason":"stop"}')
    + event("", '{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}')
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


def serve(listener: socket.socket) -> None:
    """Answer each connection on a thread."""
    while True:
        made, _ = listener.accept()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_connection, args=(made,), daemon=True).start()


def _connection(made: socket.socket) -> None:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            block = made.recv(65536)
            if not block:
                return
            data += block
        head, _, body = data.partition(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:"))  # fmt: skip
        while len(body) < size:
            body += made.recv(65536)
        data = body[size:]
        if b"long" in body:
            made.sendall(HEAD)
            for _ in range(LONG):
                made.sendall(WORD)
            made.sendall(END)
        else:
            made.sendall(HEAD + WORD * PIECES + END)


def ours(url: str) -> Callable[[str], int]:
    """Our engine: how many pieces an answer had."""
    engine = remote.named("openai")
    assert engine is not None
    model = engine.load(Endpoint("openai", "m", base_url=url, api_key_env="K"), Options())

    def ask(text: str) -> int:
        stream = model.generate(Request(messages=(Message("user", text),)))
        return sum(bool(chunk.text) for chunk in stream)

    return ask


def theirs(url: str) -> Callable[[str], int]:
    """The official client."""
    import openai

    client = openai.OpenAI(api_key="k", base_url=url)

    def ask(text: str) -> int:
        stream = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": text}], stream=True,
            stream_options={"include_usage": True},
        )  # fmt: skip
        return sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in stream)

    return ask


def rate(ask: Callable[[str], int], threads: int, seconds: float) -> float:
    """Answers a second."""
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def work(index: int) -> None:
        while time.perf_counter() < end:
            assert ask("short") == PIECES
            counts[index] += 1

    running = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    began = time.perf_counter()
    for one in running:
        one.start()
    for one in running:
        one.join()
    return sum(counts) / (time.perf_counter() - began)


def pieces(ask: Callable[[str], int]) -> float:
    """Pieces a second of one long answer."""
    began = time.perf_counter()
    assert ask("long") == LONG
    return LONG / (time.perf_counter() - began)


def main() -> None:
    """Both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    asked = parser.parse_args()
    os.environ["K"] = "k"
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = Process(target=serve, args=(listener,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    sides = ours(url), theirs(url)
    for name, measure in (
        ("answers/s, 1 thread", lambda ask: rate(ask, 1, asked.seconds)),
        ("answers/s, 64 threads", lambda ask: rate(ask, 64, asked.seconds)),
        ("pieces/s", pieces),
    ):
        pairs = [tuple(measure(side) for side in sides) for _ in range(asked.rounds)]
        ratios = [one / other for one, other in pairs]
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:<24}{mine:>10.0f}{other:>10.0f}   ratio {statistics.median(ratios):.2f}"
              f" ({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    server.terminate()


if __name__ == "__main__":
    main()
