"""Clients that connect, stall, send garbage, leave in mid-stream and ask for too much, all at once,
against one ``llmrr serve`` of ``builtin:mini``:

    python tests/bench/serve_faults.py --seconds 120 --clients 300

Printed is what was done and answered, and what the server holds before, meanwhile and after: slots,
requests under way, connections, descriptors, threads, memory. It ends with 1 where a well-formed
request was neither answered nor refused with a reason, where anything is still held at the end, or
where the process itself has ended.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOML = """\
[[models]]
name = "small"
source = "builtin:mini"
group = "both"

[[models]]
name = "other"
source = "builtin:mini"
group = "both"

[[models]]
name = "away"
source = "openai:x"
options = { base_url = "http://127.0.0.1:9/v1" }

[serve]
max_queue = 100
timeout = "10s"
max_connections = 2000
max_body = "1 MB"

[batching]
max_batch_size = 8

[engines.llamacpp]
prefix_cache = "16 MB"     # what is kept of prompts is no leak, and would hide one
"""
# What a well-formed request may be told: an answer, that there is no room, that it took too long,
# or that the model behind it is away.
ANSWERED = (200, 429, 502, 503, 504)
SPANS = 4
# From the second rest to the last: the cells of the context that nobody had touched before (31 MiB
# for builtin:mini), what is kept of prompts, and what Python keeps of the worst moment.
GROWN_BYTES = 64 * 2**20
GROWN_FDS = 8
TEXT = "What is the capital of France? " * 3
Address = tuple[str, int]
Client = Callable[["Load", random.Random], Awaitable[None]]


class Load:
    """What is done to a server; ``wrong`` is what must not be. ``patience`` is how many seconds
    those wait at most who ask for nothing."""

    def __init__(self, address: Address, patience: float) -> None:
        self.address, self.patience = address, patience
        self.did: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        return await asyncio.wait_for(asyncio.open_connection(*self.address), 30)

    async def send(self, data: bytes, *, wait: float = 60.0) -> bytes:
        """What comes back for bytes on a connection of their own."""
        reader, writer = await self.open()
        try:
            writer.write(data)
            await writer.drain()
            return await asyncio.wait_for(reader.read(), wait)
        finally:
            writer.close()

    def fail(self, what: str) -> None:
        """Note what must not be."""
        self.wrong.append(what[:400])


def request(path: str, body: object, *more: str, method: str = "POST") -> bytes:
    """The bytes of a request, after which the connection is to be closed."""
    data = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close",
            f"Content-Length: {len(data)}", *more]  # fmt: skip
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


def chat(random_: random.Random, **more: object) -> dict[str, Any]:
    """A chat that nobody has asked yet."""
    said = f"{TEXT}{random_.random()}"
    name = random_.choice(["small", "other", "both", "auto"])
    return {"model": name, "messages": [{"role": "user", "content": said}],
            "max_tokens": random_.randint(1, 60), **more}  # fmt: skip


def status_of(answer: bytes) -> int:
    """The status of a response; 0 where there is none."""
    found = re.match(rb"HTTP/1\.[01] (\d+) ", answer)
    return int(found[1]) if found else 0


# -- well-formed -----------------------------------------------------------------------------------


async def whole(load: Load, random_: random.Random) -> None:
    """An answer at once."""
    path, body = random_.choice([
        ("/v1/chat/completions", chat(random_)),
        ("/v1/completions", {"model": "small", "prompt": TEXT, "n": 2, "max_tokens": 9}),
        ("/v1/embeddings", {"model": "small", "input": TEXT}),
        ("/v1/chat/completions", chat(random_, model="away")),
        ("/v1/chat/completions", chat(random_, n=4)),
    ])  # fmt: skip
    answer = await load.send(request(path, body))
    status = status_of(answer)
    load.statuses[status] += 1
    told = answer.partition(b"\r\n\r\n")[2]
    if status not in ANSWERED:
        load.fail(f"{path} {json.dumps(body)[:120]}: {answer[:200]!r}")
    elif status != 200 and not json.loads(told)["error"]["message"]:
        load.fail(f"{path}: {status} without a reason")


async def streamed(load: Load, random_: random.Random) -> None:
    """An answer as it comes."""
    answer = await load.send(request("/v1/chat/completions", chat(random_, stream=True)))
    status = status_of(answer)
    load.statuses[status] += 1
    if status not in ANSWERED:
        load.fail(f"a stream: {answer[:200]!r}")
    elif status == 200 and b"data: [DONE]" not in answer:
        load.fail(f"a stream without an end: {answer[-200:]!r}")


async def looks(load: Load, random_: random.Random) -> None:
    """What monitors do."""
    path = random_.choice(["/health", "/metrics", "/v1/models"])
    answer = await load.send(request(path, None, method="GET"))
    load.statuses[status_of(answer)] += 1
    if status_of(answer) not in (200, 503):
        load.fail(f"{path}: {answer[:200]!r}")


# -- not -------------------------------------------------------------------------------------------


async def leaves(load: Load, random_: random.Random) -> None:
    """Leaves in mid-stream, perhaps before anything has come."""
    reader, writer = await load.open()
    try:
        body = chat(random_, stream=True, max_tokens=400, ignore_eos=True)
        writer.write(request("/v1/chat/completions", body))
        await asyncio.wait_for(reader.read(random_.choice([1, 400, 4000])), 40)
    finally:
        if random_.random() < 0.5:
            writer.transport.abort()
        writer.close()


async def leaves_at_once(load: Load, random_: random.Random) -> None:
    """Leaves while its answer, which comes at once, is made."""
    _, writer = await load.open()
    writer.write(request("/v1/chat/completions", chat(random_, n=8)))
    await asyncio.sleep(random_.random() / 4)
    writer.close()


async def stalls(load: Load, random_: random.Random) -> None:
    """Sends a part, and no more."""
    data = request("/v1/chat/completions", chat(random_))
    reader, writer = await load.open()
    try:
        writer.write(data[: random_.randrange(len(data))])
        await asyncio.wait_for(reader.read(), load.patience * random_.random())
    except TimeoutError:
        pass
    finally:
        writer.close()


async def trickles(load: Load, random_: random.Random) -> None:
    """Sends byte by byte, and reads so."""
    reader, writer = await load.open()
    try:
        for byte in request("/v1/chat/completions", chat(random_, stream=True))[:200]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        for _ in range(100):
            await asyncio.wait_for(reader.read(1), 0.05)
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()


async def garbage(load: Load, random_: random.Random) -> None:
    """Sends what is no request."""
    data = random_.choice([
        random_.randbytes(random_.randrange(1, 5000)),
        b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n" * 1000,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        request("/v1/chat/completions", {"a": 1}).replace(b'"a"', b"\xff\xfea"),
    ])  # fmt: skip
    await load.send(data, wait=load.patience * random_.random())


async def wrong(load: Load, random_: random.Random) -> None:
    """Asks for what cannot be, and is told so."""
    deep: Any = 1
    for _ in range(250):
        deep = [deep]
    path, body = random_.choice([
        ("/v1/chat/completions", {"messages": "x"}), ("/v1/chat/completions", [1]),
        ("/v1/chat/completions", chat(random_, temperature="hot")),
        ("/v1/chat/completions", chat(random_, model="absent")),
        ("/v1/chat/completions", chat(random_, response_format=deep)),
        ("/v1/completions", {"prompt": "a", "n": 10_000}), ("/v1/embeddings", {"input": []}),
        ("/v1/completions", {"model": "small", "prompt": "x " * 99_999}),
        ("/nowhere", {}), ("/v1/models", {}),
    ])  # fmt: skip
    answer = await load.send(request(path, body))
    load.statuses[status_of(answer)] += 1
    if not 400 <= status_of(answer) < 500 and status_of(answer) not in (503, 504):
        load.fail(f"{path} {json.dumps(body)[:120]}: {answer[:200]!r}")


async def too_much(load: Load, random_: random.Random) -> None:
    """Asks for more than anybody may have."""
    if random_.random() < 0.5:
        head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n"
        data = head.encode() + b"\r\n" + b"x" * 100_000
    else:
        data = request("/v1/completions", {"prompt": "a", "n": 128, "max_tokens": 4000,
                                           "ignore_eos": True, "model": "small"})  # fmt: skip
    answer = await load.send(data, wait=60)
    load.statuses[status_of(answer)] += 1


CLIENTS: tuple[tuple[Client, int], ...] = (
    (whole, 6), (streamed, 6), (looks, 1), (leaves, 4), (leaves_at_once, 3), (stalls, 3),
    (trickles, 2), (garbage, 4), (wrong, 4), (too_much, 1),
)  # fmt: skip


async def client(load: Load, seed: int, ends: float) -> None:
    """One client after another."""
    random_ = random.Random(seed)
    while time.monotonic() < ends:
        kind = random_.choices([one for one, _ in CLIENTS], [weight for _, weight in CLIENTS])[0]
        load.did[kind.__name__] += 1
        try:
            await kind(load, random_)
        except (ConnectionError, asyncio.IncompleteReadError):
            if kind in (whole, streamed, looks):
                load.fail(f"{kind.__name__}: the connection was closed")
        except TimeoutError:
            if kind in (whole, streamed, looks, wrong):
                load.fail(f"{kind.__name__}: nothing came")
        await asyncio.sleep(random_.random() / 10)


# -- what the server holds -------------------------------------------------------------------------


class Held:
    """What a server holds at a moment."""

    def __init__(self, pid: int, metrics: str) -> None:
        def figure(name: str) -> float:
            found = re.findall(rf"^llmrr_{name}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE)
            return sum(map(float, found))

        self.under_way, self.queue = figure("under_way"), figure("queue_length")
        self.slots = figure("slots_used")
        self.fds = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        status = Path(f"/proc/{pid}/status").read_text()
        self.threads = int(re.findall(r"Threads:\s+(\d+)", status)[0])
        self.bytes = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024

    def __str__(self) -> str:
        return (f"under way {self.under_way:.0f}, queue {self.queue:.0f}, slots {self.slots:.0f}, "
                f"descriptors {self.fds}, threads {self.threads}, "
                f"memory {self.bytes / 2**20:.1f} MiB")  # fmt: skip


async def held(load: Load, pid: int) -> Held:
    """What it holds now."""
    answer = await load.send(request("/metrics", None, method="GET"))
    return Held(pid, answer.decode())


async def idle(load: Load, pid: int) -> Held:
    """What it holds when nobody asks any more."""
    for _ in range(60):
        found = await held(load, pid)
        if not (found.under_way or found.slots or found.queue):
            break
        await asyncio.sleep(1)
    await asyncio.sleep(2)
    return await held(load, pid)


async def run(address: Address, pid: int, seconds: float, clients: int, seed: int) -> list[str]:
    """Spans of load, each followed by rest; what is wrong. In the first two the server grows to
    what it needs: the rest after them and the last one are compared."""
    span_s, say = seconds / SPANS, lambda *words: print(*words, flush=True)
    load = Load(address, min(40.0, span_s / 2))
    await load.send(request("/v1/chat/completions", chat(random.Random(0))))
    say("before:", await idle(load, pid))
    rests: list[Held] = []
    for span in range(SPANS):
        ends = time.monotonic() + span_s
        tasks = [
            asyncio.ensure_future(client(load, seed * 1000 + span * clients + number, ends))
            for number in range(clients)
        ]
        while time.monotonic() < ends:
            await asyncio.sleep(min(10.0, max(0.1, ends - time.monotonic())))
            say("meanwhile:", await held(load, pid))
        await asyncio.gather(*tasks)
        rests.append(await idle(load, pid))
        say("at rest:", rests[-1])
    say("did:", dict(load.did))
    say("statuses:", dict(load.statuses))
    first, last = rests[1], rests[-1]
    for name in ("under_way", "queue", "slots"):
        if getattr(last, name):
            load.fail(f"{name} is {getattr(last, name):.0f} at rest")
    if last.fds > first.fds + GROWN_FDS:
        load.fail(f"descriptors grew from {first.fds} to {last.fds}")
    if last.bytes > first.bytes + GROWN_BYTES:
        load.fail(f"memory grew from {first.bytes} to {last.bytes} bytes")
    return load.wrong


def main(argv: list[str] | None = None) -> int:
    """Start a server, put the load on it, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "llmrr.toml").write_text(TOML)
        environment = {**os.environ, "LLMRR_HOME": f"{folder}/home", "PYTHONPATH": str(ROOT)}
        environment["OPENAI_API_KEY"] = "none"
        command = [sys.executable, "-m", "llmrr", "serve", "--port", "0"]
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        try:
            return judged(server, args)
        finally:
            server.kill()
            server.wait()


def judged(server: "subprocess.Popen[str]", args: argparse.Namespace) -> int:
    """The exit code: whether all was as it must be."""
    assert server.stderr is not None
    said: list[str] = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"listening on http://([\d.]+):(\d+)", line):
            break
    else:
        print("".join(said))
        return 1
    import threading

    threading.Thread(target=lambda: said.extend(server.stderr or ()), daemon=True).start()
    address = found[1], int(found[2])
    wrong_ = asyncio.run(run(address, server.pid, args.seconds, args.clients, args.seed))
    if server.poll() is not None:
        wrong_.append(f"the server ended with {server.poll()}")
    else:
        server.send_signal(signal.SIGTERM)
        if code := server.wait(60):
            wrong_.append(f"it ended with {code}")
    text = "".join(said)
    if "Traceback" in text:
        wrong_.append("a traceback: " + text[text.index("Traceback") :][:3000])
    print(f"wrong: {len(wrong_)}")
    for one in wrong_[:20]:
        print(" ", one)
    return 1 if wrong_ else 0


if __name__ == "__main__":
    sys.exit(main())
