"""Calls that a random-weights model must make: its grammar is that of its family, and what comes of
what it wrote are calls that obey the schemas of their tools."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import pytest
from backends import INFO, arithmetic
from jsonschema import Draft202012Validator

from llmrr.engines import prompting
from llmrr.engines.base import Options
from llmrr.engines.calls.base import Syntax
from llmrr.engines.calls.families import FAMILIES
from llmrr.engines.calls.functionary import FUNCTIONARY_3
from llmrr.engines.calls.harmony import HARMONY
from llmrr.engines.calls.tagged import HERMES
from llmrr.engines.llamacpp import ENGINE
from llmrr.engines.llamacpp.model import LlamaModel
from llmrr.engines.templates import Template
from llmrr.engines.writing import Writer
from llmrr.errors import FeatureMissing, UsageError
from llmrr.types import Chunk, Format, Message, ModelFiles, Request, Sampling, Tool, ToolCall

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "Rome"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "dry": {"type": "boolean"},
        "hour": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]},
        "word": {"enum": ["a", 1, None]},
        "place": {"$ref": "#/$defs/place"},
    },
    "required": ["city"],
    "$defs": {"place": {"type": "object", "properties": {"level": {"const": "sea"}},
                        "required": ["level"], "additionalProperties": False}},
    "additionalProperties": False,
}
TOOLS = (Tool("weather", "The weather.", SCHEMA), Tool("now", "The time.", {
    "type": "object", "properties": {"zone": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["zone"], "additionalProperties": False}))  # fmt: skip
BY_NAME = {one.name: one for one in TOOLS}
QUESTION = (Message("user", "What is the weather?"),)


def template_of(syntax: Syntax) -> str:
    """A chat template that shows the family, and ends as its prompts do."""
    signs = " ".join(syntax.signs[0])
    return (
        "{# " + signs.replace("#}", "") + " #}{% for m in messages %}{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}" + (syntax.opened or "") + "{% endif %}"
    )


def marked_llama(path: Path, marks: list[str]) -> Path:
    """A model in whose vocabulary these are control tokens."""
    known = builders.byte_tokenizer()
    tokens, kinds = known["tokenizer.ggml.tokens"], known["tokenizer.ggml.token_type"]
    size = len(tokens) + len(marks)
    types = builders.Typed("i32", [*kinds.value, *(3 for _ in marks)])
    more = {"tokenizer.ggml.tokens": [*tokens, *marks], "tokenizer.ggml.token_type": types}
    return builders.tiny_llama(path, vocab=size, context=4096, metadata=more)


@pytest.fixture(scope="module", params=["controls", pytest.param("plain", marks=pytest.mark.slow)])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaModel]:
    """With the marks of the families as control tokens, which those of Qwen are not and those of
    others are; or with all of them as any other text."""
    marks = [mark for one in FAMILIES for mark in one.marks
             if mark.strip() == mark and mark not in ("", ">>>", *HERMES.marks)]  # fmt: skip
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    marked_llama(path, sorted(set(marks)) if request.param == "controls" else [])
    found = ENGINE.load(ModelFiles(path, Format.GGUF), Options(slots=4))
    yield found
    found.close()


def shown(model: LlamaModel, text: str) -> None:
    """Give the model another chat template."""
    template = Template(text, bos="<|endoftext|>", eos="<|im_end|>")
    model.__dict__.update(template=template, _tool_template=template)


def answers(
    model: LlamaModel, seeds: int, *, choice: str | None, tools: tuple[Tool, ...] = TOOLS,
    **sampling: Any,
) -> Iterator[list[Chunk]]:  # fmt: skip
    streams = [
        model.generate(
            Request(messages=QUESTION, tools=tools, tool_choice=choice,
                    sampling=Sampling(temperature=1.5, seed=seed, max_tokens=600, **sampling))
        )
        for seed in range(seeds)
    ]  # fmt: skip
    yield from map(list, streams)


def calls_of(chunks: list[Chunk]) -> list[ToolCall]:
    return [call for chunk in chunks for call in chunk.tool_calls]


def whole_calls(chunks: list[Chunk]) -> list[ToolCall]:
    """Without the last one of an answer that was cut."""
    return calls_of(chunks)[: -1 if chunks[-1].finish_reason == "length" else None]


def require_valid(calls: list[ToolCall]) -> None:
    for call in calls:
        Draft202012Validator(dict(BY_NAME[call.name].parameters)).validate(
            json.loads(call.arguments)
        )


families = pytest.mark.parametrize("syntax", FAMILIES, ids=[one.name for one in FAMILIES])
OFTEN = ("hermes", "llama-3", "mistral", "gemma-4", "functionary-3.2", "gpt-oss", "qwen3-coder")
some = pytest.mark.parametrize(
    "syntax",
    [pytest.param(one, id=one.name, marks=[] if one.name in OFTEN else [pytest.mark.slow])
     for one in FAMILIES],
)  # fmt: skip


@families
def test_a_named_tool_is_called_once_and_by_its_schema(model: LlamaModel, syntax: Syntax) -> None:
    shown(model, template_of(syntax))
    for chunks in answers(model, 2, choice="weather"):
        calls = calls_of(chunks)
        assert [call.name for call in calls] == ["weather"]
        require_valid(calls)
        assert "".join(chunk.text for chunk in chunks) == ""
        assert chunks[-1].finish_reason == "tool_calls"


@some
def test_what_is_required_is_one_call_or_more(model: LlamaModel, syntax: Syntax) -> None:
    shown(model, template_of(syntax))
    calls: list[ToolCall] = []
    for chunks in answers(model, 2, choice="required"):
        found = calls_of(chunks)
        assert found
        assert chunks[-1].finish_reason in ("tool_calls", "length")
        assert chunks[-1].finish_reason == "length" or "".join(one.text for one in chunks) == ""
        calls += found
        require_valid(whole_calls(chunks))
    assert len({call.id for call in calls}) == len(calls)


@some
def test_strict_tools_hold_where_the_model_may_answer_itself(
    model: LlamaModel, syntax: Syntax
) -> None:
    shown(model, template_of(syntax))
    strict = tuple(replace(one, strict=True) for one in TOOLS)
    for chunks in answers(model, 2, choice=None, tools=strict, schema={"enum": ["I do not know."]}):
        calls, text = calls_of(chunks), "".join(one.text for one in chunks)
        require_valid(whole_calls(chunks))
        if not calls and chunks[-1].finish_reason == "stop":
            assert text == '"I do not know."'


def test_words_are_free_until_a_call_begins(model: LlamaModel) -> None:
    shown(model, template_of(HERMES))
    strict = tuple(replace(one, strict=True) for one in TOOLS)
    prompt = model.template.prompt(QUESTION, tools=strict)
    constraint = prompting.constraint(Sampling(), prompt, lambda: model._vocabulary)
    assert constraint is not None

    def taken(text: str) -> bool:
        """Is all of this text allowed, and may it end there?"""
        mask = constraint.new()
        return all(map(mask.accept, model.tokenize(text))) and mask.complete

    call = '<tool_call>\n{"name": "weather", "arguments": {"city":"%s"}}\n</tool_call>'
    assert taken("Good day. It is < 5 degrees.")
    assert taken("I look. " + call % "Paris")
    assert taken(call % "Rome" + "\n" + call % "Paris")
    assert not taken(call % "Oslo")
    assert not taken("Write <tool_call> and go on")


class Listener:
    """Hears one answer, as a stream does."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.emit = self.chunks.append

    def begun(self) -> None:
        pass

    def end(self, last: Chunk, error: BaseException | None) -> None:
        self.chunks.append(last)


