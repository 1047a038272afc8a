"""What a routing decision takes, by the number of candidates and by strategy.

    python tests/bench/routing.py [--rounds 200]

Every candidate has all facts; a third of them is rejected, for four different reasons. Medians over
the rounds, and the 95th percentile, in microseconds; ``printed`` also puts every reason and term
into words, as ``llmrr route`` does.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from llmrr.routing import Candidate, Health, Needs, State, route
from llmrr.strategies import STRATEGIES, Cost


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    print(f"{'strategy':<18} {'models':>6} {'median µs':>10} {'p95 µs':>9} {'printed µs':>11}")
    for strategy in STRATEGIES:
        for count in (10, 100, 1000):
            offered, known = candidates(count), health(count)
            needs = Needs(strategy, 2000, 500, frozenset({"schema"}), frozenset({"code"}))

            def decide(seed: int) -> object:
                return route(needs, offered, State(1000.0, seed * 7919, known))  # noqa: B023

            def words(seed: int) -> object:
                return decide(seed).facts()  # type: ignore[attr-defined]

            middle, high = micros(decide, rounds)
            printed, _ = micros(words, max(20, rounds // 10))
            print(f"{strategy:<18} {count:>6} {middle:>10.1f} {high:>9.1f} {printed:>11.1f}")


if __name__ == "__main__":
    main()
