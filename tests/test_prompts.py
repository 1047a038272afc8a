"""Prompts with holes: what is filled, what stays as it is, what is missing or too much."""

import copy
import pickle
import threading
from dataclasses import FrozenInstanceError
from pathlib import Path

import builders
import pytest
from fakes import FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from terminal import Typed

import llmrr
from llmrr import config
from llmrr.errors import BadConfig, NotFound, Unsupported, UsageError
from llmrr.prompts import PromptTemplate, split
from llmrr.types import Image, Message


def test_a_text_with_its_values() -> None:
    made = llmrr.PromptTemplate("Context: {context}\nUser: {input}\nAssistant:")
    assert made.variables == ("context", "input")
    assert made.template == "Context: {context}\nUser: {input}\nAssistant:"
    assert made.format(context="sky", input="why?") == "Context: sky\nUser: why?\nAssistant:"
    assert made.format({"context": 1, "input": 2.5}) == "Context: 1\nUser: 2.5\nAssistant:"
    assert made.format({"context": "a", "input": "b"}, input="c").endswith("c\nAssistant:")
    assert PromptTemplate("{self} {values}").format(self="a", values="b") == "a b"
    assert PromptTemplate("no hole").format() == "no hole"
    assert PromptTemplate("{größe}, {größe}").format(größe="1") == "1, 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{x}}", "{x}"),
        ("{{{x}}}", "{1}"),
        ("{{{{x}}}}", "{{x}}"),
        ('{{"a": "{x}"}}', '{"a": "1"}'),
        ('{{"a": {{"b": "{x}"}}}}', '{"a": {"b": "1"}}'),
        ('{"a": {"b": "{x}"}}', '{"a": {"b": "1"}}'),
        ('{"a": [{"b": {x}}]}', '{"a": [{"b": 1}]}'),
        ('{"a": {{"b": {x}}}}', '{"a": {"b": 1}}'),
        (r"\frac{{{x}}}{{2}}", r"\frac{1}{2}"),
        ("{} {0} {x y} {x!r} {x.y} {x:>3} {-}", "{} {0} {x y} {x!r} {x.y} {x:>3} {-}"),
        ("a }} b {{ c } d { {x}", "a } b { c } d { 1"),
        ("{x", "{x"),
        ("x}", "x}"),
        ("", ""),
    ],
)
def test_braces(text: str, said: str) -> None:
    made = PromptTemplate(text)
    assert made.format({name: 1 for name in made.variables}) == said


@given(st.text("{}a \"'", max_size=30), st.text("{}ab\\$&", max_size=10))
def test_any_text_can_be_filled_and_values_are_not_looked_into(text: str, value: str) -> None:
    made = PromptTemplate(text)
    said = made.format({name: value for name in made.variables})
    literal = [piece for piece, _ in split(text)]
    assert said == value.join(literal)
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert PromptTemplate(escaped).format() == text


@given(st.recursive(st.sampled_from("xy"), lambda inner: st.dictionaries(st.just("k"), inner)))
def test_json_stays_as_it_is_and_also_with_doubled_braces(value: object) -> None:
    import json

    text = json.dumps({"a": value})
    assert PromptTemplate(text).format() == text
    assert PromptTemplate(text.replace("{", "{{").replace("}", "}}")).format() == text


def test_what_is_missing_or_unknown_is_named() -> None:
    made = PromptTemplate("{context}: {input}")
    with pytest.raises(UsageError, match=r"needs a value for \{context\} and \{input\}") as caught:
        made.format()
    assert caught.value.hint == "add: context=…, input=…"
    with pytest.raises(UsageError, match=r"has no hole \{contxt\}") as caught:
        made.format(contxt="x")
    assert caught.value.hint == "did you mean context=…?"
    with pytest.raises(UsageError, match=r"\{context\} is None"):
        made.format(context=None, input="")
    with pytest.raises(UsageError, match=r"has no hole \{y\} and \{z\}"):
        PromptTemplate("x").format(y="1", z="2")


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (["a"], r"\{b\} of the template is not among them"),
        (["a", "b", "c"], r"c is no hole of the template"),
        (["A", "b"], r"\{a\} of .*; A is no hole"),
        ([], r"\{a\} and \{b\} of the template are not among them"),
        ("ab", "a list of names"),
    ],
)
def test_variables_that_are_stated_must_be_those_of_the_text(stated: object, said: str) -> None:
    assert PromptTemplate("{a} {b}", ["b", "a"]).variables == ("a", "b")
    with pytest.raises(UsageError, match=said):
        PromptTemplate("{a} {b}", stated)  # type: ignore[arg-type]


def test_values_that_are_partial() -> None:
    made = PromptTemplate("{a} {b} {c}")
    half = made.partial(a="{b}").partial({"b": 2})
    assert (made.variables, half.variables) == (("a", "b", "c"), ("c",))
    assert half.format(c="x") == "{b} 2 x"
    assert half.format(a="over", c="x") == "over 2 x"
    with pytest.raises(UsageError, match=r"has no hole \{d\}"):
        made.partial(d="x")
    with pytest.raises(UsageError, match=r"a value for \{c\}"):
        half.format()


