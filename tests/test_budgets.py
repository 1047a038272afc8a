"""What may be spent: the pure rules, and requests that are held to them."""

import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import builders
import pytest
from fakes import FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL
from terminal import Typed

from llmrr import config, spending, stats, summaries, trust
from llmrr.choosing import recording
from llmrr.choosing.purse import Purse
from llmrr.database import open_database, schema
from llmrr.errors import BadConfig, LlmrrError, OverBudget
from llmrr.router import Router
from llmrr.routing import Candidate, Needs, State, route
from llmrr.routing.budgets import Budgets, Spent, Use
from llmrr.routing.candidate import Health
from llmrr.strategies import Cost, Limits
from llmrr.types import Message, Request, Sampling

HELLO = Request(messages=(Message("user", "hello"),))
TODAY = date(2026, 12, 31)
PRICED = Candidate("paid", features=None, cost=Cost(1000.0, 1000.0))
FREE = Candidate("free", features=None, cost=Cost(0.0, 0.0))
UNPRICED = Candidate("unpriced", features=None)
# Ten tokens in, ten out: two cents of the priced one.
NEEDS = Needs("cost-optimized", tokens=10, answer_tokens=10)
HEALTH = {name: Health(runs=1.0, answer_tokens=90.0) for name in ("paid", "free", "unpriced")}


# -- the rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "spent", "over"),
    [
        (Limits(daily=1.0), Spent(today=0.97), False),
        (Limits(daily=1.0), Spent(today=0.98), True),
        (Limits(daily=1.0), Spent(month=9.0), False),
        (Limits(monthly=1.0), Spent(month=0.98), True),
        (Limits(monthly=1.0), Spent(month=0.97), False),
        (Limits(daily=0.0), Spent(), True),
        (Limits(tokens_daily=100), Spent(tokens_today=79), False),
        (Limits(tokens_daily=100), Spent(tokens_today=80), True),
        (Limits(tokens_monthly=100), Spent(tokens_month=80), True),
        (Limits(tokens_monthly=100), Spent(tokens_today=80), False),
        (Limits(), Spent(10, 10, 10, 10), False),
    ],
)
def test_a_request_is_refused_where_it_would_fill_a_budget(
    limits: Limits, spent: Spent, over: bool
) -> None:
    of_all = Budgets(TODAY, limits, spent=spent)
    of_one = Budgets(TODAY, own={"paid": limits}, spent_by={"paid": spent})
    for budgets in (of_all, of_one):
        decision = route(NEEDS, [PRICED], State(health=HEALTH, budgets=budgets))
        assert (decision.chosen is None) == over
        assert [one.kind for one in decision.rejected] == ["budget"] * over
    other = Budgets(TODAY, own={"other": limits}, spent_by={"other": spent})
    assert route(NEEDS, [PRICED], State(health=HEALTH, budgets=other)).chosen == "paid"


def test_the_others_go_on_and_dollars_do_not_touch_what_is_free() -> None:
    budgets = Budgets(TODAY, Limits(daily=1.0), spent=Spent(today=2.0))
    decision = route(NEEDS, [PRICED, FREE, UNPRICED], State(health=HEALTH, budgets=budgets))
    assert decision.chosen == "free"
    assert {out.name: out.why for out in decision.rejected} == {
        "paid": "over budget: $2.00 of $1.00 of today are spent, and this takes about $0.02",
        "unpriced": "over budget: $2.00 of $1.00 of today are spent",
    }
    tokens = Budgets(TODAY, Limits(tokens_daily=10), spent=Spent(tokens_today=5))
    assert route(NEEDS, [PRICED, FREE], State(health=HEALTH, budgets=tokens)).chosen is None


