"""What ``Router.generate`` and ``Router.generate_stream`` add to a request, against
``litellm.Router`` and the official client: all in front of the same server, which answers at once,
from 1 and from 64 threads.

    python tests/bench/router.py --other PYTHON [--rounds 5] [--seconds 2] [--models 5]

``--other`` is an interpreter that has them: ``pip install litellm openai``. Each side runs in a
process of its own, all in turn, round after round. ``whole`` asks for an answer in one piece (ours
are streamed from a provider all the same), ``streamed`` for one in pieces.

Ours chooses at random by weight among so many ``[[models]]``, all at that server, and does
what it always does: candidates, the breaker, health and the record of every run in the database.
``litellm.Router`` shuffles among as many deployments, with its retries; it records nothing.
``upstream`` is the server alone, asked over bare sockets. ``added`` is the median time of a request
less that of ``upstream``; the ratio is of requests a second, of pairs from the same round.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

PIECES = 10
SIDES = ("llmrr", "litellm", "openai", "upstream")
Ask = Callable[[], int]
Asks = Callable[[], Ask]  # one for each thread: what asks once, and counts the pieces


def llmrr(url: str, models: int, streams: bool) -> Asks:
    """Ours."""
    from llmrr import Router, config, paths

    lines = ["version = 1", "strategy = 'random'"]
    for at in range(models):
        lines += ["[[models]]", f"name = 'model-{at}'", f"source = 'openai:m-{at}'"]
        lines += [f"options = {{ base_url = '{url}', api_key_env = 'K' }}"]
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    config.user_file().write_text("\n".join(lines))
    router = Router(warn=lambda text: print(text, file=sys.stderr))

    def whole() -> int:
        return len(router.generate("hello").text.split())

    def streamed() -> int:
        return sum(bool(piece) for piece in router.generate_stream("hello"))

    return lambda: streamed if streams else whole


def litellm(url: str, models: int, streams: bool) -> Asks:
    """LiteLLM's router."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    router = litellm.Router(
        model_list=[
            {"model_name": "chat",
             "litellm_params": {"model": f"openai/m-{at}", "api_base": url, "api_key": "k"}}
            for at in range(models)
        ]
    )  # fmt: skip
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if streams else {}
    return lambda: _through(router.completion, "chat", streams, more)


def openai(url: str, models: int, streams: bool) -> Asks:
    """The official client, which chooses nothing."""
    import openai

    client = openai.OpenAI(api_key="k", base_url=url)
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if streams else {}
    return lambda: _through(client.chat.completions.create, "m-0", streams, more)


def _through(create: Callable[..., Any], model: str, streams: bool, more: dict[str, Any]) -> Ask:
    messages = [{"role": "user", "content": "hello"}]

    def whole() -> int:
        found = create(model=model, messages=messages)
        return len(found.choices[0].message.content.split())

    def streamed() -> int:
        found = create(model=model, messages=messages, stream=True, **more)
        return sum(bool(one.choices and one.choices[0].delta.content) for one in found)

    return streamed if streams else whole


def upstream(url: str, models: int, streams: bool) -> Asks:
    """The server alone, over a socket of each thread."""
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}]%s}' % (
        b',"stream":true' if streams else b""
    )
    sent = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    end = b"0\r\n\r\n" if streams else b"}}"

    def connected() -> Ask:
        made = socket.create_connection((host, int(port)))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask() -> int:
            made.sendall(sent)
            data = b""
            while not data.endswith(end):
                data += made.recv(65536)
            return data.count(b"word ")

        return ask

    return connected


def measure(asks: Asks, threads: int, seconds: float) -> dict[str, float]:
    """Requests a second, and the median and 95th percentile of their milliseconds."""
    asks()()  # what is loaded at the first
    times: list[list[float]] = [[] for _ in range(threads)]
    ready = threading.Barrier(threads + 1)
    until = [0.0]

    def work(mine: list[float]) -> None:
        ask = asks()
        ask()
        ready.wait()
        ready.wait()
        while (began := time.perf_counter()) < until[0]:
            assert ask() == PIECES
            mine.append(time.perf_counter() - began)

    running = [threading.Thread(target=work, args=(mine,)) for mine in times]
    for one in running:
        one.start()
    ready.wait()
    began = time.perf_counter()
    until[0] = began + seconds
    ready.wait()
    for one in running:
        one.join()
    took = time.perf_counter() - began
    found = sorted(one for mine in times for one in mine)
    return {
        "rate": len(found) / took,
        "median_ms": statistics.median(found) * 1000,
        "p95_ms": found[int(0.95 * len(found))] * 1000,
    }


def side(name: str, given: argparse.Namespace) -> None:
    """One side, on its own: its figures as JSON."""
    makes = {"llmrr": llmrr, "litellm": litellm, "openai": openai, "upstream": upstream}[name]
    asks = makes(given.url, given.models, given.streams)
    print(json.dumps(measure(asks, given.threads, given.seconds)), flush=True)
    os._exit(0)  # some leave threads behind


def run(name: str, url: str, threads: int, streams: bool, given: argparse.Namespace) -> Any:
    """The figures of one side, measured in a process of its own."""
    python = given.other if name in ("litellm", "openai") else sys.executable
    command = [python, __file__, "--side", name, "--url", url, "--threads", str(threads)]
    command += ["--seconds", str(given.seconds), "--models", str(given.models)]
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "LLMRR_HOME": home, "K": "k"}
        done = subprocess.run(
            command + ["--streams"] * streams, env=env, cwd=home, stdout=subprocess.PIPE, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def compare(url: str, threads: int, streams: bool, given: argparse.Namespace) -> None:
    """All sides in turn, several times."""
    sides = [one for one in SIDES if given.other or one in ("llmrr", "upstream")]
    rounds = [
        {name: run(name, url, threads, streams, given) for name in sides}
        for _ in range(given.rounds)
    ]
    print(f"\n{'streamed' if streams else 'whole'}, {threads} threads, {given.models} models")
    print(f"{'side':<10}{'requests/s':>12}{'median ms':>11}{'p95 ms':>9}{'added ms':>10}"
          f"   llmrr's rate against it")  # fmt: skip

    def middle(name: str, figure: str) -> float:
        return statistics.median(one[name][figure] for one in rounds)

    for name in sides:
        ratios = [one["llmrr"]["rate"] / one[name]["rate"] for one in rounds]
        added = middle(name, "median_ms") - middle("upstream", "median_ms")
        print(f"{name:<10}{middle(name, 'rate'):>12.0f}{middle(name, 'median_ms'):>11.2f}"
              f"{middle(name, 'p95_ms'):>9.2f}{added:>10.2f}   {statistics.median(ratios):.2f}"
              f" ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)  # fmt: skip


def main() -> None:
    """Every case, or one side of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", help="an interpreter with litellm and openai")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=0, help="by default 1, then 64")
    parser.add_argument("--streams", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        return side(given.side, given)
    from upstream import serving

    with serving() as url:
        for threads in (given.threads,) if given.threads else (1, 64):
            for streams in (False, True):
                compare(url, threads, streams, given)
    return None


if __name__ == "__main__":
    main()
