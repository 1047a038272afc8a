"""What was measured, as numbers. Pure: the seed of the resampling is passed in."""

import random
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from llmrr.migrate.validating.asking import Trial, same_engine
from llmrr.migrate.validating.systems import Reply
from llmrr.stats import quantile

RESAMPLES: Final = 2000


class Performance(NamedTuple):
    """Seconds, over the requests that both sides answered; ``improvement`` is 1 - new_avg /
    old_avg, ``ratio`` new_avg / old_avg with the bounds of 95 % of resamples. ``latencies`` are
    (old, new), in the order they were measured."""

    old_avg: float | None = None
    new_avg: float | None = None
    improvement: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    median_ratio: float | None = None
    old_median: float | None = None
    new_median: float | None = None
    old_p95: float | None = None
    new_p95: float | None = None
    old_first_token: float | None = None
    new_first_token: float | None = None
    compared: int = 0
    same_engine: int = 0
    latencies: tuple[tuple[float, float], ...] = ()


class Reliability(NamedTuple):
    """Failures over attempts, of what is to be answered. ``same_failures`` is whether both sides
    failed at the same requests, those that must fail among them; ``differing`` names others,
    ``only_old`` and ``only_new`` by the side that failed."""

    old_error_rate: float | None
    new_error_rate: float | None
    old_errors: int
    new_errors: int
    attempts: int
    same_failures: bool
    differing: tuple[str, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    must_fail: tuple[tuple[str, bool | None, bool | None], ...]  # name, old failed, new failed
    errors: tuple[tuple[str, str, int], ...]  # side, what it said, how often


class Cost(NamedTuple):
    """Dollars of all that a side answered; None where no price is known of any."""

    old: float | None
    new: float | None


def performance(trials: Sequence[Trial], seed: int) -> Performance:
    """How fast both sides answer."""
    answered = [one for one in _meant(trials) if _is_answered(one)]
    both = [one for one in answered if not same_engine(one)]
    times = [(one.old.latency_s, one.new.latency_s) for one in both]
    known = tuple((old, new) for old, new in times if old is not None and new is not None)
    same = len(answered) - len(both)
    if not known:
        return Performance(same_engine=same)
    olds, news = [one for one, _ in known], [one for _, one in known]
    old, new = _mean(olds), _mean(news)
    low, high = bootstrap(known, seed)
    medians = quantile(olds, 0.5), quantile(news, 0.5)
    return Performance(
        old, new, 1.0 - new / old if old else None, new / old if old else None, low, high,
        medians[1] / medians[0] if medians[0] and medians[1] is not None else None, *medians,
        quantile(olds, 0.95), quantile(news, 0.95), _first([one.old for one in both]),
        _first([one.new for one in both]), len(known), same, known,
    )  # fmt: skip


def bootstrap(
    known: Sequence[tuple[float, float]], seed: int, resamples: int = RESAMPLES
) -> tuple[float | None, float | None]:
    """The bounds of 95 % of the ratios of means, new over old, when pairs are drawn anew (Efron's
    percentile interval); None of fewer than two.

    >>> bootstrap([(1.0, 2.0)] * 5, seed=0)
    (2.0, 2.0)
    """
    if len(known) < 2:
        return None, None
    drawn, ratios = random.Random(seed), []
    for _ in range(resamples):
        part = drawn.choices(known, k=len(known))
        if below := sum(old for old, _ in part):
            ratios.append(sum(new for _, new in part) / below)
    return quantile(ratios, 0.025), quantile(ratios, 0.975)


def reliability(trials: Sequence[Trial]) -> Reliability:
    """How often both sides fail."""
    meant = _meant(trials)
    old, new = ([getattr(one, side) for one in meant] for side in ("old", "new"))
    differing = [one for one in trials if one.old.is_asked and one.new.is_asked
                 and (one.old.error is None) != (one.new.error is None)]  # fmt: skip
    return Reliability(
        _rate(old), _rate(new), _failures(old), _failures(new), len(meant), not differing,
        _names(differing), _names(one for one in differing if one.old.error is not None),
        _names(one for one in differing if one.new.error is not None),
        tuple((one.case.name, _has_failed(one.old), _has_failed(one.new))
              for one in trials if one.case.must_fail),
        tuple(_errors("old", old)) + tuple(_errors("new", new)),
    )  # fmt: skip


def cost(trials: Sequence[Trial]) -> Cost:
    """What both sides cost."""
    return Cost(_cost([one.old for one in trials]), _cost([one.new for one in trials]))


def _names(trials: Iterable[Trial]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.case.name for one in trials))


def _meant(trials: Sequence[Trial]) -> list[Trial]:
    """What is to be answered."""
    return [one for one in trials if not one.case.must_fail]


def _is_answered(trial: Trial) -> bool:
    return all(one.is_asked and one.error is None for one in (trial.old, trial.new))


def _has_failed(reply: Reply) -> bool | None:
    return reply.error is not None if reply.is_asked else None


def _failures(replies: Sequence[Reply]) -> int:
    return sum(one.error is not None for one in replies)


def _rate(replies: Sequence[Reply]) -> float | None:
    asked = [one for one in replies if one.is_asked]
    return _failures(asked) / len(asked) if asked else None


def _errors(side: str, replies: Sequence[Reply]) -> list[tuple[str, str, int]]:
    said = [one.error for one in replies if one.error is not None]
    return [(side, one, said.count(one)) for one in dict.fromkeys(said)]


def _first(replies: Sequence[Reply]) -> float | None:
    known = [one.first_token_s for one in replies if one.first_token_s is not None]
    return _mean(known) if known else None


def _cost(replies: Sequence[Reply]) -> float | None:
    known = [one.cost for one in replies if one.cost is not None]
    return sum(known) if known else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
