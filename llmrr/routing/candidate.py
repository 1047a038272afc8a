"""What a decision is made from: the needs of a request, the candidates with what is known of them,
and the state of the world. Unknown is None."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from llmrr.errors import LlmrrError
from llmrr.routing.budgets import Budgets
from llmrr.routing.draws import salt
from llmrr.strategies import DEFAULT_STRATEGY, Cost
from llmrr.types import Feature

# Tokens of an answer where neither a limit nor past answers say how long it becomes. It is the same
# for all candidates: only how much the price of an answer weighs against that of a prompt hangs on
# it.
ANSWER_TOKENS: Final = 256

# What --need calls the features of engines; any other word is a tag.
FEATURE_WORDS: Final = {
    **{str(one): str(one) for one in Feature},
    "images": "images", "image": "images", "vision": "images",
    "tools": "tools", "tool": "tools",
    "embedding": "embeddings",
    "json": "schema",
}  # fmt: skip

_VECTORS: Final = frozenset({"embedding", "embeddings"})


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request demands. ``tokens`` is about how many its prompt has, ``answer_tokens`` the
    longest answer that is wanted; ``features`` are words of engines, ``tags`` those of users;
    ``strategy`` says how to choose; ``answers`` is False where only vectors are wanted, and with
    ``dedicated`` those of a model that is for nothing else. The models that are ``named`` are what
    the request wants, whatever their tags say."""

    strategy: str = DEFAULT_STRATEGY
    tokens: int = 0
    answer_tokens: int | None = None
    features: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    answers: bool = True
    dedicated: bool = False
    named: frozenset[str] = frozenset()

    @property
    def words(self) -> list[str]:
        """All that is needed of a model, sorted."""
        return sorted(self.features | self.tags)


@dataclass(slots=True)
class Candidate:
    """A model that may be chosen, with what changes rarely. ``priority`` None comes after all that
    have one. ``context`` is how many tokens it can hold, ``features`` what can be asked of it, None
    where only its provider knows. ``answers`` is False of a model that only makes vectors.
    ``blocked`` is why it cannot be used at all."""

    name: str
    priority: int | None = None
    weight: float = 1.0
    tags: frozenset[str] = frozenset()
    group: str | None = None
    context: int | None = None
    features: frozenset[str] | None = frozenset()
    quality: float | None = None
    cost: Cost | None = None
    answers: bool = True
    blocked: LlmrrError | None = None
    salt: int = field(init=False, repr=False)
    rank: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.salt = salt(self.name)
        self.rank = float("inf") if self.priority is None else float(self.priority)

    @property
    def is_for_vectors(self) -> bool:
        """Whether it is an embedding model, by its files or its tags, and can be used."""
        return self.blocked is None and (not self.answers or self.is_said_to_be_for_vectors)

    @property
    def is_said_to_be_for_vectors(self) -> bool:
        """Whether its tags say that it is an embedding model."""
        return not self.tags.isdisjoint(_VECTORS)


@dataclass(frozen=True, slots=True)
class Health:
    """How a model has been doing, exponentially weighted: ``attempts`` of which ``successes``;
    seconds to load, to the first token, per token after it, and tokens of an answer; ``runs`` is
    over how many these means go. ``busy`` requests are under way; ``turn`` numbers when it was last
    chosen. ``closed_at`` is when a breaker that is open lets a request through again, ``tripped``
    how many failures opened it."""

    attempts: float = 0.0
    successes: float = 0.0
    runs: float = 0.0
    load_s: float | None = None
    first_token_s: float | None = None
    token_s: float | None = None
    answer_tokens: float | None = None
    busy: int = 0
    turn: int = 0
    closed_at: float | None = None
    tripped: int = 0
    probing: bool = False
    last_error: str | None = None


UNKNOWN: Final = Health()


@dataclass(frozen=True, slots=True)
class State:
    """What a decision hangs on besides the request and the models. ``now`` is in epoch seconds,
    ``loaded`` names the models that are in memory, ``weights`` are those of quality, cost and
    speed, ``kept`` is the model that has answered a conversation so far, ``budgets`` what may be
    spent, None where nothing limits it, ``no_room`` why models are not loaded now, by name, and
    ``down`` why their servers are not asked."""

    now: float = 0.0
    seed: int = 0
    health: Mapping[str, Health] = field(default_factory=dict)
    loaded: frozenset[str] = frozenset()
    weights: tuple[float, float, float] = (0.4, 0.3, 0.3)
    kept: str | None = None
    budgets: Budgets | None = None
    no_room: Mapping[str, LlmrrError] = field(default_factory=dict)
    down: Mapping[str, LlmrrError] = field(default_factory=dict)


def expected_tokens(needs: Needs, health: Health) -> float:
    """How long an answer of a model becomes, in tokens."""
    usual = health.answer_tokens if health.answer_tokens is not None else ANSWER_TOKENS
    return usual if needs.answer_tokens is None else min(usual, needs.answer_tokens)


def expected_cost(needs: Needs, candidate: Candidate, health: Health) -> float | None:
    """Dollars."""
    if candidate.cost is None:
        return None
    if not any(candidate.cost):
        return 0.0
    return candidate.cost.of(needs.tokens, expected_tokens(needs, health))


def held_against(
    needs: Needs, candidate: Candidate, health: Health, *, at_most: bool = False
) -> tuple[float | None, float]:
    """Dollars and tokens that a request counts for before it is answered: of its answer what past
    ones took. Where there are none nobody knows: nothing, or ``at_most`` the limit that it states.
    Dollars are 0 only of a model that costs nothing.

    >>> paid = Candidate("paid", cost=Cost(1000.0, 1000.0))
    >>> held_against(Needs(tokens=10), paid, UNKNOWN)
    (0.01, 10.0)
    >>> held_against(Needs(tokens=10, answer_tokens=5), paid, UNKNOWN, at_most=True)
    (0.015, 15.0)
    """
    answer = float(needs.answer_tokens or 0) if at_most else 0.0
    if health.answer_tokens is not None:
        answer = expected_tokens(needs, health)
    tokens = needs.tokens + answer
    if candidate.cost is None:
        return None, tokens
    if not any(candidate.cost):
        return 0.0, tokens
    return candidate.cost.of(needs.tokens, answer) or None, tokens


def expected_time(needs: Needs, health: Health, *, loaded: bool) -> float | None:
    """Seconds until an answer is complete, counting that some attempts fail."""
    if health.first_token_s is None:
        return None
    seconds = health.first_token_s + expected_tokens(needs, health) * (health.token_s or 0.0)
    if not loaded:
        seconds += health.load_s or 0.0
    return seconds * (health.attempts + 1.0) / (health.successes + 1.0)
