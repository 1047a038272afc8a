"""So many requests through ``Router.generate`` and real HTTP on loopback, over five models of which
one never fails, three do in all the ways that providers have, and one is dead.

    python tests/bench/faults.py [--requests 100000] [--threads 64] [--strategy random]

The faults, each in one of a hundred requests of ``flaky-1``, two of ``flaky-2``, four of
``flaky-3``: no answer at all until the time is over, 429 with ``retry-after``, 500, a stream that
breaks before its first word, one that breaks after some, one that falls silent after some, and a
kept connection that is closed when the next request comes. Nothing listens where ``dead`` is.

Every answer must be the whole text, word for word: it is put together from two models where the
first broke off (``resume = true``). ``lost`` are the requests that raised, ``wrong`` those with
another text. ``off`` is how far the share of the decisions for a model is from its due, in
percentage points, over the decisions that all models took part in but the dead one: from that of
its weight with ``random``, from an equal one with ``round-robin``; others owe no share. Pauses,
cooldown and times are short, so that what they bring about happens often.

Fails where a request was lost or wrong, a share is more than one point off, or a run is missing in
the database.
"""

import argparse
import json
import os
import random
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Final

from upstream import (
    END,
    PIECES,
    STREAM_HEAD,
    TEXT,
    WORD,
    Connection,
    answer,
    chunked,
    serving,
)

WEIGHTS: Final = {"steady": 4.0, "flaky-1": 3.0, "flaky-2": 2.0, "flaky-3": 1.0, "dead": 2.0}
RATES: Final = {"steady": 0.0, "flaky-1": 0.01, "flaky-2": 0.02, "flaky-3": 0.04}
ERROR: Final = b'{"error":{"message":"no","type":"error"}}'
CONFIGURED: Final = """
version = 1
strategy = "{strategy}"
retry = {{ initial_delay = 0.01, max_delay = 0.1 }}
timeouts = {{ connect = 2, first_token = 1, between_tokens = 1, total = 60 }}
breaker = {{ cooldown = 2 }}
"""


