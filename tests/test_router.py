"""The facade: which model answers, with which defaults, and what is recorded of it."""

from contextlib import closing
from pathlib import Path

import builders
import pytest
from fakes import FakeEngine, FakeModel, reply

import llmrr
from llmrr import stats
from llmrr.catalogue import BUILTIN
from llmrr.database import open_database
from llmrr.errors import EngineFailed, LlmrrError, NotFound, NotInstalled
from llmrr.router import Router
from llmrr.types import Message, Request, Sampling

HELLO = Request(messages=(Message("user", "hello"),))


def recorded() -> list[stats.Run]:
    with closing(open_database()) as connection:
        return stats.runs(connection)


def write_config(text: str) -> None:
    Path("llmrr.toml").write_text(f"version = 1\n{text}")


def ask(router: Router, request: Request = HELLO, **named: object) -> str:
    return "".join(chunk.text for chunk in router.run(request, **named))  # type: ignore[arg-type]


def test_the_public_names_are_the_facade_and_its_vocabulary() -> None:
    assert llmrr.Router is Router
    assert llmrr.Request is Request
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        _ = llmrr.Manager


def test_a_model_is_the_one_named_then_that_of_the_file_then_the_default_then_mini(
    engine: FakeEngine,
) -> None:
    with Router() as router:
        found = router.resolve(None)
        assert (found.name, found.stated) == (BUILTIN, False)
        assert router.resolve("./tiny.gguf").stated
    write_config('default_model = "./tiny.gguf"')
    with Router() as router:
        assert router.resolve(None).name == "tiny.gguf"
    write_config('[[models]]\nname = "mine"\nsource = "file:./tiny.gguf"')
    with Router() as router:
        found = router.resolve(None)
        assert (found.name, found.path.resolve()) == ("mine", Path("tiny.gguf").resolve())
        assert router.resolve(BUILTIN).name == BUILTIN


def test_a_model_of_the_file_is_found_from_below_it(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config('[[models]]\nname = "mine"\nsource = "file:./tiny.gguf"')
    Path("below").mkdir()
    monkeypatch.chdir("below")
    with Router() as router:
        assert router.resolve("mine").path.exists()


def test_what_may_be_a_models_name(engine: FakeEngine) -> None:
    write_config('[[models]]\nname = "mine"\nsource = "file:./tiny.gguf"')
    builders.gguf_file(Path("other.bin"))
    Path("notes.txt").write_text("some notes")
    with Router() as router:
        names = (
            "mine", BUILTIN, "./tiny.gguf", "other.bin", "file:x.gguf", "hf:owner/repo",
            "hf.co/owner/repo", "./good.guf", "qwen3:4b", "qwen3:4b-q8_0",
        )  # fmt: skip
        assert [name for name in names if not router.is_model(name)] == []
        words = (
            "hello", "notes.txt", "owner/repo", "and/or:this", "a model", "", "note: this",
            "/think",
        )  # fmt: skip
        assert [word for word in words if router.is_model(word)] == []


def test_a_wrong_name_is_answered_with_the_nearest(engine: FakeEngine) -> None:
    write_config('[[models]]\nname = "assistant"\nsource = "file:./tiny.gguf"')
    with Router() as router, pytest.raises(NotFound, match="assistent") as raised:
        router.resolve("assistent")
    assert "assistant" in raised.value.hint


@pytest.mark.parametrize(
    ("source", "kind"),
    [("owner/repo", NotInstalled), ("lmstudio:a/b", NotFound)],
)
def test_a_source_that_is_not_here_is_refused_by_name(
    engine: FakeEngine, source: str, kind: type[LlmrrError]
) -> None:
    with Router() as router, pytest.raises(kind, match=source.partition(":")[2] or source):
        router.resolve(source)


def test_defaults_come_from_the_call_then_the_file_then_ours(engine: FakeEngine) -> None:
    write_config(
        '[[models]]\nname = "mine"\nsource = "file:./tiny.gguf"\n'
        'params = { temperature = 0.1, top_k = 7, system = "Be brief." }\n'
        "options = { context_size = 512 }"
    )
    engine.replies = ["hi"]
    with Router() as router:
        request = Request(messages=HELLO.messages, sampling=Sampling(temperature=0.5))
        assert ask(router, request, options={"threads": 3}) == "hi"
    sampling = engine.requests[0].sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.5, 7, 0.95)
    assert engine.requests[0].messages[0] == Message("system", "Be brief.")
    assert (engine.loads[0][1].context_size, engine.loads[0][1].threads) == (512, 3)


def test_a_system_prompt_of_the_call_wins(engine: FakeEngine) -> None:
    write_config(
        '[[models]]\nname = "mine"\nsource = "file:./tiny.gguf"\nparams = { system = "A." }'
    )
    engine.replies = ["hi"]
    with Router() as router:
        ask(router, Request(messages=(Message("system", "B."), *HELLO.messages)))
    assert [one.content for one in engine.requests[0].messages] == ["B.", "hello"]


