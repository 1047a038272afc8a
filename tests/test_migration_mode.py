"""The old and the new side of a migration beside each other: who answers, and what is recorded."""

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault, Said
from terminal import Typed

from llmrr import config, pairs, paths, stats
from llmrr.choosing import background
from llmrr.database import open_database
from llmrr.errors import BadConfig, LlmrrError, RequestRefused, UsageError
from llmrr.router import Router
from llmrr.types import Message, Request, Sampling, Tool

HELLO = Request(messages=(Message("user", "Hello"),))
WAIT = 20  # seconds, of which a sound run takes none


class Gated(OpenAIServer):
    """Says ``before`` events of an answer, and the rest once ``gate`` is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.reached, self.before = threading.Event(), threading.Event(), 0
        self.gate.set()

    def __exit__(self, *args: object) -> None:
        self.gate.set()
        super().__exit__(*args)

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        for number, event in enumerate(super().events(path, body, said)):
            if number == self.before:
                self.reached.set()
                self.gate.wait(WAIT)
            yield event


class Two:
    """Both sides, and a router over them."""

    def __init__(self, new: Gated, legacy: Gated) -> None:
        self.new, self.legacy = new, legacy
        new.replies.extend(Said(("The capital ", "is ", "Paris.")) for _ in range(40))
        legacy.replies.extend(Said(("the capital", " is Paris",)) for _ in range(40))
        self.told: list[str] = []

    def write(self, mode: str | None = "hybrid", head: str = "", more: str = "") -> None:
        text = f"version = 1\nretry = {{ initial_delay = 0.0, attempts = 1 }}\n{head}\n"
        for name, served in (("fresh", self.new), ("old", self.legacy)):
            text += f"[[models]]\nname = '{name}'\nsource = 'openai:{MODEL}'\n"
            text += f"options = {{ base_url = '{served.address}/v1', api_key_env = 'A_KEY' }}\n"
            text += f"{more}\n"
        text += "[migration]\nnew = ['fresh']\nlegacy = ['old']\n"
        text += f"mode = '{mode}'\n" if mode else ""
        path = config.user_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def router(self) -> Router:
        return Router(warn=self.told.append)

    def ask(self, request: Request = HELLO, *, held: bool = False, **named: Any) -> str:
        """The answer; the router is closed, so that all of it is recorded."""
        with self.router() as router:
            self.answer = router.run(request, **named)
            self.answer.held = held
            return "".join(chunk.text for chunk in self.answer)

    @property
    def facts(self) -> dict[str, Any]:
        facts = self.answer.facts()
        assert facts is not None
        found: dict[str, Any] = facts["migration"]
        return found


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    monkeypatch.setenv("A_KEY", KEY)
    with ExitStack() as stack:
        found = Two(*(stack.enter_context(Gated()) for _ in range(2)))
        found.write()
        yield found


def recorded() -> list[pairs.Pair]:
    with closing(open_database()) as connection:
        return pairs.pairs(connection)


def runs() -> list[stats.Run]:
    with closing(open_database()) as connection:
        return stats.runs(connection)


# -- hybrid ------------------------------------------------------------------------------------


def test_both_are_asked_and_the_new_side_answers(two: Two) -> None:
    assert two.ask() == "The capital is Paris."
    assert two.answer.model.name == "fresh"
    (pair,) = recorded()
    assert (pair.mode, pair.answered, pair.prompt, pair.similarity) == ("hybrid", "new", "Hello", 1)
    assert pair.new is not None and pair.legacy is not None
    assert (pair.new.success, pair.new.model, pair.new.tokens) == (True, "fresh", 3)
    assert (pair.legacy.success, pair.legacy.model, pair.legacy.tokens) == (True, "old", 3)
    assert (pair.new.text, pair.legacy.text) == ("The capital is Paris.", "the capital is Paris")
    assert pair.new.latency_s and pair.legacy.latency_s
    assert two.facts["answered"] == "new"
    assert two.told == []


def test_a_failing_other_side_touches_nothing(two: Two) -> None:
    two.legacy.faults.extend([Fault(400, message="no such thing")] * 2)
    with two.router() as router:
        for _ in range(2):
            assert "".join(chunk.text for chunk in router.run(HELLO)) == "The capital is Paris."
    (told,) = two.told  # once, after the answer
    assert told.startswith("the legacy side failed (RequestRefused: ")
    assert told.endswith("; the answer does not hang on it")
    pair, _ = recorded()
    assert pair.new is not None and pair.new.success
    assert pair.legacy is not None and not pair.legacy.success
    assert pair.legacy.error is not None
    assert "no such thing" in pair.legacy.error
    assert (pair.legacy.model, pair.legacy.tokens, pair.similarity) == ("old", None, None)
    assert {(run.model, bool(run.error)) for run in runs()} == {("fresh", False), ("old", True)}


@pytest.mark.parametrize("mode", ["hybrid", "new-primary"])
def test_where_the_new_side_fails_the_old_one_answers(two: Two, mode: str) -> None:
    two.write(mode)
    two.new.faults.append(Fault(500, message="it is down"))
    assert two.ask() == "the capital is Paris"
    assert two.answer.model.name == "old"
    assert two.answer.usage is not None
    (told,) = two.told
    assert told.startswith("the new side failed (Overloaded: ")
    assert told.endswith("): the legacy side answers")
    (pair,) = recorded()
    assert pair.answered == two.facts["answered"] == "legacy"
    assert two.facts["why"].startswith("the new side failed (Overloaded: ")
    assert pair.new is not None and pair.new.error is not None
    assert "it is down" in pair.new.error
    assert pair.legacy is not None and pair.legacy.success


@pytest.mark.parametrize("mode", ["hybrid", "new-primary", "legacy-primary"])
def test_where_both_fail_the_error_of_the_first_tells_of_the_other(two: Two, mode: str) -> None:
    two.write(mode)
    two.new.faults.append(Fault(400, message="too new"))
    two.legacy.faults.append(Fault(500, message="too old"))
    with pytest.raises(LlmrrError) as caught:
        two.ask()
    message = str(caught.value)
    if mode == "legacy-primary":
        assert "too old" in message.partition("the new side failed too")[0]
    else:
        assert isinstance(caught.value, RequestRefused)
        assert "too new" in message.partition("; the legacy side failed too (Overloaded: ")[0]
        assert "too old" in message
    (pair,) = recorded()
    assert pair.new is not None and pair.legacy is not None
    assert (pair.answered, pair.new.success, pair.legacy.success) == (None, False, False)


def test_the_answer_waits_for_no_slower_other_side(two: Two) -> None:
    two.legacy.gate.clear()
    with two.router() as router:
        answer = router.run(HELLO)
        assert "".join(chunk.text for chunk in answer) == "The capital is Paris."
        assert two.legacy.reached.wait(WAIT)
        assert recorded() == []
        two.legacy.gate.set()
    (pair,) = recorded()  # closing has waited
    assert pair.legacy is not None and pair.legacy.success
    assert pair.similarity == 1


def test_a_slower_new_side_still_answers_and_streams(two: Two) -> None:
    two.new.before = 3
    two.new.gate.clear()
    with two.router() as router:
        answer = router.run(HELLO)
        heard = next(answer).text + next(answer).text
        assert heard == "The capital is "
        two.new.gate.set()
        assert heard + "".join(chunk.text for chunk in answer) == "The capital is Paris."


def test_what_the_old_side_has_said_so_far_comes_at_once(two: Two) -> None:
    two.legacy.before = 2
    two.legacy.gate.clear()
    two.new.faults.append(Fault(500))
    with two.router() as router:
        answer = router.run(HELLO)
        assert next(answer).text == "the capital"
        two.legacy.gate.set()
        assert "".join(chunk.text for chunk in answer) == " is Paris"


def test_a_new_side_that_breaks_off_is_an_error_where_its_words_were_seen(two: Two) -> None:
    two.new.faults.append(Fault(after=3))
    with pytest.raises(LlmrrError, match="broke off"):
        two.ask()
    (pair,) = recorded()
    assert pair.new is not None and not pair.new.success
    assert pair.new.text == "The capital is "
    assert (pair.answered, pair.legacy is not None and pair.legacy.success) == (None, True)


@pytest.mark.parametrize("mode", ["hybrid", "new-primary"])
def test_a_new_side_that_breaks_off_unseen_leaves_it_to_the_old_one(two: Two, mode: str) -> None:
    two.write(mode)
    two.new.faults.append(Fault(after=3))
    assert two.ask(held=True) == "the capital is Paris"
    assert two.answer.text == "the capital is Paris"
    (pair,) = recorded()
    assert pair.answered == "legacy"


def test_cancelling_ends_both(two: Two) -> None:
    for served in (two.new, two.legacy):
        served.faults.append(Fault(after=2, stalls=True))
    with two.router() as router:
        answer = router.run(HELLO)
        assert next(answer).text == "The capital "
        assert two.legacy.stalled.wait(WAIT)
        answer.cancel()
        assert "".join(chunk.text for chunk in answer) == ""
        assert answer.finish_reason == "cancelled"
        facts = answer.facts()
        assert facts is not None and facts["migration"]["answered"] is None
    assert two.new.gone.wait(WAIT)
    assert two.legacy.gone.wait(WAIT)
    assert recorded() == []
    assert [run.finish_reason for run in runs()] == ["cancelled", "cancelled"]


def test_closing_early_ends_both(two: Two) -> None:
    for served in (two.new, two.legacy):
        served.faults.append(Fault(after=2, stalls=True))
    with two.router() as router:
        answer = router.run(HELLO)
        next(answer)
        assert two.legacy.stalled.wait(WAIT)
        answer.close()
        assert answer.text == "The capital "
    assert two.legacy.gone.wait(WAIT)
    assert recorded() == []


def test_many_at_once(two: Two) -> None:
    two.legacy.faults.extend([Fault(500)] * 4)
    with two.router() as router:

        def ask(number: int) -> str:
            return "".join(chunk.text for chunk in router.run(HELLO))

        with ThreadPoolExecutor(32) as pool:
            said = list(pool.map(ask, range(32)))
    assert said == ["The capital is Paris."] * 32
    found = recorded()
    assert len(found) == 32
    assert [pair.answered for pair in found] == ["new"] * 32
    assert sum(pair.legacy is not None and pair.legacy.success for pair in found) == 28
    assert len(runs()) == 64


def test_only_the_answer_that_was_given_is_a_turn(two: Two) -> None:
    two.ask(conversation="c")
    turns = {run.model: run.conversation for run in runs()}
    assert turns == {"fresh": "c", "old": None}
    two.new.faults.append(Fault(500))
    two.ask(conversation="d")
    assert [(run.model, run.conversation) for run in runs()[2:]] == [("old", "d"), ("fresh", None)]


def test_several_answers_and_calls_of_tools(two: Two) -> None:
    call = ("1", "weather", '{"city": "Paris"}')
    for served in (two.new, two.legacy):
        served.replies.appendleft(Said(text=(), calls=(call,), finish="tool_calls"))
    tool = Tool("weather", "", {"type": "object"})
    two.ask(Request(messages=HELLO.messages, tools=(tool,)))
    (pair,) = recorded()
    assert pair.new is not None
    assert pair.new.text == 'weather({"city": "Paris"})'
    assert pair.similarity == 1
    with two.router() as router:
        chunks = list(router.run(Request(messages=HELLO.messages, n=2)))
    assert {chunk.index for chunk in chunks} == {0, 1}
    assert recorded()[1].similarity == 1


# -- one side first ----------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "name"), [("new-primary", "fresh"), ("legacy-primary", "old")])
def test_one_side_alone_is_asked_where_it_answers(two: Two, mode: str, name: str) -> None:
    two.write(mode)
    assert two.ask().lower().startswith("the capital is")
    assert two.answer.model.name == name
    assert len(two.new.seen) + len(two.legacy.seen) == 1
    (pair,) = recorded()
    assert (pair.new is None, pair.legacy is None) == (name == "old", name == "fresh")
    assert pair.similarity is None


def test_the_old_side_first_falls_back_on_the_new_one(two: Two) -> None:
    two.write("legacy-primary")
    two.legacy.faults.append(Fault(401))
    assert two.ask() == "The capital is Paris."
    assert two.told[0].endswith(": the new side answers")
    assert recorded()[0].answered == "new"


def test_a_named_model_is_asked_alone(two: Two) -> None:
    two.ask(model="old")
    assert (len(two.new.seen), len(two.legacy.seen)) == (0, 1)
    assert recorded() == []


def test_within_a_side_its_strategy_and_chain_hold(two: Two) -> None:
    two.write(head="strategy = 'capability-match'\nfallback_chain = ['old', 'spare', 'fresh']")
    text = config.user_file().read_text().replace("['fresh']\nlegacy", "['fresh', 'spare']\nlegacy")
    text = text.replace("source", "priority = 1\nsource")
    spare = f"""[[models]]\nname = 'spare'\nsource = 'openai:{MODEL}'\npriority = 2