def test_an_answer_that_nobody_measured_counts_nothing_before_it_is_there() -> None:
    for limits in (Limits(tokens_daily=40), Limits(daily=0.04)):
        budgets = Budgets(TODAY, limits)
        assert route(NEEDS, [PRICED], State(budgets=budgets)).chosen == "paid"
        measured = State(health=HEALTH, budgets=budgets)
        assert route(replace(NEEDS, answer_tokens=None), [PRICED], measured).chosen is None
    # A price is still one where only the answer has it: what is gone is gone.
    gone = Budgets(TODAY, Limits(daily=1.0), spent=Spent(today=1.0))
    late = Candidate("paid", features=None, cost=Cost(0.0, 1000.0))
    assert route(NEEDS, [late], State(budgets=gone)).chosen is None


def test_the_figures_of_a_refusal_add_up() -> None:
    use = Use("daily", None, 0.02, 0.009, 0.006, TODAY, under_way=0.0125)
    assert use.why == (
        "over budget: $0.0090 of $0.0200 of today are spent, $0.0125 are under way, and this takes"
        " about $0.0060"
    )


def test_what_is_left_of_nothing_says_when_it_begins_anew() -> None:
    for limits, spent, day in (
        (Limits(daily=1.0), Spent(today=1.0), "2027-01-01"),
        (Limits(monthly=1.0), Spent(month=1.0), "2027-01-01"),
    ):
        refusal = route(NEEDS, [PRICED], State(budgets=Budgets(TODAY, limits, spent=spent))).refusal
        assert isinstance(refusal, OverBudget)
        assert refusal.exit_code == 5
        assert refusal.message.startswith("paid: over budget: $1.00 of $1.00 of t")
        assert day in refusal.hint
    broken = Candidate("broken", features=frozenset())
    needs = Needs("balanced", features=frozenset({"tools"}))
    state = State(budgets=Budgets(TODAY, Limits(daily=0.0)))
    both = route(needs, [PRICED, broken], state).refusal
    assert isinstance(both, OverBudget)
    assert "broken: it lacks tools" in both.message


@pytest.mark.parametrize(
    ("today", "key", "resets"),
    [
        (date(2026, 11, 30), "daily", date(2026, 12, 1)),
        (date(2026, 11, 30), "monthly", date(2026, 12, 1)),
        (date(2026, 12, 5), "monthly", date(2027, 1, 1)),
        (date(2028, 2, 28), "tokens_daily", date(2028, 2, 29)),
    ],
)
def test_days_and_months_are_those_of_the_calendar(today: date, key: str, resets: date) -> None:
    use = Budgets(today, Limits(**{key: 1})).fullest("m", 1.0, 1)
    assert use is not None
    assert use.resets == resets


cents = st.integers(0, 500).map(lambda one: one / 100)
tokens = st.integers(0, 500)
limits = st.builds(Limits, *[st.none() | one for one in (cents, cents, tokens, tokens)])
spent = st.builds(Spent, cents, cents, tokens, tokens)


@given(limits, spent, limits, spent, st.none() | cents, tokens)
def test_over_is_what_the_figures_say(
    in_all: Limits, used: Spent, own: Limits, own_used: Spent, cost: float | None, count: int
) -> None:
    for budgets in (
        Budgets(TODAY, in_all, spent=used),
        Budgets(TODAY, in_all, {"m": own}, used, {"m": own_used}),
        Budgets(TODAY, in_all, {"other": own}, used, {"other": own_used}),
    ):
        expected = False
        rows = [(budgets.limits, budgets.spent)]
        if "m" in budgets.own:
            rows.append((budgets.own["m"], budgets.spent_by["m"]))
        for stated, so_far in rows:
            for at, limit in enumerate(stated):
                if limit is None or (at < 2 and cost == 0):
                    continue
                more = count if at > 1 else cost or 0.0
                expected = expected or round(so_far[at] + more - limit, 6) >= 0
        over = budgets.over("m", cost, count)
        assert (over is not None) == expected
        assert over is None or over.is_over


# -- what is stated ----------------------------------------------------------------------------

