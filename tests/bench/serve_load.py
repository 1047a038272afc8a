"""`llmrr serve` against `llama-server` under the same streaming load, in turn within one run.

    python tests/bench/serve_load.py LLAMA_SERVER MODEL.gguf LOAD.PY [--rounds 3] [--only shared-8]

LOAD.PY puts the load on a server that speaks OpenAI's protocol (load.py of the shared benchmarks).
Every round starts the servers afresh, so that nothing is kept of the round before. Prints one JSON
line a case: every figure of both sides, and the median of the ratios of the rounds; for tokens a
second more than 1 is faster than llama-server, for the first token less is. Tokens are counted as
``usage`` has them, as llama-server sends a chunk more an answer than it has tokens; that each comes
in a chunk of its own is looked at on both sides before the load begins.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A load, and how llama-server is started for it: the better of several ways counts."""

    name: str
    clients: int
    requests: int
    prefix_words: int = 0
    others: tuple[tuple[str, ...], ...] = ((),)


CASES = (
    *(Case(f"independent-{n}", n, max(4, 3 * n)) for n in (1, 4, 8, 16)),
    Case("shared-8", 8, 8, 500),
    Case("shared-24", 8, 24, 500, ((), ("-fa", "off"))),
)


@contextmanager
def serving(command: list[str], home: Path) -> Iterator[str]:
    """A server's address, once it answers."""
    log = (home / "log").open("w+")
    environment = {**os.environ, "LLMRR_HOME": str(home)}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield _address(process, home / "log")
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        if found := re.search(r"listening on (?:\S*http://)?([\d.]+:\d+)", log.read_text()):
            with urllib.request.urlopen(f"http://{found[1]}/health", timeout=30) as answer:
                if answer.status == 200:
                    return f"http://{found[1]}"
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the server did not come up:\n{log.read_text()[-2000:]}")


def warm(url: str, tokens: int) -> None:
    """Have the model in memory, and see that it sends its tokens one by one."""
    body = {
        "model": "bench", "prompt": "a", "max_tokens": tokens, "stream": True, "ignore_eos": True,
        "temperature": 0, "stream_options": {"include_usage": True},
    }  # fmt: skip
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        lines = [line[6:] for line in answer if line.startswith(b"data: ") and b"DONE" not in line]
    events = [json.loads(line) for line in lines]
    [counted] = [one["usage"]["completion_tokens"] for one in events if one.get("usage")]
    said = [one for one in events if one["choices"] and one["choices"][0].get("text")]
    # A character may take several tokens.
    if counted != tokens or not tokens / 2 <= len(said) <= tokens:
        raise SystemExit(f"{url}: {counted} tokens in {len(said)} chunks, and not {tokens}")


def load(args: argparse.Namespace, url: str, *what: str) -> dict[str, Any]:
    """What the load says of a server, with its seconds in all."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, args.load, url, "--model", "bench", *what],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    found: dict[str, Any] = json.loads(done.stdout)
    if found["failed"]:
        raise SystemExit(f"requests failed: {found['failed']}")
    tokens = args.max_tokens * found["requests"]
    return {**found, "tokens_per_s": round(tokens / seconds, 1)}


def measured(args: argparse.Namespace, case: Case, command: list[str]) -> dict[str, Any]:
    """What a fresh server does under the load, its model in memory."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "config").mkdir()
        (home / "config" / "llmrr.toml").write_text(
            f'[[models]]\nname = "bench"\nsource = "file:{args.model.absolute()}"\n'
            f"options = {{ threads = {args.threads} }}\n"
        )
        with serving(command, home) as url:
            warm(url, args.max_tokens)
            return load(
                args, url, "--clients", str(case.clients), "--requests", str(case.requests),
                "--max-tokens", str(args.max_tokens),
                "--shared-prefix-words", str(case.prefix_words),
            )  # fmt: skip


def ours(case: Case) -> list[str]:
    return [sys.executable, "-m", "llmrr", "serve", "--port", "0", "--parallel", str(case.clients)]


def theirs(args: argparse.Namespace, case: Case, more: tuple[str, ...]) -> list[str]:
    return [
        str(args.llama_server), "-m", str(args.model), "-t", str(args.threads), "--port",
        str(args.port), "-np", str(case.clients), *more,
    ]  # fmt: skip


def rate(found: dict[str, Any]) -> float:
    return float(found["tokens_per_s"])


def compare(args: argparse.Namespace, case: Case) -> None:
    """Measure both sides in turn, and print what came of it."""
    rows = []
    for _ in range(args.rounds):
        here = measured(args, case, ours(case))
        ways = [measured(args, case, theirs(args, case, way)) for way in case.others]
        rows.append((here, max(ways, key=rate)))
    print(json.dumps({
        "case": case.name,
        "tokens_per_s_ratio": round(statistics.median(rate(a) / rate(b) for a, b in rows), 3),
        "first_p50_ratio": _first(rows, "p50"), "first_p95_ratio": _first(rows, "p95"),
        "llmrr": [_short(a) for a, _ in rows], "llama_server": [_short(b) for _, b in rows],
    }), flush=True)  # fmt: skip


def _first(rows: list[tuple[dict[str, Any], dict[str, Any]]], which: str) -> float:
    return round(statistics.median(a["first_s"][which] / b["first_s"][which] for a, b in rows), 3)


def _short(found: dict[str, Any]) -> dict[str, Any]:
    return {"tokens_per_s": rate(found), "first_s": found["first_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("llama_server", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("load", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--port", type=int, default=18099)
    parser.add_argument("--only", help="names of cases, with commas")
    args = parser.parse_args()
    for case in CASES:
        if not args.only or case.name in args.only.split(","):
            compare(args, case)


if __name__ == "__main__":
    main()
