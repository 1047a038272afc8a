"""Chat templates: as Hugging Face renders them, whatever they hold."""

import os
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from llmrr.engines import jinja
from llmrr.engines.templates import DEFAULT, FOLDED, NO_SWITCH, Template
from llmrr.engines.thinking import LEVELS
from llmrr.errors import Unsupported
from llmrr.types import Message

NOON = datetime(2025, 1, 2, 12, 0, 0)
SYSTEM, QUESTION = Message("system", "Be brief."), Message("user", "Hi")
ANSWER = Message("assistant", "Hello!")


def values(**extra: object) -> dict[str, object]:
    return {
        "messages": [{"role": "user", "content": "it's a \"<b>\" é\n"}],
        "add_generation_prompt": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "tools": None,
        "documents": None,
        **extra,
    }


@cache
def renderers(text: str) -> tuple[jinja.Renderer, jinja.Renderer]:
    text = jinja.prepare(text)
    return jinja.fast(text, lambda: NOON), jinja.thorough(text, lambda: NOON)


def both(text: str, **extra: object) -> tuple[str, str]:
    """What minijinja and jinja2 make of it: the text, the refusal, or that it asks jinja2."""
    made = []
    for render in renderers(text):
        try:
            made.append(render(values(**extra)))
        except jinja.Refused as exc:
            made.append(f"refused: {exc}")
        except Exception as exc:
            made.append(f"cannot: {type(exc).__name__}")
    return made[0], made[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ messages[0].content.strip() | upper }}", 'IT\'S A "<B>" É'),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "it\'s a \\"<b>\\" é\\n"}]'),
        ("{{ {'a': [1]} | tojson(indent=2) }}", '{\n  "a": [\n    1\n  ]\n}'),
        ("{{ strftime_now('%d %b %Y') }}", "02 Jan 2025"),
        ("a\n  {% if true %}\n b\n  {% endif %}\nc\n", "a\n b\nc"),
        ("a\r\n{% if true %}\r\nb{% endif %}", "a\nb"),
        ("{% if 1 %}{%- generation -%} {{ bos_token }} {% endgeneration %}{% endif %}", "<s> "),
        ("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "012"),
        (
            "{% for i in range(4) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
            "023",
        ),
        ("{% set n = namespace() %}{% for i in [2] %}{% set n.a = i %}{% endfor %}{{ n.a }}", "2"),
        ("{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "b1a2"),
        ("{{ 'a</think>b'.split('</think>')[-1] }}{{ 'abc'[1:] }}{{ [1, 2][::-1] }}", "bbc[2, 1]"),
        ("{% for m in [1, 2] %}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}", "21"),
        ("{{ tools is none }}{{ nothing is defined }}{{ nothing }}", "TrueFalse"),
        ("{{ 'x' is sequence }}{{ messages is iterable }}", "TrueTrue"),
        ("{{ raise_exception('Only user roles') }}", "refused: Only user roles"),
    ],
)
def test_both_render_what_hugging_face_renders(text, expected):
    assert both(text) == (expected, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ '<' | safe + '<' }}", "<&lt;"),
        ("{{ 'a\n' | indent }}|", "a\n|"),
        ("{{ none is iterable }}", "False"),
        ("{{ '%s!' % 'a' }}", "a!"),
        ("{{ \"it's\".title() }}", "It'S"),
        ("{% macro f() %}{{ varargs }}{% endmacro %}{{ f(1) }}", "(1,)"),
        ("{{ {'b': 1, 'a': 2} | pprint }}", "{'a': 2, 'b': 1}"),
    ],
)
def test_jinja2_is_asked_where_minijinja_differs(text, expected):
    template = Template(text)
    assert template.render([QUESTION]) == expected
    assert template._thorough is not None


