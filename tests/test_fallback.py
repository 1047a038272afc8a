"""What happens when a model fails: it is asked again, another one is, or another one goes on."""

import gc
import json
import multiprocessing
import random
import shutil
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import pytest
from fakes import FakeEngine, reply
from terminal import Typed

from llmrr import paths, stats
from llmrr.choosing import attempts, health
from llmrr.choosing.profiles import key_of
from llmrr.database import open_database
from llmrr.errors import (
    ContentRefused,
    ContextOverflow,
    DamagedFile,
    EngineFailed,
    FeatureMissing,
    LlmrrError,
    NotFound,
    RequestRefused,
    UsageError,
)
from llmrr.router import Router
from llmrr.routing.breaker import Rules
from llmrr.types import CallPiece, Message, Request, Sampling, Usage

KEY = "m file:/m.gguf"
HELLO = Request(messages=(Message("user", "hello"),))


def configure(*models: str, head: str = "", **facts: str) -> None:
    """``[[models]]`` of these names, tried in this order; ``facts`` are further lines by name."""
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    text = f"version = 1\n{head}\n"
    for priority, name in enumerate(models):
        text += f"[[models]]\nname = '{name}'\nsource = 'file:./tiny.gguf'\n"
        text += f"priority = {priority}\n{facts.get(name, '')}\n"
    Path("llmrr.toml").write_text(text)


def together(engine: FakeEngine, **replies: object) -> None:
    """What models say that are asked at once: each has a file of its own."""
    for name, said in replies.items():
        shutil.copy("tiny.gguf", f"{name}.gguf")
        engine.replies_of[name] = list(said) if isinstance(said, list) else [said]
    text = Path("llmrr.toml").read_text()
    for name in replies:
        text = text.replace(
            f"name = '{name}'\nsource = 'file:./tiny.gguf'",
            f"name = '{name}'\nsource = 'file:./{name}.gguf'",
        )
    Path("llmrr.toml").write_text(text)


def failed(
    message: str = "boom", *, transient: bool = False, after: float | None = None
) -> LlmrrError:
    error = EngineFailed(message)
    error.transient = transient  # type: ignore[misc]
    if after is not None:
        error.retry_after = after  # type: ignore[attr-defined]
    return error


def recorded() -> list[stats.Run]:
    with closing(open_database()) as connection:
        return stats.runs(connection)


