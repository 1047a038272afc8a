"""Which HTTP client for the remote engines: urllib3, httpx, httpx2, each in a process of its own.

    python tests/bench/http_clients.py [--rounds 3] [--seconds 3]

Import in a fresh interpreter; requests a second from 64 threads to a server that answers at once,
which runs in a process of its own; pieces a second of one streamed answer.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Process

THREADS = 64
PIECES = 20_000
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CLIENTS = ("urllib3", "httpx", "httpx2")


def serve(listener: socket.socket) -> None:
    """Answer each connection on a thread, without looking at more than the path."""
    while True:
        made, _ = listener.accept()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_connection, args=(made,), daemon=True).start()


def _connection(made: socket.socket) -> None:
    data = b""
    while True:
        while b"\r\n\r\n" not in data or not data.endswith(BODY):
            block = made.recv(65536)
            if not block:
                return
            data += block
        streams, data = b"/stream " in data, b""
        if not streams:
            made.sendall(ANSWER)
            continue
        made.sendall(HEAD)
        piece = b"%x\r\n%s\r\n" % (len(PIECE), PIECE)
        for _ in range(PIECES):
            made.sendall(piece)
        made.sendall(b"0\r\n\r\n")


def client(name: str) -> tuple[Callable[[str], bytes], Callable[[str], Iterator[bytes]]]:
    """What asks once, and what asks for a stream."""
    headers = {"content-type": "application/json"}
    if name == "urllib3":
        import urllib3

        pool = urllib3.PoolManager(maxsize=THREADS)

        def once(url: str) -> bytes:
            return pool.urlopen("POST", url, body=BODY, headers=headers, retries=False).data

        def pieces(url: str) -> Iterator[bytes]:
            answer = pool.urlopen("POST", url, body=BODY, headers=headers, retries=False,
                                  preload_content=False)  # fmt: skip
            while block := answer.read1(65536):
                yield block

        return once, pieces
    module = __import__(name)
    limits = module.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
    found = module.Client(limits=limits)

    def once(url: str) -> bytes:
        return bytes(found.post(url, content=BODY, headers=headers).content)

    def pieces(url: str) -> Iterator[bytes]:
        with found.stream("POST", url, content=BODY, headers=headers) as answer:
            yield from answer.iter_bytes()

    return once, pieces


def measure(name: str, url: str, seconds: float) -> None:
    """Requests a second and pieces a second, on stdout."""
    once, pieces = client(name)
    once(url + "/once")
    counts = [0] * THREADS
    end = time.perf_counter() + seconds

    def work(index: int) -> None:
        while time.perf_counter() < end:
            once(url + "/once")
            counts[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    began = time.perf_counter()
    size = sum(map(len, pieces(url + "/stream")))
    took = time.perf_counter() - began
    assert size == PIECES * len(PIECE), size
    print(sum(counts) / seconds, PIECES / took)


def imported(name: str) -> float:
    """Milliseconds that importing it adds to a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout) * 1000


def main() -> None:
    """All clients in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--one", nargs=2, metavar=("CLIENT", "URL"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        return measure(*asked.one, asked.seconds)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = Process(target=serve, args=(listener,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CLIENTS}
    for _ in range(asked.rounds):
        for name in CLIENTS:
            command = [sys.executable, __file__, "--one", name, url]
            command += ["--seconds", str(asked.seconds)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rate, pieces = map(float, done.stdout.split())
            found[name].append((imported(name), rate, pieces))
    server.terminate()
    print(f"{'client':<10}{'import ms':>12}{'requests/s':>12}{'pieces/s':>12}   (medians)")
    for name, rows in found.items():
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        print(f"{name:<10}{middle[0]:>12.0f}{middle[1]:>12.0f}{middle[2]:>12.0f}")
    return None


if __name__ == "__main__":
    main()