MODELS = """version = 1
strategy = 'quality-first'
[[models]]
name = 'paid'
source = 'file:./tiny.gguf'
priority = 0
cost = { input = 1000, output = 1000 }
[[models]]
name = 'free'
source = 'file:./tiny.gguf'
priority = 1
"""


def configure(budgets: str) -> None:
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    Path("llmrr.toml").write_text(MODELS + budgets)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[budgets.payd]\ndaily = 1", "did you mean paid?"),
        ("[budgets.daily]\nx = 1", "budgets.daily is the budget of all models, and no table"),
        ("[budgets]\ndialy = 1", "did you mean daily?"),
        ("[budgets.paid]\ndialy = 1", "did you mean daily?"),
        ("[budgets]\ndaily = -1", "budgets.daily = -1 is not a number of at least 0"),
        ("[budgets]\ntokens_daily = 1.5", "is not a whole number of at least 0"),
        ("[budgets.paid]\nmonthly = '5'", 'budgets.paid.monthly = "5" is not a number'),
        ("budgets = 5", "is not a table"),
        ("[budgets]\npaid = 5", "unknown key budgets.paid"),
    ],
)
def test_a_budget_that_means_nothing_is_refused_with_its_line(text: str, said: str) -> None:
    Path("llmrr.toml").write_text(f"{text}\n{MODELS}" if text[0] != "[" else MODELS + text)
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert said in f"{caught.value.message}\n{caught.value.hint}"
    assert "line" in caught.value.message


def test_budgets_of_a_model_that_the_project_replaces_are_left_out() -> None:
    own = config.user_file()
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("[budgets]\ndaily = 3\n[budgets.mine]\ndaily = 1\n[[models]]\nname = 'mine'\n"
                   "source = 'builtin:mini'\n")  # fmt: skip
    assert config.load().budgets == {"mine": Limits(daily=1.0)}
    Path("llmrr.toml").write_text(MODELS + "[budgets.paid]\ntokens_monthly = 7\n")
    found = config.load()
    assert found.budgets == {"paid": Limits(tokens_monthly=7)}
    assert found.value("budgets.daily") == 3.0
    assert any("[budgets.mine] is of no model" in one for one in found.warnings)
    own.unlink()
    Path("llmrr.toml").write_text("[budgets.paid]\ndaily = 1\n")
    with pytest.raises(BadConfig, match=r"no \[\[models\]\] is called 'paid'"):
        config.load()


# -- in use ------------------------------------------------------------------------------------


@pytest.fixture
def talks(engine: FakeEngine) -> FakeEngine:
    """Seven tokens in, five out, every time."""
    engine.replies = ["hi"] * 20
    return engine


def recorded() -> list[stats.Run]:
    with closing(open_database()) as connection:
        return stats.runs(connection)


def ask(told: list[str] | None = None, **named: object) -> str:
    with Router(warn=(told if told is not None else []).append) as router:
        answer = router.run(HELLO, **named)  # type: ignore[arg-type]
        for _ in answer:
            pass
        return answer.model.name


def spend(model: str, cost: float, tokens: int = 0, at: float | None = None) -> None:
    with closing(open_database()) as connection:
        spending.add(connection, time.time() if at is None else at, model, cost, tokens)


def test_a_run_costs_what_its_tokens_do(talks: FakeEngine) -> None:
    configure("")
    ask(model="paid")
    ask(model="free")
    ask(model="builtin:mini")
    paid, free, mini = recorded()
    assert paid.cost == pytest.approx(0.012)
    assert (free.cost, mini.cost) == (0.0, 0.0)
    with closing(open_database()) as connection:
        in_all, by_model = spending.spent(connection, spending.day_of(paid.at))
        summary = summaries.summary(connection)
    assert in_all.today == in_all.month == paid.cost
    assert by_model["free"].tokens_today == free.prompt_tokens + free.completion_tokens
    assert {one.model: one.cost for one in summary.models}["paid"] == paid.cost
    assert summary.days[-1].cost == paid.cost


