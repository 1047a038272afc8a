"""Two replicas against one, on Ray: the server under streams, and a batch.

    python tests/bench/replicas.py MODEL.gguf [--rounds 3] [--clients 8] [--seconds 15]

Every replica computes on one thread, so that one of them leaves a core idle. Rounds alternate;
given are tokens per second of each side, and the median of their ratio. A batch is measured from
when every replica has answered one block to its last line: what it takes to begin is not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

TOKENS = 48
BLOCK = 16  # lines: of four answered at once, as the settings below say
SETTINGS = """version = 1
engines.llamacpp.threads = 1
engines.llamacpp.context_size = 512
batching.max_batch_size = 4
[[models]]
name = "it"
source = "file:{path}"
"""


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "llmrr", *args]


def served(folder: Path, replicas: int, clients: int, seconds: float) -> float:
    """Tokens per second of the server."""
    process = subprocess.Popen(
        command("serve", "--ray", "--port", "0", "--replicas", str(replicas)),
        stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        url = next(one for one in process.stderr if "listening" in one).rsplit(maxsplit=1)[1]
        threading.Thread(target=process.stderr.read, daemon=True).start()
        warm = time.monotonic() + 5
        while time.monotonic() < warm:  # all replicas load their model
            crowd(url, clients, time.monotonic() + 0.1)
        began = time.monotonic()
        tokens = crowd(url, clients, began + seconds)
        return tokens / (time.monotonic() - began)
    finally:
        process.terminate()
        process.wait()


def crowd(url: str, clients: int, until: float) -> int:
    """The tokens of all answers that begin before ``until``."""
    counts: list[int] = []

    def client(number: int) -> None:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            counts.append(ask(url, f"client {number} turn {turn}"))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def ask(url: str, text: str) -> int:
    body = {"model": "it", "prompt": text, "max_tokens": TOKENS, "ignore_eos": True}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=300) as answer:
        return int(json.loads(answer.read())["usage"]["completion_tokens"])


def batched(folder: Path, replicas: int, lines: int) -> float:
    """Tokens per second of a batch."""
    out = folder / f"out-{replicas}-{time.monotonic_ns()}.jsonl"
    process = subprocess.Popen(
        command("batch", "in.jsonl", out.name, "--ray", "--replicas", str(replicas), "-n"),
        stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    seen: list[tuple[float, int]] = []
    while process.poll() is None:
        if out.exists():
            done = out.read_bytes().count(b"\n")
            if done >= replicas * BLOCK and (not seen or done != seen[-1][1]):
                seen.append((time.monotonic(), done))
        time.sleep(0.02)
    assert process.returncode == 0
    assert seen[-1][1] == lines
    (began, first), (ended, last) = seen[0], seen[-1]
    return (last - first) * TOKENS / (ended - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--lines", type=int, default=192)
    parser.add_argument("--only", choices=("serve", "batch"))
    given = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's workers yield to all else on the machine
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LLMRR_HOME"] = str(folder / "home")
        (folder / "llmrr.toml").write_text(SETTINGS.format(path=given.model.resolve()))
        rows = [
            {"custom_id": str(number), "url": "/v1/completions",
             "body": {"model": "it", "prompt": f"line {number}", "max_tokens": TOKENS,
                      "ignore_eos": True}}
            for number in range(given.lines)
        ]  # fmt: skip
        (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for what in (given.only,) if given.only else ("serve", "batch"):
            ratios = []
            for number in range(given.rounds):
                order = (1, 2) if number % 2 == 0 else (2, 1)
                speed = {}
                for replicas in order:
                    speed[replicas] = (
                        served(folder, replicas, given.clients, given.seconds)
                        if what == "serve" else batched(folder, replicas, given.lines)
                    )  # fmt: skip
                ratios.append(speed[2] / speed[1])
                load = os.getloadavg()[0]
                print(f"{what}: one {speed[1]:.1f}, two {speed[2]:.1f} tokens/s, "
                      f"ratio {ratios[-1]:.2f} (load {load:.1f})", flush=True)  # fmt: skip
            print(f"{what}: median ratio {statistics.median(ratios):.2f}", flush=True)


if __name__ == "__main__":
    main()
