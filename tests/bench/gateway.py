"""What a gateway costs: ``llmrr serve`` and, with ``--litellm``, the LiteLLM proxy, both in front
of the same server that answers at once.

    python tests/bench/gateway.py [--litellm PATH] [--rounds 3] [--seconds 4] [--clients 16]

Rounds alternate between the sides. Prints one JSON line: requests a second of many clients, median
milliseconds of one client, what each side adds to the upstream alone, and the ratios.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import upstream

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()
READY_S = 120.0
LITELLM = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
}


class Client(asyncio.Protocol):
    """A client that asks again as soon as it has the answer."""

    def __init__(self, request: bytes, until: float, took: list[float]) -> None:
        self._request, self._until, self._took = request, until, took
        self._data = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._data[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            self.done.set_exception(RuntimeError(self._data.decode(errors="replace")))
            return
        size = int(head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
        if len(self._data) < end + 4 + size:
            return
        self._data = b""
        now = time.perf_counter()
        self._took.append(now - self._began)
        if now < self._until:
            self._ask()
        elif not self.done.done():
            self._transport.close()
            self.done.set_result(None)


def load(url: str, clients: int, seconds: float) -> tuple[float, float]:
    """Requests a second, and the median of their seconds."""
    target = urlsplit(url)
    head = (
        f"POST {target.path}/chat/completions HTTP/1.1\r\nhost: {target.netloc}\r\n"
        f"authorization: Bearer sk-bench\r\ncontent-type: application/json\r\n"
        f"content-length: {len(BODY)}\r\n\r\n"
    )
    took: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        until = time.perf_counter() + seconds
        made = [
            (await loop.create_connection(
                lambda: Client(head.encode() + BODY, until, took), target.hostname, target.port
            ))[1]
            for _ in range(clients)
        ]  # fmt: skip
        await asyncio.gather(*(one.done for one in made))

    began = time.perf_counter()
    asyncio.run(run())
    return len(took) / (time.perf_counter() - began), statistics.median(took)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def process(command: list[str], folder: Path, url: str, ready: str) -> Iterator[int]:
    """A server in a process of its own, from when it answers at ``ready``."""
    environment = {**os.environ, **LITELLM, "LLMRR_HOME": str(folder), "OPENAI_API_KEY": "sk-bench"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    log = (folder / "log").open("wb")
    made = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + READY_S
        while True:
            try:
                urllib.request.urlopen(url + ready, timeout=5).close()
                break
            except OSError:
                if made.poll() is not None or time.monotonic() > until:
                    raise SystemExit((folder / "log").read_text()[-3000:]) from None
                time.sleep(0.2)
        yield made.pid
    finally:
        made.send_signal(signal.SIGTERM)
        made.wait(30)
        log.close()


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process and what it started hold."""
    pages = sum(
        int(Path(f"/proc/{one}/statm").read_text().split()[1])
        for one in [pid, *_children(pid)]
    )
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for one in found for child in [int(one), *_children(int(one))]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", metavar="PATH", help="the program litellm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--clients", type=int, default=16)
    args = parser.parse_args()
    with ExitStack() as stack:
        base = stack.enter_context(upstream.serving())
        sides, pids = {"upstream": base}, {}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "llmrr.toml").write_text(
            f'[[models]]\nname = "m"\nsource = "openai:m"\noptions = {{ base_url = "{base}", '
            'api_key_env = "OPENAI_API_KEY" }\n'
        )
        port = _free_port()
        sides["llmrr"] = f"http://127.0.0.1:{port}/v1"
        command = [sys.executable, "-m", "llmrr"]
        environment = {**os.environ, "LLMRR_HOME": str(folder)}
        subprocess.run(
            [*command, "config", "trust"], cwd=folder, check=True, env=environment,
            capture_output=True,
        )  # fmt: skip
        command += ["serve", "--port", str(port)]
        made = process(command, folder, sides["llmrr"][:-3], "/health")
        pids["llmrr"] = stack.enter_context(made)
        if args.litellm:
            there = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (there / "config.yaml").write_text(
                "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/m\n"
                f"      api_base: {base}\n      api_key: sk-bench\n"
            )
            port = _free_port()
            sides["litellm"] = f"http://127.0.0.1:{port}/v1"
            command = [args.litellm, "--config", "config.yaml", "--host", "127.0.0.1",
                       "--port", str(port)]  # fmt: skip
            pids["litellm"] = stack.enter_context(
                process(command, there, sides["litellm"][:-3], "/health/liveliness")
            )
        rest = {name: resident_mb(pid) for name, pid in pids.items()}
        for url in sides.values():
            load(url, 2, 1.0)
        rates: dict[str, list[float]] = {name: [] for name in sides}
        alone: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(args.rounds):
            for name, url in sides.items():
                rates[name].append(load(url, args.clients, args.seconds)[0])
                alone[name].append(load(url, 1, args.seconds / 2)[1])
        rate = {name: round(statistics.median(found), 1) for name, found in rates.items()}
        one = {name: statistics.median(found) for name, found in alone.items()}
        added = {name: round((one[name] - one["upstream"]) * 1e3, 2) for name in pids}
        found: dict[str, object] = {"requests_per_s": rate, "added_ms": added, "rest_mb": rest}
        if "litellm" in added:
            found["rate_ratio"] = round(rate["llmrr"] / rate["litellm"], 2)
            found["added_ratio"] = round(added["llmrr"] / added["litellm"], 3)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
