"""Models elsewhere and models here behind one name: chosen among, tried again, fallen back on."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault, Said
from terminal import Typed

from llmrr import config, stats
from llmrr.database import open_database
from llmrr.engines.remote import stream
from llmrr.engines.remote.deadlines import Deadlines
from llmrr.engines.remote.faults import Party
from llmrr.errors import BadConfig, RequestRefused, Unreachable, UsageError
from llmrr.router import Router
from llmrr.types import Endpoint, Message, Request, Sampling

HELLO = Request(messages=(Message("user", "Hello"),))


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OpenAIServer, OpenAIServer]]:
    """Two providers, ``far`` before ``near``, and the built-in model after both."""
    monkeypatch.setenv("FAR_KEY", KEY)
    with ExitStack() as stack:
        far, near = (stack.enter_context(OpenAIServer()) for _ in range(2))
        write(far, near)
        yield far, near


BY_PRIORITY = "strategy = 'capability-match'"  # nothing is needed: all are equal


def write(
    far: OpenAIServer, near: OpenAIServer, head: str = BY_PRIORITY, more: str = ""
) -> None:
    text = f"version = 1\nretry = {{ initial_delay = 0.0 }}\n{head}\n"
    for priority, (name, served) in enumerate((("far", far), ("near", near))):
        text += (
            f'[[models]]\nname = "{name}"\nsource = "openai:{MODEL}"\npriority = {priority}\n'
            f'options = {{ base_url = "{served.address}/v1", api_key_env = "FAR_KEY" }}\n{more}\n'
        )
    text += '[[models]]\nname = "here"\nsource = "builtin:mini"\npriority = 9\n'
    path = config.user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def ask(router: Router, request: Request = HELLO, **named: object) -> tuple[str, str]:
    answer = router.run(request, **named)  # type: ignore[arg-type]
    text = "".join(chunk.text for chunk in answer)
    return answer.model.name, text


@pytest.mark.parametrize(
    "fault", [Fault(429), Fault(500), Fault(503), Fault(after=0), Fault(raw=b"nonsense", after=0)]
)
def test_what_may_pass_is_tried_again(
    pair: tuple[OpenAIServer, OpenAIServer], fault: Fault
) -> None:
    far, near = pair
    far.faults.extend([fault, fault])
    with Router() as router:
        assert ask(router) == ("far", "Hello, world!")
    assert (len(far.seen), len(near.seen)) == (3, 0)


def test_an_answer_that_nobody_has_seen_is_asked_anew_where_it_breaks_off(
    pair: tuple[OpenAIServer, OpenAIServer]
) -> None:
    far, near = pair
    far.faults.extend([Fault(after=2)] * 3)
    near.replies.append(Said(("Good", " day")))
    with Router() as router:
        result = router.generate("Hello")
    assert (result.text, result.model) == ("Good day", "near")
    assert len(far.seen) == 3


@pytest.mark.parametrize(
    ("more", "named", "times"),
    [("", {}, 3), (", max_retries = 0", {}, 1), (", max_retries = 3", {}, 4),
     (", max_retries = 3", {"max_retries": 1}, 2), ("", {"max_retries": 1}, 2)],
)  # fmt: skip
def test_retries_that_a_model_states_are_in_place_of_those_of_all(
    pair: tuple[OpenAIServer, OpenAIServer], more: str, named: dict[str, object], times: int
) -> None:
    far, near = pair
    write(far, near)
    path = config.user_file()
    path.write_text(path.read_text().replace('"FAR_KEY" }', f'"FAR_KEY"{more} }}', 1))
    far.faults.extend([Fault(500)] * 20)
    with Router() as router:
        assert ask(router, options=named or None)[0] == "near"
    assert (len(far.seen), len(near.seen)) == (times, 1)


@pytest.mark.parametrize(
    ("more", "named", "seconds"),
    [("", {}, 50.0), (", timeout = 20", {}, 50.0), (", timeout = 70", {}, 70.0),
     (", timeout = 70", {"options": {"timeout": 10.0}}, 10.0), ("", {"deadline": 2.0}, 50.0),
     ("", {"deadline": 90.0}, 90.0)],
)  # fmt: skip
def test_all_attempts_together_have_the_whole_time(
    pair: tuple[OpenAIServer, OpenAIServer], more: str, named: dict[str, Any], seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    far, near = pair
    write(far, near, f"timeouts = {{ total = 50 }}\n{BY_PRIORITY}")
    path = config.user_file()
    path.write_text(path.read_text().replace('"FAR_KEY" }', f'"FAR_KEY"{more} }}', 1))
    far.faults.extend([Fault(500)] * 3)
    ends: list[float] = []

    def noted(endpoint: Endpoint, deadline: float) -> Deadlines:
        ends.append(deadline)
        return Deadlines(endpoint, deadline)

    monkeypatch.setattr(stream, "Deadlines", noted)
    began = time.monotonic()
    with Router() as router:
        assert ask(router, **named)[0] == "near"
    over = time.monotonic()
    assert len(ends) == 4
    assert len({*ends}) == 1
    assert began + seconds <= ends[0] <= over + seconds


def test_who_had_only_the_rest_of_the_time_is_not_to_blame() -> None:
    party, endpoint = Party("openai", "m"), Endpoint("openai", "m", timeout=30.0)
    for left, is_rest in ((30.0, False), (300.0, False), (2.0, True), (-1.0, True)):
        found = Deadlines(endpoint, time.monotonic() + left)
        assert found.error(party).is_of_request is is_rest
        room = found.total_left()
        assert room is not None
        assert room <= max(0.0, min(left, 30.0))


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_does_not_pass_goes_to_the_next_at_once(
    pair: tuple[OpenAIServer, OpenAIServer], status: int
) -> None:
    far, near = pair
    far.faults.append(Fault(status))
    told: list[str] = []
    with Router(warn=told.append) as router:
        assert ask(router) == ("near", "Hello, world!")
    assert (len(far.seen), len(near.seen)) == (1, 1)
    assert "far failed (" in told[0]


def test_all_that_fail_leave_it_to_the_model_that_is_here(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    for served in pair:
        served.faults.extend([Fault(500)] * 3)
    with Router() as router:
        name, text = ask(router, replace(HELLO, sampling=Sampling(max_tokens=3)))
    assert name == "here"
    assert text


@pytest.mark.parametrize("place", ["content", "reasoning_content"])
def test_halves_of_characters_become_whole_ones(
    pair: tuple[OpenAIServer, OpenAIServer], place: str
) -> None:
    far, _ = pair
    delta = f'"delta": {{"{place}": "a\\ud800 \\ud83d\\ude00"}}, "finish_reason": "stop"'
    said = f'data: {{"choices": [{{{delta}}}]}}\n\n'
    far.faults.append(Fault(raw=said.encode(), after=0))
    with Router() as router:
        chunks = list(router.run(HELLO))
        assert "".join(one.text + one.reasoning for one in chunks) == "a\ufffd \U0001f600"
        for named in ({}, {"model": "far"}):
            with pytest.raises(UsageError, match=r"'\\udcff' is half of a character"):
                router.run(Request(messages=(Message("user", "x\udcff"),)), **named)


def test_a_key_that_is_missing_rejects(
    pair: tuple[OpenAIServer, OpenAIServer], typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAR_KEY")
    found = typed("route", "Hello", "--json").json
    assert found["model"] == "here"
    assert [one["name"] for one in found["rejected"]] == ["far", "near"]
    assert all("FAR_KEY is not set" in one["why"] for one in found["rejected"])
    assert pair[0].seen == pair[1].seen == []


def test_a_request_that_all_refuse_is_no_fault_of_the_model(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    far, near = pair
    write(far, near, head="breaker = { failures = 1 }\n" + BY_PRIORITY)
    with Router() as router:
        for served in pair:
            served.faults.append(Fault(400))
        with pytest.raises(RequestRefused):
            ask(router, fallback=["near"])
        assert ask(router)[0] == "far"
        far.faults.append(Fault(401))
        assert ask(router)[0] == "near"
        assert ask(router)[0] == "near"
        assert "its breaker is open" in router.route(HELLO).rejected[0].why


def test_no_request_of_many_threads_is_lost_while_one_model_is_sound(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    far, near = pair
    write(far, near, head="breaker = { cooldown = 0.01 }\n" + BY_PRIORITY)
    faults = [Fault(500), Fault(drops=True), Fault(after=0), Fault(raw=b"{", after=0), Fault(401)]
    faults.append(Fault(429, headers={"retry-after": "0"}))
    for fault in faults * 10:  # now and then one that is answered
        far.faults += [fault] * 5 + [Fault()]
    told: list[str] = []
    answers: list[tuple[str, str]] = []
    with Router(warn=told.append) as router:
        threads = [
            threading.Thread(target=lambda: answers.extend(ask(router) for _ in range(20)))
            for _ in range(8)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert [text for _, text in answers] == ["Hello, world!"] * 160
    assert "near" in {name for name, _ in answers}
    with closing(open_database()) as connection:
        runs = stats.runs(connection)
    assert len([run for run in runs if run.error is None]) == 160


def test_an_answer_that_breaks_off_is_gone_on_with(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    far, near = pair
    write(far, near, more="resume = true")
    far.replies.append(Said(("Once ", "upon ", "a")))
    far.faults.append(Fault(after=3))
    near.replies.append(Said((" time.",)))
    with Router() as router:
        name, text = ask(router)
    assert name == "near"
    assert text.startswith("Once ")
    assert text.endswith(" time.")
    turns = near.last.body["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == text.removesuffix(" time.")


def test_what_came_before_a_break_counts(pair: tuple[OpenAIServer, OpenAIServer]) -> None:
    far, near = pair
    write(far, near, more="resume = true\ncost = { input = 1000.0, output = 1000.0 }")
    far.replies.append(Said(("x" * 40, "y" * 40)))
    far.faults.append(Fault(after=2))
    told: list[str] = []
    asked = replace(HELLO, sampling=Sampling(max_tokens=50))
    with Router(warn=told.append) as router:
        answer = router.run(asked)
        text = "".join(chunk.text for chunk in answer)
        cost = answer.cost
    said = text.removesuffix("Hello, world!")
    assert said
    tokens = len(said) // 4
    assert f"near goes on after about {tokens} tokens" in told[0]
    assert near.last.body["max_tokens"] == 50 - tokens
    with closing(open_database()) as connection:
        broken, whole = stats.runs(connection)
    assert broken.error is not None
    assert broken.completion_tokens == tokens
    assert broken.prompt_tokens > 0
    assert broken.cost == (broken.prompt_tokens + tokens) / 1000
    assert cost == pytest.approx(broken.cost + (whole.cost or 0.0))


def test_what_a_protocol_lacks_rejects_it(
    pair: tuple[OpenAIServer, OpenAIServer], typed: Typed
) -> None:
    found = typed("route", "--grammar", 'root ::= "a"', "x", "--json").json
    assert found["model"] == "here"
    assert {one["why"] for one in found["rejected"]} == {"it lacks grammar"}


def test_the_cost_decides_between_them(pair: tuple[OpenAIServer, OpenAIServer]) -> None:
    far, near = pair
    write(far, near, more="cost = { input = 1.0, output = 2.0 }")
    first, last = config.user_file().read_text().split('name = "near"')
    last = last.replace("input = 1.0", "input = 0.5")
    config.user_file().write_text(f'{first}name = "near"{last}')
    with Router() as router:
        decision = router.route(HELLO, strategy="cost-optimized")
    assert [one.name for one in decision.ranked if one.terms["cost"]] == ["far", "near"]
    assert decision.chosen == "here"
    costs = {one.name: one.terms["cost"] for one in decision.ranked}
    assert costs["here"] == 0.0
    assert costs["near"] < costs["far"]


@pytest.mark.parametrize("call", ["generate", "embed"])
def test_what_llmrr_itself_refuses_is_no_run_of_the_model(
    pair: tuple[OpenAIServer, OpenAIServer], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.delenv("FAR_KEY")
    with Router() as router:
        with pytest.raises(Unreachable, match="FAR_KEY is not set"):
            getattr(router, call)("hi", model="far")
        found = router.diagnose()
        assert (found["metrics"]["runs"], found["metrics"]["errors"]) == (0, 0)
        assert found["models"]["missing_keys"] == ["far", "near"]
    with closing(open_database()) as connection:
        assert stats.runs(connection) == []
        assert connection.execute("SELECT key FROM health").fetchall() == []


def test_an_address_that_nobody_agreed_to_is_no_run_of_the_model(
    pair: tuple[OpenAIServer, OpenAIServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.Config, "untrusted", lambda *_: "an address")
    with Router() as router, pytest.raises(BadConfig, match="nobody agreed"):
        router.generate("hi", model="far")
    with closing(open_database()) as connection:
        assert stats.runs(connection) == []


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_model_that_fails_where_another_answers_is_left_alone(
    pair: tuple[OpenAIServer, OpenAIServer], status: int
) -> None:
    far, near = pair
    write(far, near, f"{BY_PRIORITY}\nbreaker = {{ failures = 3 }}")
    far.faults.extend([Fault(status)] * 9)
    with Router() as router:
        for _ in range(5):
            assert ask(router)[0] == "near"
        [found] = [one for one in router.route("hi").rejected if one.name == "far"]
    assert found.why.startswith("its breaker is open: it failed 3 times in a row")
    assert len(far.seen) == 3
