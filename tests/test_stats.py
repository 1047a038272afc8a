"""The record of runs: what comes back, what is found, what is summed, what is pruned."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime

import pytest

from llmrr import database, stats, summaries
from llmrr.errors import DoesNotFit
from llmrr.stats import Run
from llmrr.types import Message

NOON = datetime(2026, 3, 10, 12).timestamp()


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = database.open_database()
    yield connection
    connection.close()


def a_run(**changes: object) -> Run:
    values: dict[str, object] = {
        "id": None, "at": NOON, "model": "mini", "source": "builtin:mini", "engine": "llamacpp",
        "prompt_tokens": 10, "completion_tokens": 5, "total_s": 1.0,
    } | changes  # fmt: skip
    return Run(**values)  # type: ignore[arg-type]


def test_a_run_comes_back_as_it_was_recorded(connection: sqlite3.Connection) -> None:
    run = Run(
        None, 12.5, "m", "file:/m.gguf", "llamacpp", 7, 3, 9, 0.25, 0.5, 2.0, "length", "broke",
        "c1", "Be brief.", "Hi 🦙\0", "Hello",
    )  # fmt: skip
    run_id = stats.record(connection, run)
    back = stats.run(connection, run_id)
    assert back is not None
    assert back.id == run_id
    assert stats.runs(connection) == [back]
    assert [getattr(back, name) for name in stats._COLUMNS[1:]] == [
        getattr(run, name) for name in stats._COLUMNS[1:]
    ]
    assert stats.run(connection, run_id + 1) is None


def test_unknown_stays_none(connection: sqlite3.Connection) -> None:
    back = stats.run(connection, stats.record(connection, a_run()))
    assert back is not None
    assert (back.first_token_s, back.finish_reason, back.error) == (None, None, None)
    assert (back.conversation, back.system, back.prompt, back.answer) == (None, None, None, None)


def test_newest_last_and_limits(connection: sqlite3.Connection) -> None:
    for number in range(5):
        stats.record(connection, a_run(at=NOON + number, prompt=str(number)))
    assert [run.prompt for run in stats.runs(connection)] == ["0", "1", "2", "3", "4"]
    assert [run.prompt for run in stats.runs(connection, last=2)] == ["3", "4"]
    assert [run.prompt for run in stats.runs(connection, since=NOON + 3)] == ["3", "4"]
    assert stats.runs(connection, last=0) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("capital", ["What is the CAPITAL?"]),
        ("ÄRGER", ["Großer Ärger"]),
        ("grosser", ["Großer Ärger"]),
        ("%", ["100 % sure"]),
        ("_", ["snake_case"]),
        ("'; DROP TABLE runs", []),
    ],
)
def test_search_is_literal_and_knows_letters(
    connection: sqlite3.Connection, query: str, found: list[str]
) -> None:
    for prompt in ("What is the CAPITAL?", "Großer Ärger", "100 % sure", "snake_case", None):
        stats.record(connection, a_run(prompt=prompt))
    assert [run.prompt for run in stats.runs(connection, query=query)] == found


def test_search_reads_answers_system_prompts_and_errors(connection: sqlite3.Connection) -> None:
    stats.record(connection, a_run(answer="needle"))
    stats.record(connection, a_run(system="Needle"))
    stats.record(connection, a_run(error="the NEEDLE broke"))
    stats.record(connection, a_run(prompt="hay"))
    assert [run.id for run in stats.runs(connection, query="needle")] == [1, 2, 3]
    assert [run.id for run in stats.runs(connection, query="needle", last=1)] == [3]


def test_a_conversation_is_its_turns_in_order(connection: sqlite3.Connection) -> None:
    talk = {"conversation": "c1", "system": "Be brief."}
    stats.record(connection, a_run(**talk, prompt="one", answer="1"))
    stats.record(connection, a_run(conversation="c2", prompt="other", answer="o"))
    stats.record(connection, a_run(**talk, prompt="two", answer="2", model="big"))
    assert stats.conversation(connection, "c1") == stats.Conversation(
        "c1",
        "big",
        (
            Message("system", "Be brief."),
            Message("user", "one"),
            Message("assistant", "1"),
            Message("user", "two"),
            Message("assistant", "2"),
        ),
        "builtin:mini",
    )
    latest = stats.conversation(connection, None)
    assert latest is not None
    assert latest.cid == "c1"
    assert stats.conversation(connection, "c3") is None


def test_a_conversation_leaves_out_what_has_no_words(connection: sqlite3.Connection) -> None:
    stats.record(connection, a_run(conversation="c", prompt="kept", answer="yes"))
    stats.record(connection, a_run(conversation="c", prompt="failed", error="broke"))
    stats.record(connection, a_run(conversation="c"))
    found = stats.conversation(connection, "c")
    assert found is not None
    assert found.messages == (Message("user", "kept"), Message("assistant", "yes"))


def test_no_conversation_in_an_empty_database(connection: sqlite3.Connection) -> None:
    stats.record(connection, a_run(prompt="alone", answer="yes"))
    assert stats.conversation(connection, None) is None
    assert stats.conversations(connection) == []


def test_the_list_of_conversations(connection: sqlite3.Connection) -> None:
    for cid, at, prompt in [("a", 1, "first  thing\n"), ("b", 2, "x" * 99), ("a", 3, "again")]:
        stats.record(connection, a_run(conversation=cid, at=float(at), prompt=prompt))
    b, a = stats.conversations(connection)
    assert a == stats.ConversationHead("a", "mini", 1.0, 3.0, 2, "first thing")
    assert (b.cid, b.turns, len(b.title)) == ("b", 1, 60)
    assert stats.conversations(connection, last=1) == [a]


def test_summary_per_model(connection: sqlite3.Connection) -> None:
    for number in range(1, 21):
        stats.record(
            connection,
            a_run(first_token_s=number / 10, total_s=number / 10 + 2, completion_tokens=21),
        )
    stats.record(connection, a_run(error="broke", total_s=99.0, completion_tokens=0))
    stats.record(connection, a_run(model="other", cached_tokens=4, completion_tokens=1))
    mini, other = summaries.summary(connection).models
    assert (mini.model, mini.runs, mini.errors) == ("mini", 21, 1)
    assert (mini.prompt_tokens, mini.completion_tokens) == (210, 420)
    assert mini.first_token_median_s == pytest.approx(1.05)
    assert mini.first_token_p95_s == pytest.approx(1.905)
    assert mini.total_median_s == pytest.approx(3.05)
    assert mini.total_p95_s == pytest.approx(3.905)
    assert mini.tokens_per_s == pytest.approx(10.0)
    assert (other.runs, other.cached_tokens) == (1, 4)
    assert (other.first_token_median_s, other.tokens_per_s) == (None, None)
    assert other.total_median_s == 1.0


def test_summary_since(connection: sqlite3.Connection) -> None:
    stats.record(connection, a_run(at=NOON - 10))
    stats.record(connection, a_run(at=NOON))
    assert summaries.summary(connection, since=NOON).runs == 1
    assert summaries.summary(connection).runs == 2
    assert summaries.summary(connection, since=NOON + 1) == summaries.Summary((), ())


def test_days_without_runs_are_there(connection: sqlite3.Connection) -> None:
    stats.record(connection, a_run(at=NOON + 2 * stats.DAY_S, error="broke"))
    stats.record(connection, a_run(at=NOON))
    stats.record(connection, a_run(at=NOON + 60))
    assert summaries.summary(connection).days == (
        summaries.DaySummary("2026-03-10", 2, 0, 10),
        summaries.DaySummary("2026-03-11", 0, 0, 0),
        summaries.DaySummary("2026-03-12", 1, 1, 5),
    )


def test_figures_of_days_and_of_all_of_them(connection: sqlite3.Connection) -> None:
    for day, cost in ((0, None), (0, 0.5), (3, 0.25)):
        for total_s in (2.0, 4.0, 9.0):
            at = NOON + day * stats.DAY_S + total_s
            stats.record(connection, a_run(at=at, total_s=total_s * (day + 1), cost=cost))
    stats.record(connection, a_run(at=NOON, cache="exact", total_s=0.0))
    stats.record(connection, a_run(at=NOON, model="other"))
    summary, by_day = summaries.daily(connection)
    assert [*by_day] == ["2026-03-10", "2026-03-13"]
    first, other = by_day["2026-03-10"]
    assert (first.runs, first.hits, first.total_median_s, first.cost) == (7, 1, 4.0, 1.5)
    assert (other.model, other.runs) == ("other", 1)
    (last,) = by_day["2026-03-13"]
    assert (last.runs, last.total_median_s, last.cost) == (3, 16.0, 0.75)
    mini, _ = summary.models
    assert (mini.runs, mini.hits, mini.total_median_s, mini.cost) == (10, 1, 8.0, 2.25)
    assert [one.runs for one in summary.days] == [8, 0, 0, 3]


@pytest.mark.parametrize(("zone", "near"), [
    ("America/St_Johns", 1162088940.0),  # 0:01 becomes 23:01 of the day before
    ("America/Sao_Paulo", 1541300400.0),  # midnight becomes 1:00
    ("America/Sao_Paulo", 1550368800.0),  # midnight becomes 23:00
    ("America/Havana", 1762059600.0),  # 1:00 becomes midnight
])  # fmt: skip
def test_every_run_has_a_day_where_clocks_are_changed_at_midnight(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, zone: str, near: float
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    moments = [near + minute * 60 for minute in range(-180, 180, 5)]
    for at in moments:
        stats.record(connection, a_run(at=at))
    found = summaries.summary(connection).days
    days = Counter(date.fromtimestamp(at).isoformat() for at in moments)
    monkeypatch.undo()
    time.tzset()
    assert {one.day: one.runs for one in found} == days
    assert len(found) == 2


def test_figures_of_runs_do_not_read_what_was_said(connection: sqlite3.Connection) -> None:
    for sql in (summaries._SUMS, summaries._TIMES):
        (*_, how), *_ = connection.execute(f"EXPLAIN QUERY PLAN {sql}", (0.0, 1.0)).fetchall()
        assert "COVERING INDEX" in how


def test_retention_deletes_at_most_once_a_day(connection: sqlite3.Connection) -> None:
    for age in (0, 5, 15):
        stats.record(connection, a_run(at=NOON - age * stats.DAY_S, prompt=str(age)))
    assert stats.prune(connection, None, now=NOON) == 0
    assert stats.prune(connection, 10 * stats.DAY_S, now=NOON) == 1
    assert [run.prompt for run in stats.runs(connection)] == ["0", "5"]
    assert stats.prune(connection, 3 * stats.DAY_S, now=NOON + 3600) == 0
    assert stats.prune(connection, 3 * stats.DAY_S, now=NOON + stats.DAY_S) == 1
    assert [run.prompt for run in stats.runs(connection)] == ["0"]


def test_a_clock_that_went_back_does_not_stop_pruning(connection: sqlite3.Connection) -> None:
    stats.record(connection, a_run(at=NOON - 20 * stats.DAY_S))
    assert stats.prune(connection, stats.DAY_S, now=NOON + 400 * stats.DAY_S) == 1
    stats.record(connection, a_run(at=NOON - 20 * stats.DAY_S))
    assert stats.prune(connection, stats.DAY_S, now=NOON) == 1


def test_an_id_is_never_given_twice(connection: sqlite3.Connection) -> None:
    first = stats.record(connection, a_run(at=0.0))
    assert stats.prune(connection, 1.0, now=NOON) == 1
    assert stats.record(connection, a_run()) > first


def test_a_full_disk_is_an_error_with_a_hint(connection: sqlite3.Connection) -> None:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DoesNotFit, match="no space left") as caught:
        stats.record(connection, a_run(prompt="x" * 100_000))
    assert caught.value.hint
    assert stats.runs(connection) == []


def test_last_used_by_source(connection: sqlite3.Connection) -> None:
    stats.record(connection, a_run(at=1.0))
    stats.record(connection, a_run(at=2.0))
    stats.record(connection, a_run(at=1.5, source="file:/x.gguf"))
    assert stats.last_used(connection) == {"builtin:mini": 2.0, "file:/x.gguf": 1.5}


def test_a_year_of_runs_is_summed_quickly(connection: sqlite3.Connection) -> None:
    with database.transaction(connection):
        for number in range(10_000):
            stats.record(connection, a_run(at=NOON + number * 60, prompt="x" * 50))
    began = time.perf_counter()
    summaries.summary(connection)
    stats.runs(connection, query="nothing", last=10)
    assert time.perf_counter() - began < 2
