"""Which candidate a request goes to: pure decisions, from tables and by their properties."""

import itertools
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.choosing import health as health_of
from llmrr.errors import (
    ContextOverflow,
    DoesNotFit,
    EngineFailed,
    FeatureMissing,
    LlmrrError,
    NotFound,
    Unsupported,
)
from llmrr.routing import Candidate, Decision, Health, Needs, State, breaker, chain, draws, route
from llmrr.routing.breaker import CLOSED, Breaker, Rules
from llmrr.routing.chain import RetryRules
from llmrr.routing.rejection import sorted_words
from llmrr.strategies import STRATEGIES, Cost
from llmrr.types import Usage

FAST = Health(attempts=10, successes=10, runs=10, load_s=0, first_token_s=0.1, token_s=0.01)
SLOW = replace(FAST, first_token_s=1.0, token_s=0.1)


ANYTHING = Needs()


def one(name: str, **facts: object) -> Candidate:
    return Candidate(name, **{"features": frozenset({"schema"}), **facts})  # type: ignore[arg-type]


def choose(
    strategy: str, *candidates: Candidate, needs: Needs = ANYTHING, **state: object
) -> Decision:
    return route(replace(needs, strategy=strategy), candidates, State(**state))  # type: ignore[arg-type]


def terms(decision: Decision, name: str) -> dict[str, object]:
    return next(one.terms for one in decision.ranked if one.name == name)


# -- who is left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "needs", "why", "kind"),
    [
        ({"context": 100}, Needs(tokens=100), "its context of 100 tokens is too small", None),
        ({"features": frozenset()}, Needs(features=frozenset({"schema", "images"})),
         "it lacks images, schema", FeatureMissing),
        ({}, Needs(tags=frozenset({"code"})), "it has no tag code", NotFound),
        ({"answers": False}, Needs(), "it makes vectors, and no answers", Unsupported),
        ({"blocked": DoesNotFit("it does not fit")}, Needs(), "it does not fit", DoesNotFit),
        ({"blocked": NotFound("no key: OPENAI_API_KEY")}, Needs(), "no key", NotFound),
    ],
)  # fmt: skip
def test_what_cannot_take_a_request_is_rejected_with_the_reason(
    facts: dict[str, object], needs: Needs, why: str, kind: type[LlmrrError] | None
) -> None:
    decision = choose("balanced", one("a", **facts), one("b", tags=frozenset({"code"}),
                      features=frozenset({"images", "schema"})), needs=needs)  # fmt: skip
    assert decision.chosen == "b"
    assert decision.why == "no other can take it"
    assert [out.name for out in decision.rejected] == ["a"]
    assert why in decision.rejected[0].why
    if kind is not None:
        alone = choose("balanced", one("a", **facts), needs=needs)
        assert alone.chosen is None
        assert type(alone.refusal) is kind
        assert why in alone.refusal.message


def test_a_feature_that_nobody_knows_of_is_no_reason_and_a_tag_stands_for_one() -> None:
    needs = Needs(features=frozenset({"images"}))
    assert choose("balanced", one("a", features=None), needs=needs).chosen == "a"
    assert choose("balanced", one("a", tags=frozenset({"images"})), needs=needs).chosen == "a"


def test_an_open_breaker_rejects_until_its_time_has_come() -> None:
    broken = Health(attempts=5, closed_at=130.0, tripped=5, last_error="EngineFailed: boom")
    decision = choose("balanced", one("a"), one("b"), now=100.0, health={"a": broken})
    assert decision.rejected[0].why == (
        "its breaker is open: it failed 5 times in a row, and is tried again in 30 s "
        "(EngineFailed: boom)"
    )
    assert choose("random", one("a"), now=130.0, health={"a": broken}).chosen == "a"
    tried = choose("random", one("a"), now=131.0, health={"a": replace(broken, probing=True)})
    assert tried.chosen is None
    assert "one request is trying it" in tried.rejected[0].why
    assert isinstance(tried.refusal, EngineFailed)


def test_where_all_contexts_seem_too_small_the_largest_is_tried() -> None:
    needs = Needs(tokens=5000)
    small, large = one("small", context=512), one("large", context=4096)
    decision = choose("balanced", small, large, needs=needs)
    assert (decision.chosen, decision.why) == ("large", "it has the largest context")
    assert [out.name for out in decision.rejected] == ["small"]
    assert isinstance(decision.rejected[0].exception, ContextOverflow)