def test_a_refusal_has_the_templates_own_words():
    template = Template("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(Unsupported, match="roles must alternate"):
        template.render([QUESTION])


GEMMA = """{{ bos_token }}{% if messages[0].role == 'system' %}
{{ raise_exception('System role not supported') }}{% endif %}
{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</>{% endfor %}"""
SILENT = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"


@pytest.mark.parametrize("text", [GEMMA, SILENT])
def test_a_system_message_that_a_template_has_no_place_for_goes_to_the_user(text):
    prompt = Template(text).prompt([SYSTEM, QUESTION, ANSWER, QUESTION])
    assert prompt.text == "<user>Be brief.\n\nHi</><assistant>Hello!</><user>Hi</>"
    assert prompt.notes == (FOLDED,)
    assert Template(text).prompt([QUESTION]).notes == ()


def test_a_refusal_that_folding_does_not_mend_is_the_first_one():
    text = "{{ raise_exception('first is ' + messages[0].role) }}"
    with pytest.raises(Unsupported, match="first is system"):
        Template(text).render([SYSTEM, QUESTION])


def test_the_default_is_chatml():
    assert Template(DEFAULT).render([SYSTEM, QUESTION]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    without = Template(DEFAULT).render([QUESTION], add_generation_prompt=False)
    assert without == "<|im_start|>user\nHi<|im_end|>\n"


def test_a_template_that_writes_bos_says_so():
    template = Template("{{ bos_token }}{{ messages[0].content }}", bos="<s>")
    assert template.writes_bos(template.render([QUESTION]))
    assert not template.writes_bos("Hi")
    assert not Template("", bos="").writes_bos("Hi")


SWITCH = "{{ '<think>' if enable_thinking is not defined or enable_thinking else '' }}"
OPENS = "{{ 'A:<think>\n' }}"
EFFORT = "{% set known = ['high', 'low', 'no_think'] %}{{ reasoning_effort }}"


@pytest.mark.parametrize(
    ("text", "think", "ends", "opened", "notes"),
    [
        (SWITCH, None, "<think>", True, ()),
        (SWITCH, "low", "<think>", True, ()),
        (SWITCH, "off", "", False, ()),
        (OPENS, "high", "A:<think>\n", True, (NO_SWITCH,)),
        (OPENS, "off", "A:<think>\n\n</think>\n\n", False, ()),
        ("A:{{ '</think>'[:0] }}{{ '<think>'[:0] }}", "off", "<think>\n\n</think>\n\n", False, ()),
        ("A:", "off", "A:", False, ()),
        ("A:", "low", "A:", False, (NO_SWITCH,)),
        (EFFORT, "medium", "high", False, ()),
        (EFFORT, "off", "no_think", False, ()),
        ("{{ thinking_budget | default(-1) }}", "off", "0", False, ()),
        ("{% set t = thinking_mode | default('enabled') %}{{ t }}", "high", "enabled", False, ()),
        ("{{ '<think{}>'.format(':x') }}", None, "<think:x>", True, ()),
    ],
)
def test_think_reaches_the_template_in_its_own_words(text, think, ends, opened, notes):
    prompt = Template(text).prompt([QUESTION], think=think)
    assert prompt.text.endswith(ends)
    assert (prompt.opened, prompt.notes) == (opened, notes)


def test_a_template_that_looks_for_no_think_is_told_in_the_system_message():
    text = "{{ messages[0].content }}{{ '/no_think' in messages[0].content }}"
    assert Template(text).render([SYSTEM]) == "Be brief.False"
    assert Template(text).prompt([SYSTEM], think="off").text.startswith("Be brief.\n/no_thinkTrue")


HOSTILE = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "output": "{% for i in range(99999) %}" + "x" * 1000 + "{% endfor %}",
    "repeated": "{{ 'a' * 10**10 }}",
    "width": "{{ '%1000000000d' % 1 }}",
    "format": "{{ '{:>1000000000}'.format(1) }}",
    "center": "{{ 'a' | center(1000000000) }}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "operators": "{{ " + "-" * 19_000 + "1 }}{{ raise_exception('a') }}",
    "more operators": "{{ " + "-" * 90_000 + "1 }}",
    "elif": "{% if x %}" + "{% elif x %}" * 3_000 + "{{ x.y.z }}{% endif %}{{ x.y }}",
    "nested": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "nested data": "{% set n = namespace(a=[]) %}{% for i in range(90000) %}"
    "{% set n.a = [n.a] %}{% endfor %}{{ raise_exception(n.a) }}",
    "python": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "broken": "{% if %}",
    "unknown": "{{ 1 | nothing_like_it }}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_template_ends_in_an_error(text):
    with pytest.raises(Unsupported):
        Template(text).render([QUESTION])


def test_a_panic_of_minijinja_is_an_error_like_another(monkeypatch):
    # Whatever panics today may be mended tomorrow: the kind of exception is what matters.
    class PanicException(BaseException):
        pass

    def panic() -> str:
        raise PanicException("index out of bounds")

    with pytest.raises(jinja.Unrenderable, match="index out of bounds"):
        jinja._panicless(panic)


def test_a_template_of_any_length_is_not_read():
    with pytest.raises(Unsupported, match="100,001 characters"):
        Template("x" * 100_001)


def test_the_conversation_is_not_changed():
    messages = [QUESTION]
    with pytest.raises(Unsupported):
        Template("{{ messages.append(1) | safe }}").render(messages)
    assert messages == [QUESTION]


# The source of llama.cpp, for instance vendor/llama.cpp inside llama-cpp-python's source package.
LLAMA_CPP = os.environ.get("LLMRR_LLAMA_CPP_SOURCE")
real = pytest.mark.skipif(
    not LLAMA_CPP, reason="LLMRR_LLAMA_CPP_SOURCE names no source of llama.cpp"
)
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a <place> & its surroundings",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "é"}},
            "required": ["place"],
        },
    },
}


