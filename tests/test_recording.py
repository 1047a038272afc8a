"""What is written down of runs that end at once: ``choosing.recording``."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from llmrr import Router, config, spending, stats
from llmrr.choosing import dispatch, health, profiles
from llmrr.choosing.recording import Entry, Recording
from llmrr.database import open_database
from llmrr.errors import BreakerOpen, LlmrrError
from llmrr.routing.breaker import Rules
from llmrr.types import Message, Request

MINI = {"name": "small", "source": "builtin:mini"}
AWAY = {"name": "away", "source": "openai:x", "options": {"base_url": "http://127.0.0.1:9/v1"}}


def recorded() -> list[str]:
    with closing(open_database()) as connection:
        return [one.model for one in stats.runs(connection)]


class Gate:
    """Runs that are written down by threads of their own, once it is open; ``warned`` is of what
    was lost."""

    def __init__(self) -> None:
        self.warned: list[str] = []
        self.record = Recording(self.warned.append)
        self.begun, self.open = threading.Event(), threading.Event()
        self.recorded: dict[str, bool] = {}
        self.threads: list[threading.Thread] = []

    def add(self, name: str, error: BaseException | None = None) -> None:
        """One of this model, which cannot be written where there is an ``error``."""

        def outcome(connection: object) -> None:
            self.begun.set()
            assert self.open.wait(30)
            if error is not None:
                raise error

        def then(is_recorded: bool) -> None:
            self.recorded[name] = is_recorded

        def work() -> None:
            run = stats.Run(None, time.time(), name, "s", "e")
            with suppress(KeyboardInterrupt):
                self.record.add(Entry(run, False, None, config.load(), outcome), then)

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def end(self) -> None:
        """Have all written."""
        self.open.set()
        for thread in self.threads:
            thread.join(30)
        self.record.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.end()


def test_runs_that_end_while_one_is_written_are_written_together(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, told = [], threading.Event()
    add = Recording._add
    monkeypatch.setattr(
        Recording, "_add", lambda self, runs: (counts.append(len(runs)), add(self, runs))[1]
    )
    gate.record.when_written(told.set)
    assert told.is_set()  # there is nothing to wait for
    told.clear()
    gate.add("0")
    assert gate.begun.wait(30)
    for name in "1234":
        gate.add(name)
    for thread in gate.threads[1:]:
        thread.join(30)  # who writes does it for them
    gate.record.when_written(told.set)
    assert gate.recorded == {} and not told.is_set()
    gate.open.set()
    gate.record.flush()
    assert told.is_set()
    assert counts[:3] == [0, 1, 4]
    assert gate.recorded == dict.fromkeys("01234", True)
    assert sorted(recorded()) == list("01234")


def test_what_cannot_be_written_keeps_nothing_else_from_it(gate: Gate) -> None:
    gate.add("wrong", ValueError("no"))
    assert gate.begun.wait(30)
    gate.add("lost", LlmrrError("the disk is full", ""))
    gate.add("lost too")
    for thread in gate.threads[1:]:
        thread.join(30)
    gate.end()
    assert gate.recorded == dict.fromkeys(("wrong", "lost", "lost too"), False)
    of = "nothing is recorded"
    assert gate.warned == [f"{of}: ValueError: no", f"{of}: the disk is full"]
    assert recorded() == []
    gate.record._unrecorded_until = 0.0
    gate.add("good")
    gate.end()
    assert recorded() == ["good"]


def test_an_interrupt_of_who_writes_leaves_nobody_waiting(gate: Gate) -> None:
    gate.add("first")
    assert gate.begun.wait(30)
    gate.add("stopped", KeyboardInterrupt())
    gate.add("other")
    for thread in gate.threads[1:]:
        thread.join(30)
    told = threading.Event()
    gate.record.when_written(told.set)
    gate.end()
    assert told.is_set()
    assert gate.recorded == {"first": True, "stopped": False, "other": False}
    assert recorded() == ["first"]


def test_each_of_many_that_end_at_once_counts() -> None:
    model = {**MINI, "cost": {"input": 1e6, "output": 1e6}}
    with Router(models=[model], budgets={"tokens_daily": 10**6}) as router:

        def ask() -> None:
            assert router.generate("Hello", model="small", max_tokens=4, cache=False).text

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with closing(open_database()) as connection:
            runs = stats.runs(connection)
            (day,) = spending.spent(connection, spending.day_of(runs[-1].at))[1].values()
            known = health.read(connection, [profiles.key_of(router.config.models[0])], Rules())
        budgets = router._host.budgeting.now()
    assert len(runs) == 6
    tokens = sum(one.prompt_tokens + one.completion_tokens for one in runs)
    assert day.tokens_today == tokens > 0
    assert day.today == pytest.approx(tokens)
    (found,) = known.values()
    assert found.attempts == pytest.approx(sum(0.998**at for at in range(6)))
    assert budgets is not None
    assert (budgets.spent.tokens_today, budgets.under_way.tokens_today) == (tokens, 0)


def test_what_follows_a_run_and_fails_stops_nothing_else(gate: Gate) -> None:
    def fails() -> None:
        raise ValueError("no")

    gate.record.when_written(fails)
    gate.add("next")
    gate.end()
    assert gate.recorded == {"next": True}
    assert gate.warned == ["what follows a run failed: ValueError: no"]


def test_an_answer_has_its_record_before_its_last_piece_is_given() -> None:
    with Router(models=[MINI]) as router:
        answer = router.run(Request(messages=(Message("user", "Hello"),)))
        for chunk in answer:
            assert recorded() == (["small"] if chunk.usage is not None else [])
        assert recorded() == ["small"]


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
