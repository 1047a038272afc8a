"""The answer cache: what a hit takes against asking anew, and whether threads get wrong answers.

    python tests/bench/cache.py [--rounds 5] [--threads 16] [--requests 4000] [--distinct 200]

A provider on loopback that answers at once with the last message it was sent; the model that is
inside the package; and ``llmrr run`` from its start to its end against ``python -c pass``. Rounds
alternate; given are the median of each side, and the median and the range of their ratio.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from llmrr.router import Router
from llmrr.types import Message, Request, Sampling

EACH = 200  # requests in a round


class Echo(BaseHTTPRequestHandler):
    """Says the last message again. ``seen`` counts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with Echo.lock:
            Echo.seen += 1
        known = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        text = body["messages"][-1]["content"]
        events: list[dict[str, object]] = [
            {**known, "choices": [{"index": 0, "delta": {"content": text}}]},
            {**known, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        events.append({**known, "choices": [], "usage": usage})
        data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data.encode())))
        self.end_headers()
        self.wfile.write(data.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def request(text: str) -> Request:
    """A greedy one."""
    sampling = Sampling(temperature=0.0, max_tokens=16)
    return Request(messages=(Message("user", text),), sampling=sampling)


def seconds_each(router: Router, model: str, *, cache: bool | None, count: int) -> float:
    """The mean of so many requests, of ten that differ."""
    began = time.perf_counter()
    for at in range(count):
        for _ in router.run(request(f"Hello {at % 10}"), model=model, cache=cache):
            pass
    return (time.perf_counter() - began) / count


def compare(
    name: str, rounds: int, hit: Callable[[], float], other: Callable[[], float], what: str
) -> None:
    """Alternating pairs."""
    hit(), other()
    pairs = [(hit(), other()) for _ in range(rounds)]
    ratios = sorted(mine / theirs for mine, theirs in pairs)
    mine, theirs = (statistics.median(side) * 1e3 for side in zip(*pairs, strict=True))
    print(
        f"{name}: a hit {mine:.2f} ms, {what} {theirs:.2f} ms; "
        f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )


def wrong_answers(router: Router, threads: int, requests: int, distinct: int) -> None:
    """Many threads, few distinct requests, in random order."""
    Echo.seen = 0
    wrong, lock = 0, threading.Lock()
    texts = [f"question {at % distinct}" for at in range(requests)]
    random.Random(0).shuffle(texts)
    began = time.perf_counter()

    def work(mine: list[str]) -> None:
        nonlocal wrong
        for text in mine:
            said = "".join(chunk.text for chunk in router.run(request(text), model="far"))
            with lock:
                wrong += said != text

    workers = [
        threading.Thread(target=work, args=(texts[at::threads],)) for at in range(threads)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    took = time.perf_counter() - began
    print(
        f"{threads} threads, {requests} requests, {distinct} distinct: {wrong} wrong answers, "
        f"{Echo.seen} requests upstream, {requests / took:.0f} a second"
    )


def started(*line: str) -> Callable[[], float]:
    """The seconds that a command takes."""

    def run() -> float:
        began = time.perf_counter()
        subprocess.run(line, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return time.perf_counter() - began

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("rounds", 5), ("threads", 16), ("requests", 4000), ("distinct", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"LLMRR_HOME": home, "LLMRR_KEEPALIVE": "0", "K": "key"}
        os.chdir(home)
        Path("llmrr.toml").write_text(
            f'version = 1\n[[models]]\nname = "far"\nsource = "openai:m"\n'
            f'options = {{ base_url = "http://127.0.0.1:{server.server_port}/v1" }}\n'
        )
        with Router() as router:
            for name, model in (("loopback provider", "far"), ("builtin:mini", "builtin:mini")):
                compare(
                    name, asked.rounds,
                    lambda: seconds_each(router, model, cache=None, count=EACH),  # noqa: B023
                    lambda: seconds_each(router, model, cache=False, count=EACH),  # noqa: B023
                    "asked anew",
                )  # fmt: skip
            wrong_answers(router, asked.threads, asked.requests, asked.distinct)
        line = (sys.executable, "-m", "llmrr", "run", "-m", "builtin:mini", "--temperature", "0",
                "Hello")  # fmt: skip
        compare("llmrr run", asked.rounds * 3, started(*line), started(*line, "--no-cache"),
                "asked anew")  # fmt: skip
        compare("llmrr run", asked.rounds * 3, started(*line),
                started(sys.executable, "-c", "pass"), "python -c pass")  # fmt: skip
    server.shutdown()


if __name__ == "__main__":
    main()