def test_messages_with_roles() -> None:
    picture = Image(url="https://example.org/a.png")
    made = PromptTemplate.from_messages(
        [
            ("system", "Speak {language}."),
            {"role": "assistant", "content": "{{ok}}"},
            Message.of("user", "{input}", picture, "in {language}"),
        ],
        ["language", "input"],
    )
    assert made.format_messages(language="Latin", input="Salve") == (
        Message("system", "Speak Latin."),
        Message("assistant", "{ok}"),
        Message.of("user", "Salve", picture, "in Latin"),
    )
    with pytest.raises(UsageError, match="has messages"):
        made.format(language="Latin", input="x")
    assert made.partial(language="Latin").format_messages(input="x")[0].content == "Speak Latin."
    assert PromptTemplate("{a}").format_messages(a="b") == (Message("user", "b"),)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (("human", "x"), "'human' is called user here"),
        (("ai", "x"), "'ai' is called assistant here"),
        (("bot", "x"), "'bot' is not system, user or assistant"),
        (("user", 1), "is no message"),
        ({"role": "user"}, "is no message"),
        ("user: x", "is no message"),
    ],
)
def test_a_turn_that_is_none(message: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PromptTemplate.from_messages([message])  # type: ignore[list-item]


def test_no_text_is_no_template() -> None:
    with pytest.raises(UsageError, match="a text, and no list"):
        PromptTemplate([("user", "x")])  # type: ignore[arg-type]


def test_it_never_changes_and_threads_share_it() -> None:
    made = PromptTemplate("{a}-{b}").partial(b="x")
    with pytest.raises(FrozenInstanceError):
        made.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
    assert len({made, PromptTemplate("{a}-{b}").partial(b="x"), PromptTemplate("{a}")}) == 2
    said: dict[int, set[str]] = {}

    def fill(number: int) -> None:
        said[number] = {made.format(a=number) for _ in range(200)}

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: {f"{number}-x"} for number in range(8)}


# -- those of llmrr.toml -----------------------------------------------------------------------

TEMPLATES = """version = 1
[[models]]
name = "first"
source = "file:./tiny.gguf"
[[models]]
name = "second"
source = "file:./tiny.gguf"
[templates.qa]
template = '{{"context": "{context}", "q": "{input}"}}'
defaults = { context = "none" }
model = "second"
[templates.chat]
messages = [{ role = "system", content = "Be {how}." }, { role = "user", content = "{input}" }]
defaults = { how = "brief" }
[templates.jinja]
template = "{{ input }}"
format = "jinja"
"""


def test_templates_of_the_configuration(engine: FakeEngine) -> None:
    Path("llmrr.toml").write_text(TEMPLATES)
    found = config.load()
    assert config.render(found.template("qa"), {"input": "{context}"}) == (
        '{"context": "none", "q": "{context}"}'
    )
    assert config.render(found.template("chat"), {"how": "kind", "input": "x"}) == (
        Message("system", "Be kind."), Message("user", "x")
    )  # fmt: skip
    with pytest.raises(NotFound) as caught:
        found.template("chta")
    assert caught.value.hint == "-t chat"
    with pytest.raises(Unsupported, match="'jinja'"):
        config.render(found.template("jinja"), {})
    assert found.templates["jinja"].holes == ()


def test_the_model_of_a_template_is_asked_where_none_is_named(
    typed: Typed, engine: FakeEngine
) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    Path("llmrr.toml").write_text(TEMPLATES)
    engine.replies = ["a", "b", "c"]
    assert typed("run", "-t", "qa", "why?", "--json").json["model"] == "second"
    assert engine.requests[0].messages[0].content == '{"context": "none", "q": "why?"}'
    assert typed("run", "-m", "first", "-t", "qa", "why?", "--json").json["model"] == "first"
    assert typed("run", "-t", "chat", "-P", "how", "{input}", "x").code == 0
    assert engine.requests[2].messages[0].content == "Be {input}."
    seen = typed("run", "-t", "jinja", "x")
    assert (seen.code, "'jinja', which is kept but not rendered" in seen.err) == (4, True)


def test_a_model_of_a_template_that_is_none_is_told_by_the_check(typed: Typed) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    Path("llmrr.toml").write_text(TEMPLATES.replace('model = "second"', 'model = "secnd"'))
    seen = typed("config", "check")
    assert (seen.code, "secnd" in seen.out) == (0, True)
    Path("llmrr.toml").write_text(TEMPLATES)
    assert typed("config", "check").out == "nothing is wrong\n"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("template = '{context}'\ndefaults = { contxt = 'x' }", "no hole {contxt}", "context?"),
        ("messages = [{ role = 'human', content = 'x' }]", "'human' is called user here", ""),
    ],
)
def test_what_a_template_cannot_be(text: str, said: str, hint: str) -> None:
    Path("llmrr.toml").write_text(f"[templates.t]\n{text}\n")
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert "line " in caught.value.message