def test_a_refusal_lists_every_reason() -> None:
    needs = Needs(tags=frozenset({"code"}))
    decision = choose("balanced", one("a"), one("b", blocked=DoesNotFit("no room")), needs=needs)
    assert decision.refusal.message == (
        "no model can take this: a: it has no tag code; b: no room"
    )
    assert isinstance(choose("balanced").refusal, NotFound)


def test_needs_are_words_of_engines_or_tags() -> None:
    features, tags = sorted_words(["vision", "json", "code", "embedding", "german"])
    assert features == {"images", "schema", "embeddings"}
    assert tags == {"code", "german"}


# -- what each strategy takes first ------------------------------------------------------------

TABLE = [
    ("quality-first", [one("a", quality=0.6), one("b", quality=0.7), one("c")], {}, "b"),
    ("cost-optimized", [one("a", cost=Cost(1, 1)), one("b", cost=Cost(0, 0)), one("c")], {}, "b"),
    ("speed-priority", [one("a"), one("b")], {"a": SLOW, "b": FAST}, "b"),
    ("reliability-first", [one("a"), one("b")],
     {"a": Health(attempts=100, successes=95), "b": Health(attempts=3, successes=3)}, "a"),
    ("round-robin", [one("a"), one("b"), one("c")],
     {"a": Health(turn=3), "b": Health(turn=1), "c": Health(turn=2)}, "b"),
    ("round-robin", [one("a"), one("b")], {"a": Health(turn=3)}, "b"),
    ("least-loaded", [one("a"), one("b")], {"a": Health(busy=2), "b": Health(busy=1)}, "b"),
    ("capability-match", [one("a", tags=frozenset({"chat"})),
                          one("b", tags=frozenset({"chat", "code"}))], {}, "b"),
    ("balanced", [one("a", quality=0.9, cost=Cost(9, 9)), one("b", quality=0.8, cost=Cost(0, 0))],
     {"a": SLOW, "b": FAST}, "b"),
    ("balanced", [one("a", quality=0.9, cost=Cost(0, 0)), one("b", quality=0.5, cost=Cost(0, 0))],
     {"a": FAST, "b": SLOW}, "a"),
    ("adaptive", [one("a"), one("b")],
     {"a": Health(attempts=400, successes=100), "b": Health(attempts=400, successes=390)}, "b"),
]  # fmt: skip


@pytest.mark.parametrize(("strategy", "candidates", "health", "winner"), TABLE)
def test_what_a_strategy_takes_first(
    strategy: str, candidates: list[Candidate], health: dict[str, Health], winner: str
) -> None:
    needs = Needs(tags=frozenset({"chat", "code"})) if strategy == "capability-match" else Needs()
    for order in itertools.permutations(candidates):
        assert choose(strategy, *order, needs=needs, health=health, seed=5).chosen == winner


def test_weights_decide_what_balanced_means() -> None:
    good = one("good", quality=1.0, cost=Cost(5, 5))
    cheap = one("cheap", quality=0.0, cost=Cost(1, 1))
    assert choose("balanced", good, cheap, weights=(0.9, 0.1, 0)).chosen == "good"
    assert choose("balanced", good, cheap, weights=(0.1, 0.9, 0)).chosen == "cheap"


def test_unknown_ranks_after_the_worst_that_is_known_and_is_none() -> None:
    decision = choose("quality-first", one("known", quality=0.0), one("unknown", priority=0))
    assert decision.chosen == "known"
    assert terms(decision, "unknown")["quality"] is None
    assert [(found.name, found.score) for found in decision.ranked] == [
        ("known", 0.0), ("unknown", None)
    ]  # fmt: skip


def test_without_any_measurement_the_priority_decides_and_what_measures_is_named() -> None:
    decision = choose("balanced", one("a", priority=2), one("b", priority=1), one("c"))
    assert (decision.chosen, decision.why) == ("b", "no measurement: by priority")
    assert "llmrr eval" in (decision.hint or "")
    assert "llmrr bench" in (decision.hint or "")
    assert decision.order == ("b", "a", "c")
    free = [one("a", cost=Cost(0, 0)), one("b", cost=Cost(0, 0), priority=1)]
    assert choose("balanced", *free).why == "no measurement: by priority"
    assert choose("cost-optimized", *free).why == "equal cost: by priority"
    assert choose("cost-optimized", one("a")).hint is None
    health = {"a": FAST, "b": FAST}
    measured = choose("speed-priority", one("a"), one("b", priority=1), health=health)
    assert measured.why == "equal scores: by priority"
    assert measured.hint is None


