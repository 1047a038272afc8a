"""Routers with several models in memory: many threads, little room, and the keys of ``[memory]``,
``[batching]`` and ``[streaming]``."""

import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import builders
import pytest
from backends import arithmetic
from fakes import FakeEngine, FakeModel, FakeStream, reply
from hypothesis import given
from hypothesis import strategies as st
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault
from terminal import Typed

from llmrr import MemoryMonitor, MemoryUse, config, packing, paths, pool, stats, trust
from llmrr.engines.base import Options
from llmrr.engines.chunks import Joined, joined
from llmrr.errors import (
    BadConfig,
    DoesNotFit,
    EngineFailed,
    InvalidRequest,
    NotFound,
    UsageError,
)
from llmrr.pool import memory
from llmrr.router import Router
from llmrr.types import (
    CallPiece,
    Chunk,
    Format,
    Message,
    ModelFiles,
    Request,
    Sampling,
    TokenLogprob,
    ToolCall,
    Usage,
)

LONG = 20.0
SHORT = Sampling(temperature=0.0, max_tokens=5)
QUESTIONS = ("What is the capital of France?", "What is the capital of Italy?", "Who are you?")


def asked(text: str, **sampling: object) -> Request:
    given: dict[str, object] = {"temperature": 0.0, "max_tokens": 24, **sampling}
    return Request(messages=(Message("user", text),), sampling=Sampling(**given))  # type: ignore[arg-type]


def text_of(answer: Iterator[Chunk]) -> str:
    return "".join(chunk.text for chunk in answer)


def write(*lines: str) -> None:
    Path("llmrr.toml").write_text("\n".join(("version = 1", *lines, "")))


def local(*names: str) -> str:
    """``[[models]]``, each a copy of the built-in one."""
    for name in names:
        shutil.copy(paths.builtin_model(), f"{name}.gguf")
    return "".join(f"[[models]]\nname = '{one}'\nsource = 'file:./{one}.gguf'\n" for one in names)


def at_once(*work: Callable[[], object]) -> None:
    """Each on a thread of its own; what one raises is raised here."""
    raised: list[BaseException] = []

    def run(one: Callable[[], object]) -> None:
        try:
            one()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * LONG)
        assert not thread.is_alive(), "it hangs"
    if raised:
        raise raised[0]


def interrupt_once(*events: threading.Event) -> None:
    """Ctrl-C, as soon as all this happened."""

    def press() -> None:
        if all(event.wait(LONG) for event in events):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


@pytest.fixture(autouse=True)
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request is one for a model."""
    monkeypatch.setenv("LLMRR_CACHE__ENABLED", "false")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``room(models, others=0)``: memory that holds so many copies of the built-in model, with
    nothing else in it but ``others`` of their size."""
    size = pool.needs.bytes_of(
        ModelFiles(paths.builtin_model(), Format.GGUF), Options()
    )

    def set_room(models: float, others: float = 0.0) -> None:
        limit, taken = int((models + 0.5) * size), int(others * size)
        monkeypatch.setattr(memory, "read", lambda held: MemoryUse(taken + held, limit))

    return set_room


# -- real models, many threads -----------------------------------------------------------------