def test_one_model_stays_loaded_until_another_is_asked_for(engine: FakeEngine) -> None:
    engine.replies = ["1", "2", "3"]
    with Router() as router:
        ask(router)
        ask(router)
        assert len(engine.loads) == 1
        ask(router, options={"threads": 1})
        assert len(engine.loads) == 2


@pytest.mark.parametrize("leave", [False, True])
def test_a_model_is_closed_with_the_router_unless_the_process_ends(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, leave: bool
) -> None:
    closed: list[object] = []
    monkeypatch.setattr(FakeModel, "close", lambda model: closed.append(model))
    engine.replies = ["1"]
    with Router(leave_model=leave) as router:
        ask(router)
    assert len(closed) == (0 if leave else 1)


def test_an_answer_is_recorded_with_what_it_took(engine: FakeEngine) -> None:
    engine.replies = [reply("Hel", "lo.")]
    with Router() as router:
        ask(router)
    [run] = recorded()
    assert (run.prompt, run.answer) == ("hello", "Hello.")
    assert (run.finish_reason, run.error) == ("stop", None)
    assert (run.prompt_tokens, run.completion_tokens, run.total_s) == (7, 5, 1.5)
    assert (run.model, run.engine) == (BUILTIN, "fake")


def test_a_failure_is_recorded_and_raised(engine: FakeEngine) -> None:
    engine.replies = [reply("Hel", EngineFailed("it broke")), EngineFailed("at once")]
    with Router() as router:
        with pytest.raises(EngineFailed, match="it broke"):
            ask(router)
        with pytest.raises(EngineFailed, match="at once"):
            ask(router)
    broken, never = recorded()
    assert (broken.answer, broken.error) == ("Hel", "EngineFailed: it broke")
    assert (never.answer, never.error) == (None, "EngineFailed: at once")


def test_an_answer_that_nobody_hears_to_its_end_is_recorded_as_cancelled(
    engine: FakeEngine,
) -> None:
    engine.replies = [reply("one", " two"), reply("one", EngineFailed("it broke"))]
    with Router() as router:
        for _ in range(2):
            answer = router.run(HELLO)
            next(answer)
            answer.close()
            answer.close()
    assert [(run.answer, run.finish_reason) for run in recorded()] == [("one", "cancelled")] * 2


def test_words_are_kept_only_when_that_is_wanted(engine: FakeEngine) -> None:
    engine.replies = ["one", "two"]
    with Router() as router:
        ask(router, log=False)
    write_config("log_prompts = false")
    with Router() as router:
        ask(router)
    assert [(run.prompt, run.answer) for run in recorded()] == [(None, None)] * 2


def test_without_a_database_the_answer_still_comes_with_one_warning(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("LLMRR_HOME", str(Path("file").resolve()))
    engine.replies = ["one", "two"]
    warnings: list[str] = []
    with Router(warn=warnings.append) as router:
        assert [ask(router), ask(router)] == ["one", "two"]
    assert len(warnings) == 1


def test_the_list_shows_what_is_there_and_what_is_missing(engine: FakeEngine) -> None:
    builders.tiny_llama(Path("real.gguf"))
    write_config(
        '[[models]]\nname = "real"\nsource = "file:./real.gguf"\n'
        '[[models]]\nname = "gone"\nsource = "file:./gone.gguf"'
    )
    with Router() as router:
        real, gone, mini = router.models()
    assert (real.name, real.format, real.origin) == ("real", "gguf", "file")
    assert real.bytes == Path("real.gguf").stat().st_size
    assert (gone.name, gone.bytes) == ("gone", None)
    assert mini.name == BUILTIN


def test_a_model_elsewhere_is_reached_as_each_call_states_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-0123456789abcdef")
    options = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "SOME_KEY"}
    with Router(models=[{"name": "m", "source": "openai:m", "options": options}]) as router:
        setup = router.setup
        found = setup.catalogue.resolve("m")

        def timeout(**stated: object) -> object:
            endpoint, *_ = setup.wanted(found, stated, None, 1).key  # type: ignore[misc]
            return endpoint.timeout

        assert [timeout(timeout=one) for one in (7, 8, 7)] == [7, 8, 7]
        assert setup.wanted(found, {}, None, 1) is setup.wanted(found, {}, None, 1)
        router.update_config(models=[{"name": "m", "source": "openai:other", "options": options}])
        changed = router.setup
        endpoint, *_ = changed.wanted(changed.catalogue.resolve("m"), {}, None, 1).key  # type: ignore[misc]
        assert endpoint.model == "other"
