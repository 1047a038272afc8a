"""What a routing decision takes, by the number of candidates and by strategy.

    python tests/bench/routing.py [--rounds 200] [--only decisions,router,regret,share]

Every candidate has all facts; a third of them is rejected, for four different reasons. Medians over
the rounds, and the 95th percentile, in microseconds; ``reasons`` also puts the reason of everyone
who was rejected into words, ``printed`` every term besides, as ``llmrr route`` does.

``router`` is the same through ``Router.route``, with ``balanced``: over so many ``[[models]]`` of a
provider, with what the database says of each, in what order the others follow, and every reason.
``written`` is where another process has just written to the database, so that all of it is read
again.

``regret`` is what adaptive loses against always taking the best of five models, in answers that
failed and need not have, over so many requests; beside it what drawing evenly loses. ``share`` is
how far the share of draws is from that of the weights.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing

from llmrr import config, paths
from llmrr.choosing.health import note, outcome
from llmrr.choosing.profiles import key_of
from llmrr.database import open_database, remember
from llmrr.router import Router
from llmrr.routing import Candidate, Health, Needs, State, route
from llmrr.routing.breaker import Rules
from llmrr.strategies import STRATEGIES, Cost
from llmrr.types import Message, Request, Usage

RATES = {"a": 0.99, "b": 0.95, "c": 0.9, "d": 0.8, "e": 0.5}


def candidates(count: int) -> list[Candidate]:
    return [
        Candidate(
            f"model-{at}", priority=at % 3, weight=1 + at % 5, tags=frozenset({"chat", "code"}),
            context=1024 if at % 6 == 5 else 8192,
            features=frozenset() if at % 12 == 3 else frozenset({"schema", "grammar"}),
            quality=(at * 37 % 100) / 100, cost=Cost(at % 7 / 10, at % 11 / 5),
        )
        for at in range(count)
    ]  # fmt: skip


def health(count: int) -> dict[str, Health]:
    return {
        f"model-{at}": Health(
            attempts=50, successes=50 - at % 9, runs=10, load_s=1, first_token_s=0.1 + at % 13 / 10,
            token_s=0.02, answer_tokens=200, closed_at=1e9 if at % 12 == 6 else None, tripped=5,
        )
        for at in range(count)
    }  # fmt: skip


def micros(work: Callable[[int], object], rounds: int) -> tuple[float, float]:
    times = []
    for at in range(rounds):
        began = time.perf_counter_ns()
        work(at)
        times.append((time.perf_counter_ns() - began) / 1000)
    return statistics.median(times), sorted(times)[int(0.95 * rounds)]


def regret(strategy: str, requests: int, seed: int) -> float:
    world, known = random.Random(seed), {name: Health() for name in RATES}
    offered, best, lost = [Candidate(name) for name in RATES], max(RATES.values()), 0.0
    for _ in range(requests):
        state = State(0.0, world.getrandbits(64), known)
        name = route(Needs(strategy), offered, state).chosen
        assert name is not None
        lost += best - RATES[name]
        answered = Usage(total_s=1.0) if world.random() < RATES[name] else None
        known[name] = outcome(known[name], answered)
    return lost


def regrets() -> None:
    print(f"success rates {RATES}; medians of 9 runs")
    for requests in (100, 1000, 10_000):
        found = {
            strategy: statistics.median(regret(strategy, requests, seed) for seed in range(9))
            for strategy in ("adaptive", "random")
        }
        shares = ", ".join(
            f"{name} {lost:.1f} ({100 * lost / requests:.2f} %)" for name, lost in found.items()
        )
        print(f"{requests:>6} requests: lost {shares}")


def shares() -> None:
    weights, seeds, count = {"a": 0.7, "b": 0.2, "c": 0.1}, random.Random(1), 100_000
    offered = [Candidate(name, weight=weight) for name, weight in weights.items()]
    drawn = dict.fromkeys(weights, 0)
    for _ in range(count):
        chosen = route(Needs("random"), offered, State(0.0, seeds.getrandbits(64))).chosen
        assert chosen is not None
        drawn[chosen] += 1
    worst = max(abs(drawn[name] / count - weight) for name, weight in weights.items())
    print(f"share of {count:,} draws against weights {weights}: at most {100 * worst:.2f} % off")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", default="decisions,router,regret,share")
    given = parser.parse_args()
    parts = {
        "decisions": lambda: decisions(given.rounds), "router": lambda: routers(given.rounds),
        "regret": regrets, "share": shares,
    }  # fmt: skip
    for name in given.only.split(","):
        parts[name]()


def configured(count: int) -> Router:
    """A router over so many models, each with one recorded answer."""
    text = "version = 1\n"
    for at in range(count):
        text += f"[[models]]\nname = 'm{at}'\nsource = 'openai:m{at}'\nquality = {at % 97 / 97}\n"
        text += f"cost = {{ input = {at % 7}, output = {at % 11} }}\n"
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    config.user_file().write_text(text)
    router = Router()
    for at, model in enumerate(router.config.models):
        usage = Usage(completion_tokens=50, first_token_s=at % 13 / 10, total_s=1 + at % 5)
        router.with_database(lambda c: note(c, key_of(model), Rules(), usage=usage), "")  # noqa: B023
    return router


def routers(rounds: int) -> None:
    request = Request(messages=(Message("user", "hello"),))
    print(f"{'Router.route':<18} {'models':>6} {'median µs':>10} {'p95 µs':>9} {'written µs':>11}")
    for count in (10, 100, 1000):
        with tempfile.TemporaryDirectory() as home:
            os.environ |= {"LLMRR_HOME": home, "OPENAI_API_KEY": "k"}
            os.chdir(home)
            with configured(count) as router, closing(open_database()) as other:

                def reasons(_seed: int) -> object:
                    decision = router.route(request)
                    return decision.asked, [one.why for one in decision.rejected]

                def written(seed: int) -> object:
                    remember(other, "bench", str(seed))
                    return reasons(seed)

                alone, _ = micros(lambda seed: remember(other, "bench", str(seed)), rounds)
                middle, high = micros(reasons, rounds)
                fresh, _ = micros(written, rounds)
            os.chdir("/")
        print(f"{'balanced':<18} {count:>6} {middle:>10.1f} {high:>9.1f} {fresh - alone:>11.1f}")


def decisions(rounds: int) -> None:
    print(f"{'strategy':<18} {'models':>6} {'median µs':>10} {'p95 µs':>9} {'reasons µs':>11} "
          f"{'printed µs':>11}")
    for strategy in STRATEGIES:
        for count in (10, 100, 1000):
            offered, known = candidates(count), health(count)
            needs = Needs(strategy, 2000, 500, frozenset({"schema"}), frozenset({"code"}))

            def decide(seed: int) -> object:
                return route(needs, offered, State(1000.0, seed * 7919, known))  # noqa: B023

            def words(seed: int) -> object:
                return decide(seed).facts()  # type: ignore[attr-defined]

            def reasons(seed: int) -> object:
                return [one.why for one in decide(seed).rejected]  # type: ignore[attr-defined]

            middle, high = micros(decide, rounds)
            told, _ = micros(reasons, rounds)
            printed, _ = micros(words, max(20, rounds // 10))
            print(f"{strategy:<18} {count:>6} {middle:>10.1f} {high:>9.1f} {told:>11.1f} "
                  f"{printed:>11.1f}")


if __name__ == "__main__":
    main()
