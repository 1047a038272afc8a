"""What each strategy takes first: a score per candidate, the higher the better; None is unknown and
comes last.

Speed and reliability have an optimistic prior, one attempt that succeeded at once, so that a model
that was never asked is tried. Quality and cost have none.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from llmrr.routing.candidate import (
    UNKNOWN,
    Candidate,
    Needs,
    State,
    expected_cost,
    expected_time,
)
from llmrr.routing.draws import beta
from llmrr.routing.rejection import met

Scores = list[float | None]
Score = Callable[[Needs, Sequence[Candidate], State], Scores]

_Z: Final = 1.959964  # standard deviations: 95 %


def lower_bound(successes: float, attempts: float) -> float:
    """Wilson's lower bound of a rate with 95 % confidence.

    >>> round(lower_bound(9, 10), 3)
    0.596
    """
    share, spread = successes / attempts, _Z * _Z / attempts
    half = _Z * math.sqrt(share * (1 - share) / attempts + spread / attempts / 4)
    return max(0.0, (share + spread / 2 - half) / (1 + spread))


def _quality(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    return [one.quality for one in candidates]


def _cost(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    get = state.health.get
    costs = [expected_cost(needs, one, get(one.name, UNKNOWN)) for one in candidates]
    return [None if cost is None else -cost for cost in costs]


def _speed(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    """Minus the expected seconds, one run of no time counted in. A model that has only failed is
    unknown."""
    get, loaded = state.health.get, state.loaded
    scores: Scores = []
    for one in candidates:
        health = get(one.name, UNKNOWN)
        seconds = expected_time(needs, health, loaded=one.name in loaded)
        if seconds is None:
            scores.append(None if health.attempts else 0.0)
        else:
            scores.append(-seconds * health.runs / (health.runs + 1.0))
    return scores


def _balanced(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    """The weighted sum of the three, each from 0, the worst, to 1, the best; unknown is 0. What is
    unknown of all of them weighs nothing."""
    terms = (_quality, _cost, _speed)
    sums = [0.0] * len(candidates)
    known = 0.0
    for weight, term in zip(state.weights, terms, strict=True):
        scores = term(needs, candidates, state)
        values = [score for score in scores if score is not None]
        if not weight or not values:
            continue
        known += weight
        low, high = min(values), max(values)
        span = high - low
        for at, score in enumerate(scores):
            if score is not None:
                sums[at] += weight * ((score - low) / span if span else 1.0)
    # Sums of the same terms are equal whatever they were added to.
    return [round(one / known, 12) for one in sums] if known else [None] * len(sums)


def _reliability(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    scores: Scores = []
    for one in candidates:
        health = state.health.get(one.name, UNKNOWN)
        scores.append(lower_bound(health.successes + 1.0, health.attempts + 1.0))
    return scores


def _round_robin(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    return [-float(state.health.get(one.name, UNKNOWN).turn) for one in candidates]


def _least_loaded(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    return [-float(state.health.get(one.name, UNKNOWN).busy) for one in candidates]


def _capability(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    return [float(met(needs, one)) for one in candidates]


def _adaptive(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    get, seed = state.health.get, state.seed
    scores: Scores = []
    for one in candidates:
        health = get(one.name, UNKNOWN)
        failures = health.attempts - health.successes
        scores.append(beta(seed ^ one.salt, health.successes + 1.0, failures + 1.0))
    return scores


def _unscored(needs: Needs, candidates: Sequence[Candidate], state: State) -> Scores:
    return [None] * len(candidates)


SCORES: Final[dict[str, Score]] = {
    "balanced": _balanced,
    "quality-first": _quality,
    "cost-optimized": _cost,
    "speed-priority": _speed,
    "reliability-first": _reliability,
    "round-robin": _round_robin,
    "least-loaded": _least_loaded,
    "capability-match": _capability,
    "random": _unscored,
    "adaptive": _adaptive,
    "ensemble": _balanced,
}

# What was measured that a strategy looks at.
MEASURED: Final = {
    "balanced": ("quality", "cost", "time_s"),
    "quality-first": ("quality",),
    "cost-optimized": ("cost",),
    "speed-priority": ("time_s",),
    "reliability-first": ("reliability",),
    "adaptive": ("reliability",),
    "ensemble": ("quality", "cost", "time_s"),
}