def played(model: LlamaModel, answer: str) -> tuple[str, str, list[str]]:
    """Words, thoughts and names of calls of an answer that the grammar must allow."""
    sampling = Sampling()
    prompt = model.template.prompt(QUESTION, tools=TOOLS, tool_choice="weather")
    constraint = prompting.constraint(sampling, prompt, lambda: model._vocabulary)
    assert constraint is not None
    heard = Listener()
    writer = Writer(heard, 0, sampling, model.vocab, prompt, constraint)  # type: ignore[arg-type]
    for token in model.tokenize(answer):
        if (mask := writer.mask) is not None:
            assert mask.accept(token), model.vocab.piece(token)
        if not writer.write(token, True):
            break
    writer.finish(None)
    thought = "".join(one.reasoning for one in heard.chunks)
    called = [call.name for call in calls_of(heard.chunks)]
    return "".join(one.text for one in heard.chunks), thought, called


CALL = '<tool_call>\n{"name": "weather", "arguments": {"city":"Rome"}}\n</tool_call>'


@pytest.mark.parametrize("begun", [True, False], ids=["begun in the prompt", "not begun"])
def test_a_thought_goes_before_a_call_that_must_be_made(model: LlamaModel, begun: bool) -> None:
    thinking = "<think>\n{% if add" if begun else "{# <think> #}{% if add"
    shown(model, template_of(HERMES).replace("{% if add", thinking))
    answer = f"{'' if begun else '<think>'}In Rome, then.</think>\n\n{CALL}"
    assert played(model, answer) == ("", "In Rome, then.", ["weather"])
    assert played(model, CALL if not begun else f"</think>{CALL}") == ("", "", ["weather"])