def test_a_remote_model_costs_by_its_providers_count_or_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    with OpenAIServer() as server:
        Path("llmrr.toml").write_text(
            "".join(
                f"[[models]]\nname = '{name}'\nsource = 'openai:{MODEL}'\n{cost}\n"
                f"options = {{ base_url = '{server.address}/v1', api_key_env = 'FAR_KEY' }}\n"
                for name, cost in (("priced", "cost = { input = 2.0, output = 8.0 }"), ("not", ""))
            )
        )
        trust.trust(Path("llmrr.toml"))
        ask(model="priced")
        ask(model="not")
    priced, unknown = recorded()
    assert priced.cost == pytest.approx((11 * 2 + 3 * 8) / 1e6)
    assert unknown.cost is None


def test_run_tells_what_it_cost(talks: FakeEngine, typed: Typed) -> None:
    configure("")
    assert typed("run", "-m", "paid", "hi", "--json").json["cost"] == pytest.approx(0.012)
    assert typed("run", "-m", "free", "hi", "--json").json["cost"] == 0.0
    assert "cost $0.01\n" in typed("run", "-m", "paid", "hi", "--verbose").err
    assert "cost" not in typed("run", "-m", "free", "hi", "--verbose").err
    Path("llmrr.toml").write_text(MODELS + "cost = { input = 0, output = 100 }\n")
    talks.replies = ["hi", "ho"]
    both = typed("run", "--strategy", "ensemble", "hi", "--json").json
    assert both["cost"] == pytest.approx(0.012 + 0.0005)


def test_what_is_over_budget_is_passed_over_and_told(talks: FakeEngine) -> None:
    configure("[budgets]\ndaily = 1.0\n")
    assert ask() == "paid"
    spend("paid", 2.0)
    assert ask() == "free"
    with Router() as router:
        decision = router.route(HELLO)
    assert "over budget: $2." in decision.rejected[0].why
    with pytest.raises(OverBudget, match="paid: over budget"):
        ask(model="paid")
    told: list[str] = []
    assert ask(told, model="paid", fallback=["free"]) == "free"
    assert "OverBudget" in told[0]
    assert [run.error for run in recorded()] == [None, None, None]


def test_a_kept_answer_costs_nothing_and_is_given(talks: FakeEngine) -> None:
    configure("[budgets]\ndaily = 1.0\n")
    same = replace(HELLO, sampling=Sampling(temperature=0.0))
    with Router() as router:
        list(router.run(same, model="paid"))
        spend("paid", 2.0)
        answer = router.run(same, model="paid")
        assert ("".join(one.text for one in answer), answer.cache) == ("hi", "exact")
        with pytest.raises(OverBudget):
            router.run(HELLO, model="paid")


def test_nothing_left_ends_with_5_and_the_figure(talks: FakeEngine, typed: Typed) -> None:
    configure("[budgets]\ntokens_daily = 50\n")
    spend("gone", 0.0, tokens=49)
    seen = typed("run", "hello")
    assert seen.code == 5
    assert "49 of 50 tokens of today are spent" in seen.err
    assert "it begins anew on" in seen.err
    assert recorded() == []


@pytest.mark.parametrize("model", [None, "builtin:mini"])
def test_a_model_that_no_configuration_names_counts_too(
    talks: FakeEngine, model: str | None
) -> None:
    Path("llmrr.toml").write_text("[budgets]\ntokens_monthly = 500\ndaily = 0\n")
    assert ask(model=model) == "builtin:mini"
    spend("another", 9.0, tokens=487)
    with pytest.raises(OverBudget, match="builtin:mini: over budget: 499 of 500 tokens"):
        ask(model=model)


