"""All that was found of both sides: what is measured, held against the bars, and shown."""

from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr.errors import CheckFailed
from llmrr.migrate.validating import bars as held
from llmrr.migrate.validating import figures, judging
from llmrr.migrate.validating.asking import Asked, Trial, require_compared
from llmrr.migrate.validating.bars import Bar, Bars
from llmrr.migrate.validating.figures import Cost, Performance, Reliability
from llmrr.migrate.validating.judging import Accuracy, Alike

if TYPE_CHECKING:
    from llmrr.router import Router


class Comparison(NamedTuple):
    """The old side against the new one."""

    old: str
    new: str
    trials: tuple[Trial, ...]
    warm_up: tuple[float | None, float | None]
    performance: Performance
    accuracy: Accuracy
    reliability: Reliability
    alike: Alike
    cost: Cost
    bars: tuple[Bar, ...]
    waived: tuple[str, ...]
    seed: int

    @property
    def passed(self) -> bool:
        """Whether every bar is met."""
        return all(one.passed for one in self.bars)

    def require(self) -> None:
        """Raise ``CheckFailed`` with the bars that are not met, and by how much."""
        failed = [one.said for one in self.bars if not one.passed]
        if failed:
            raise CheckFailed("; ".join(failed), held.hint(self.bars))


def compare(
    router: "Router", names: tuple[str, str], asked: Asked, bars: Bars, *,
    embedding: str | None = None, judge: str | None = None, seed: int = 0,
) -> Comparison:  # fmt: skip
    """Measure what came of the requests; ``names`` are those of the old and the new side."""
    trials = asked.trials
    require_compared(trials)
    alike = judging.alike(router, judging.pairs(trials), embedding)
    speed, sound = figures.performance(trials, seed), figures.reliability(trials)
    return Comparison(
        *names, trials, asked.warm_up, speed, judging.accuracy(router, trials, judge), sound, alike,
        figures.cost(trials), held.held(bars, alike, speed, sound),
        () if bars.similarity is not None else ("similarity",), seed,
    )  # fmt: skip


def facts(found: Comparison) -> dict[str, Any]:
    """``migrate validate --json``: seconds, rates and scores from 0 to 1, null where not measured.
    """
    speed, sound, alike = found.performance, found.reliability, found.alike
    return {
        "performance": speed._asdict() | {
            "latencies": [list(one) for one in speed.latencies],
            "old_warm_up": found.warm_up[0], "new_warm_up": found.warm_up[1],
        },
        "accuracy": found.accuracy._asdict(),
        "reliability": sound._asdict() | {
            "must_fail": [
                {"name": name, "old_failed": old, "new_failed": new}
                for name, old, new in sound.must_fail
            ],
            "errors": [
                {"side": side, "message": said, "count": count}
                for side, said, count in sound.errors
            ],
        },
        "similarity": alike.cosine,
        "similarity_by": alike.by,
        "similarity_unknown": alike.why,
        "lexical": {
            "similarity": alike.lexical, "overlap": alike.overlap, "jaccard": alike.jaccard,
            "compared": alike.compared,
        },
        "cost": found.cost._asdict(),
        "bars": [one._asdict() for one in found.bars],
        "waived": list(found.waived),
        "passed": found.passed,
        "samples": sound.attempts,
        "old": found.old,
        "new": found.new,
        "seed": found.seed,
    }  # fmt: skip