options = {{ base_url = '{two.new.address}/v1', api_key_env = 'A_KEY' }}\n"""
    config.user_file().write_text(text.replace("[migration]", f"{spare}[migration]"))
    two.new.faults.append(Fault(500))
    assert two.ask() == "The capital is Paris."
    assert two.answer.model.name == "spare"
    assert two.answer.decision is not None
    assert two.answer.decision.asked == ("fresh", "spare")
    (pair,) = recorded()
    assert pair.new is not None
    assert (pair.answered, pair.new.model, pair.new.success) == ("new", "spare", True)
    assert len(two.told) == 1
    two.ask(fallback=["spare"], strategy="random")
    assert two.answer.decision.asked[-1] == "spare"
    with pytest.raises(UsageError, match="fallback builtin:mini: it is on neither side"):
        two.ask(fallback=["builtin:mini"])


def test_a_side_of_which_no_model_can_be_asked_has_failed(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = config.user_file().read_text()
    config.user_file().write_text(text.replace("A_KEY", "NO_KEY", 1))
    assert two.ask() == "the capital is Paris"
    (pair,) = recorded()
    assert pair.new is not None and pair.new.error is not None
    assert "NO_KEY is not set" in pair.new.error
    monkeypatch.delenv("A_KEY")
    with pytest.raises(LlmrrError, match=r"NO_KEY .*the legacy side failed too \(.*A_KEY"):
        two.ask()


def test_an_ensemble_may_be_a_side(two: Two) -> None:
    text = config.user_file().read_text()
    text = text.replace("legacy = ['old']", "legacy = ['old', 'here']\nstrategy = 1", 1)
    text = text.replace("strategy = 1\n", "").replace("version = 1", "version = 1\nensemble.size=2")
    here = "[[models]]\nname = 'here'\nsource = 'builtin:mini'\nparams = { max_tokens = 2 }\n"
    config.user_file().write_text(text.replace("[migration]", f"{here}[migration]"))
    assert two.ask(strategy="ensemble") == "The capital is Paris."
    (pair,) = recorded()
    assert pair.legacy is not None and pair.legacy.success
    assert {run.model for run in runs()} == {"fresh", "old", "here"}


# -- what is kept ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no-log", "log_prompts"])
def test_words_are_kept_only_where_they_may_be(two: Two, how: str) -> None:
    if how == "log_prompts":
        two.write(head="log_prompts = false")
    two.ask(log=how != "no-log")
    (pair,) = recorded()
    assert pair.new is not None and pair.legacy is not None
    assert (pair.prompt, pair.new.text, pair.legacy.text) == (None, None, None)
    assert (pair.similarity, pair.new.tokens, pair.legacy.success) == (1, 3, True)
    assert pair.new.latency_s


def test_of_the_prompt_the_beginning_is_kept(two: Two) -> None:
    two.ask(Request(messages=(Message("system", "Be brief."), Message("user", "x" * 200))))
    assert recorded()[0].prompt == "x" * 100


def test_pairs_are_listed_and_kept_as_long_as_runs() -> None:
    with closing(open_database()) as connection:
        days = [day * stats.DAY_S for day in (1, 2, 3)]
        for at in days:
            pairs.record(connection, pairs.Pair(at, "hybrid"))
        assert [one.at for one in pairs.pairs(connection)] == days
        assert [one.at for one in pairs.pairs(connection, since=days[1], last=1)] == days[2:]
        assert pairs.summary(connection, since=days[2]).samples == 1
        stats.prune(connection, 1.5 * stats.DAY_S, now=4 * stats.DAY_S)
        assert [one.at for one in pairs.pairs(connection)] == days[2:]


def test_nothing_to_compare_is_unknown() -> None:
    found = pairs.compare([])
    assert found.performance == pairs.Performance(None, None, None)
    assert found.reliability == pairs.Reliability(None, None)
    assert (found.similarity, found.samples) == (None, 0)
    new = pairs.Outcome(True, latency_s=2.0)
    only = pairs.compare([pairs.Pair(1.0, "new-primary", "new", None, new)])
    assert (only.reliability.old_error_rate, only.reliability.new_error_rate) == (None, 0)
    assert (only.performance.new_avg, only.samples, only.compared) == (None, 1, 0)


def test_a_pair_comes_back_as_it_went() -> None:
    new = pairs.Outcome(True, "a", 3, 0.5, "é\n", None)
    pair = pairs.Pair(1.0, "hybrid", "new", "p", new, pairs.Outcome(False, error="E: x"), 0.25)
    with closing(open_database()) as connection:
        pairs.record(connection, pair)
        assert pairs.pairs(connection) == [pair]


# -- the configuration -------------------------------------------------------------------------

MODELS = "".join(f"[[models]]\nname = '{name}'\nsource = 'file:a.gguf'\n" for name in "abc")


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ("mode = 'hybrd'\nnew='a'\nlegacy='b'", 'mode = "hybrd" is not one of', "hybrid"),
        ("new='d'\nlegacy='b'", "migration.new names 'd', and no", "the models are a, b, c"),
        ("new=['a','b']\nlegacy=['c','b']", "legacy names 'b', which is on the new side", "one"),
        ("new=[]\nlegacy='b'", "migration.new: a side has at least one model", "for example"),
        ("mode='hybrid'", "needs two sides, and there is no migration.new", "add to [migration]"),
        ("mode='hybrid'\nnew='a'", "and there is no migration.legacy", "legacy ="),
        ("new=1\nlegacy='b'", "migration.new = 1 is not a name or a list", "for example"),
        ("modes='hybrid'", "unknown key migration.modes", "did you mean mode?"),
    ],
)
def test_what_sides_cannot_be(table: str, message: str, hint: str) -> None:
    path = Path("llmrr.toml").absolute()
    path.write_text(f"version = 1\n{MODELS}[migration]\n{table}\n")
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert message in str(caught.value)
    assert "llmrr.toml, line 1" in str(caught.value)
    assert hint in caught.value.hint
    assert config.check(path)[0].message == caught.value.message


def test_a_misspelt_model_of_a_side_has_its_nearest() -> None:
    text = "version = 1\n[[models]]\nname = 'assistant'\nsource = 'builtin:mini'\n"
    Path("llmrr.toml").write_text(f"{text}[migration]\nnew = 'asistant'\n")
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert caught.value.hint == "did you mean assistant?"


def test_the_environment_overrides_the_mode(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    two.write("hybrid")
    monkeypatch.setenv("MIGRATION_MODE", "legacy-primary")
    assert two.ask() == "the capital is Paris"
    assert two.new.seen == []
    two.write(None)
    assert two.ask() == "the capital is Paris"
    setting = config.load().settings["migration.mode"]
    assert (setting.source, setting.where) == ("environment", "MIGRATION_MODE")
    monkeypatch.setenv("MIGRATION_MODE", "")
    assert config.load().value("migration.mode") is None
    for name in ("MIGRATION_MODE", "LLMRR_MIGRATION__MODE"):
        two.write("hybrid")
        with monkeypatch.context() as patched:
            patched.setenv(name, "off")
            assert config.load().value("migration.mode") is None
            two.write("off")
            assert config.load().value("migration.mode") is None
            config.user_file().unlink()
            assert config.load().warnings == ()
    two.write(None)
    monkeypatch.setenv("LLMRR_MIGRATION__MODE", "new-primary")
    assert config.load().value("migration.mode") == "new-primary"


def test_without_a_mode_there_are_no_sides(two: Two) -> None:
    two.write(None)
    two.ask()
    assert len(two.new.seen) + len(two.legacy.seen) == 1
    assert recorded() == []


def test_a_wrong_mode_in_the_environment_names_the_variable(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATION_MODE", "both")
    seen = typed("run", "hello")
    assert seen.code == 8
    assert 'MIGRATION_MODE = "both" is not one of "hybrid", "new-primary"' in seen.err
    assert 'MIGRATION_MODE="hybrid"' in seen.err


def test_a_mode_without_sides_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATION_MODE", "hybrid")
    loaded = config.load()
    assert loaded.value("migration.mode") is None
    (warning,) = loaded.warnings
    assert warning == (
        'MIGRATION_MODE = "hybrid" has no effect: nothing names [migration] new and legacy'
    )


def test_sides_of_the_user_have_no_effect_in_a_project_of_other_models(two: Two) -> None:
    Path("llmrr.toml").write_text(f"version = 1\n{MODELS}")
    loaded = config.load()
    assert loaded.value("migration.mode") is None
    assert "migration.new names 'fresh'" in loaded.warnings[0]
    two.write(None)
    assert config.load().warnings == ()


# -- the command line --------------------------------------------------------------------------


def test_run_tells_of_both_sides(two: Two, typed: Typed) -> None:
    seen = typed("run", "Hello")
    assert seen.out == "The capital is Paris.\n"
    assert "model fresh (new side of the migration, hybrid; there is no other)" in seen.err
    decision = typed("run", "Hello", "--json").json["decision"]
    assert (decision["model"], decision["answered"]) == ("fresh", "fresh")
    sides = decision["migration"]
    assert (sides["mode"], sides["side"], sides["answered"]) == ("hybrid", "new", "new")
    assert sides["why"] == "the new side comes first"
    assert sides["other"]["side"] == "legacy"
    assert sides["other"]["model"] == "old"
    two.new.faults.append(Fault(500))
    seen = typed("run", "Hello", "--json")
    assert seen.json["text"] == "the capital is Paris"
    assert seen.json["decision"]["migration"]["answered"] == "legacy"
    assert seen.json["decision"]["answered"] == seen.json["model"] == "old"


def test_explain_and_route_show_both_sides(two: Two, typed: Typed) -> None:
    said = "migration, hybrid: the new side; the legacy side is asked as well: old"
    assert said in typed("run", "Hello", "--explain").err
    seen = typed("route", "Hello")
    assert said in seen.out
    assert "\nthe legacy side:\nold  (balanced: there is no other)" in seen.out
    assert typed("route", "Hello", "--json").json["migration"]["other"]["model"] == "old"


def test_run_keeps_the_words_of_neither_side_with_no_log(two: Two, typed: Typed) -> None:
    typed("run", "Hello", "-n")
    assert recorded()[0].prompt is None


def test_an_answer_that_is_not_shown_as_it_comes_may_be_replaced(two: Two, typed: Typed) -> None:
    two.new.faults.append(Fault(after=3))
    assert typed("run", "Hello", "--no-stream").out == "the capital is Paris\n"
    two.new.faults.append(Fault(after=3))
    seen = typed("run", "Hello")
    assert (seen.code, seen.out) == (7, "The capital is \n")


def test_stats_compares_the_sides(two: Two, typed: Typed) -> None:
    for _ in range(3):
        two.ask()
    two.legacy.faults.append(Fault(500))
    two.ask()
    found = typed("stats", "--json").json["migration"]
    assert found["samples"] == 4
    assert found["reliability"] == {"old_error_rate": 0.25, "new_error_rate": 0}
    assert found["accuracy"] == {"old_score": None, "new_score": None}
    assert found["similarity"] == 1
    speed = found["performance"]
    assert speed["improvement"] == pytest.approx(1 - speed["new_avg"] / speed["old_avg"])
    out = typed("stats").out
    assert "requests: 4, answered by both: 3, similarity of the answers: 1.00" in out
    assert "25.0 %" in out
    assert typed("stats", "--since", "2099-01-01", "--json").json["migration"] is None


def started(*args: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "llmrr", *args]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def test_a_process_prints_the_answer_and_waits_for_the_other_side(two: Two) -> None:
    two.legacy.gate.clear()
    with started("run", "Hello") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "The capital is Paris.\n"
        assert two.legacy.reached.wait(WAIT)
        assert process.poll() is None
        two.legacy.gate.set()
        assert process.wait(WAIT) == 0
    (pair,) = recorded()
    assert pair.legacy is not None and pair.legacy.success


def test_ctrl_c_while_it_waits_ends_the_other_side(two: Two) -> None:
    two.legacy.faults.append(Fault(after=2, stalls=True))
    with started("run", "Hello") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "The capital is Paris.\n"
        assert two.legacy.stalled.wait(WAIT)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 130
    assert two.legacy.gone.wait(WAIT)
    (pair,) = recorded()
    assert pair.new is not None and pair.new.success
    assert pair.legacy is None


def test_what_was_complete_before_a_cancellation_counts(two: Two) -> None:
    two.new.faults.append(Fault(after=2, stalls=True))
    with two.router() as router:
        answer = router.run(HELLO)
        next(answer)
        second = answer._second  # type: ignore[attr-defined]
        second.hear_all()
        answer.close()
    (pair,) = recorded()
    assert (pair.answered, pair.new) == (None, None)
    assert pair.legacy is not None and pair.legacy.success


@pytest.mark.parametrize("mode", ["hybrid", "new-primary"])
def test_no_request_stays_under_way(two: Two, mode: str) -> None:
    two.write(mode, head="strategy = 'least-loaded'")
    two.ask()
    two.new.faults.append(Fault(500))
    two.ask()
    two.new.faults.append(Fault(500))
    two.legacy.faults.append(Fault(500))
    with pytest.raises(LlmrrError):
        two.ask()
    with closing(open_database()) as connection:
        assert connection.execute("SELECT count(*) FROM under_way").fetchone() == (0,)


def test_a_side_that_a_flag_leaves_out_has_not_failed(two: Two) -> None:
    two.write(head="[flags.old-only]\nset = { models = ['old'] }")
    assert two.ask() == "the capital is Paris"
    (pair,) = recorded()
    assert pair.new is None
    assert pair.legacy is not None and pair.legacy.success


def test_without_a_thread_for_the_other_side_the_answer_comes_all_the_same(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    begin = threading.Thread.start
    with two.router() as router:
        router.run(HELLO).close()
        monkeypatch.setattr(
            threading.Thread, "start",
            lambda one: refused(one) if one.name == "llmrr-side" else begin(one),
        )  # fmt: skip
        answer = router.run(HELLO)
        assert "".join(chunk.text for chunk in answer) == "The capital is Paris."
    (pair,) = recorded()
    assert pair.new is not None and pair.new.success
    assert pair.legacy is not None and pair.legacy.error is not None
    assert "no thread" in pair.legacy.error


def test_a_side_that_nobody_waits_for_is_asked_once(two: Two) -> None:
    two.write()
    file = config.user_file()
    file.write_text(file.read_text().replace("attempts = 1", "attempts = 3"))
    two.legacy.faults.append(Fault(after=0))
    two.legacy.gate.clear()
    with two.router() as router:
        assert "".join(chunk.text for chunk in router.run(HELLO)) == "The capital is Paris."
        two.legacy.gate.set()
    assert len(two.legacy.seen) == 1
    (pair,) = recorded()
    assert pair.legacy is not None and not pair.legacy.success


def test_the_time_of_a_call_ends_the_side_that_nobody_waits_for(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[tuple[float, Callable[[], None]]] = []

    class Timer(threading.Thread):
        def __init__(self, seconds: float, work: Callable[..., None], args: list[Any]) -> None:
            super().__init__(target=lambda: None)
            timers.append((seconds, lambda: work(*args)))

        def cancel(self) -> None:
            pass

    monkeypatch.setattr(threading, "Timer", Timer)
    two.legacy.gate.clear()
    with two.router() as router:
        answer = router.run(HELLO, deadline=WAIT)
        assert "".join(chunk.text for chunk in answer) == "The capital is Paris."
        assert two.legacy.reached.wait(WAIT)
        ((seconds, over),) = timers
        over()
    assert seconds == WAIT
    (pair,) = recorded()
    assert pair.new is not None and pair.new.success
    assert pair.legacy is not None and not pair.legacy.success
    assert pair.legacy.error == f"TimedOut: it was not complete within {WAIT} s"
    assert (pair.answered, pair.legacy.model) == ("new", "old")
    assert {run.model: run.error for run in runs()} == {"fresh": None, "old": pair.legacy.error}


def test_who_waits_for_the_other_side_is_told(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def warn(text: str) -> None:
        told.append(text)
        two.legacy.gate.set()

    monkeypatch.setattr(background, "NOTICE_S", 0)
    two.legacy.gate.clear()
    with Router(warn=warn) as router:
        assert "".join(chunk.text for chunk in router.run(HELLO)) == "The capital is Paris."
    assert told == ["waiting for the legacy side, which is recorded too: Ctrl-C ends it"]
    (pair,) = recorded()
    assert pair.legacy is not None and pair.legacy.success


def test_an_answer_of_the_cache_is_none_of_a_side(two: Two) -> None:
    request = Request(messages=HELLO.messages, sampling=Sampling(temperature=0))
    two.legacy.faults.append(Fault(500))
    with two.router() as router:
        for _ in range(3):
            answer = router.run(request)
            assert "".join(chunk.text for chunk in answer) == "The capital is Paris."
            router._host.background.wait(two.told.append)
    assert answer.cache == "exact"
    assert (len(two.new.seen), len(two.legacy.seen)) == (1, 2)
    first, second = recorded()
    assert first.new is not None and first.new.latency_s
    assert second.new is not None and (second.new.success, second.new.latency_s) == (True, None)
    assert second.legacy is not None and second.legacy.success
    assert second.similarity == 1
    found = pairs.compare([first, second])
    assert (found.reliability.new_error_rate, found.reliability.old_error_rate) == (0, 0.5)
    assert found.performance.old_avg is None


def test_the_same_request_at_once_is_one_of_each_side(two: Two) -> None:
    request = Request(messages=HELLO.messages, sampling=Sampling(temperature=0))
    two.new.before, two.legacy.before = 2, 2
    two.new.gate.clear()
    two.legacy.gate.clear()
    with two.router() as router, ThreadPoolExecutor(8) as pool:
        said = [pool.submit(lambda: "".join(one.text for one in router.run(request)))
                for _ in range(8)]  # fmt: skip
        assert two.new.reached.wait(WAIT)
        two.new.gate.set()
        assert {one.result(WAIT) for one in said} == {"The capital is Paris."}
        two.legacy.gate.set()
    assert len(two.legacy.seen) <= len(two.new.seen) + 1
    found = recorded()
    assert all(pair.similarity == 1 for pair in found)
    assert len([pair for pair in found if pair.new and pair.new.is_own]) == len(two.new.seen)


# -- the library -------------------------------------------------------------------------------


def test_a_program_gets_the_answer_of_the_other_side_where_one_breaks_off(two: Two) -> None:
    two.new.faults.append(Fault(after=3))
    with two.router() as router:
        result = router.generate("Hello")
        assert (result.text, result.model) == ("the capital is Paris", "old")
        assert result.metadata.decision["migration"]["answered"] == "legacy"
        two.new.faults.append(Fault(after=3))
        stream = router.generate_stream("Hello")
        assert next(stream) + next(stream) == "The capital is "
        with pytest.raises(LlmrrError, match="broke off"):
            next(stream)
        assert router.generate("Hello", models=["old"]).model == "old"
    assert [pair.answered for pair in recorded()] == ["legacy", None]


def test_the_mode_can_be_changed_while_it_runs(two: Two) -> None:
    with two.router() as router:
        assert router.generate("Hello").model == "fresh"
        router.update_config(migration={"mode": "legacy-primary"})
        assert router.generate("Hello").model == "old"
        with pytest.raises(BadConfig, match=r"migration\.new names 'nobody'"):
            router.update_config(migration={"new": ["nobody"]})
        assert router.generate("Hello").model == "old"
    assert [pair.mode for pair in recorded()] == ["hybrid", "legacy-primary", "legacy-primary"]


def test_sides_may_be_stated_in_a_program(two: Two) -> None:
    models = [
        {"name": name, "source": f"openai:{MODEL}",
         "options": {"base_url": f"{served.address}/v1", "api_key_env": "A_KEY"}}
        for name, served in (("fresh", two.new), ("old", two.legacy))
    ]  # fmt: skip
    sides = {"mode": "new-primary", "new": ["fresh"], "legacy": ["old"]}
    two.new.faults.append(Fault(401))
    with Router(models=models, migration=sides) as router:
        assert router.generate("Hello").model == "old"


def test_the_environment_overrides_what_a_program_states(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [{"name": name, "source": "builtin:mini"} for name in ("fresh", "old")]
    sides = {"mode": "hybrid", "new": ["fresh"], "legacy": ["old"]}
    monkeypatch.setenv("MIGRATION_MODE", "legacy-primary")
    monkeypatch.setenv("LLMRR_STRATEGY", "random")
    monkeypatch.setenv("FF_NEW_ROUTING", "on")
    with Router(models=models, migration=sides, strategy="round-robin") as router:
        assert router.config.value("migration.mode") == "legacy-primary"
        assert router.config.value("strategy") == "round-robin"  # it stands for the command line
        router.update_config(migration={"mode": "new-primary"})
        assert router.config.value("migration.mode") == "legacy-primary"
        assert router.route("Hello").strategy == "quality-first"
    monkeypatch.setenv("MIGRATION_MODE", "off")
    with Router(models=models, migration=sides) as router:
        assert router.config.value("migration.mode") is None
    monkeypatch.delenv("MIGRATION_MODE")
    monkeypatch.setenv("LLMRR_MIGRATION__MODE", "new-primary")
    with Router(models=models, migration=sides) as router:
        assert router.config.value("migration.mode") == "hybrid"
        assert router.config.value("strategy") == "random"


def test_both_sides_may_be_models_of_this_machine() -> None:
    shutil.copy(paths.builtin_model(), "copy.gguf")
    models = [
        {"name": "fresh", "source": "builtin:mini"},
        {"name": "old", "source": f"file:{Path('copy.gguf').absolute()}"},
    ]
    sides = {"mode": "hybrid", "new": ["fresh"], "legacy": ["old"]}
    with Router(models=models, migration=sides, cache={"enabled": False}) as router:
        for _ in range(2):
            result = router.generate("What is the capital of France?", temperature=0)
            assert (result.text, result.model) == ("The capital of France is Paris.", "fresh")
    for pair in recorded():
        assert pair.similarity == 1
        assert pair.legacy is not None and pair.legacy.latency_s
    assert len(recorded()) == 2