def test_many_threads_are_answered_rightly_while_models_come_and_go(
    room: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    room(2)
    with OpenAIServer() as served, Router() as alone:
        far = (
            f"[[models]]\nname = 'far'\nsource = 'openai:{MODEL}'\noptions = {{ base_url ="
            f" '{served.address}/v1', api_key_env = 'FAR_KEY' }}\n"
        )
        write("memory = { threshold = 1.0, high = 1.0, unload_after = 0.05 }", local(*"abc"), far)
        trust.trust(Path("llmrr.toml").absolute())
        right = {
            question: text_of(alone.run(asked(question), model="builtin:mini"))
            for question in QUESTIONS
        }
        assert len(set(right.values())) == 3
        most: list[int] = []

        def work(at: int) -> None:
            for turn in range(6):
                name, question = ("a", "b", "far", "c")[(at + turn) % 4], QUESTIONS[turn % 3]
                said = text_of(router.run(asked(question), model=name))
                assert said == ("Hello, world!" if name == "far" else right[question])
                most.append(len(router.loaded()))
                if turn == at % 6:
                    router.unload_unused()

        with Router() as router:
            at_once(*(partial(work, at) for at in range(18)))
            assert router.pool.busy() == {}
        assert router.loaded() == []
    assert max(most) == 2
    assert len(most) == 18 * 6
    with Router() as router:
        runs = router.with_database(stats.runs, "")
    assert runs is not None
    assert [run.error for run in runs if run.error] == []


def test_an_answer_under_way_is_interrupted_by_nothing_but_close(
    room: Callable[..., None],
) -> None:
    write(local("a", "b"))
    with Router() as router:
        whole = text_of(router.run(asked(QUESTIONS[0]), model="a"))
        answer = router.run(asked(QUESTIONS[0]), model="a")
        begun = next(answer).text
        opened = router.open("b")
        text_of(router.run(asked(QUESTIONS[0]), model="b"))
        assert router.unload_unused() == []
        assert begun + text_of(answer) == whole
        assert router.unload_unused() == ["a"]
        under_way = opened.generate(asked(QUESTIONS[0]))
        del opened
        assert router.unload_unused() == []
        assert text_of(under_way) == whole
        del under_way
        assert router.cleanup() == ["b"]
        assert router.loaded() == []
        last = router.run(asked(QUESTIONS[0], ignore_eos=True, max_tokens=4000), model="a")
        next(last)
        router.close()
        router.close()
        with pytest.raises(EngineFailed, match="closed"):
            list(last)


def test_after_close_no_other_model_is_asked(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.replies = [reply("once ", EngineFailed("the model was closed"))]
    write(
        "fallback_chain = ['a', 'b']",
        *(
            f"[[models]]\nname = '{one}'\nsource = 'file:./tiny.gguf'\nresume = true"
            for one in "ab"
        ),
    )
    with Router() as router:
        answer = router.run(asked("x"), model="a", fallback=["b"])
        assert next(answer).text == "once "
        router.close()
        with pytest.raises(UsageError, match="the router was closed"):
            list(answer)
        assert router.loaded() == []


def test_one_thread_that_holds_what_it_needs_room_for_is_told(
    room: Callable[..., None],
) -> None:
    room(1)
    write("memory = { threshold = 1.0, high = 1.0 }", local("a", "b"))
    with Router() as router:
        answer = router.run(asked(QUESTIONS[0]), model="a")
        with pytest.raises(DoesNotFit, match=r"b is not loaded: .* loaded: a \(.* in use\)"):
            router.run(asked(QUESTIONS[0]), model="b")
        assert "Paris" in text_of(answer)
        assert "Paris" in text_of(router.run(asked(QUESTIONS[0]), model="b"))
        [held] = router.loaded()
        assert (held.name, held.bytes > 0, held.leases) == ("b", True, 0)


def test_a_model_that_does_not_fit_leaves_it_to_the_next(
    room: Callable[..., None],
) -> None:
    room(1)
    write("memory = { threshold = 1.0, high = 1.0 }", local("a", "b"))
    told: list[str] = []
    with Router(warn=told.append) as router:
        opened = router.open("a")
        answer = router.run(asked(QUESTIONS[0]), model="b", fallback=["a"])
        assert (text_of(answer), answer.model.name) == (text_of(answer) or answer.text, "a")
        assert opened.engine == "llamacpp"
    assert told[0].startswith("b failed (DoesNotFit: b is not loaded: ")


def test_what_idle_models_leave_counts_for_the_candidates(
    room: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr import hardware

    write(local("a", "b"))
    with Router() as router:
        router.open("a").model.tokenize("x")
        machine = hardware.probe()
        tight = hardware.Memory(total_bytes=machine.memory.total_bytes, available_bytes=1000)
        monkeypatch.setattr(
            hardware, "probe", lambda: hardware.Hardware("linux", machine.cpu, tight)
        )
        assert not router.route(asked("x")).rejected
        router.unload_unused()
    with Router() as router:
        rejected = router.route(asked("x")).rejected
        assert [("does not fit" in one.why) for one in rejected] == [True, True]


# -- the keys ----------------------------------------------------------------------------------


def test_loaded_is_every_model_and_aliases_share_one(engine: FakeEngine) -> None:
    engine.replies = ["1", "2", "3", "4"]
    write(
        *(f"[[models]]\nname = '{one}'\nsource = 'file:./tiny.gguf'" for one in "ab"),
        "[[models]]\nname = 'c'\nsource = 'file:./tiny.gguf'\noptions = { threads = 2 }",
    )
    with Router() as router:
        for name in "abc":
            text_of(router.run(asked("x"), model=name))
        assert router._host.moment().loaded == {"a", "b", "c"}
        assert len(engine.loads) == len(router.loaded()) == 2
        answer = router.run(asked("x"), model="a")
        assert router._host.moment().busy == {"a": 1}
        answer.close()
        assert router._host.moment().busy == {}


def test_what_is_preloaded(engine: FakeEngine) -> None:
    models = [
        f"[[models]]\nname = '{one}'\nsource = 'file:./tiny.gguf'\noptions = {{ threads = {at} }}"
        for at, one in enumerate("abc", start=1)
    ]
    write("preload = ['a', 'c']", *models)
    with Router() as router:
        assert router.initialize() is router
        assert engine.loads == []
    write("preload = ['a', 'c']", "memory = { loading = 'preload' }", *models)
    with Router().initialize() as router:
        assert [options.threads for _, options in engine.loads] == [1, 3]
        assert router.pool.names == {"a", "c"}
    engine.loads.clear()
    write("memory = { loading = 'preload' }", *models)
    with Router().initialize():
        assert [options.threads for _, options in engine.loads] == [1, 2, 3]
    write("preload = 'nobody'", "memory = { loading = 'preload' }", *models)
    with Router() as router, pytest.raises(NotFound, match="nobody"):
        router.initialize()


def test_a_conversation_uses_what_it_preloaded(engine: FakeEngine, typed: Typed) -> None:
    write(
        "memory = { loading = 'preload' }",
        *(
            f"[[models]]\nname = '{one}'\nsource = 'file:./tiny.gguf'\noptions = {{ threads = 3 }}"
            for one in "ab"
        ),
        "[[models]]\nname = 'c'\nsource = 'builtin:mini'",
    )
    engine.replies = ["one", "two"]
    seen = typed("chat", "-m", "b", "-o", "num_ctx", "99", stdin="hello\nagain\n")
    assert (seen.code, "two" in seen.out) == (0, True)
    assert [(at.threads, at.context_size) for _, at in engine.loads] == [(3, 99), (None, 99)]


def test_what_has_no_room_is_not_preloaded_with_a_warning(
    engine: FakeEngine, room: Callable[..., None]
) -> None:
    room(1, others=9)
    write("memory = { loading = 'preload' }",
          "[[models]]\nname = 'a'\nsource = 'file:./tiny.gguf'")  # fmt: skip
    told: list[str] = []
    with Router(warn=told.append).initialize():
        assert engine.loads == []
    assert told[0].startswith("a is not preloaded: a is not loaded: ")


def test_cleanup_unloads_and_forgets_what_is_old(engine: FakeEngine) -> None:
    engine.replies = ["1", "2"]
    write("stats = { retention = '1d' }")
    with Router() as router:
        text_of(router.run(asked("old")))
        text_of(router.run(asked("new")))
        router.database.execute("UPDATE runs SET at = 0 WHERE prompt = 'old'")
        assert router.cleanup() == ["builtin:mini"]
        runs = router.with_database(stats.runs, "")
    assert runs is not None
    assert [run.prompt for run in runs] == ["new"]


def test_what_memory_has_no_room_for_is_left_out_of_the_choice_with_the_figure(
    room: Callable[..., None],
) -> None:
    write("memory = { threshold = 1.0, high = 1.0 }", local("a", "b"))
    room(2, others=3)
    with Router() as router:
        decision = router.route(asked("x"))
        assert decision.chosen is None
        assert [(one.name, one.kind) for one in decision.rejected] == [
            ("a", "memory"), ("b", "memory")
        ]  # fmt: skip
        assert decision.rejected[0].why.startswith("a is not loaded: ")
        for models in ((), ("a",)):
            with pytest.raises(DoesNotFit, match=r"a is not loaded: .* high is 100%"):
                router.run(asked("x"), models=models)
        room(2)  # what was too full a moment ago is looked at again
        assert router.route(asked("x")).chosen


def test_what_only_waits_for_room_may_be_chosen(
    room: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool.outlook, "FRESH_S", -1.0)
    write("memory = { threshold = 1.0, high = 1.0 }", local("a", "b"))
    room(1)
    with Router() as router:
        held = router.open("a")  # answering
        assert not router.route(asked("x")).rejected
        del held
        assert not router.route(asked("x"), models=["b"]).rejected  # it would leave
        room(1, others=2)
        assert [one.name for one in router.route(asked("x")).rejected] == ["b"]


def test_another_model_follows_one_that_there_is_no_room_for(room: Callable[..., None]) -> None:
    room(1, others=3)
    write("memory = { threshold = 1.0, high = 1.0 }", local("a") + "group = 'g'\n"
          "fallback = ['far']\n[[models]]\nname = 'far'\nsource = 'openai:gpt'\n")  # fmt: skip
    with Router() as router:
        decision = router.route(asked("x"), model="g")
    assert (decision.chosen, decision.asked) == (None, ("far",))


def test_above_high_the_command_ends_with_5_and_the_figures(typed: Typed) -> None:
    write("memory = { high = 0.0 }")
    seen = typed("run", "--json", "hello")
    assert seen.code == 5
    error = seen.json["error"]
    assert error["type"] == "DoesNotFit"
    assert "GB of memory are in use" in error["message"]
    assert error["message"].endswith("and [memory] high is 0%; loaded: nothing")
    assert "high" in error["hint"]


def test_a_process_with_one_answer_pays_for_nothing(engine: FakeEngine) -> None:
    engine.replies = ["1", "2", "3"]
    with Router(leave_model=True) as router:
        text_of(router.run(asked("x")))
        assert not [one for one in threading.enumerate() if one.name == "llmrr-pool"]
    with Router() as router:
        text_of(router.run(asked("x")))
        assert [one for one in threading.enumerate() if one.name == "llmrr-pool"]
    write("batching = { enabled = false }")
    with Router() as router:
        text_of(router.run(asked("x")))
    write("batching = { max_batch_size = 4 }")
    with Router() as router:
        router.open()
        router.open(options={"slots": 3})
    assert [options.most_slots for _, options in engine.loads] == [1, 10, 1, 4, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("memory = { threshold = 80 }", "memory.threshold = 80 is not a number from 0 to 1"),
        ("memory = { high = '90%' }", "memory.high = \"90%\" is not a number from 0 to 1"),
        ("memory = { interval = 0 }", "memory.interval = 0 is not a number of seconds above 0"),
        ("memory = { unload_after = 'soon' }", "memory.unload_after = \"soon\" is not a number of"),
        ("memory = { loading = 'eager' }", "memory.loading = \"eager\" is not one of \"lazy\""),
        ("memory = { auto_unload = 1 }", "memory.auto_unload = 1 is not true or false"),
        ("memory = { treshold = 0.5 }", "unknown key memory.treshold"),
        ("preload = 3", "preload = 3 is not a name or a list of names"),
        ("preload = ['a', 'a']", '"a" stands there twice'),
        ("batching = { max_batch_size = 0 }", "batching.max_batch_size = 0 is not a whole number"),
        ("batching = { enabled = 'no' }", 'batching.enabled = "no" is not true or false'),
        ("streaming = { chunk_size = 1.5 }", "streaming.chunk_size = 1.5 is not a whole number"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(text: str, said: str) -> None:
    write(text)
    with Router() as router, pytest.raises(BadConfig, match="line 2") as raised:
        router.initialize()
    assert said in raised.value.message


def test_times_may_be_written_with_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    write("memory = { unload_after = '10m' }")
    monkeypatch.setenv("LLMRR_MEMORY__INTERVAL", "90s")
    monkeypatch.setenv("LLMRR_PRELOAD", "a, b")
    with Router() as router:
        assert router._host.rules() == pool.Rules(0.8, 0.9, 90.0, True, 600.0)
        assert router.config.value("preload") == ("a", "b")


def test_the_figures_are_those_of_this_machine() -> None:
    with Router() as router:
        before = router.memory()
        assert before is not None
        assert 0 < before.used_bytes < before.limit_bytes
        assert before.share == before.used_bytes / before.limit_bytes
        text_of(router.run(asked("x", max_tokens=1)))
        [held] = router.loaded()
        assert held.bytes > paths.builtin_model().stat().st_size / 2


# -- several requests at one model -------------------------------------------------------------


@pytest.mark.parametrize(("batching", "slots"), [("true", 4), ("false", 1)])
def test_requests_that_meet_are_computed_together(batching: str, slots: int) -> None:
    write(f"batching = {{ enabled = {batching}, max_batch_size = 4 }}")
    with Router() as router:
        right = {one: text_of(router.run(asked(one))) for one in QUESTIONS}
        model = router.open().model
        assert model._batching._contexts.current.shape.slots == 1  # type: ignore[attr-defined]

        def work(at: int) -> None:
            question = QUESTIONS[at % 3]
            assert text_of(router.run(asked(question))) == right[question]

        for _ in range(2):
            at_once(*(partial(work, at) for at in range(8)))
        assert model._batching._contexts.current.shape.slots == slots  # type: ignore[attr-defined]


@pytest.mark.parametrize("most", [1, 3])
def test_other_engines_have_more_slots_too_where_requests_meet(most: int) -> None:
    model, backend = arithmetic(most_slots=most)
    try:
        requests = [Request(prompt=letter * 9, sampling=SHORT) for letter in "abc"]
        right = [text_of(model.generate(one)) for one in requests]
        assert len(model._runner._slots) == 1
        backend.gate = threading.Event()
        streams = [model.generate(one) for one in requests]
        backend.gate.set()
        assert [text_of(one) for one in streams] == right
        assert len(model._runner._slots) == most
    finally:
        model.close()


# -- chunks of several tokens ------------------------------------------------------------------


class Scripted(FakeStream):
    """Chunks as they are."""

    def __init__(self, *chunks: Chunk | BaseException) -> None:
        super().__init__(reply())
        self.steps = list(chunks)


PIECES = st.builds(
    lambda index, text, reasoning, tokens: Chunk(
        index, text, reasoning, tokens, tuple(TokenLogprob("x", -1.0) for _ in tokens)
    ),
    st.integers(0, 1), st.text(max_size=2), st.sampled_from(("", "", "hm")),
    st.lists(st.integers(0, 9), max_size=3).map(tuple),
)  # fmt: skip


@given(st.lists(PIECES, max_size=20), st.integers(1, 7))
def test_joining_loses_nothing_and_keeps_the_order(chunks: list[Chunk], size: int) -> None:
    last = [Chunk(0, finish_reason="stop"), Chunk(1, finish_reason="length", usage=Usage(1, 0, 2))]
    found = list(joined(Scripted(*chunks, *last), size))
    for index in (0, 1):
        ours = [one for one in found if one.index == index]
        theirs = [one for one in chunks if one.index == index]
        for name in ("text", "reasoning"):
            assert "".join(getattr(one, name) for one in ours) == "".join(
                getattr(one, name) for one in theirs
            )
        for name in ("tokens", "logprobs"):
            assert sum((getattr(one, name) for one in ours), ()) == sum(
                (getattr(one, name) for one in theirs), ()
            )
        said = [part for one in ours for part in (one.reasoning, one.text) if part]
        assert "".join(said) == "".join(one.reasoning + one.text for one in theirs)
        assert [one.finish_reason for one in ours][-1] == last[index].finish_reason
        assert all(one.finish_reason is None for one in ours[:-1])
    assert found[-1].usage == Usage(1, 0, 2)
    assert all(one.usage is None for one in found[:-1])


def test_as_many_tokens_are_handed_on_at_a_time() -> None:
    one = [Chunk(text=letter, tokens=(1,)) for letter in "abcdefg"]
    call = Chunk(tool_calls=(ToolCall("1", "f", "{}"),))
    end = Chunk(finish_reason="stop", usage=Usage(1, 0, 7))
    found = list(Joined(Scripted(*one, call, end), 3))
    assert [chunk.text for chunk in found] == ["abc", "def", "g"]
    assert found[-1].tool_calls == call.tool_calls
    assert (found[-1].finish_reason, found[-1].usage) == ("stop", end.usage)
    remote = [Chunk(text=letter) for letter in "abcd"]  # a provider names no tokens
    assert [chunk.text for chunk in Joined(Scripted(*remote, end), 2)] == ["ab", "cd", ""]
    assert joined(stream := Scripted(), 1) is stream


def test_pieces_of_calls_are_handed_on_in_their_order() -> None:
    pieces = [CallPiece("1", "f", part) for part in ("", "{", "}")]
    steps = [Chunk(text="a"), *(Chunk(call_pieces=(one,)) for one in pieces),
             Chunk(tool_calls=(ToolCall("1", "f", "{}"),)), Chunk(text="b"),
             Chunk(finish_reason="tool_calls", usage=Usage(1, 0, 7))]  # fmt: skip
    found = list(Joined(Scripted(*steps), 9))
    assert [(one.text, len(one.call_pieces), len(one.tool_calls)) for one in found] == [
        ("a", 3, 1), ("b", 0, 0),
    ]  # fmt: skip
    assert found[0].call_pieces == tuple(pieces)
    assert [packing.chunk(json.loads(json.dumps(packing.facts(one)))) for one in found] == found


def test_what_came_before_an_error_is_handed_on() -> None:
    stream = Joined(Scripted(Chunk(text="a", tokens=(1,)), EngineFailed("broke")), 9)
    assert stream.ready(0)
    assert next(stream).text == "a"
    with pytest.raises(EngineFailed, match="broke"):
        next(stream)


def test_a_real_answer_in_larger_chunks_is_the_same() -> None:
    request = asked(QUESTIONS[0], logprobs=2)
    with Router() as router:
        small = list(router.run(request))
    write("streaming = { chunk_size = 4 }")
    with Router() as router:
        large = list(router.run(request))
        cut = router.run(asked("x", ignore_eos=True, max_tokens=4000))
        next(cut)
        cut.cancel()
        assert list(cut)[-1].finish_reason == "cancelled"
    assert text_of(iter(large)) == text_of(iter(small))
    assert sum((one.tokens for one in large), ()) == sum((one.tokens for one in small), ())
    assert sum((one.logprobs for one in large), ()) == sum((one.logprobs for one in small), ())
    assert [len(one.tokens) for one in large[:-1]] == [4] * (len(large) - 1)
    assert len(large) < len(small)


# -- several models asked at once --------------------------------------------------------------


@contextmanager
def gated(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Barrier]:
    """Three models, none of which begins to answer before all are asked."""
    for name in "abc":
        builders.tiny_llama(Path(f"{name}.gguf"))
        engine.replies_of[name] = [f"said {name}"]
    write(
        "strategy = 'ensemble'",
        *(
            f"[[models]]\nname = '{one}'\nsource = 'file:./{one}.gguf'\npriority = {at}"
            for at, one in enumerate("abc")
        ),
    )
    gate = threading.Barrier(3)
    plain = FakeModel.generate

    def generate(model: FakeModel, *given: object) -> FakeStream:
        gate.wait(LONG)
        return plain(model, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeModel, "generate", generate)
    yield gate
    gate.abort()


def test_the_members_of_an_ensemble_are_asked_at_once(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gated(engine, monkeypatch), Router() as router:
        answer = router.run(asked("x"))
        assert text_of(answer) in {"said a", "said b", "said c"}
        facts = answer.facts()
    assert facts is not None
    assert [one["text"] for one in facts["answers"]] == ["said a", "said b", "said c"]


def test_members_that_memory_does_not_hold_together_are_asked_in_turn(
    room: Callable[..., None],
) -> None:
    room(1)
    write("strategy = 'ensemble'", "memory = { threshold = 1.0, high = 1.0 }", local(*"abc"))
    told: list[str] = []
    most = 0
    with Router(warn=told.append) as router:
        load = router.pool._load

        def counted(entry: pool.entries.Entry) -> pool.Lease:
            nonlocal most
            most = max(most, len(router.pool._shelf.local()))
            return load(entry)

        router.pool._load = counted  # type: ignore[method-assign]
        answer = router.run(asked(QUESTIONS[0]))
        assert "Paris" in text_of(answer)
        facts = answer.facts()
    assert facts is not None
    assert (facts["by"], most) == ("3 of 3 agree", 1)
    assert [one.partition(":")[0] for one in told] == ["asked at once"]


@pytest.mark.parametrize("how", ["cancel", "ctrl-c"])
def test_cancelling_an_ensemble_stops_every_member(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    with OpenAIServer() as one, OpenAIServer() as other:
        for served in (one, other):
            served.faults.append(Fault(after=2, stalls=True))
        write(
            "strategy = 'ensemble'",
            *(
                f"[[models]]\nname = '{name}'\nsource = 'openai:{MODEL}'\noptions = {{ base_url ="
                f" '{served.address}/v1', api_key_env = 'FAR_KEY' }}"
                for name, served in (("one", one), ("other", other))
            ),
        )
        trust.trust(Path("llmrr.toml").absolute())
        with Router() as router:
            answer = router.run(asked("x"))
            heard: list[list[Chunk]] = []
            if how == "ctrl-c":
                interrupt_once(one.stalled, other.stalled)
                with pytest.raises(KeyboardInterrupt):
                    list(answer)
                answer.close()
            thread = threading.Thread(target=lambda: heard.append(list(answer)), daemon=True)
            thread.start()
            assert one.stalled.wait(LONG)
            assert other.stalled.wait(LONG)
            answer.cancel()
            thread.join(LONG)
            assert not thread.is_alive()
            reasons = [chunk.finish_reason for chunk in heard[0]]
            assert reasons == (["cancelled"] if how == "cancel" else [])
            for one_more in threading.enumerate():
                if one_more.name == "llmrr-member":
                    one_more.join(LONG)
            assert router.pool.busy() == {}
            runs = router.with_database(stats.runs, "")
    assert runs is not None
    assert sorted((run.model, run.finish_reason, run.error) for run in runs) == [
        ("one", "cancelled", None), ("other", "cancelled", None)
    ]  # fmt: skip


# -- watching ----------------------------------------------------------------------------------


class Watched:
    """A router whose memory is what a test says."""

    def __init__(self, *shares: float) -> None:
        self.shares = list(shares)
        self.config = config.load()

    def memory(self) -> MemoryUse | None:
        share = self.shares.pop(0) if len(self.shares) > 1 else self.shares[0]
        return None if share < 0 else MemoryUse(int(share * 1000), 1000)


def test_a_monitor_tells_of_crossings_and_not_of_every_look() -> None:
    heard: list[tuple[str, float]] = []
    monitor = MemoryMonitor(Watched(0.5, 0.5, 0.85, 0.95, 0.9, 0.8, 0.7, 0.9))

    def told(event: str, use: MemoryUse) -> None:
        heard.append((event, use.share))

    for event in ("high-usage", "normal-usage"):  # without its thread
        monitor._listeners[event].append(partial(told, event))
    for _ in range(8):
        monitor.check()
    assert heard == [("high-usage", 0.85), ("normal-usage", 0.8), ("high-usage", 0.9)]


def test_a_monitor_looks_by_itself_and_can_be_stopped() -> None:
    told = threading.Event()
    figures: list[MemoryUse] = []

    def heard(use: MemoryUse) -> None:
        figures.append(use)
        told.set()

    with MemoryMonitor(Watched(0.1, 0.1, 0.3), threshold=0.2, interval=0.001) as monitor:
        assert monitor.on("high-usage", heard) is monitor
        assert told.wait(LONG)
    monitor.stop()
    assert figures == [MemoryUse(300, 1000)]
    assert not [one for one in threading.enumerate() if one.name == "llmrr-memory"]
    monitor.on("high-usage", heard)
    assert not [one for one in threading.enumerate() if one.name == "llmrr-memory"]


def test_a_listener_that_fails_ends_nothing_and_may_stop_the_monitor() -> None:
    failed: list[Exception] = []
    heard = threading.Event()
    monitor = MemoryMonitor(Watched(0.9), interval=0.001, failed=failed.append)

    def breaks(use: MemoryUse) -> None:
        raise ValueError("a bug")

    def stops(use: MemoryUse) -> None:
        monitor.stop()
        heard.set()

    monitor._listeners["high-usage"].append(breaks)
    monitor.on("high-usage", stops)
    assert heard.wait(LONG)
    monitor.stop()
    assert [str(one) for one in failed] == ["a bug"]


def test_a_monitor_knows_its_events_and_bears_what_is_unknown() -> None:
    monitor = MemoryMonitor(Watched(-1.0))
    with pytest.raises(UsageError, match="high-usge") as raised:
        monitor.on("high-usge", print)
    assert raised.value.hint == "did you mean high-usage?"
    with pytest.raises(InvalidRequest, match="cannot be called"):
        monitor.on("high-usage", 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="None is none"):
        MemoryMonitor(None)  # type: ignore[arg-type]
    assert monitor.check() is None


def test_a_monitor_unloads_what_nobody_uses(room: Callable[..., None]) -> None:
    with Router() as router:
        text_of(router.run(asked("x", max_tokens=1)))
        unloaded: list[list[str]] = []
        done = threading.Event()

        def unload(use: MemoryUse) -> None:
            unloaded.append(router.unload_unused())
            done.set()

        with MemoryMonitor(router, threshold=0.0) as monitor:
            monitor.on("high-usage", unload)
            assert done.wait(LONG)
        assert unloaded == [["builtin:mini"]]