def test_the_channels_of_gpt_oss_are_told_apart(model: LlamaModel) -> None:
    shown(model, template_of(HARMONY) + "{# <|channel|>analysis<|message|> #}")
    answer = (
        "<|channel|>analysis<|message|>In Rome.<|end|><|start|>assistant<|channel|>commentary"
        ' to=functions.weather <|constrain|>json<|message|>{"city":"Rome"}'
    )
    assert played(model, answer) == ("", "In Rome.", ["weather"])


LAZY = [one for one in FAMILIES if one.lazy]


def written(model: LlamaModel, answer: str, tools: tuple[Tool, ...] = TOOLS) -> Writer:
    """The writer of an answer that a model was free to give."""
    prompt = model.template.prompt(QUESTION, tools=tools)
    held = prompting.constraint(Sampling(), prompt, lambda: model._vocabulary)
    writer = Writer(Listener(), 0, Sampling(), model.vocab, prompt, held)  # type: ignore[arg-type]
    for token in model.tokenize(answer):
        assert writer.mask is None or writer.mask.accept(token), model.vocab.piece(token)
        writer.write(token, True)
    return writer


@pytest.mark.parametrize("syntax", LAZY, ids=[one.name for one in LAZY])
def test_a_call_that_a_model_begins_by_itself_is_held_to_its_schema(
    model: LlamaModel, syntax: Syntax
) -> None:
    shown(model, template_of(syntax))
    assert written(model, "It is < 5 degrees, {so} [to] say.").mask is None
    good, bad = (syntax.written([ToolCall("", "weather", f'{{"city": "{one}"}}')])
                 for one in ("Rome", "Oslo"))  # fmt: skip
    writer = written(model, f"I look. {good}")
    assert writer.mask is not None
    assert writer.mask.complete
    with pytest.raises(AssertionError):
        written(model, f"I look. {bad}")
    with pytest.raises(AssertionError):
        written(model, good.replace("weather", "moon"))


def test_what_stands_behind_the_lead_already_is_held_too(model: LlamaModel) -> None:
    shown(model, template_of(HERMES))
    prompt = model.template.prompt(QUESTION, tools=TOOLS)
    held = prompting.constraint(Sampling(), prompt, lambda: model._vocabulary)
    assert held is not None
    assert held.begun('\n{"name": "wea') is not None
    assert held.begun('\n{"nome') is None
    assert prompting.constraint(Sampling(), prompt, lambda: model._vocabulary) is held


def test_a_call_in_a_thought_is_none(model: LlamaModel) -> None:
    shown(model, template_of(HERMES).replace("{% if add", "{# <think> #}{% if add"))
    assert written(model, "<think>A <tool_call>").mask is None
    assert written(model, "<think>A <tool_call></think>So <tool_call>").mask is not None


@pytest.mark.parametrize("form", [None, {"type": "object"}], ids=["free", "held to a form"])
def test_a_call_ends_a_thought_that_is_not_closed(
    model: LlamaModel, form: dict[str, Any] | None
) -> None:
    """Unless a grammar waits for the end of the thought: it is shown all that stands behind."""
    shown(model, template_of(HERMES).replace("{% if add", "{# <think> #}{% if add"))
    prompt = model.template.prompt(QUESTION, tools=TOOLS)
    held = prompting.constraint(Sampling(schema=form), prompt, lambda: model._vocabulary)
    heard = Listener()
    writer = Writer(heard, 0, Sampling(), model.vocab, prompt, held)  # type: ignore[arg-type]
    for token in model.tokenize(f"<think>Rome, then.\n{CALL}"):
        writer.write(token, True)
    writer.finish(None)
    thought = "".join(one.reasoning for one in heard.chunks)
    calls = [(call.name, json.loads(call.arguments)) for call in calls_of(heard.chunks)]
    if form is None:
        assert (thought, calls) == ("Rome, then.", [("weather", {"city": "Rome"})])
    else:
        assert (thought, calls) == (f"Rome, then.\n{CALL}", [])


