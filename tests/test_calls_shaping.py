"""Tools, calls and results in chat templates: each is given what it takes, found by trying."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from llmrr.engines.calls.shaping import Shape
from llmrr.engines.templates import CHATML, EXPLAINED, Template
from llmrr.types import Image, Message, Tool, ToolCall

LLAMA_CPP = os.environ.get("LLMRR_LLAMA_CPP_SOURCE")
REAL = Path(LLAMA_CPP or "", "models", "templates")
TOOL = Tool("get_weather", "The weather of a city.", {
    "type": "object", "properties": {"city": {"type": "string", "description": "Which."}},
    "required": ["city"]})  # fmt: skip
ASKED = Message("user", "How is the weather in Oslo and in Bergen?")
CALLED = Message("assistant", "", tool_calls=(
    ToolCall("call_one", "get_weather", '{"city": "Oslo"}'),
    ToolCall("call_two", "get_weather", '{"city": "Bergen"}')))  # fmt: skip
RESULTS = (Message("tool", "snowfall", tool_call_id="call_one"),
           Message("tool", "drizzle", tool_call_id="call_two"))  # fmt: skip
TALK = (Message("system", "Be brief."), ASKED, CALLED, *RESULTS)

# Each takes something else, as real ones do.
NATIVE = """\
{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}{% endfor %}</tools> <tool_call>
{% endif %}{% for m in messages %}[{{ m.role }}]{% if m.tool_calls %}{% for c in m.tool_calls %}\
<tool_call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\
</tool_call>{% endfor %}{% else %}{{ m.content }}{% endif %}
{% endfor %}"""
TEXTUAL = NATIVE.replace("arguments | tojson", "arguments")
JOINED = NATIVE.replace("{{ c.function.arguments | tojson }}", "{{ '' + c.function.arguments }}")
SINGLE = NATIVE.replace(
    "{% if m.tool_calls %}",
    "{% if m.tool_calls and m.tool_calls | length > 1 %}{{ raise_exception('one at once') }}"
    "{% elif m.tool_calls %}",
)
NAMED = NATIVE.replace(
    '<tool_call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "</tool_call>",
    "<|tool_call_begin|>{{ c.id }}<|tool_call_argument_begin|>{{ c.function.arguments | tojson }}"
    "<|tool_call_end|>",
).replace("{% else %}{{ m.content }}", "{% else %}{{ m.tool_call_id }}={{ m.content }}")
NULL = NATIVE.replace("{% if m.tool_calls %}", "{% if m.content is none %}")
SHORT = NATIVE.replace(
    "{% if m.tool_calls %}",
    "{% if m.role == 'tool' and m.tool_call_id | length != 9 %}{{ raise_exception('nine!') }}"
    "{% endif %}{% if m.tool_calls %}{{ m.tool_calls[0].id }}",
).replace("{% else %}{{ m.content }}", "{% else %}{{ m.tool_call_id }}{{ m.content }}")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (NATIVE, Shape(True, True)),
        (JOINED, Shape(True, True, objects=False)),
        (SINGLE, Shape(True, True, several=False)),
        (NULL, Shape(True, True, null=True)),
        (SHORT, Shape(True, True, short_ids=True)),
        (NAMED, Shape(True, True, named_ids=True)),
        (CHATML, Shape()),
        (CHATML + "{{ tools | tojson }}", Shape(tools=True)),
    ],
)
def test_what_a_template_takes_is_found_by_trying(text: str, shape: Shape) -> None:
    assert Template(text).shape == shape


@pytest.mark.parametrize("text", [NATIVE, TEXTUAL, JOINED, SINGLE, NULL, SHORT])
def test_a_template_with_tools_is_given_them(text: str) -> None:
    prompt = Template(text).prompt(TALK, tools=[TOOL]).text
    tool = prompt.split("<tools>")[1].split("</tools>")[0]
    assert json.loads(tool)["function"]["parameters"] == TOOL.parameters
    arguments = [one.split("}")[0] + "}" for one in prompt.split('"arguments": ')[1:]]
    assert arguments == ['{"city": "Oslo"}', '{"city": "Bergen"}']
    assert prompt.count("snowfall") == prompt.count("drizzle") == 1


def test_one_call_in_a_turn_has_its_result_behind_it() -> None:
    prompt = Template(SINGLE).prompt(TALK, tools=[TOOL]).text
    places = [prompt.index(word) for word in ("Oslo\"", "snowfall", "Bergen\"", "drizzle")]
    assert places == sorted(places)


@pytest.mark.parametrize("text", [NATIVE, SINGLE, CHATML])
def test_a_result_stands_where_its_call_stood(text: str) -> None:
    """Most templates write no ids: in another order, a result would be that of another call."""
    template = Template(text)
    wanted = template.prompt(TALK, tools=[TOOL])
    assert template.prompt((*TALK[:3], *RESULTS[::-1]), tools=[TOOL]).text == wanted.text


def test_calls_without_ids_are_answered_in_turn() -> None:
    calls = tuple(replace(one, id="") for one in CALLED.tool_calls)
    results = [replace(one, tool_call_id="") for one in RESULTS]
    nameless = (ASKED, replace(CALLED, tool_calls=calls), *results)
    prompt = Template(SINGLE).prompt(nameless, tools=[TOOL]).text
    places = [prompt.index(word) for word in ("Oslo\"", "snowfall", "Bergen\"", "drizzle")]
    assert places == sorted(places)
    assert prompt.count("snowfall") == prompt.count("drizzle") == 1


def test_an_id_becomes_the_same_nine_letters_everywhere() -> None:
    first, again = (Template(SHORT).prompt(TALK, tools=[TOOL]).text for _ in range(2))
    assert first == again
    called = first.split("[assistant]")[1][:9]
    assert called.isalnum()
    assert f"[tool]{called}snowfall" in first


def test_an_id_that_stands_for_a_name_holds_it() -> None:
    """As that of Kimi K2.5, which numbers the calls of a conversation."""
    prompt = Template(NAMED).prompt(TALK, tools=[TOOL]).text
    for number, city in enumerate(("Oslo", "Bergen")):
        begun = f"<|tool_call_begin|>functions.get_weather:{number}<|tool_call_argument_begin|>"
        assert f'{begun}{{"city": "{city}"}}' in prompt
    assert "functions.get_weather:1=drizzle" in prompt


def test_a_template_without_tools_is_told_in_words() -> None:
    prompt = Template(CHATML).prompt(TALK, tools=[TOOL])
    system, user, assistant, results = prompt.text.split("<|im_start|>")[1:5]
    assert system.startswith("system\nBe brief.")
    assert '"name": "get_weather"' in system
    assert "<tool_call>\n" in system
    assert ASKED.content in user
    assert assistant.count("<tool_call>") == 2
    assert results.startswith("user\n<tool_response>\nsnowfall\n</tool_response>")
    assert "drizzle" in results  # the turns take turns
    assert prompt.offer is not None
    assert prompt.offer.syntax.name == "hermes"
    assert prompt.notes == (EXPLAINED,)


def test_a_question_behind_a_result_is_one_turn_with_it() -> None:
    more = Message.of("user", Image(data=b""), "And now?")
    prompt = Template(CHATML).prompt((*TALK, more), tools=[TOOL]).text
    assert "</tool_response>\n\nAnd now?" in prompt
    assert prompt.count("<|im_start|>user") == 2


def test_what_was_called_is_shown_where_there_are_no_tools_any_more() -> None:
    for text in (CHATML, NATIVE):
        prompt = Template(text).prompt(TALK)
        assert "Oslo" in prompt.text.split("weather in Oslo")[1]
        assert prompt.offer is None


def test_a_conversation_that_begins_alike_is_rendered_alike() -> None:
    """What was computed of it is used again."""
    template = Template(CHATML)
    before = template.prompt((ASKED, CALLED), tools=[TOOL], add_generation_prompt=False).text
    assert template.prompt(TALK[1:], tools=[TOOL]).text.startswith(before)


# -- which family it is -------------------------------------------------------------------------


def writing(call: str, sign: str = "") -> Template:
    """A template that writes calls so; with ``NAME`` and ``GIVEN`` in it."""
    written = call.replace("NAME", "{{ c.function.name }}").replace(
        "GIVEN", "{{ c.function.arguments | tojson }}"
    )
    return Template(
        f"{{# {sign} #}}{{% if tools %}}{{{{ tools | tojson }}}}{{% endif %}}"
        "{% for m in messages %}<|{{ m.role }}|>{% if m.tool_calls %}{% for c in m.tool_calls %}"
        f"{written}{{% endfor %}}{{% else %}}{{{{ m.content }}}}{{% endif %}}<|end|>{{% endfor %}}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )


@pytest.mark.parametrize(("call", "sign", "family"), [
    ('<tool_call>{"name": "NAME", "arguments": GIVEN}</tool_call>', "", "hermes"),
    ("[TOOL_CALLS]NAME[ARGS]GIVEN", "", "mistral-args"),
    ('{"name": "NAME", "parameters": GIVEN}', "", "llama-3"),
    # The sign of one, and the calls of another.
    ('<|tool_call|>[{"name": "NAME", "arguments": GIVEN}]', "<tool_call>", "granite"),
    # Objects between marks that no family has.
    ('<calls>[{"name": "NAME", "arguments": GIVEN}]</calls>', "", "inferred"),
    ('<|fn|>{"tool_name": "NAME", "parameters": GIVEN}', "<tool_call>", "inferred"),
])  # fmt: skip
def test_a_template_that_writes_calls_shows_who_reads_them(
    call: str, sign: str, family: str
) -> None:
    template = writing(call, sign)
    prompt = template.prompt(TALK, tools=[TOOL])
    assert prompt.notes == ()
    assert prompt.offer is not None
    assert prompt.offer.syntax.name == family
    turn = prompt.text.rpartition("<|user|>")[2].partition("<|assistant|>")[2]
    written = turn.partition("<|end|>")[0]
    for pieces in ([written], [*written]):
        parser = prompt.offer.parser()
        spoken = [*map(parser.push, pieces), parser.finish()]
        calls = [(one.name, json.loads(one.arguments)) for each in spoken for one in each.calls]
        assert calls == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"})]
        assert "".join(one.text for one in spoken) == ""


def test_what_no_family_reads_is_not_asked_for() -> None:
    """The sign is that of a family, and its model would write what nobody reads."""
    prompt = writing("<tool_call><NAME>GIVEN</NAME>", "<tool_call>").prompt(TALK, tools=[TOOL])
    assert prompt.notes == (EXPLAINED,)
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}' in prompt.text


def test_a_template_that_wants_more_of_a_tool_than_there_is_does_without() -> None:
    text = NATIVE.replace(
        "{{ t | tojson }}",
        "{% for p in t.function.parameters.properties.values() %}{{ p.description + '.' }}"
        "{% endfor %}{{ t | tojson }}",
    )
    bare = Tool("f", "", {"type": "object", "properties": {"x": {"type": "integer"}}})
    prompt = Template(text).prompt(TALK, tools=[bare])
    assert prompt.notes == (EXPLAINED,)
    assert '"name": "f"' in prompt.text


def test_a_value_that_is_none_may_be_missing() -> None:
    text = "{% if tools is defined and tools | length %}T{% endif %}{{ messages[0].content }}"
    assert Template(text).render([ASKED]) == ASKED.content


# -- the real ones -----------------------------------------------------------------------------

real = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not LLAMA_CPP, reason="LLMRR_LLAMA_CPP_SOURCE names no source of llama.cpp"
    ),
]
FAMILY = {
    "Qwen-Qwen2.5-7B-Instruct": "hermes",
    "Qwen-Qwen3-0.6B": "hermes",
    "Qwen3-Coder": "qwen3-coder",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes",
    "meta-llama-Llama-3.1-8B-Instruct": "llama-3",
    "meta-llama-Llama-3.2-3B-Instruct": "llama-3",
    "meta-llama-Llama-3.3-70B-Instruct": "llama-3",
    "mistralai-Mistral-Nemo-Instruct-2407": "mistral",
    "Mistral-Small-3.2-24B-Instruct-2506": "mistral-args",
    "google-gemma-2-2b-it": "gemma",
    "google-gemma-4-31B-it": "gemma-4",
    "MiniMax-M2": "minimax-m2",
    "deepseek-ai-DeepSeek-V3.2": "deepseek-v3.2",
    "deepseek-ai-DeepSeek-V4": "deepseek-v4",
    "openbmb-MiniCPM5-1B": "minicpm-5",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "command-r7b",
    "Apertus-8B-Instruct": "apertus",
    "GigaChat3.1-10B-A1.8B": "gigachat-3.1",
    "LFM2.5-Instruct": "lfm-2",
    "upstage-Solar-Open-100B": "solar",
    "meetkai-functionary-medium-v3.1": "functionary-3.1",
    "meetkai-functionary-medium-v3.2": "functionary-3.2",
    "openai-gpt-oss-120b": "gpt-oss",
    "deepseek-ai-DeepSeek-V3.1": "deepseek-v3.1",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "deepseek-r1",
    "moonshotai-Kimi-K2": "kimi-k2",
    "ibm-granite-granite-3.3-2B-Instruct": "granite",
    "ibm-granite-granite-4.0": "hermes",
    "NVIDIA-Nemotron-Nano-v2": "nemotron",
    "GLM-4.6": "glm",
    "ByteDance-Seed-OSS": "seed-oss",
}


class TestRealTemplates:
    pytestmark = real

    def test_each_has_its_family(self) -> None:
        for name, family in FAMILY.items():
            found = Template(Path(REAL, f"{name}.jinja").read_text("utf-8")).family
            assert found is not None, name
            assert found.name == family, name

    def test_all_of_a_conversation_with_tools_is_in_the_prompt(self) -> None:
        for path in sorted(REAL.glob("*.jinja")):
            if path.stem == "fireworks-ai-llama-3-firefunction-v2":  # wants ``functions``
                continue
            template = Template(path.read_text("utf-8"), bos="<s>", eos="</s>")
            prompt = template.prompt(TALK, tools=[TOOL])
            for word in ("get_weather", "Oslo", "Bergen", "snowfall", "drizzle", "Be brief."):
                assert word in prompt.text, (path.stem, word)
            assert prompt.offer is not None