def said(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


CONVERSATIONS = [
    said(("user", "Hi <b> é\n")),
    said(("system", "Be brief."), ("user", "Hi")),
    said(
        ("system", " Be\nbrief. "),
        ("user", "Hi"),
        ("assistant", "<think>\nhm\n</think>\n\nHello!"),
        ("user", "x & 'y' \"z\""),
    ),
    said(("user", "Hi"), ("assistant", "Well,")),
    said(("assistant", "Hi"), ("user", "Hi")),
]
VARIANTS: list[dict[str, object]] = [
    {},
    {"add_generation_prompt": False},
    {"enable_thinking": False, "thinking": False},
    {"enable_thinking": True, "thinking": True, "reasoning_effort": "low"},
    {"tools": [TOOL]},
]

# Where minijinja makes a text and jinja2 ends in an error, and why: here it is the more lenient
# one. What jinja2 makes, minijinja makes too, or it asks.
LENIENT = {
    "CohereForAI-c4ai-command-r-plus-tool_use": "goes through tools, which are none",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "goes through tools, which are none",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "goes through tools, which are none",
    "llama-cpp-deepseek-r1": "gives a generator to tojson",
}


def real_templates() -> list[Path]:
    return sorted(Path(LLAMA_CPP or "", "models", "templates").glob("*.jinja"))


@real
def test_real_templates_render_the_same_both_ways():
    different, lenient, count = [], set(), 0
    for path in real_templates():
        text = path.read_text("utf-8")
        for conversation in CONVERSATIONS:
            for variant in VARIANTS:
                ours, theirs = both(text, messages=conversation, **variant)
                count += 1
                if ours.startswith("cannot") or ours == theirs:
                    continue  # jinja2 is asked, or need not be
                if theirs.startswith("cannot"):
                    lenient.add(path.stem)
                else:
                    different.append((path.stem, ours, theirs))
    assert count >= 70 * 25
    assert different == []
    assert lenient <= LENIENT.keys()


@real
def test_few_real_templates_need_jinja2():
    """It costs a cold start some 70 ms."""
    slow = set()
    for path in real_templates():
        template = Template(path.read_text("utf-8"), bos="<s>", eos="</s>")
        try:
            template.render([SYSTEM, QUESTION])
        except Unsupported:
            assert path.stem == "fireworks-ai-llama-3-firefunction-v2"  # wants ``functions``
        else:
            if template._thorough is not None:
                slow.add(path.stem)
    # Both ask whether tools, which are none, are iterable.
    assert slow <= {"Qwen3-Coder", "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"}


@real
@pytest.mark.parametrize("think", LEVELS)
def test_real_templates_take_every_level_of_thinking(think):
    for path in real_templates():
        template = Template(path.read_text("utf-8"), bos="<s>", eos="</s>")
        try:
            prompt = template.prompt([SYSTEM, QUESTION], think=think)
        except Unsupported:
            assert path.stem == "fireworks-ai-llama-3-firefunction-v2"
            continue
        assert "Be brief." in prompt.text, path.stem
        assert not (think == "off" and prompt.opened), path.stem
