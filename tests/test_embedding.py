"""Vectors through the router: which model makes them, and what happens when it fails."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import builders
import pytest
from fakes import FakeEngine
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault
from terminal import Typed

from llmrr import Router, stats
from llmrr.database import open_database
from llmrr.errors import (
    EngineFailed,
    FeatureMissing,
    InvalidRequest,
    NotFound,
    Unsupported,
    UsageError,
)


def recorded() -> list[stats.Run]:
    with closing(open_database()) as connection:
        return stats.runs(connection)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OpenAIServer, OpenAIServer]]:
    monkeypatch.setenv("FAR_KEY", KEY)
    with ExitStack() as stack:
        far, near = (stack.enter_context(OpenAIServer()) for _ in range(2))
        yield far, near


def models(*servers: OpenAIServer, **more: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "source": f"openai:{MODEL}", "priority": at, **more,
         "options": {"base_url": f"{served.address}/v1", "api_key_env": "FAR_KEY"}}
        for at, (name, served) in enumerate(zip(("far", "near"), servers, strict=False))
    ]  # fmt: skip


def in_code(found: list[dict[str, Any]], **more: Any) -> Router:
    retry = {"initial_delay": 0}
    return Router(models=found, strategy="capability-match", retry=retry, **more)


def test_one_text_is_one_vector_and_several_are_several(engine: FakeEngine) -> None:
    with Router() as router:
        assert router.embed("abc") == [3.0, 0.5]
        assert router.embed(["a", "bc"]) == [[1.0, 0.5], [2.0, 0.5]]
        assert router.embed(text for text in ("a", "bc")) == [[1.0, 0.5], [2.0, 0.5]]  # type: ignore[call-overload]
        assert router.embed([]) == []


@pytest.mark.parametrize("texts", [None, 3, b"a", [None], [""], ["a", 3], {"a": 1}])
def test_what_is_no_text(engine: FakeEngine, texts: Any) -> None:
    with Router() as router, pytest.raises(InvalidRequest):
        router.embed(texts)
    assert engine.texts == []


def test_it_is_chosen_tried_again_and_fallen_back_from(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    far, near = pair
    far.faults.extend([Fault(503), Fault(429)])
    with in_code(models(*pair)) as router:
        first = router.embedded("a")
        assert (first.model.name, len(far.seen), len(near.seen)) == ("far", 3, 0)
        far.faults.append(Fault(400))
        assert router.embedded("a").model.name == "near"
        far.faults.extend([Fault(500)] * 3)
        assert router.embedded(["a", "b"]).model.name == "near"
        assert router.embedded("a", model="near").model.name == "near"
        assert first.decision is not None
        assert first.decision.needs.features == {"embeddings"}
    runs = recorded()
    assert [(run.model, run.error is None) for run in runs] == [
        ("far", False), ("far", False), ("far", True), ("far", False), ("near", True),
        ("far", False), ("far", False), ("far", False), ("near", True), ("near", True),
    ]  # fmt: skip
    assert runs[2].prompt_tokens > 0
    assert {run.conversation for run in runs} == {None}
    assert {run.answer for run in runs} == {None}


def test_no_other_stands_for_the_one_that_is_named(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    far, near = pair
    found = models(*pair)
    found[0]["fallback"] = ["near"]
    with in_code(found, fallback_chain=["near"]) as router:
        far.faults.extend([Fault(500)] * 2)
        assert len(router.embed("a", model="far")) == 3
        far.faults.extend([Fault(500)] * 3)
        with pytest.raises(EngineFailed, match="went wrong"):
            router.embed("a", model="far")
    assert (len(far.seen), len(near.seen)) == (6, 0)


def test_a_breaker_opens_for_vectors_too(pair: tuple[OpenAIServer, OpenAIServer]) -> None:
    far, near = pair
    with in_code(models(*pair), breaker={"failures": 3}) as router:
        far.faults.extend([Fault(500)] * 3)
        assert router.embedded("a").model.name == "near"
        assert router.embedded("a").model.name == "near"
        assert (len(far.seen), len(near.seen)) == (3, 2)


def test_all_that_fail_are_an_error(pair: tuple[OpenAIServer, OpenAIServer]) -> None:
    for served in pair:
        served.faults.extend([Fault(500)] * 3)
    with in_code(models(*pair)) as router, pytest.raises(EngineFailed, match="went wrong"):
        router.embed("a")


def test_who_makes_none_is_not_asked(
    pair: tuple[OpenAIServer, OpenAIServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    claude = {"name": "claude", "source": "anthropic:claude", "priority": 0}
    with in_code([claude, *models(pair[1])]) as router:
        found = router.embedded("a")
        assert found.model.name == "far"
        assert found.decision is not None
        assert [one.why for one in found.decision.rejected] == ["it lacks embeddings"]
        with pytest.raises(FeatureMissing, match="anthropic has no embeddings"):
            router.embed("a", model="claude")
        with pytest.raises(NotFound, match="nobody"):
            router.embed("a", model="nobody")


def test_a_model_that_is_for_vectors_comes_before_those_that_write(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    found = models(*pair)
    found[1]["tags"] = ["embedding"]
    with in_code(found) as router:
        made = router.embedded("a")
    assert made.model.name == "near"
    assert made.decision is not None
    assert "others are embedding models" in made.decision.rejected[0].why


def test_files_say_what_makes_vectors() -> None:
    builders.tiny_bert(Path("bert.gguf"))
    builders.tiny_llama(Path("tiny.gguf"), context=8192)
    local = [{"name": name, "source": f"file:./{name}.gguf"} for name in ("tiny", "bert")]
    with in_code(local) as router:
        made = router.embedded(["Hello", "world"])
        assert made.model.name == "bert"
        assert [round(sum(x * x for x in one), 4) for one in made.vectors] == [1.0, 1.0]
        with pytest.raises(Unsupported):
            router.generate("Hello", models="bert")
        assert router.route("Hello").chosen == "tiny"
    refused, run = sorted(recorded(), key=lambda one: one.error is None)
    assert (refused.error or "").startswith("Unsupported")
    assert (run.model, run.finish_reason, run.prompt_tokens > 0) == ("bert", "stop", True)


def test_an_embedding_model_elsewhere_answers_only_where_it_is_named(
    pair: tuple[OpenAIServer, OpenAIServer],
) -> None:
    found = models(*pair)
    found[0]["tags"] = ["embedding"]
    with in_code(found) as router:
        decision = router.route("a")
        assert (decision.chosen, decision.asked) == ("near", ("near",))
        assert [(one.name, one.kind) for one in decision.rejected] == [("far", "vectors")]
        assert router.generate("a").model == "near"
        assert router.generate("a", model="far").model == "far"
        assert router.generate("a", models=["far"]).model == "far"
        assert router.embedded("a").model.name == "far"
    with in_code(found[:1]) as router, pytest.raises(Unsupported, match="it makes vectors"):
        router.generate("a")


def test_an_answer_has_no_need_of_vectors(pair: tuple[OpenAIServer, OpenAIServer]) -> None:
    with in_code(models(*pair)) as router:
        with pytest.raises(UsageError, match="asks for an answer"):
            router.generate("a", need="embedding")
        assert router.route("a", need="embedding").chosen == "far"
    assert pair[0].seen == pair[1].seen == []


def test_the_families_of_bedrock(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmrr.engines import remote

    bedrock = remote.named("bedrock")
    assert bedrock is not None
    monkeypatch.setattr(bedrock, "missing", lambda: None)
    found = [
        {"name": name, "source": f"bedrock:{model}"}
        for name, model in (("claude", "us.anthropic.claude-x"), ("titan", "amazon.titan-embed-x"))
    ]
    with in_code(found) as router:
        decision = router.route("a", need="embedding")
        assert (decision.chosen, decision.rejected[0].why[:14]) == ("titan", "it writes answ")
        assert router.route("a").chosen == "claude"


def test_on_the_command_line(pair: tuple[OpenAIServer, OpenAIServer], typed: Typed) -> None:
    text = "strategy = 'capability-match'\nretry = { initial_delay = 0.0 }\n"
    for at, one in enumerate(models(*pair)):
        options = ", ".join(f'{name} = "{value}"' for name, value in one["options"].items())
        text += (f"[[models]]\nname = '{one['name']}'\nsource = '{one['source']}'\n"
                 f"priority = {at}\noptions = {{ {options} }}\n")  # fmt: skip
    from llmrr import config

    config.user_file().parent.mkdir(parents=True, exist_ok=True)
    config.user_file().write_text(text)
    pair[0].faults.append(Fault(400))
    seen = typed("embed", "a", "bcd", "--json")
    assert seen.json["model"] == "near"
    assert len(seen.json["embeddings"]) == 2
    assert "far failed" in seen.err