def test_what_cannot_be_held_is_free_where_nothing_was_promised(model: LlamaModel) -> None:
    shown(model, template_of(HERMES))
    for schema in ({"properties": {"a": {"uniqueItems": True}}}, {"properties": 5}):
        tools = (Tool("f", "", schema),)
        assert written(model, '<tool_call>{"name": "f"', tools).mask is None
    (chunks,) = answers(model, 1, choice=None, tools=tools)
    assert chunks[-1].finish_reason


LEADS = ("granite", "mistral", "mistral-args", "kimi-k2", "deepseek-v3.1", "nemotron")


@pytest.mark.parametrize("syntax", [one for one in LAZY if one.name in LEADS],
                         ids=lambda one: one.name)
def test_a_model_that_begins_calls_makes_good_ones(model: LlamaModel, syntax: Syntax) -> None:
    """It is made to like the token that they begin with."""
    shown(model, template_of(syntax))
    token, *more = model.tokenize(syntax.lead)
    if more:
        pytest.skip("the lead is no token of this vocabulary")
    for chunks in answers(model, 2, choice=None, logit_bias={token: 100.0}):
        assert calls_of(chunks)
        require_valid(whole_calls(chunks))
        assert "".join(chunk.text for chunk in chunks) == ""


def test_it_is_the_same_over_another_backend() -> None:
    model, _ = arithmetic(info=replace(INFO, context_length=4096))
    model.__dict__["template"] = Template(template_of(HERMES))
    request = Request(messages=QUESTION, tools=TOOLS, tool_choice="weather",
                      sampling=Sampling(temperature=1.0, seed=2, max_tokens=600))  # fmt: skip
    chunks = list(model.generate(request))
    model.close()
    require_valid(calls_of(chunks))
    assert chunks[-1].finish_reason == "tool_calls"


def asked(**named: Any) -> Request:
    return Request(messages=QUESTION, **named)


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (asked(tools=TOOLS, tool_choice="moon"), UsageError, "no tool has that name"),
        (asked(tool_choice="required"), UsageError, "there are no tools"),
        (asked(tools=(*TOOLS, TOOLS[0])), UsageError, "two tools are called weather"),
        (asked(tools=TOOLS, sampling=Sampling(grammar='root ::= "a"')), FeatureMissing, "exclude"),
        (Request(prompt="x", tools=TOOLS), UsageError, "a raw prompt takes no tools"),
        (asked(tools=(Tool("f", "", {"properties": {"a": {"uniqueItems": True}}}),),
               tool_choice="f"), FeatureMissing, "uniqueItems"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(
    model: LlamaModel, request_: Request, error: type[Exception], said: str
) -> None:
    shown(model, template_of(HERMES))
    with pytest.raises(error, match=said):
        model.generate(request_)


def test_an_answer_that_is_begun_goes_on_as_words(model: LlamaModel) -> None:
    shown(model, template_of(FUNCTIONARY_3))
    request = replace(asked(tools=TOOLS), begun="Good")
    prompt = prompting.prompted(request, model.template, templated=True)
    assert prompt.text.endswith(">>>all\nGood")
    assert prompt.offer is not None
    assert prompt.offer.parser().push(" day.").text == " day."


def test_nothing_is_called_where_the_choice_is_none(model: LlamaModel) -> None:
    shown(model, template_of(HERMES))
    begun = '<tool_call>{"name": "weather", "arguments": {}}'
    for tools, choice in ((TOOLS, "none"), ((), None)):
        request = asked(tools=tools, tool_choice=choice, sampling=Sampling(max_tokens=1, seed=1))
        prompt = model.template.prompt(request.messages)
        assert prompt.offer is None
        chunks = list(model.generate(replace(request, begun=begun)))
        assert calls_of(chunks) == []