class Asked:
    """A router whose warnings and waits are kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.waits: list[float] = []
        waits = self.waits
        monkeypatch.setattr(attempts.Attempts, "pause", lambda _, seconds: waits.append(seconds))

    def __call__(self, request: Request = HELLO, **named: object) -> str:
        with Router(warn=self.told.append) as router:
            answer = router.run(request, **named)  # type: ignore[arg-type]
            text = "".join(chunk.text for chunk in answer)
            self.model, self.decision = answer.model.name, answer.decision
            self.order = answer.facts()
            return text


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine) -> Asked:
    return Asked(monkeypatch)


# -- the order in which models are asked -------------------------------------------------------


def test_a_failure_before_the_first_word_goes_to_the_next(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", "c")
    engine.replies = [failed("no memory"), reply(failed("broke")), "hi"]
    assert ask() == "hi"
    assert ask.model == "c"
    assert ask.told == [
        "a failed (EngineFailed: no memory): b is asked",
        "b failed (EngineFailed: broke): c is asked",
    ]
    assert [(run.model, run.error) for run in recorded()] == [
        ("a", "EngineFailed: no memory"), ("b", "EngineFailed: broke"), ("c", None)
    ]  # fmt: skip
    assert len({run.conversation for run in recorded()}) == 1
    assert ask.order is not None
    assert (ask.order["model"], ask.order["answered"]) == ("a", "c")


GROUP = {"a": "group = 'g'\nweight = 1e9", "b": "group = 'g'\nweight = 1e-9"}


@pytest.mark.parametrize(
    ("head", "facts", "named", "order"),
    [
        ("fallback_chain = ['c', 'a']", {}, {}, "ac"),
        ("fallback_chain = ['c', 'b']", {"a": "fallback = 'b'"}, {}, "abc"),
        ("fallback_chain = false", {}, {}, "a"),
        ("fallback_chain = false", {"a": "fallback = 'c'"}, {}, "a"),
        ("", {"a": "fallback = 'c'", "c": "fallback = 'b'"}, {}, "acb"),
        ("", {}, {"fallback": ["c"]}, "ac"),
        ("fallback_chain = ['b']", {}, {"fallback": ["c", "b"]}, "acb"),
        ("fallback_chain = ['c']", {"b": "fallback = 'a'"}, {"model": "b"}, "ba"),
        ("fallback_chain = ['c']", {}, {"model": "b"}, "b"),
        ("", {}, {"model": "b", "fallback": ["a", "c"]}, "bac"),
        ("", {"b": "tags = ['code']"}, {"need": ["code"]}, "b"),
        ("fallback_chain = ['c']", GROUP, {"model": "g"}, "abc"),
        ("fallback_chain = ['c', 'b']", GROUP, {"model": "g", "fallback": ["c"]}, "ac"),
        ("fallback_chain = false", GROUP, {"model": "g"}, "a"),
        ("", GROUP, {"model": "g"}, "ab"),
        ("", {**GROUP, "a": f"{GROUP['a']}\nfallback = 'c'"}, {"model": "g"}, "abc"),
    ],
)
def test_the_chain(
    engine: FakeEngine, ask: Asked, head: str, facts: dict[str, str], named: dict[str, object],
    order: str,
) -> None:  # fmt: skip
    configure("a", "b", "c", head=head, **facts)
    engine.replies = [failed(str(at)) for at in range(9)]
    with pytest.raises(EngineFailed, match=f"^{len(order) - 1}$"):
        ask(**named)
    assert "".join(run.model for run in recorded()) == order


def test_a_fallback_may_be_any_model_and_must_be_one(engine: FakeEngine, ask: Asked) -> None:
    configure("a")
    engine.replies = [failed(), "hi"]
    assert ask(fallback=["builtin:mini"]) == "hi"
    assert ask.model == "builtin:mini"
    with pytest.raises(NotFound, match="nobody"):
        ask(fallback=["nobody"])


def test_without_a_configuration_a_fallback_works_too(engine: FakeEngine, ask: Asked) -> None:
    engine.replies = [failed(), "hi"]
    assert ask(model="builtin:mini", fallback=["./tiny.gguf"]) == "hi"
    engine.replies = [failed(), "hi"]
    assert ask(fallback=["./tiny.gguf"]) == "hi"
    assert ask.told[-1] == "builtin:mini failed (EngineFailed: boom): ./tiny.gguf is asked"
    with pytest.raises(UsageError, match="strategy has nothing to choose among"):
        ask(strategy="random")


def test_what_is_wrong_with_any_model_is_not_tried_with_another(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b")
    engine.replies = [UsageError("n is 0")]
    with pytest.raises(UsageError):
        ask()
    assert (len(engine.requests), recorded()) == (1, [])


def test_what_a_model_lacks_another_may_have(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b")
    engine.replies = [FeatureMissing("no images"), "hi"]
    assert ask() == "hi"


def test_an_overflow_goes_to_a_model_with_room(engine: FakeEngine, ask: Asked) -> None:
    rooms = {name: f"options = {{ context_size = {size} }}"
             for name, size in (("a", 512), ("b", 256), ("c", 1024))}  # fmt: skip
    configure("a", "b", "c", **rooms)
    engine.replies = [ContextOverflow("too long"), "hi"]
    assert ask() == "hi"
    assert [run.model for run in recorded()] == ["a", "c"]


def test_a_prompt_that_is_too_long_goes_to_a_model_with_room_at_once(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b", a="options = { context_size = 512 }", b="options = { context_size = 4096 }")
    engine.replies = ["hi"]
    assert ask(Request(messages=(Message("user", "word " * 1000),))) == "hi"
    assert ask.model == "b"
    assert ask.decision is not None
    assert "too small for a prompt of about 1,250" in ask.decision.rejected[0].why


def test_a_file_that_is_gone_is_rejected_and_one_that_nobody_can_run_is_told(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b", a="tags = ['x']")
    Path("llmrr.toml").write_text(
        Path("llmrr.toml").read_text().replace("'file:./tiny.gguf'", "'file:./gone.gguf'", 1)
    )
    engine.replies = ["hi"]
    assert ask() == "hi"
    assert ask.decision is not None
    assert "does not exist" in ask.decision.rejected[0].why
    with pytest.raises(NotFound, match=r"a: .*gone\.gguf does not exist; b: it has no tag x"):
        ask(need=["x"])


@pytest.mark.parametrize("strategy", ["random", "round-robin", "adaptive", "balanced"])
def test_no_request_is_lost_while_one_model_is_sound(
    engine: FakeEngine, ask: Asked, strategy: str
) -> None:
    names = ("dead", "flaky", "slow", "sound")
    threads = {one: f"options = {{ threads = {at} }}" for at, one in enumerate(names, start=1)}
    configure(*names, head=f"strategy = '{strategy}'", **threads)
    world = random.Random(5)

    class Replies(list[object]):
        """What is said next depends on who is asked."""

        def pop(self, at: int = -1) -> object:
            name = names[(engine.asked[-1].options.threads or 0) - 1]
            if name == "dead" or (name == "flaky" and world.random() < 0.5):
                return failed(transient=world.random() < 0.5)
            if name == "slow" and world.random() < 0.3:
                return reply(failed(transient=True))
            return "hi"

    engine.replies = Replies()  # type: ignore[assignment]
    with Router() as router:
        for _ in range(50):
            assert "".join(chunk.text for chunk in router.run(HELLO)) == "hi"
    runs = recorded()
    assert len([run for run in runs if not run.error]) == 50
    # The breaker keeps requests from the one that is dead, but for the first few.
    assert len([run for run in runs if run.model == "dead"]) <= 5


# -- groups ------------------------------------------------------------------------------------


def test_a_group_is_balanced_by_weight_and_falls_back_within(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b", "c", a="group = 'g'\nweight = 3", b="group = 'g'")
    count = 400
    engine.replies = ["hi"] * count
    seen = []
    with Router() as router:
        for _ in range(count):
            answer = router.run(HELLO, model="g")
            list(answer)
            seen.append(answer.model.name)
    assert set(seen) == {"a", "b"}
    assert 0.65 < seen.count("a") / count < 0.85
    engine.replies = [failed(), "hi"]
    assert ask(model="g", strategy="quality-first") == "hi"
    assert ask.model == "b"


# -- trying again ------------------------------------------------------------------------------


def test_only_what_may_pass_is_tried_again(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", head="retry = { initial_delay = 2.0 }")
    engine.replies = [failed(transient=True), reply(failed(transient=True)), "hi"]
    assert ask() == "hi"
    assert [run.model for run in recorded()] == ["a", "a", "a"]
    first, second = ask.waits
    assert 1 <= first <= 2
    assert 2 <= second <= 4
    assert ask.told[0].startswith("a failed (EngineFailed: boom): it is asked again in ")


def test_after_so_many_attempts_the_next_is_asked(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", head="retry = { attempts = 2, backoff = 'linear' }")
    engine.replies = [failed(transient=True)] * 2 + ["hi"]
    assert ask() == "hi"
    assert [run.model for run in recorded()] == ["a", "a", "b"]
    configure("a", head="retry = { attempts = 1 }")
    engine.replies = [failed(transient=True)]
    with pytest.raises(EngineFailed):
        ask()


def test_what_a_provider_asks_for_is_waited_for(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b")
    engine.replies = [failed(transient=True, after=7.0), "hi"]
    assert ask() == "hi"
    assert (ask.waits, ask.model) == ([7.0], "a")


def test_too_long_a_wait_is_for_the_last_model_only(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b")
    engine.replies = [failed(transient=True, after=60.0), failed(transient=True, after=60.0), "hi"]
    assert ask() == "hi"
    assert (ask.waits, ask.model) == ([60.0], "b")


def test_nothing_is_tried_after_the_deadline(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b")
    engine.replies = [failed(transient=True, after=7.0), "hi"]
    assert ask(deadline=5.0) == "hi"
    assert (ask.waits, ask.model) == ([], "b")
    engine.replies = [failed(transient=True), "hi"]
    with pytest.raises(EngineFailed):
        ask(deadline=0.0)


def test_cancelled_while_it_waits_nothing_is_tried_again(engine: FakeEngine) -> None:
    configure("a", "b", head="retry = { initial_delay = 3600, max_delay = 3600 }")
    engine.replies = [reply(failed("busy", transient=True)), "hi"]
    waits = threading.Event()
    with Router(warn=lambda text: waits.set()) as router:
        answer = router.run(HELLO, deadline=1e6)

        def cancel() -> None:
            assert waits.wait(20)
            answer.cancel()

        stopper = threading.Thread(target=cancel)
        stopper.start()
        with pytest.raises(EngineFailed, match="busy"):
            list(answer)
        stopper.join()
    assert len(engine.requests) == 1
    assert [run.model for run in recorded()] == ["a"]


def test_cancelled_while_the_next_begins_it_stops(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("a", "b")
    engine.replies = [reply(failed("broke")), reply("one", "two", "three")]
    with Router() as router:
        answer = router.run(HELLO)
        real = attempts.Attempts.begin

        def begin(self: attempts.Attempts) -> attempts.Attempt:
            answer.cancel()
            return real(self)

        monkeypatch.setattr(attempts.Attempts, "begin", begin)
        assert [chunk.finish_reason for chunk in answer][-1] == "cancelled"
    assert [run.finish_reason for run in recorded()] == [None, "cancelled"]


class Counted:
    """A lock that tells who asks for it."""

    def __init__(self) -> None:
        self.lock, self.asked = threading.RLock(), threading.Semaphore(0)

    def __enter__(self) -> None:
        self.asked.release()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_those_that_wait_for_a_locked_database_do_not_wait_anew(engine: FakeEngine) -> None:
    configure("a")
    told, worked, lock = list[str](), list[int](), Counted()
    with Router(warn=told.append) as router:
        router._host.record._lock = lock  # type: ignore[assignment]
        later = threading.Thread(
            target=router.with_database, args=(lambda _: worked.append(1), "second")
        )

        def locked(connection: object) -> None:
            later.start()
            for _ in range(2):
                assert lock.asked.acquire(timeout=20)
            raise failed("locked")

        router.with_database(locked, "first")
        later.join()
    assert (told, worked) == (["first: locked"], [])


# -- an answer that breaks off -----------------------------------------------------------------


def test_after_the_first_word_an_error_ends_it(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b")
    engine.replies = [reply("On", "ce ", failed("broke", transient=True)), "hi"]
    with pytest.raises(EngineFailed, match="broke"):
        ask()
    [run] = recorded()
    assert (run.answer, run.error) == ("Once ", "EngineFailed: broke")


def test_with_resume_another_model_goes_on(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", "c", a="resume = true", b="resume = true")
    engine.replies = [reply("Once ", failed("one")), reply("upon ", failed("two")), "a time"]
    request = Request(messages=HELLO.messages, sampling=Sampling(max_tokens=10))
    assert ask(request) == "Once upon a time"
    assert [one.begun for one in engine.requests] == ["", "Once ", "Once upon "]
    assert [one.sampling.max_tokens for one in engine.requests] == [10, 9, 8]
    assert ask.told == [
        "a failed (EngineFailed: one): b goes on after 1 tokens",
        "b failed (EngineFailed: two): c goes on after 2 tokens",
    ]
    runs = recorded()
    assert [(run.model, run.answer) for run in runs] == [
        ("a", ""), ("b", ""), ("c", "Once upon a time")
    ]  # fmt: skip
    with closing(open_database()) as connection:
        found = stats.conversation(connection, runs[0].conversation)
    assert found is not None
    assert [turn.content for turn in found.messages] == ["hello", "Once upon a time"]


@pytest.mark.parametrize(
    "request_",
    [
        Request(messages=HELLO.messages, sampling=Sampling(schema={"type": "object"})),
        Request(messages=HELLO.messages, sampling=Sampling(grammar='root ::= "a"')),
        Request(messages=HELLO.messages, n=2),
    ],
)
def test_what_nobody_can_go_on_with_ends(
    engine: FakeEngine, ask: Asked, request_: Request
) -> None:
    configure("a", "b", a="resume = true")
    engine.replies = [reply("{", failed("broke")), "}"]
    with pytest.raises(EngineFailed, match="broke"):
        ask(request_)


def test_thoughts_that_were_shown_end_it_too(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", a="resume = true")
    engine.replies = [reply(("reasoning", "hm"), failed("broke")), "hi"]
    with pytest.raises(EngineFailed, match="broke"):
        ask()


PIECE = CallPiece("call_1", "weather", '{"city": ')


@pytest.mark.parametrize("text", ["", "Once "])
def test_a_call_that_is_shown_as_it_comes_ends_it_too(engine: FakeEngine, text: str) -> None:
    configure("a", "b", a="resume = true")
    engine.replies = [reply(*filter(None, (text, PIECE)), failed("broke")), "hi"]
    with Router() as router:
        answer = router.run(HELLO)
        answer.in_pieces = True
        assert any(chunk.call_pieces for chunk in [next(answer), *([next(answer)] if text else [])])
        with pytest.raises(EngineFailed, match="broke"):
            next(answer)


def test_a_call_that_is_shown_whole_may_begin_anew(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b")
    engine.replies = [reply(PIECE, failed("broke")), "hi"]
    assert ask() == "hi"


@pytest.mark.parametrize("in_pieces", [False, True])
def test_where_nobody_sees_it_a_broken_call_is_asked_anew(
    engine: FakeEngine, in_pieces: bool
) -> None:
    configure("a", "b", a="resume = true")
    engine.replies = [reply("Once ", PIECE, failed("broke")), reply("hi", finish_reason="stop")]
    with Router() as router:
        answer = router.run(HELLO)
        answer.held, answer.in_pieces = True, in_pieces
        chunks = list(answer)
    assert "".join(one.text for one in chunks).endswith("hi")
    assert answer.finish_reason == "stop"


def test_a_local_model_goes_on_behind_what_was_begun() -> None:
    asked = Request(
        messages=(Message("user", "What is the capital of France?"),),
        sampling=Sampling(temperature=0.0),
    )
    with Router() as router:
        pieces = [chunk.text for chunk in router.run(asked, model="builtin:mini")]
        whole = "".join(pieces)
        assert "Paris" in whole
        for count in (1, 3, 5):
            begun = "".join(pieces[:count])
            rest = router.run(replace(asked, begun=begun), model="builtin:mini")
            assert begun + "".join(chunk.text for chunk in rest) == whole
        raw = Request(prompt="a b", begun=" c", sampling=Sampling(max_tokens=1))
        answer = router.run(raw, model="builtin:mini")
        list(answer)
        both = router.open("builtin:mini").model.tokenize("a b c")
        assert answer.usage is not None
        assert both is not None
        assert answer.usage.prompt_tokens in (len(both), len(both) + 1)  # with BOS


def test_a_thought_that_the_template_opened_is_closed_before_what_was_begun() -> None:
    from llmrr.engines import prompting
    from llmrr.engines.templates import Template

    text = "{{ messages[0].content }}|<think>\n"
    request = Request(messages=HELLO.messages, begun="Once")
    made = prompting.prompted(request, Template(text), templated=True)
    assert made.text == "hello|<think>\n\n</think>\n\nOnce"
    assert not made.opened


def test_a_remote_model_is_told_to_go_on(engine: FakeEngine) -> None:
    begun = Request(messages=HELLO.messages, begun="Once ")
    told = attempts.without_begun(begun)
    assert [turn.role for turn in told.messages] == ["user", "assistant", "user"]
    assert (told.messages[1].content, told.begun) == ("Once ", "")
    assert attempts.without_begun(Request(prompt="P ", begun="x")).prompt == "P x"


def test_an_answer_that_was_stopped_is_not_tried_again(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b")
    engine.replies = [reply("one", "two"), "hi"]
    with Router() as router:
        answer = router.run(HELLO)
        next(answer)
        answer.close()
    [run] = recorded()
    assert (run.model, run.finish_reason) == ("a", "cancelled")
    assert healths() == {}


# -- the breaker -------------------------------------------------------------------------------


def healths(now: float | None = None) -> dict[str, health.Health]:
    with Router() as router, closing(open_database()) as connection:
        keys = {key_of(model): model.name for model in router.config.models}
        found = health.read(connection, keys, Rules(), now)
    return {keys[key]: one for key, one in found.items()}


def test_another_address_is_another_model_to_the_breaker() -> None:
    model = {"name": "a", "source": "openai:m", "options": {"base_url": "http://127.0.0.1:1/v1"}}
    with Router(models=[model, {"name": "b", "source": "openai:m"}]) as router:
        def rejected() -> list[str]:
            return [one.kind for one in router.route("Hello").rejected if one.name == "a"]

        router.with_database(
            lambda connection: health.note(
                connection, key_of(router.config.models[0]), Rules(failures=1), error="refused"
            ), "",
        )  # fmt: skip
        assert rejected() == ["breaker"]
        model["options"] = {"base_url": "http://127.0.0.1:1/v1/"}
        router.update_config(models=[model, {"name": "b", "source": "openai:m"}])
        assert rejected() == ["breaker"]  # the same place, written otherwise
        model["options"] = {"base_url": "http://127.0.0.1:2/v1"}
        router.update_config(models=[model, {"name": "b", "source": "openai:m"}])
        assert rejected() == []


def test_what_fails_at_the_address_of_a_call_is_not_the_model() -> None:
    model = {"name": "a", "source": "openai:m", "options": {"base_url": "http://127.0.0.1:2/v1"}}
    rules = {"breaker": {"failures": 1}, "retry": {"attempts": 1}}
    with Router(models=[model, {**model, "name": "b"}], **rules) as router:
        for said in ("^openai:m cannot be reached", "^the breaker of a is open"):
            with pytest.raises(LlmrrError, match=said):
                router.generate("hello", model="a", base_url="http://127.0.0.1:1/v1")
        assert [one.kind for one in router.route("hello").rejected] == []


def test_what_a_breaker_belongs_to_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**stated: Any) -> str:
        return key_of(Router(models=[{"name": "a", **stated}]).config.models[0])

    said = key(source="openai:m", options={"base_url": "http://127.0.0.1:1/v1/"})
    assert said == "a openai:m http://127.0.0.1:1/v1"
    assert key(source="openai:m") == "a openai:m"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://u:s3cret@Box:80/v1/")
    assert key(source="openai:m") == "a openai:m http://box/v1"
    assert key(source="builtin:mini", engine="llamacpp") == "a builtin:mini llamacpp"


def test_a_model_that_keeps_failing_is_left_alone_and_then_tried_once(
    engine: FakeEngine, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("a", "b", head="strategy = 'cost-optimized'\nbreaker = { failures = 2 }")
    engine.replies = [failed("one"), "hi", failed("two"), "hi", "hi"]
    for _ in range(3):
        assert ask() == "hi"
    assert [run.model for run in recorded()] == ["a", "b", "a", "b", "b"]
    assert ask.decision is not None
    assert "failed 2 times in a row" in ask.decision.rejected[0].why
    assert "EngineFailed: two" in ask.decision.rejected[0].why

    later = time.time() + 31
    monkeypatch.setattr(time, "time", lambda: later)
    engine.replies = [failed("three"), "hi", "hi"]
    assert ask() == "hi"
    assert [run.model for run in recorded()][5:] == ["a", "b"]
    assert ask() == "hi"
    assert recorded()[-1].model == "b"

    later += 31
    engine.replies = ["back", "hi"]
    assert [ask(), ask()] == ["back", "hi"]
    assert [run.model for run in recorded()][-2:] == ["a", "a"]
    assert healths()["a"].closed_at is None


@pytest.mark.parametrize("named", [{}, {"model": "a"}])
def test_a_chain_of_one_has_a_breaker_too(
    engine: FakeEngine, ask: Asked, named: dict[str, object]
) -> None:
    configure("a", head="breaker = { failures = 1 }")
    engine.replies = [failed("boom")]
    with pytest.raises(EngineFailed, match="boom"):
        ask(**named)
    with pytest.raises(EngineFailed, match="breaker"):
        ask(**named)
    assert len(engine.requests) == 1


def test_what_says_nothing_of_the_model_does_not_count(engine: FakeEngine, ask: Asked) -> None:
    configure("a", head="breaker = { failures = 1 }")
    for error in (ContextOverflow("too long"), FeatureMissing("no images"), UsageError("n is 0")):
        engine.replies = [error]
        with pytest.raises(type(error)):
            ask()
    engine.replies = ["hi"]
    assert ask() == "hi"
    assert healths()["a"].attempts == 1


@pytest.mark.parametrize("strategy", ["speed-priority", "quality-first"])
def test_a_model_that_refuses_what_another_answers_loses_its_place(
    engine: FakeEngine, ask: Asked, strategy: str
) -> None:
    head = f"strategy = '{strategy}'\nbreaker = {{ failures = 2 }}"
    configure("a", "b", head=head, a="quality = 0.9", b="quality = 0.1")
    engine.replies = [RequestRefused("no such value"), "hi"]
    assert ask() == "hi"
    found = healths()["a"]
    assert (found.attempts, found.successes) == (1, 0)
    assert found.last_error == "RequestRefused: no such value"
    engine.replies = ["hi"] if strategy == "speed-priority" else [RequestRefused("no"), "hi"]
    assert ask() == "hi"
    engine.replies = ["hi"]
    assert ask() == "hi"
    assert len(engine.requests) == (4 if strategy == "speed-priority" else 5)


def test_a_refusal_that_nobody_answers_otherwise_is_no_failure(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b", head="breaker = { failures = 1 }")
    refused = [RequestRefused("n"), ContentRefused("n")]
    for replies in (refused, [*refused[:1], failed()], [ContextOverflow("n"), "hi"]):
        engine.replies = list(replies)
        with suppress(LlmrrError):
            ask()
    assert "a" not in healths() or not healths()["a"].attempts


def test_a_probe_that_is_refused_opens_the_breaker_anew(
    engine: FakeEngine, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "strategy = 'capability-match'\nbreaker = { failures = 1 }"
    configure("a", "b", head=head)
    for after in (0, 31):
        later = time.time() + after
        monkeypatch.setattr(time, "time", lambda later=later: later)
        engine.replies = [RequestRefused("no"), "hi"]
        assert ask() == "hi"
        assert healths(later)["a"].closed_at == later + 30


def test_a_model_that_cannot_be_loaded_is_unreliable_and_trips_nothing(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b", head="strategy = 'speed-priority'\nbreaker = { failures = 1 }")
    engine.replies = [DamagedFile("cut"), "hi", "hi"]
    assert ask() == "hi"
    found = healths()
    assert (found["a"].attempts, found["a"].successes, found["a"].closed_at) == (1, 0, None)
    assert ask() == "hi"
    assert [run.model for run in recorded()] == ["a", "b", "b"]


def test_a_probe_that_ended_without_a_verdict_lets_the_next_one_through(
    engine: FakeEngine, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("a", head="breaker = { failures = 1 }")
    engine.replies = [failed(), ContextOverflow("too long"), "hi"]
    with pytest.raises(EngineFailed):
        ask()
    later = time.time() + 31
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(ContextOverflow):
        ask()
    assert ask() == "hi"


def test_figures_of_a_run_are_kept_and_used(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", head="strategy = 'speed-priority'")
    engine.replies = ["hi"]
    ask()
    found = healths()["a"]
    assert (found.attempts, found.successes, found.first_token_s) == (1, 1, 0.25)
    assert found.token_s == pytest.approx((1.5 - 0.25) / 4)
    engine.replies = ["hi"]
    ask()
    assert ask.model == "b"


def test_threads_share_a_router(engine: FakeEngine) -> None:
    configure("a", head="strategy = 'round-robin'")
    count, told = 40, list[str]()
    engine.replies = ["hi"] * count * 4
    with Router(warn=told.append) as router:
        list(router.run(HELLO))  # it is loaded
        threads = [
            threading.Thread(target=lambda: [list(router.run(HELLO)) for _ in range(count - 1)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert told == []
    assert len(recorded()) == 1 + 4 * (count - 1)
    found = healths()["a"]
    assert found.successes == found.attempts
    assert found.turn == 1 + 4 * (count - 1)


def test_round_robin_goes_round_over_processes(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", "c", head="strategy = 'round-robin'")
    engine.replies = ["hi"] * 7
    for _ in range(7):
        ask()
    assert "".join(run.model for run in recorded()) == "abcabca"


def test_least_loaded_takes_what_is_idle(engine: FakeEngine) -> None:
    configure("a", "b", head="strategy = 'least-loaded'")
    engine.replies = ["one", "two", "three"]
    with Router() as router:
        first = router.run(HELLO)
        second = router.run(HELLO)
        assert [first.model.name, second.model.name] == ["a", "b"]
        list(first)
        assert router.run(HELLO).model.name == "a"


@pytest.mark.parametrize("strategy", ["round-robin", "least-loaded"])
def test_those_that_come_at_once_do_not_take_the_same(
    engine: FakeEngine, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All look before any is noted, if that can be."""
    from llmrr.choosing import selection
    from llmrr.choosing.wishes import Moment, Wish

    configure("a", "b", "c", "d", head=f"strategy = '{strategy}'")
    threads, met = 4, threading.Barrier(4)
    real, chosen = selection.route, list[str | None]()

    def route(*args: Any) -> Any:
        found = real(*args)
        with suppress(threading.BrokenBarrierError):
            met.wait(0.05)
        chosen.append(found.chosen)
        return found

    monkeypatch.setattr(selection, "route", route)
    with Router() as router:
        wish, moment = Wish(), Moment()
        work = [
            threading.Thread(target=router.selection.choose, args=(HELLO, wish, moment))
            for _ in range(threads)
        ]
        for one in work:
            one.start()
        for one in work:
            one.join()
    assert sorted(map(str, chosen)) == ["a", "b", "c", "d"]