def test_a_warning_from_80_percent_on_once_a_process_and_day(talks: FakeEngine) -> None:
    configure("[budgets.paid]\nmonthly = 10.0\n[budgets]\ntokens_daily = 1_000_000\n")
    spend("free", 9.0)
    told: list[str] = []
    with Router(warn=told.append) as router:
        for at in range(4):
            if at == 2:
                spend("paid", 8.5)
            for _ in router.run(HELLO, model="paid"):
                pass
            assert len(told) == (at >= 2)
    assert told[0].startswith("the budget of paid is nearly used: $8.5")


def test_an_unknown_cost_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    with OpenAIServer() as server:
        Path("llmrr.toml").write_text(
            "[budgets]\ndaily = 1\n[[models]]\nname = 'far'\nsource = 'openai:tiny-1'\n"
            f"options = {{ base_url = '{server.address}/v1', api_key_env = 'FAR_KEY' }}\n"
        )
        trust.trust(Path("llmrr.toml"))
        told: list[str] = []
        with Router(warn=told.append) as router:
            for _ in range(2):
                assert list(router.run(HELLO))
        assert [one for one in told if "no cost" in one] == [
            "far has no cost in llmrr.toml: what it takes is counted in no budget of dollars, "
            "and once others have spent one it is refused"
        ]
        spend("other", 1.0)
        told.clear()
        with Router(warn=told.append) as router, pytest.raises(OverBudget, match="far: over"):
            router.run(HELLO, model="far")
        assert told == []


