"""Runs that are written down together: ``choosing.gathering``, and a router that does so."""

import threading
from collections.abc import Sequence
from contextlib import closing

import pytest

from llmrr import Router, spending, stats
from llmrr.choosing import dispatch, gathering, health, profiles
from llmrr.choosing.gathering import Gathering
from llmrr.database import open_database
from llmrr.errors import BreakerOpen, LlmrrError
from llmrr.routing.breaker import Rules

MINI = {"name": "small", "source": "builtin:mini"}
AWAY = {"name": "away", "source": "openai:x", "options": {"base_url": "http://127.0.0.1:9/v1"}}


def recorded() -> list[str]:
    with closing(open_database()) as connection:
        return [one.model for one in stats.runs(connection)]


def test_what_comes_while_something_is_written_is_written_together() -> None:
    begun, gate, written = threading.Event(), threading.Event(), list[Sequence[int]]()

    def write(items: Sequence[int]) -> None:
        begun.set()
        assert gate.wait(30)
        written.append(items)

    found = Gathering(write)
    found.add(0)
    assert begun.wait(30)
    for item in range(1, 5):
        found.add(item)
    gate.set()
    found.flush()
    assert written == [[0], [1, 2, 3, 4]]
    found.close()
    found.add(5)  # who was late
    found.close()
    assert written[2:] == [[5]]


def test_runs_that_are_written_together_count_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOMENT_S", 0.3)
    with Router({"models": [{**MINI, "cost": {"input": 1e6, "output": 1e6}}]}) as router:
        router.gather_runs()
        for _ in range(3):
            assert router.generate("Hello", model="small", max_tokens=4, cache=False).text
        router.flush()
        with closing(open_database()) as connection:
            runs = stats.runs(connection)
            (day,) = spending.spent(connection, spending.day_of(runs[-1].at))[1].values()
            known = health.read(connection, [profiles.key_of(router.config.models[0])], Rules())
    assert len(runs) == 3
    tokens = sum(one.prompt_tokens + one.completion_tokens for one in runs)
    assert day.tokens_today == tokens > 0
    assert day.today == pytest.approx(tokens)
    (found,) = known.values()
    assert found.attempts == pytest.approx(1 + 0.998 + 0.998**2)


def test_what_cannot_be_written_keeps_nothing_else_from_it() -> None:
    again, written = threading.Event(), list[int]()

    def write(items: Sequence[int]) -> None:
        if 0 in items:
            again.set()
            raise ValueError("no")
        written.extend(items)

    found = Gathering(write)
    found.add(0)
    assert again.wait(30)
    found.add(1)
    found.close()
    assert written == [1]


def test_a_run_counts_in_its_budget_before_it_is_written() -> None:
    with Router(models=[MINI], budgets={"tokens_daily": 1000}).gather_runs() as router:
        waiting = router._host._gathering
        assert waiting is not None
        with waiting._lock:  # nothing is written meanwhile
            for _ in "ab":
                router.generate("Hello", max_tokens=4)
            assert recorded() == []
            budgets = router._host.budgeting.now()
            assert budgets is not None and budgets.under_way.tokens_today >= 8
        runs = stats.runs(router.database)
        assert [one.model for one in runs] == ["small", "small"]
        budgets = router._host.budgeting.now()
        assert budgets is not None and budgets.under_way.tokens_today == 0
        taken = sum(one.prompt_tokens + one.completion_tokens for one in runs)
        assert budgets.spent.tokens_today == taken
        router.generate("Hello", max_tokens=4)
    assert recorded() == ["small"] * 3  # its end waits for nothing else


def test_a_run_that_failed_is_written_at_once_and_after_those_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "MOMENT_S", 0.5)
    with Router(models=[MINI, AWAY], retry={"attempts": 1}).gather_runs() as router:
        router.generate("Hello", model="small", max_tokens=4)
        with pytest.raises(LlmrrError):
            router.generate("Hello", model="away", fallback=False)
        assert recorded() == ["small", "away"]


def test_a_breaker_that_was_closed_a_moment_ago_opens_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "CLOSED_S", 3600.0)
    stated = {"retry": {"attempts": 1}, "breaker": {"failures": 2}, "health": {"interval": 0}}
    with Router(models=[AWAY], **stated) as router:
        for said in ("reached", "reached", "breaker"):
            with pytest.raises(LlmrrError, match=said) as raised:
                router.generate("Hello", model="away")
        assert isinstance(raised.value, BreakerOpen)