def test_a_model_that_is_refused_meanwhile_is_no_load(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", head="strategy = 'least-loaded'\nbreaker = { failures = 1 }")
    engine.replies = ["hi"]
    with Router(warn=ask.told.append) as router:
        real = router.selection.choose

        def choose(*args: Any) -> Any:
            found = real(*args)
            key = key_of(router.config.models[0])
            router.with_database(
                lambda connection: health.note(connection, key, Rules(failures=1), error="x"), ""
            )
            return found

        router.selection.choose = choose  # type: ignore[method-assign]
        answer = router.run(HELLO)
        with closing(open_database()) as connection:
            [key] = health.under_way(connection)
        assert (answer.model.name, key) == ("b", key_of(router.config.models[1]))
        list(answer)
    with closing(open_database()) as connection:
        assert health.under_way(connection) == {}


def test_a_database_that_was_locked_is_used_again(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("a")
    engine.replies = ["one", "two", "three"]
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told: list[str] = []
    with Router(warn=told.append) as router:
        real = stats.record

        def locked(*_: object, **__: object) -> None:
            raise failed("locked")

        monkeypatch.setattr(stats, "record", locked)
        list(router.run(HELLO))
        monkeypatch.setattr(stats, "record", real)
        list(router.run(HELLO))
        assert (told, recorded()) == (["nothing is recorded: locked"], [])
        now[0] += 60
        list(router.run(HELLO))
    assert [run.answer for run in recorded()] == ["three"]


def test_an_answer_that_is_dropped_is_no_load(engine: FakeEngine) -> None:
    configure("a", "b", head="strategy = 'least-loaded'")
    engine.replies = ["hi"]
    with Router() as router:
        answer = router.run(HELLO)
        with closing(open_database()) as connection:
            assert health.under_way(connection).total() == 1
        del answer
        gc.collect()
        with closing(open_database()) as connection:
            assert health.under_way(connection) == {}


def test_what_failed_is_no_load(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", head="strategy = 'least-loaded'")
    engine.replies = [failed(), reply(failed())]
    with pytest.raises(EngineFailed):
        ask()
    with closing(open_database()) as connection:
        assert health.under_way(connection) == {}


def test_how_a_model_does_is_read_again_whoever_wrote_it() -> None:
    from llmrr import database

    rules, used = Rules(failures=1, cooldown=30.0), Usage(total_s=1.0)
    with closing(open_database()) as one, closing(open_database()) as other:

        def seen() -> tuple[float, float | None]:
            found = health.read(one, [KEY, "other"], rules, 1000.0).get(KEY, health.UNKNOWN)
            return found.attempts, found.closed_at

        assert seen() == (0, None)
        health.note(one, KEY, rules, usage=used, now=999.0)
        assert seen() == seen() == (1, None)
        health.note(other, KEY, rules, error="x", now=1000.0)
        assert seen() == (pytest.approx(1.998), 1030.0)
        with pytest.raises(ZeroDivisionError), database.transaction(one):
            health.note(one, KEY, rules, usage=used, now=1000.0)
            raise ZeroDivisionError
        assert seen() == (pytest.approx(1.998), 1030.0)
        health.chosen(one, KEY)
        assert health.read(one, [KEY], rules)[KEY].turn == 1
        assert health.claim(one, KEY, rules, now=1031.0)
        assert health.read(one, [KEY], rules, 1031.0)[KEY].probing
        health.release(one, KEY)
        assert not health.read(one, [KEY], rules, 1031.0)[KEY].probing


def wait_in_a_request(ready: object, done: object) -> None:
    with closing(open_database()) as connection:
        health.begin(connection, KEY)
        ready.set()  # type: ignore[attr-defined]
        done.wait()  # type: ignore[attr-defined]


def claim_and_hang(ready: object, done: object) -> None:
    with closing(open_database()) as connection:
        assert health.claim(connection, KEY, Rules(cooldown=30.0), now=2000.0)
        ready.set()  # type: ignore[attr-defined]
        done.wait()  # type: ignore[attr-defined]


def test_a_process_that_is_killed_while_it_tries_a_model_keeps_it_shut_for_a_cooldown() -> None:
    rules = Rules(failures=1, cooldown=30.0)
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    with closing(open_database()) as connection:
        health.note(connection, KEY, rules, error="EngineFailed: x", now=1000.0)
        worker = spawn.Process(target=claim_and_hang, args=(ready, done))
        worker.start()
        assert ready.wait(60)
        worker.kill()
        worker.join()
        assert not health.claim(connection, KEY, rules, now=2029.0)
        assert health.claim(connection, KEY, rules, now=2030.0)
        health.note(connection, KEY, rules, usage=Usage(total_s=1.0), now=2031.0)
        assert health.read(connection, [KEY], rules, 2031.0)[KEY].closed_at is None


def test_requests_of_other_processes_count_while_these_live() -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    worker = spawn.Process(target=wait_in_a_request, args=(ready, done))
    worker.start()
    assert ready.wait(60)
    with closing(open_database()) as connection:
        number = health.begin(connection, KEY)
        assert health.under_way(connection) == {KEY: 2}
        worker.kill()
        worker.join()
        assert health.under_way(connection) == {KEY: 1}
        health.finish(connection, number)
        assert health.under_way(connection) == {}
        health.begin(connection, KEY)
        assert health.under_way(connection, now=time.time() + 4000) == {}
        # Of a process that had our number before us, as in a container that was started anew.
        health.begin(connection, KEY, now=health.BEGAN - 1)
        assert health.under_way(connection) == {}


# -- several at once ---------------------------------------------------------------------------

BY_ENSEMBLE = "strategy = 'ensemble'"


def test_an_ensemble_takes_what_most_agree_on(engine: FakeEngine, ask: Asked) -> None:
    configure("a", "b", "c", "d", head=BY_ENSEMBLE)
    together(engine, a="Rome", b="Paris.", c=" paris")
    assert ask() == "Paris."
    assert ask.model == "b"
    assert ask.order is not None
    assert (ask.order["by"], ask.order["answered"]) == ("2 of 3 agree", "b")
    assert [(one["name"], one["text"]) for one in ask.order["answers"]] == [
        ("a", "Rome"), ("b", "Paris."), ("c", " paris")
    ]  # fmt: skip
    runs = recorded()
    assert [(run.model, run.conversation is None) for run in runs] == [
        ("a", True), ("b", False), ("c", True)
    ]  # fmt: skip


def test_of_an_ensemble_that_fails_in_part_the_rest_decides(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b", "c", head=BY_ENSEMBLE + "\nretry = { attempts = 1 }")
    together(engine, a=failed("one"), b="yes", c=reply("no", failed("two")))
    assert ask() == "yes"
    assert ask.order is not None
    assert [one["error"] for one in ask.order["answers"]] == [
        "EngineFailed: one", None, "EngineFailed: two"
    ]  # fmt: skip
    together(engine, a=failed("one"), b=failed("two"), c=failed("three"))
    with pytest.raises(EngineFailed, match="three"):
        ask()


def test_a_judge_chooses_and_where_it_does_not_the_majority_does(
    engine: FakeEngine, ask: Asked
) -> None:
    configure("a", "b", "c", head=BY_ENSEMBLE + "\nensemble = { size = 2, judge = 'c' }\n"
              "cache.enabled = false")
    together(engine, a="first", b="second", c="Answer 2.")
    assert ask() == "second"
    assert ask.order is not None
    assert ask.order["by"] == "c prefers it"
    assert "Answer 1:\nfirst\n\nAnswer 2:\nsecond" in engine.requests[-1].messages[0].content
    for verdict, told in (("neither", "c named no answer"), (failed(), "c failed")):
        together(engine, a="first", b="second", c=verdict)
        assert ask() == "first"
        assert any(f"the judge {told}" in text for text in ask.told)


def test_an_ensemble_gives_one_answer_and_says_so(engine: FakeEngine) -> None:
    configure("a", "b", head=BY_ENSEMBLE)
    several = Request(messages=(Message("user", "hello"),), n=2)
    with Router() as router:
        for refused in (router.run, router.route):
            with pytest.raises(UsageError, match="n = 2 with the strategy ensemble"):
                refused(several)
        assert router.route(several, strategy="random").chosen
    assert engine.requests == []


def test_an_ensemble_on_the_command_line(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b", "c")
    together(engine, a=["one"] * 2, b=["two"] * 2, c=["two"] * 2)
    seen = typed("run", "--strategy", "ensemble", "--json", "x").json
    assert (seen["text"], seen["model"], seen["usage"]["completion_tokens"]) == ("two", "b", 15)
    assert [one["text"] for one in seen["decision"]["answers"]] == ["one", "two", "two"]
    assert seen["decision"]["asked"] == ["a", "b", "c"]
    assert "asked as well: b, c" in typed("route", "--strategy", "ensemble", "x").out
    plain = typed("run", "--strategy", "ensemble", "x")
    assert plain.out == "two\n"
    assert "asked at once: a, b, c" in plain.err


# -- processes that share the state ------------------------------------------------------------

MANY = Rules(failures=10_000, window=1e6, cooldown=30.0)


def note_failures(count: int) -> None:
    with closing(open_database()) as connection:
        for at in range(count):
            health.note(connection, KEY, MANY, error="EngineFailed: x", now=1000.0 + at / 1000)


def claim_once(results: "multiprocessing.Queue[bool]", barrier: object) -> None:
    with closing(open_database()) as connection:
        barrier.wait()  # type: ignore[attr-defined]
        results.put(health.claim(connection, KEY, Rules(cooldown=30.0), now=2000.0))


def test_no_outcome_is_lost_between_processes() -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=note_failures, args=(40,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with closing(open_database()) as connection:
        found = health.read(connection, [KEY], MANY)[KEY]
    expected = 0.0
    for _ in range(120):
        expected = expected * health.KEPT_OUTCOMES + 1
    assert found.attempts == pytest.approx(expected)
    assert found.tripped == 120


def test_of_many_processes_one_may_try_a_model_again() -> None:
    rules = Rules(failures=1, cooldown=30.0)
    with closing(open_database()) as connection:
        health.note(connection, KEY, rules, error="EngineFailed: x", now=1000.0)
        assert not health.claim(connection, KEY, rules, now=1010.0)
    spawn = multiprocessing.get_context("spawn")
    results, barrier = spawn.Queue(), spawn.Barrier(4)
    workers = [spawn.Process(target=claim_once, args=(results, barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    got = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(got) == [False, False, False, True]


def test_without_a_database_models_are_chosen_and_fall_back_all_the_same(
    engine: FakeEngine, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("a", "b")

    def refuse() -> None:
        raise LlmrrError("the disk is gone")

    monkeypatch.setattr("llmrr.database.open_database", refuse)
    engine.replies = [failed(), "hi"]
    assert ask() == "hi"
    assert any("the disk is gone" in text for text in ask.told)


# -- the command line --------------------------------------------------------------------------


def test_run_tells_what_failed_and_who_answers(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b")
    engine.replies = [failed("no luck"), "hi"]
    seen = typed("run", "hello")
    assert (seen.code, seen.out) == (0, "hi\n")
    assert "a failed (EngineFailed: no luck): b is asked" in seen.err


def test_run_json_and_explain_carry_the_decision_that_route_prints(
    typed: Typed, engine: FakeEngine
) -> None:
    configure("a", "b", a="quality = 0.5", b="quality = 0.9", head="strategy = 'quality-first'")
    engine.replies = ["hi", "hi"]
    routed = typed("route", "--json", "hello").json
    assert {"model", "strategy", "candidates", "rejected"} <= set(routed)
    assert [set(one) for one in routed["candidates"]] == [{"name", "score", "terms"}] * 2
    ran = typed("run", "--json", "hello").json
    assert ran["model"] == "b"
    assert {**ran["decision"], "answered": None} == {**routed, "answered": None}
    explained = typed("run", "--explain", "hello")
    table = typed("route", "hello").out
    assert explained.out == "hi\n"
    assert "b  (quality-first: the best quality)" in explained.err
    assert table.splitlines()[0] in explained.err


def test_route_prints_who_was_rejected_and_runs_nothing(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b", a="tags = ['code']")
    seen = typed("route", "--need", "code", "a", "prompt")
    assert "b         it has no tag code" in seen.out
    assert engine.loads == []
    failed = typed("route", "--need", "german", "x", "--json")
    nobody = failed.json
    assert nobody["model"] is None
    assert failed.code == typed("route", "--need", "german", "x").code == 3
    assert typed("run", "--need", "german", "x").code == 3
    assert "no model can take this" in failed.err
    assert typed("route", "--need", "german", "x", "--fallback", "a").code == 0
    assert [one["why"] for one in nobody["rejected"]] == ["it has no tag german"] * 2
    assert typed("route", "x", stdin=None).code == 0


def test_route_tells_who_is_asked_in_turn(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b", "c", head="fallback_chain = ['c', 'b']")
    assert "where it fails: c, b" in typed("route", "x").out
    stated = typed("route", "x", "--fallback", "builtin:mini", "--json").json
    assert stated["asked"] == ["a", "builtin:mini"]
    assert typed("route", "x", "--fallback", "nobody").code == 3


def test_route_without_models_names_what_run_takes(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.replies = ["a", "b"]
    folder = Path("elsewhere")
    folder.mkdir()
    builders.tiny_llama(folder / "tiny.gguf")
    for stated, name, why in (
        ("", "builtin:mini", "nothing else is installed or configured"),
        (str(folder / "tiny.gguf"), "tiny.gguf", "it is default_model"),
    ):
        monkeypatch.setenv("LLMRR_DEFAULT_MODEL", stated)
        assert typed("route", "x").out.startswith(f"{name}  ({why})\n")
        found = typed("route", "x", "--json").json
        assert (found["model"], found["asked"], found["strategy"]) == (name, [name], None)
        assert name in typed("run", "x").err
    assert typed("route", "-m", "builtin:mini", "x").out.startswith("builtin:mini  (it is named)\n")
    assert typed("route", "--need", "code", "x").code == 2


def test_needs_are_found_in_the_request(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b")
    found = typed("route", "--schema", "name", "--need", "code", "x", "--json").json
    assert found["needs"]["words"] == ["code", "schema"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--strategy", "fastest"], 2, 'there is no strategy "fastest"'),
        (["--fallback", "nobody"], 3, 'there is no model "nobody"'),
        (["--need", "german"], 3, "no model can take this: a: it has no tag german; b: "),
        (["-m", "a", "--need", "x"], 2, "need has nothing to choose among: one model is named"),
    ],
)
def test_what_cannot_be_chosen(
    typed: Typed, engine: FakeEngine, args: list[str], code: int, said: str
) -> None:
    configure("a", "b")
    seen = typed("run", *args, "hello")
    assert (seen.code, seen.out) == (code, "")
    assert said in seen.err


def test_a_stray_name_on_the_command_line_is_told(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b")
    engine.replies = ["hi"]
    assert 'strategy "hybrid" is taken as balanced' in typed("run", "--strategy", "hybrid", "x").err


def test_a_conversation_stays_with_the_model_that_answers_it(
    typed: Typed, engine: FakeEngine
) -> None:
    configure("a", "b", "c", head="strategy = 'round-robin'")
    engine.replies = ["one", "two", "three"]
    seen = typed("chat", stdin="first\nsecond\nthird\n/model\n")
    assert [run.model for run in recorded()] == ["a", "a", "a"]
    assert seen.out.splitlines()[-1] == "a"
    engine.replies = [failed(), "one", "two"]
    seen = typed("chat", stdin="first\n/model\nsecond\n")
    assert seen.out.splitlines() == ["one", "a", "two"]
    assert [run.model for run in recorded()][3:] == ["b", "a", "a"]


def test_a_strategy_chooses_the_model_of_a_chat(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b")
    engine.replies = ["one", "two", "three"]
    typed("chat", "--strategy", "round-robin", stdin="first\nsecond\nthird\n")
    assert [run.model for run in recorded()] == ["a", "a", "a"]


def test_names_are_completed(engine: FakeEngine) -> None:
    from llmrr.cli import names

    configure("mine", "other", mine="group = 'team'\ntags = ['german']")
    assert [name for name, _ in names.model_names("")][:3] == ["mine", "other", "team"]
    assert names.need_words("ger") == ["german"]
    assert [name for name, _ in names.strategy_names("r")] == [
        "reliability-first", "round-robin", "random"
    ]  # fmt: skip


def test_a_group_may_stand_before_the_prompt(typed: Typed, engine: FakeEngine) -> None:
    configure("a", "b", b="group = 'g'")
    engine.replies = ["hi"]
    assert typed("run", "g", "hello", "--json").json["model"] == "b"




# -- with the built-in model, for real ---------------------------------------------------------


def copies(*names: str, **facts: str) -> None:
    """``[[models]]`` that are copies of the built-in model."""
    text = "version = 1\n"
    for name in names:
        shutil.copy(paths.builtin_model(), f"{name}.gguf")
        text += f"[[models]]\nname = '{name}'\nsource = 'file:./{name}.gguf'\n"
        text += facts.get(name, "") + "\n"
    Path("llmrr.toml").write_text(text)


QUESTION = "What is the capital of France?"


def test_copies_of_a_model_are_chosen_among(typed: Typed) -> None:
    copies("one", "two", one="tags = ['code']\npriority = 2", two="priority = 1")
    seen = typed("run", "--json", "--temperature", "0", QUESTION).json
    assert "Paris" in seen["text"]
    assert (seen["model"], seen["decision"]["why"]) == ("two", "no measurement: by priority")
    seen = typed("run", "--json", "--temperature", "0", "--need", "code", QUESTION).json
    assert (seen["model"], seen["decision"]["rejected"][0]["name"]) == ("one", "two")
    table = typed("route", "--strategy", "speed-priority", QUESTION).out
    assert all(word in table for word in ("one", "two", "1.00", "SUCCESS"))


def test_a_schema_reaches_whichever_model_answers(typed: Typed) -> None:
    copies("one", "two")
    seen = typed("run", "--schema", "name", "--json", "--max-tokens", "60", "Invent someone.")
    found = seen.json
    assert found["decision"]["needs"]["words"] == ["schema"]
    if found["finish_reason"] == "stop":
        assert "name" in json.loads(found["text"])


def test_a_damaged_copy_is_left_out_and_a_small_context_falls_back(typed: Typed) -> None:
    copies("whole", "cut", "small", cut="priority = 0", small="options = { context_size = 32 }",
           whole="priority = 9")  # fmt: skip
    data = Path("cut.gguf").read_bytes()
    Path("cut.gguf").write_bytes(data[: len(data) // 2])
    routed = typed("route", "--json", QUESTION).json
    assert [(one["name"], "damaged" in one["why"]) for one in routed["rejected"]] == [("cut", True)]
    # About 30 tokens by length, and 46 by the model's own count.
    tight = "1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4"
    seen = typed("run", "-m", "small", "--fallback", "whole", "--max-tokens", "2", tight)
    assert seen.code == 0
    assert "small failed (ContextOverflow: " in seen.err
    alone = typed("run", "-m", "small", tight)
    assert alone.code == 5


def test_an_ensemble_of_copies_agrees(typed: Typed) -> None:
    copies("one", "two", "three")
    seen = typed("run", "--strategy", "ensemble", "--temperature", "0", "--json", QUESTION).json
    assert "Paris" in seen["text"]
    assert seen["decision"]["by"] == "3 of 3 agree"