def test_other_processes_and_threads_are_counted(talks: FakeEngine) -> None:
    configure("[budgets.paid]\ntokens_daily = 1000\n")
    with Router() as router:
        threads = [threading.Thread(target=lambda: list(router.run(HELLO))) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        tokens = sum(run.prompt_tokens + run.completion_tokens for run in recorded())
        budgets = router.budgeting.now()
        assert budgets is not None
        assert budgets.spent.tokens_today == tokens
        spend("paid", 0.0, tokens=999)  # another process, over a connection of its own
        assert router.route(HELLO).chosen == "free"


def test_what_was_spent_yesterday_or_last_month_is_over() -> None:
    for at in ((2026, 11, 30, 23, 59), (2026, 12, 1, 0, 0), (2026, 12, 30, 12), (2026, 12, 31, 9)):
        spend("m", 1.0, 10, datetime(*at).timestamp())
    with closing(open_database()) as connection:
        in_all, _ = spending.spent(connection, TODAY.isoformat())
        assert in_all == Spent(1.0, 3.0, 10, 30)
        assert spending.spent(connection, "2027-01-01")[0] == Spent()


def test_retention_leaves_the_month_that_a_budget_counts() -> None:
    now = datetime(2026, 12, 31, 12).timestamp()
    days = [datetime(2026, 11, 30, 12), datetime(2026, 12, 2, 12)]
    with closing(open_database()) as connection:
        for day in days:
            spending.add(connection, day.timestamp(), "m", 1.0, 1)
            stats.record(connection, stats.Run(None, day.timestamp(), "m", "s", "e"))
        assert stats.prune(connection, 86400.0, now=now) == 2
        rows = connection.execute("SELECT day FROM spent").fetchall()
    assert rows == [("2026-12-02",)]


def test_tokens_of_before_are_counted_when_the_database_is_brought_up(tmp_path: Path) -> None:
    place = tmp_path / "old.db"
    steps = next(at for at, one in enumerate(schema.STEPS) if "cost REAL" in one[0])
    with closing(sqlite3.connect(place)) as old:
        for step in schema.STEPS[:steps]:
            for statement in step:
                old.execute(statement)
        old.execute(f"PRAGMA user_version = {steps}")
        at = datetime(2026, 12, 31, 23, 30).timestamp()
        old.execute(
            "INSERT INTO runs (at, model, source, engine, prompt_tokens, cached_tokens,"
            " completion_tokens, load_s, total_s) VALUES (?, 'm', 's', 'e', 5, 0, 7, 0, 1)", (at,)
        )  # fmt: skip
        old.commit()
    with closing(open_database(place)) as connection:
        assert spending.spent(connection, "2026-12-31")[0].tokens_today == 12
        assert stats.runs(connection)[0].cost is None


def test_what_is_under_way_counts_until_it_is_recorded(talks: FakeEngine) -> None:
    configure("[budgets]\ndaily = 0.06\n")
    ask(model="paid")  # $0.012, five tokens of answer
    with Router() as router:
        # Two tokens of prompt by estimate, eight around it, five of answer: $0.015 each.
        held = [router.run(HELLO, model="paid") for _ in range(3)]
        with pytest.raises(OverBudget, match=r"\$0.012 of \$0.060 .*, \$0.045 are under way, "):
            router.run(HELLO, model="paid")
        assert router.route(HELLO).chosen == "free"
        found = router.diagnose()["metrics"]["budgets"][0]
        assert found["spent"] == pytest.approx(0.012)
        assert found["under_way"] == pytest.approx(0.045)
        held.pop().close()
        budgets = router.budgeting.now()
        assert budgets is not None
        assert budgets.under_way.today == pytest.approx(0.030)
        for one in held:
            list(one)
        assert router.diagnose()["metrics"]["budgets"][0]["under_way"] == 0


def test_of_an_answer_that_nobody_measured_its_limit_is_held_back(talks: FakeEngine) -> None:
    configure("[budgets]\ntokens_daily = 50\n")
    limited = replace(HELLO, sampling=Sampling(max_tokens=30))
    with Router() as router:
        first = router.run(limited, model="paid")
        budgets = router.budgeting.now()
        assert budgets is not None
        assert budgets.under_way.tokens_today == 40
        list(first)


def test_what_every_prompt_has_more_than_its_words_is_learned(talks: FakeEngine) -> None:
    configure("[budgets]\ndaily = 0.1\n")
    with Router() as router:
        list(router.run(HELLO, model="paid"))
        answer = router.run(HELLO, model="paid")
        budgets = router.budgeting.now()
        assert budgets is not None
        assert budgets.under_way.today == pytest.approx(0.012)  # what the first one took
        list(answer)


def test_budgets_hold_while_the_database_cannot_be_used(
    talks: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("[budgets.paid]\ndaily = 0.03\n")
    told: list[str] = []
    with Router(warn=told.append) as router:
        list(router.run(HELLO, model="paid"))
        monkeypatch.setattr(recording.Recording, "database", property(broken))
        list(router.run(HELLO, model="paid"))
        with pytest.raises(OverBudget, match=r"paid: over budget: \$0.024 of \$0.030 of today"):
            list(router.run(HELLO, model="paid"))
        assert told.count("budgets count only this process now") == 1
        found = router.diagnose()["metrics"]["budgets"][0]
        assert (found["spent"], found["share"]) == (None, None)
        monkeypatch.undo()
        router._host.record._unrecorded_until = 0.0
        # What was not recorded still counts, beside what was.
        budgets = router.budgeting.now()
        assert budgets is not None
        assert budgets.is_known
        assert budgets.spent_by["paid"].today == pytest.approx(0.024)


def broken(_self: object) -> sqlite3.Connection:
    raise LlmrrError("the database is locked")


def test_a_day_that_began_while_the_database_was_away_begins_at_nothing() -> None:
    purse = Purse()
    purse.spent("2026-12-30", {"m": Spent(1.0, 2.0, 10, 20)})
    purse.add("2026-12-31", "m", 0.5, 5, is_recorded=True)
    purse.add("2026-12-31", "m", 0.25, 1, is_recorded=False)
    assert purse.spent("2026-12-31", None) == {"m": Spent(0.75, 2.75, 6, 26)}
    assert purse.spent("2027-01-01", None) == {}
    assert purse.spent("2026-12-31", {}) == {"m": Spent(0.25, 0.25, 1, 1)}
