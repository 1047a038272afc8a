"""The decision, with its reasons. What is only printed is put together when it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from llmrr.errors import DamagedFile, FeatureMissing, LlmrrError, NotFound, OverBudget
from llmrr.routing.candidate import (
    UNKNOWN,
    Candidate,
    Health,
    Needs,
    State,
    expected_cost,
    expected_time,
)
from llmrr.routing.draws import turn
from llmrr.routing.flags import NO_EFFECT, Effect
from llmrr.routing.rejection import Rejected, met, rejection
from llmrr.routing.strategies import MEASURED, SCORES

HOW_TO_MEASURE: Final = {
    "quality": "llmrr eval MODEL measures quality",
    "time_s": "llmrr bench MODEL, and every run, measures speed",
    "reliability": "every run measures reliability",
}
_UNTRIED_TERM: Final = "its speed is not measured yet, and counts as the best"
_UNTRIED: Final = "not measured yet: tried first"
_ASK: Final = 'llmrr route "…"'
ONLY_ONE: Final = "there is no other"
_BY_PRIORITY: Final = "by priority"
_DRAWN: Final = ("drawn at random", "drawn by weight")  # of equal weights, of others
_WHY: Final = {
    "balanced": "the best weighted sum",
    "quality-first": "the best quality",
    "cost-optimized": "the least cost",
    "speed-priority": "the least time",
    "reliability-first": "the most reliable",
    "round-robin": "its turn",
    "least-loaded": "the least loaded",
    "capability-match": "it meets most of the needs",
    "adaptive": "the best draw",
    "ensemble": "the best weighted sum of those that are asked",
}
# What a strategy takes for good as long as nobody measured it.
_PRIORS: Final = {
    "balanced": "speed", "ensemble": "speed", "speed-priority": "speed",
    "reliability-first": "reliability",
}  # fmt: skip


class Scored(NamedTuple):
    """A candidate that could take the request: its score, None where unknown, and what is known of
    it by name."""

    name: str
    score: float | None
    terms: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """Which model a request goes to. ``scores`` are those of ``candidates``, which could take it;
    ``chosen`` is None where none could; ``asked`` are the models that are asked in turn; ``flags``
    is what flags changed."""

    strategy: str
    needs: Needs
    state: State
    candidates: Sequence[Candidate]
    scores: Sequence[float | None]
    rejected: Sequence[Rejected]
    chosen: str | None
    why: str
    asked: tuple[str, ...] = ()
    flags: Effect = NO_EFFECT

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The chosen one, then the others as they would be asked: by priority, then score."""
        places = sorted(range(len(self.candidates)), key=self._place)
        names = [self.candidates[at].name for at in places if self.chosen is not None]
        return tuple(sorted(names, key=lambda name: name != self.chosen))

    @cached_property
    def ranked(self) -> tuple[Scored, ...]:
        """The candidates in that order, with their terms."""
        at = {one.name: place for place, one in enumerate(self.candidates)}
        return tuple(
            Scored(name, self.scores[at[name]], self._terms(self.candidates[at[name]]))
            for name in self.order
        )

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The terms that the strategy looks at and that nobody measured of any candidate."""
        terms = [one.terms for one in self.ranked]
        wanted = [key for key in MEASURED.get(self.strategy, ()) if key != "cost"]
        return tuple(key for key in wanted if all(one[key] is None for one in terms))

    @property
    def summary(self) -> str:
        """Why it was chosen, in a few words."""
        return self.why if len(self.candidates) == 1 else f"{self.strategy}: {self.why}"

    @property
    def hint(self) -> str | None:
        """How to measure what is missing."""
        return "; ".join(HOW_TO_MEASURE[key] for key in self.unmeasured) or None

    def require_winner(self) -> None:
        """Raise ``refusal`` where there is nobody to ask."""
        if not self.asked:
            raise self.refusal

    @property
    def refusal(self) -> LlmrrError:
        """What to raise where no candidate was left."""
        if not self.rejected:
            return NotFound("there is no model to choose among", "llmrr list")
        if len(self.rejected) == 1:
            alone = self.rejected[0].exception
            alone.model = self.rejected[0].name
            return alone
        reasons = "; ".join(f"{one.name}: {one.why}" for one in self.rejected)
        errors = [one.exception for one in self.rejected]
        said = f"no model can take this: {reasons}"
        # One of them could, were it not for the money: that it is which the user can mend.
        for error in errors:
            if isinstance(error, OverBudget):
                return OverBudget(said, error.hint)
        # One of them could, were it not for what is asked: that can be left out.
        lacks = any(one.kind == "feature" for one in self.rejected)
        found = FeatureMissing(said, _ASK) if lacks else _shared(said, errors)
        found.causes = tuple(one.error for one in self.rejected if one.error is not None)
        return found

    def facts(self) -> dict[str, Any]:
        """The shape of ``route --json``."""
        return {
            "model": self.chosen,
            "strategy": self.strategy,
            "why": self.why,
            "hint": self.hint,
            "asked": list(self.asked),
            "needs": {"tokens": self.needs.tokens, "words": self.needs.words},
            "candidates": [
                {"name": one.name, "score": one.score, "terms": one.terms} for one in self.ranked
            ],
            "rejected": [{"name": one.name, "why": one.why} for one in self.rejected],
            "flags": self.flags.facts(),
        }

    def _place(self, at: int) -> tuple[float, bool, float, float]:
        one, score = self.candidates[at], self.scores[at]
        rank = 0.0 if self.strategy == "random" else one.rank
        drawn = turn(self.state.seed ^ one.salt, one.weight)
        return rank, score is None, -(score or 0.0), drawn

    def _terms(self, one: Candidate) -> dict[str, Any]:
        health = self.state.health.get(one.name, UNKNOWN)
        loaded = one.name in self.state.loaded
        return {
            "quality": one.quality,
            "cost": expected_cost(self.needs, one, health),
            "time_s": expected_time(self.needs, health, loaded=loaded),
            "reliability": health.successes / health.attempts if health.attempts else None,
            "priority": one.priority,
            "weight": one.weight,
            "busy": health.busy,
            "turn": health.turn,
            "met": met(self.needs, one),
            "context": one.context,
            "loaded": loaded,
        }


def route(needs: Needs, candidates: Sequence[Candidate], state: State) -> Decision:
    """Choose. ``needs.strategy`` says how; names must be unique."""
    strategy = needs.strategy
    soft = strategy == "capability-match"
    fitting: list[Candidate] = []
    rejected: list[Rejected] = []
    for one in candidates:
        out = rejection(needs, one, state, soft_tags=soft)
        if out is None:
            fitting.append(one)
        else:
            rejected.append(out)
    why = ""
    if not fitting and (roomiest := _roomiest(candidates, rejected)):
        # How long a prompt is was estimated: the engine that counts has the last word.
        fitting = [roomiest]
        rejected = [one for one in rejected if one.name != roomiest.name]
        why = "it has the largest context"
    scores = SCORES[strategy](needs, fitting, state)
    chosen, reason = _best(strategy, fitting, scores, state)
    if reason == ONLY_ONE and rejected:
        reason = "no other can take it"
    untried = chosen is not None and _is_untried(strategy, chosen, fitting, state)
    if strategy != "random" and reason.startswith((_BY_PRIORITY, *_DRAWN)):
        known = "not measured yet" if untried else _known(strategy, fitting, state)
        reason = f"{known}: {reason}"
    elif untried and reason == _WHY.get(strategy):
        by_sum = strategy in ("balanced", "ensemble")
        reason = f"{reason}: {_UNTRIED_TERM}" if by_sum else _UNTRIED
    return Decision(strategy, needs, state, fitting, scores, rejected, chosen, why or reason)


def _best(
    strategy: str, fitting: Sequence[Candidate], scores: Sequence[float | None], state: State
) -> tuple[str | None, str]:
    """The name of the best, and what made it so."""
    if state.kept is not None and any(one.name == state.kept for one in fitting):
        return state.kept, "it answers this conversation"
    if not fitting:
        return None, "every candidate was rejected"
    if len(fitting) == 1:
        return fitting[0].name, ONLY_ONE
    known = [score for score in scores if score is not None]
    top = max(known) if known else None
    best = [one for one, score in zip(fitting, scores, strict=True) if score == top]
    if len(best) == 1:
        return best[0].name, _WHY.get(strategy, "drawn")
    lowest = min(one.rank for one in best)
    first = best if strategy == "random" else [one for one in best if one.rank == lowest]
    if len(first) == 1:
        return first[0].name, _BY_PRIORITY
    seed = state.seed
    drawn = min(first, key=lambda one: turn(seed ^ one.salt, one.weight))
    how = _DRAWN[len({one.weight for one in first}) > 1]
    return drawn.name, how if len(first) == len(best) else f"{_BY_PRIORITY}, then {how}"


def _known(strategy: str, fitting: Sequence[Candidate], state: State) -> str:
    """What left it to the priority, or to chance."""
    wanted = MEASURED.get(strategy, ())
    if wanted == ("cost",):
        return "equal cost" if any(one.cost for one in fitting) else "no cost is stated"
    for one in fitting:
        health = state.health.get(one.name, UNKNOWN)
        facts = {
            "quality": one.quality, "cost": None, "time_s": health.first_token_s,
            "reliability": health.attempts or None,
        }  # fmt: skip
        if any(facts[key] is not None for key in wanted):
            return "equal scores"
    return "no measurement" if wanted else "equal scores"


def _is_untried(
    strategy: str, chosen: str | None, fitting: Sequence[Candidate], state: State
) -> bool:
    """Whether the winner has a prior for what others were measured in."""
    prior = _PRIORS.get(strategy)
    weighs = strategy == "speed-priority" or prior != "speed" or state.weights[2]
    if prior is None or not weighs:
        return False
    tried = {one.name for one in fitting if _is_tried(prior, state.health.get(one.name, UNKNOWN))}
    return bool(tried) and chosen not in tried


def _is_tried(prior: str, health: Health) -> bool:
    return bool(health.attempts) or (prior == "speed" and health.first_token_s is not None)


def _roomiest(
    candidates: Sequence[Candidate], rejected: Sequence[Rejected]
) -> Candidate | None:
    tight = {one.name for one in rejected if one.kind == "context"}
    large = [one for one in candidates if one.name in tight]
    return max(large, key=lambda one: (one.context or 0, -one.rank, one.salt), default=None)


def _shared(said: str, errors: Sequence[LlmrrError]) -> LlmrrError:
    """One error for what kept all models from a request: that of each, where it is the same."""
    kinds = {type(error) for error in errors}
    if len(kinds) == 1 and kinds != {NotFound}:
        return kinds.pop()(said, _ASK)
    is_file = all(isinstance(one, DamagedFile) or getattr(one, "is_file", False) for one in errors)
    return NotFound(said, _ASK, is_file=is_file)