def test_what_is_drawn_is_said_to_be() -> None:
    least = "least-loaded"
    assert choose(least, one("a"), one("b")).why == "equal scores: drawn at random"
    assert choose(least, one("a"), one("b", weight=3)).why == "equal scores: drawn by weight"
    three = one("a", priority=1), one("b", priority=1), one("c", priority=9)
    assert choose(least, *three).why == "equal scores: by priority, then drawn at random"
    assert choose("random", one("a"), one("b")).why == "drawn at random"
    assert choose("random", one("a"), one("b", weight=3)).why == "drawn by weight"


def test_a_model_that_was_never_asked_is_tried_and_one_that_only_failed_is_not() -> None:
    failing = Health(attempts=3)
    for strategy in ("speed-priority", "balanced"):
        health = {"fast": FAST, "failing": failing}
        decision = choose(strategy, one("fast"), one("new"), one("failing"), health=health)
        assert decision.chosen == "new", strategy
        assert terms(decision, "new")["time_s"] is None
    assert choose("reliability-first", one("new"), one("failing"),
                  health={"failing": failing}).chosen == "new"  # fmt: skip


def test_a_winner_that_was_never_asked_is_said_to_be_one() -> None:
    a, b, known = one("a"), one("b"), {"a": SLOW}
    assert choose("speed-priority", a, b, health=known).why == "not measured yet: tried first"
    assert choose("balanced", a, b, health=known).why == (
        "the best weighted sum: its speed is not measured yet, and counts as the best"
    )
    found = choose("speed-priority", a, one("b", priority=1), one("c"), health=known)
    assert (found.chosen, found.why) == ("b", "not measured yet: by priority")
    failed = {"a": Health(attempts=1)}
    assert choose("reliability-first", a, b, health=failed).why == "not measured yet: tried first"
    assert choose("speed-priority", a, b, health={"a": FAST, "b": SLOW}).why == "the least time"
    better = one("b", quality=0.9)
    assert choose("balanced", one("a", quality=0.1), better).why == "the best weighted sum"
    weights = (0.7, 0.3, 0.0)
    decision = choose("balanced", one("a", quality=0.1), better, health=known, weights=weights)
    assert decision.why == "the best weighted sum"


def test_the_time_counts_loading_the_length_of_the_answer_and_failures() -> None:
    health = replace(FAST, load_s=2.0, answer_tokens=100.0)
    needs = Needs(answer_tokens=50)
    decision = choose("speed-priority", one("a"), needs=needs, health={"a": health})
    assert terms(decision, "a")["time_s"] == pytest.approx(2.0 + 0.1 + 50 * 0.01)
    loaded = choose("speed-priority", one("a"), needs=needs, health={"a": health},
                    loaded=frozenset({"a"}))  # fmt: skip
    assert terms(loaded, "a")["time_s"] == pytest.approx(0.1 + 50 * 0.01)
    flaky = choose("speed-priority", one("a"), needs=needs, loaded=frozenset({"a"}),
                   health={"a": replace(health, successes=4.5)})  # fmt: skip
    assert terms(flaky, "a")["time_s"] == pytest.approx(0.6 * 11 / 5.5)


def test_the_cost_is_that_of_this_prompt() -> None:
    needs = Needs(tokens=1_000_000, answer_tokens=10)
    decision = choose("cost-optimized", one("a", cost=Cost(2, 0)), one("b", cost=Cost(1, 1e5)),
                      needs=needs)  # fmt: skip
    assert terms(decision, "a")["cost"] == 2.0
    assert terms(decision, "b")["cost"] == 2.0
    short = choose("cost-optimized", one("a", cost=Cost(2, 0)), one("b", cost=Cost(1, 1e5)),
                   needs=replace(needs, tokens=1000))  # fmt: skip
    assert short.chosen == "a"


def test_who_answered_a_conversation_goes_on_if_it_can() -> None:
    best, other = one("best", quality=1.0), one("other", quality=0.1)
    kept = choose("quality-first", best, other, kept="other")
    assert (kept.chosen, kept.why) == ("other", "it answers this conversation")
    gone = choose("quality-first", best, replace(other, blocked=NotFound("gone")), kept="other")
    assert gone.chosen == "best"


def test_the_others_follow_by_priority_then_score() -> None:
    decision = choose("quality-first", one("a", quality=0.1, priority=1), one("b", quality=0.9),
                      one("c", quality=0.5, priority=1), one("d", quality=0.2))  # fmt: skip
    assert decision.order == ("b", "c", "a", "d")


# -- properties --------------------------------------------------------------------------------

names = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=6, unique=True)
shares = st.none() | st.floats(0, 1)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Needs, list[Candidate], State]:
    found = draw(names)
    candidates = [
        Candidate(
            name,
            priority=draw(st.none() | st.integers(0, 2)),
            weight=draw(st.sampled_from([0.5, 1.0, 3.0])),
            tags=draw(st.frozensets(st.sampled_from(["code", "chat"]))),
            context=draw(st.none() | st.sampled_from([100, 4096])),
            features=draw(st.none() | st.frozensets(st.sampled_from(["schema", "tools"]))),
            quality=draw(shares),
            cost=draw(st.none() | st.just(Cost(0, 0)) | st.just(Cost(1, 2))),
            blocked=draw(st.none() | st.none() | st.just(NotFound("gone"))),
        )
        for name in found
    ]
    health = {
        name: Health(
            attempts=attempts, successes=draw(st.integers(0, attempts)), runs=min(attempts, 10),
            first_token_s=draw(st.none() | st.floats(0, 10)), token_s=0.1,
            turn=draw(st.integers(0, 5)), busy=draw(st.integers(0, 3)),
            closed_at=draw(st.none() | st.sampled_from([50.0, 150.0])),
            probing=draw(st.booleans()),
        )
        for name in found if (attempts := draw(st.integers(0, 20)))
    }  # fmt: skip
    needs = Needs(
        draw(st.sampled_from(list(STRATEGIES))), draw(st.sampled_from([10, 2000, 9000])), None,
        draw(st.frozensets(st.sampled_from(["schema", "tools"]))),
        draw(st.frozensets(st.sampled_from(["code"]))),
    )  # fmt: skip
    return needs, candidates, State(100.0, draw(st.integers(0, 2**64 - 1)), health)


