"""What it costs to begin: a cold ``llmrr run``, with and without leaving a process behind, and a
warm one against ``curl`` to a server that has the model.

    python tests/bench/warm.py MODEL.gguf [--rounds 15] [--before FOLDER]

Each round measures every case once, in turn; medians are printed. ``--before`` is the checkout of
another llmrr, whose cold run is a case besides. The homes are temporary.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROMPT = "What is the capital of France?"
HERE = Path(__file__).parents[2]


class Command:
    """``llmrr`` of a checkout with a home of its own."""

    def __init__(self, checkout: Path, home: Path, **variables: str) -> None:
        self.environment = {
            **os.environ, "PYTHONPATH": str(checkout), "LLMRR_HOME": str(home), **variables
        }  # fmt: skip
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "llmrr", *words]

    def __call__(self, *words: str) -> float:
        """Seconds that it takes."""
        began = time.perf_counter()
        subprocess.run(
            self.line(*words), env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, check=words[0] != "stop",
        )  # fmt: skip
        return time.perf_counter() - began

    def run(self, model: Path) -> float:
        return self("run", "--no-cache", "--max-tokens", "1", "-m", str(model), PROMPT)


@contextmanager
def served(command: Command, model: Path) -> Iterator[str]:
    """The address of a server that has the model."""
    folder = Path(command.environment["LLMRR_HOME"]) / "config"
    folder.mkdir(parents=True)
    (folder / "llmrr.toml").write_text(
        f'version = 1\n[[models]]\nname = "m"\nsource = "file:{model}"\n'
    )
    process = subprocess.Popen(
        command.line("serve", "--port", "0"), env=command.environment,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        yield next(line for line in process.stderr if "listening on" in line).split()[-1]
    finally:
        process.terminate()
        process.wait()


def curl(address: str) -> float:
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": PROMPT}]}
    began = time.perf_counter()
    subprocess.run(
        ["curl", "-sf", f"{address}/v1/chat/completions", "-H", "content-type: application/json",
         "-d", json.dumps(body)],
        capture_output=True, check=True,
    )  # fmt: skip
    return time.perf_counter() - began


def cold(command: Command, model: Path) -> Callable[[], float]:
    def case() -> float:
        took = command.run(model)
        command("stop")
        return took

    return case


def warm(command: Command, model: Path) -> Callable[[], float]:
    def case() -> float:
        return command.run(model)

    return case


def measure(cases: dict[str, Callable[[], float]], rounds: int) -> None:
    for case in cases.values():
        case()
    found = [{name: case() for name, case in cases.items()} for _ in range(rounds)]
    for name in cases:
        times = sorted(one[name] for one in found)
        print(f"{name:44} {statistics.median(times):.3f} s  ({times[0]:.3f} to {times[-1]:.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--before", type=Path)
    args = parser.parse_args()
    model = args.model.absolute()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        served_home = Command(HERE, home / "served", LLMRR_KEEPALIVE="5m")
        kept = Command(HERE, home / "kept", LLMRR_KEEPALIVE="5m")
        leaving = Command(HERE, home / "leaving", LLMRR_KEEPALIVE="5m")
        alone = Command(HERE, home / "alone", LLMRR_KEEPALIVE="0")
        cases = {
            "python -c pass": lambda: _python(),
            "cold, keepalive 0": cold(alone, model),
            "cold, leaves a process": cold(leaving, model),
            "warm, the process that was left": warm(kept, model),
        }
        if args.before:
            cases["cold, before"] = warm(Command(args.before, home / "before"), model)
        with served(served_home, model) as address:
            cases["warm, a server"] = warm(served_home, model)
            if shutil.which("curl"):
                cases["curl, the same server"] = lambda: curl(address)
            measure(cases, args.rounds)
        kept("stop")


def _python() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