class Flaky(Connection):
    """One connection to a model that fails in each way at this rate."""

    def __init__(self, rate: float, draws: random.Random) -> None:
        super().__init__()
        self._rate, self._draws = rate, draws
        self._answered = False

    def reply(self, body: bytes) -> None:
        at = int(self._draws.random() / self._rate) if self._rate else len(_FAULTS)
        write, fault = self.transport.write, _FAULTS[at] if at < len(_FAULTS) else "none"
        left = PIECES - _said(body)
        if fault == "silent":
            return
        if fault == "429":
            write(answer("429 Too Many Requests", "application/json", ERROR, "retry-after: 0.05"))
        elif fault == "500":
            write(answer("500 Internal Server Error", "application/json", ERROR))
        elif fault == "broken":
            write(STREAM_HEAD)
            self.transport.close()
        elif fault in ("breaks", "stalls"):
            write(STREAM_HEAD + chunked(WORD * (left // 2)))
            if fault == "breaks":
                self.transport.close()
        elif fault == "closed" and self._answered:
            self.transport.abort()
        else:
            write(STREAM_HEAD + chunked(WORD * left) + chunked(END) + b"0\r\n\r\n")
        self._answered = True


_FAULTS: Final = ("silent", "429", "500", "broken", "breaks", "stalls", "closed")


def _said(body: bytes) -> int:
    """How many words another model has said already."""
    turns = json.loads(body)["messages"]
    return sum(one["content"].count("word") for one in turns if one["role"] == "assistant")


def configure(urls: dict[str, str], strategy: str) -> None:
    """The five models."""
    from llmrr import config, paths

    text = CONFIGURED.format(strategy=strategy)
    for name, url in urls.items():
        text += f'[[models]]\nname = "{name}"\nsource = "openai:m"\nweight = {WEIGHTS[name]}\n'
        text += f'resume = true\noptions = {{ base_url = "{url}", api_key_env = "K" }}\n'
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    config.user_file().write_text(text)


class Tally:
    """What became of the requests."""

    def __init__(self) -> None:
        self.chosen: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.wrong = self.told = 0
        self.times: list[float] = []
        self._lock = threading.Lock()

    def warn(self, _text: str) -> None:
        with self._lock:
            self.told += 1

    def ask(self, ask: Callable[[], tuple[str, str, str | None]]) -> None:
        """Ask once. ``ask`` says the text, who answered, and who was chosen among all."""
        began = time.perf_counter()
        try:
            text, name, chosen = ask()
        except Exception as error:
            with self._lock:
                self.lost[f"{type(error).__name__}: {error}"[:100]] += 1
            return
        took = time.perf_counter() - began
        with self._lock:
            self.times.append(took)
            self.answered[name] += 1
            self.wrong += text != TEXT
            if chosen is not None:
                self.chosen[chosen] += 1


def drive(tally: Tally, requests: int, threads: int) -> float:
    """Send them; the seconds that it took."""
    from llmrr import Router

    left = iter(range(requests))
    lock = threading.Lock()

    with Router(warn=tally.warn) as router:

        def once() -> tuple[str, str, str | None]:
            found = router.generate("hello")
            decision = found.metadata.decision
            out = {one["name"] for one in decision["rejected"]}
            return found.text, found.model, decision["model"] if out == {"dead"} else None

        def work() -> None:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                tally.ask(once)

        running = [threading.Thread(target=work) for _ in range(threads)]
        began = time.perf_counter()
        for one in running:
            one.start()
        for one in running:
            one.join()
        return time.perf_counter() - began


def due(strategy: str, name: str) -> float | None:
    """The share of the decisions that a model is owed."""
    alive = [weight for other, weight in WEIGHTS.items() if other != "dead"]
    if strategy == "round-robin":
        return 1 / len(alive)
    return WEIGHTS[name] / sum(alive) if strategy == "random" else None


def report(tally: Tally, given: argparse.Namespace, took: float) -> int:
    """Print what became of them; 1 where it must not be so."""
    from llmrr import paths

    requests, drawn = given.requests, sum(tally.chosen.values())
    times = sorted(tally.times)
    print(f"{requests:,} requests in {took:.0f} s, {requests / took:.0f} a second; median "
          f"{times[len(times) // 2] * 1000:.1f} ms, the slowest {times[-1]:.2f} s")  # fmt: skip
    print(f"lost {sum(tally.lost.values())}, wrong {tally.wrong}, told {tally.told} times")
    worst = 0.0
    for name in RATES:
        share, owed = tally.chosen[name] / drawn, due(given.strategy, name)
        off = "" if owed is None else f", {100 * (share - owed):+.2f} points off {owed:.2f}"
        worst = max(worst, 0.0 if owed is None else 100 * abs(share - owed))
        print(f"  {name:<8} chosen {tally.chosen[name]:>6} of {drawn}: {share:.4f}{off}; "
              f"answered {tally.answered[name]:>6}")  # fmt: skip
    for why, count in tally.lost.most_common(10):
        print(f"  lost {count}: {why}")
    with closing(sqlite3.connect(paths.database_file())) as connection:
        counted = dict(connection.execute("SELECT error IS NULL, count(*) FROM runs GROUP BY 1"))
    print(f"recorded: {counted.get(1, 0)} answers, {counted.get(0, 0)} failures")
    kept = counted.get(1, 0) == requests - sum(tally.lost.values())
    return 0 if kept and not tally.lost and not tally.wrong and worst <= 1.0 else 1


def main() -> int:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--strategy", default="random")
    given = parser.parse_args()
    os.environ["K"] = "k"
    with ExitStack() as stack:
        os.environ["LLMRR_HOME"] = home = stack.enter_context(tempfile.TemporaryDirectory())
        os.chdir(home)
        urls = {
            name: stack.enter_context(serving(partial(Flaky, rate, random.Random(name))))
            for name, rate in RATES.items()
        }
        unused = stack.enter_context(closing(socket.socket()))
        unused.bind(("127.0.0.1", 0))  # nobody listens, and nobody else takes it
        urls["dead"] = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        configure(urls, given.strategy)
        tally = Tally()
        took = drive(tally, given.requests, given.threads)
        return report(tally, given, took)


if __name__ == "__main__":
    sys.exit(main())
