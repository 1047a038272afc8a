"""Why a candidate cannot take a request. What is to be said is put together when it is asked for.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from llmrr.errors import (
    BreakerOpen,
    ContextOverflow,
    FeatureMissing,
    LlmrrError,
    NotFound,
    Unsupported,
)
from llmrr.routing.candidate import (
    FEATURE_WORDS,
    UNKNOWN,
    Candidate,
    Needs,
    State,
    held_against,
)


class Rejected(NamedTuple):
    """A candidate that was left out: ``kind`` of reason, and what it is about."""

    name: str
    kind: str
    about: tuple[object, ...] = ()
    error: LlmrrError | None = None

    @property
    def why(self) -> str:
        """The reason, in words."""
        if self.error is not None:
            return self.error.message
        return _TEXTS[self.kind].format(*self.about)

    @property
    def exception(self) -> LlmrrError:
        """What to raise where no other candidate is left."""
        if self.error is not None:
            return self.error
        if self.kind == "budget":
            return self.about[0].error(self.name)  # type: ignore[attr-defined, no-any-return]
        return _ERRORS[self.kind](f"{self.name}: {self.why}")


_TEXTS = {
    "context": "its context of {0:,} tokens is too small for a prompt of about {1:,}",
    "vectors": "it is an embedding model: it makes vectors, and no answers",
    "writes": "it writes answers, and others are embedding models",
    "feature": "it lacks {0}",
    "tag": "it has no tag {0}",
    "flag": "{0} leaves it out",
    "budget": "{0.why}",
    "breaker": "its breaker is open: it failed {0} times in a row, and is tried again in {1:.0f} s"
    "{2}",
    "probing": "its breaker is open: one request is trying it{2}",
}
_ERRORS: dict[str, Callable[[str], LlmrrError]] = {
    "context": ContextOverflow,
    "vectors": Unsupported,
    "writes": Unsupported,
    "feature": FeatureMissing,
    "tag": NotFound,
    "flag": NotFound,
    "breaker": BreakerOpen,
    "probing": partial(BreakerOpen, is_tried=True),
}


def rejection(
    needs: Needs, candidate: Candidate, state: State, *, soft_tags: bool = False
) -> Rejected | None:
    """Why a candidate is left out, or None. With ``soft_tags`` a tag that is missing is none."""
    if candidate.blocked is not None:
        return Rejected(candidate.name, "blocked", (), candidate.blocked)
    if needs.answers and not _answers(candidate, needs):
        return Rejected(candidate.name, "vectors")
    if needs.dedicated and not candidate.is_for_vectors:
        return Rejected(candidate.name, "writes")
    if candidate.context is not None and needs.tokens >= candidate.context:
        return Rejected(candidate.name, "context", (candidate.context, needs.tokens))
    if needs.features and candidate.features is not None:
        missing = needs.features - candidate.features - candidate.tags
        if missing:
            return Rejected(candidate.name, "feature", (", ".join(sorted(missing)),))
    if needs.tags and not soft_tags and not needs.tags <= candidate.tags:
        missing = needs.tags - candidate.tags
        return Rejected(candidate.name, "tag", (", ".join(sorted(missing)),))
    health = state.health.get(candidate.name, UNKNOWN)
    if state.no_room and (full := state.no_room.get(candidate.name)) is not None:
        return Rejected(candidate.name, "memory", (), full)
    if state.down and (away := state.down.get(candidate.name)) is not None:
        return Rejected(candidate.name, "down", (), away)
    if state.budgets is not None:
        cost, tokens = held_against(needs, candidate, health)
        if (use := state.budgets.over(candidate.name, cost, tokens)) is not None:
            return Rejected(candidate.name, "budget", (use,))
    if health.closed_at is None:
        return None
    said = f" ({health.last_error})" if health.last_error else ""
    if state.now < health.closed_at:
        about = (health.tripped, health.closed_at - state.now, said)
        return Rejected(candidate.name, "breaker", about)
    return Rejected(candidate.name, "probing", (0, 0, said)) if health.probing else None


def _answers(candidate: Candidate, needs: Needs) -> bool:
    is_meant = not candidate.is_said_to_be_for_vectors or candidate.name in needs.named
    return candidate.answers and is_meant


def met(needs: Needs, candidate: Candidate) -> int:
    """How many of the needs a candidate meets, as far as is known."""
    has = candidate.tags | (candidate.features or frozenset())
    return len(needs.features & has) + len(needs.tags & has)


def sorted_words(words: "list[str]") -> tuple[frozenset[str], frozenset[str]]:
    """What ``--need`` lists, as features and tags.

    >>> sorted_words(["code", "embedding"])
    (frozenset({'embeddings'}), frozenset({'code'}))
    """
    features = {FEATURE_WORDS[word] for word in words if word in FEATURE_WORDS}
    return frozenset(features), frozenset(word for word in words if word not in FEATURE_WORDS)