@settings(max_examples=80, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_properties_of_every_decision(
    world: tuple[Needs, list[Candidate], State], shuffler: random.Random
) -> None:
    needs, candidates, state = world
    decision = route(needs, candidates, state)
    rejected = {out.name for out in decision.rejected}
    everyone = {one.name for one in candidates}
    assert decision.chosen not in rejected
    assert {found.name for found in decision.ranked} | rejected == everyone
    assert len(decision.ranked) + len(decision.rejected) == len(candidates)
    assert all(out.why and out.exception.message for out in decision.rejected)
    assert (decision.chosen is None) == (rejected == everyone)
    if decision.chosen is not None:
        assert decision.order[0] == decision.chosen
    facts = decision.facts()
    shuffled = list(candidates)
    shuffler.shuffle(shuffled)
    again = route(needs, shuffled, state)
    assert again.order == decision.order
    assert {**again.facts(), "rejected": None} == {**facts, "rejected": None}


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_the_winner_has_the_best_score_and_among_equals_the_lowest_priority(
    world: tuple[Needs, list[Candidate], State],
) -> None:
    needs, candidates, state = world
    decision = route(needs, candidates, state)
    if decision.chosen is None or needs.strategy == "random":
        return
    by_name = {one.name: one for one in candidates}
    scores = {found.name: found.score for found in decision.ranked}
    mine = scores[decision.chosen]
    for name, score in scores.items():
        assert score is None or (mine is not None and mine >= score)
        if score == mine:
            assert by_name[name].rank >= by_name[decision.chosen].rank


# -- draws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["random", "balanced"])
def test_equals_are_drawn_in_the_share_of_their_weights(strategy: str) -> None:
    weights = {"a": 0.7, "b": 0.2, "c": 0.1}
    candidates = [one(name, weight=weight) for name, weight in weights.items()]
    seeds = random.Random(11)
    count = 15_000
    drawn = Counter(
        choose(strategy, *candidates, seed=seeds.getrandbits(64)).chosen for _ in range(count)
    )
    for name, weight in weights.items():
        assert abs(drawn[name] / count - weight) < 0.01


def test_seeds_that_follow_each_other_draw_as_well() -> None:
    candidates = [one("x1", weight=3), one("x2", weight=1)]
    drawn = Counter(choose("random", *candidates, seed=seed).chosen for seed in range(10_000))
    assert abs(drawn["x1"] / 10_000 - 0.75) < 0.01


def test_random_knows_no_priority() -> None:
    pair = [one("a", priority=1), one("b", priority=2)]
    assert {choose("random", *pair, seed=seed).chosen for seed in range(50)} == {"a", "b"}


def test_a_draw_from_the_beta_distribution_has_its_mean_and_spread() -> None:
    for good, bad in ((1.0, 1.0), (2.0, 5.0), (30.0, 3.0), (400.0, 100.0)):
        found = [draws.beta(draws.salt(str(at)), good, bad) for at in range(4000)]
        mean = sum(found) / len(found)
        spread = (sum((value - mean) ** 2 for value in found) / len(found)) ** 0.5
        whole = good + bad
        expected = (good * bad / (whole * whole * (whole + 1))) ** 0.5
        assert abs(mean - good / whole) < 0.02
        assert abs(spread / expected - 1) < 0.08
        assert all(0 < value < 1 for value in found)


def test_adaptive_regrets_less_and_less() -> None:
    rates = {"a": 0.95, "b": 0.7, "c": 0.4}
    world = random.Random(3)
    health = {name: Health() for name in rates}
    regret = []
    for _ in range(3000):
        seed = world.getrandbits(64)
        name = choose("adaptive", *map(one, rates), health=health, seed=seed).chosen
        assert name is not None
        regret.append(0.95 - rates[name])
        succeeded = world.random() < rates[name]
        health[name] = health_of.outcome(health[name], Usage(total_s=1.0) if succeeded else None)
    early, late = sum(regret[:300]) / 300, sum(regret[-300:]) / 300
    assert late < early / 3
    assert late < 0.02


# -- the breaker -------------------------------------------------------------------------------

RULES = Rules(failures=3, window=60.0, cooldown=30.0)


def failing(*times: float, state: Breaker = CLOSED) -> Breaker:
    for at in times:
        state = breaker.after(state, RULES, at, failed=True)
    return state


def test_it_opens_after_so_many_failures_in_a_row_within_the_window() -> None:
    assert failing(1, 2).opened is None
    assert failing(1, 2, 3).opened == 3
    assert failing(1, 2, 70).opened is None
    recovered = breaker.after(failing(1, 2), RULES, 3, failed=False)
    assert failing(4, 5, state=recovered).opened is None


def test_one_request_tries_an_open_one_after_the_cooldown() -> None:
    opened = failing(1, 2, 3)
    assert breaker.claimed(opened, RULES, 32.9) is None
    probing = breaker.claimed(opened, RULES, 33.0)
    assert probing is not None
    assert breaker.claimed(probing, RULES, 40.0) is None
    assert breaker.after(probing, RULES, 41.0, failed=False) == CLOSED
    again = breaker.after(probing, RULES, 41.0, failed=True)
    assert again.opened == 41.0
    assert breaker.claimed(again, RULES, 70.9) is None


def test_a_probe_that_never_came_back_does_not_keep_it_shut() -> None:
    probing = breaker.claimed(failing(1, 2, 3), RULES, 40.0)
    assert probing is not None
    assert breaker.claimed(probing, RULES, 69.0) is None
    assert breaker.claimed(probing, RULES, 70.0) is not None


def test_a_late_failure_does_not_prolong_it_and_a_clock_set_back_does_not_either() -> None:
    opened = failing(100, 101, 102)
    assert failing(110, state=opened).opened == 102
    assert breaker.claimed(opened, RULES, 50.0) is not None


# -- chains and waiting ------------------------------------------------------------------------


def test_a_chain_asks_each_model_once() -> None:
    own = {"a": ["b", "c"], "b": ["d"], "c": ["b"]}
    assert chain.chain("a", own, ["e", "a", "d"]) == ["a", "b", "d", "c", "e"]
    assert chain.chain("x", {}, []) == ["x"]


def test_delays_grow_up_to_the_longest() -> None:
    exponential = RetryRules(9, "exponential", 1.0, 5.0)
    linear = replace_rules(exponential, backoff="linear")
    for seed in range(20):
        spans = [chain.delay(exponential, tried, seed) for tried in (1, 2, 3, 4, 200)]
        for span, most in zip(spans, (1, 2, 4, 5, 5), strict=True):
            assert most / 2 <= span <= most
        assert 1.5 <= chain.delay(linear, 3, seed) <= 3
    assert chain.delay(exponential, 1, 0, asked=7.0) == 7.0


def replace_rules(rules: RetryRules, **named: object) -> RetryRules:
    return rules._replace(**named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "left", "took", "others", "waits"),
    [
        (1.0, None, 9.0, True, True),
        (1.0, 0.5, 0.0, False, False),
        (20.0, None, 0.0, True, False),
        (20.0, None, 0.0, False, True),
        (20.0, 30.0, 0.0, False, True),
        (20.0, 20.0, 0.0, False, False),
        (1.0, 3.0, 2.0, True, True),
        (1.0, 2.5, 2.0, True, False),
        (1.0, 2.5, 2.0, False, True),
    ],
)
def test_whether_to_wait(
    seconds: float, left: float | None, took: float, others: bool, waits: bool
) -> None:
    rules = RetryRules(max_delay=10.0)
    assert chain.may_wait(rules, seconds, left, took, others=lambda: others) is waits
