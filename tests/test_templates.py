"""Chat templates: as Hugging Face renders them, whatever they hold."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from pathlib import Path

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import nodes

import llmrr
from llmrr.engines import jinja, rendering
from llmrr.engines.plain import is_plain
from llmrr.engines.seating import FOLDED, SEATED
from llmrr.engines.templates import DEFAULT, NO_SWITCH, Template
from llmrr.engines.thinking import LEVELS, thinks
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
    template = jinja.Jinja(text, lambda: NOON)
    assert (template.render(values()), template.by) == (expected, "jinja2")
    assert Template(text).render([QUESTION]) == expected


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


FIRST_ALONE = """{% for m in messages %}{% if m.role == 'system' and not loop.first %}
{{ raise_exception('System message must be at the beginning.') }}{% endif %}
{% if m.role == 'user' and loop.previtem and loop.previtem.role == 'user' %}
{{ raise_exception('roles must alternate') }}{% endif %}<{{ m.role }}>{{ m.content }}</>{% endfor %}
"""
HEAD_ALONE = """{% if messages[0].role == 'system' %}<system>{{ messages[0].content }}</>{% endif %}
{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"""
LATER = Message("system", "In French.")


@pytest.mark.parametrize("text", [FIRST_ALONE, HEAD_ALONE])
@pytest.mark.parametrize(("turns", "told"), [
    ([QUESTION, LATER], "<user>Hi\n\nIn French.</>"),
    ([QUESTION, LATER, QUESTION], "<user>Hi\n\nIn French.\n\nHi</>"),
    ([SYSTEM, LATER, QUESTION], "<system>Be brief.\n\nIn French.</><user>Hi</>"),
    ([SYSTEM, QUESTION, ANSWER, LATER, QUESTION],
     "<system>Be brief.</><user>Hi</><assistant>Hello!</><user>In French.\n\nHi</>"),
])  # fmt: skip
def test_a_system_message_that_comes_later_stands_with_the_users_words(text, turns, told):
    """Claude Code sends such, and templates of Qwen and Gemma refuse them."""
    prompt = Template(text).prompt(turns)
    assert prompt.text.replace("\n<", "<").strip() == told
    assert prompt.notes == (SEATED,)


def test_a_later_system_message_stays_where_the_template_shows_it():
    text = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
    prompt = Template(text).prompt([QUESTION, LATER])
    assert (prompt.text, prompt.notes) == ("<user>Hi</><system>In French.</>", ())


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


ENDLESS = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "lipsum": "{{ lipsum(n=100000) }}",
    "wordwrap": "{{ ('a' * 10000000) | wordwrap(1) }}",
    "integers": "{% set n = namespace(x=9**9999) %}{% for i in range(40) %}"
    "{% set n.x = n.x * n.x %}{% endfor %}",
    "sum": "{{ range(99999) | map('string') | map('list') | sum(start=[]) }}",
}
# What a namespace can hold is doubled, forty times.
DOUBLED = {
    "~": "n.x ~ n.x",
    "+": "n.x + n.x",
    "|join": "[n.x, n.x] | join",
    ".join": "''.join([n.x, n.x])",
    "|replace": "n.x | replace('a', 'aa')",
    ".replace": "n.x.replace('a', 'aa')",
    "format": "'{}{}'.format(n.x, n.x)",
    "tojson": "[n.x, n.x] | tojson",
    "list": "n.x | list + n.x | list",
    "macro": "m(n.x)",
    "indent": "(n.x ~ '\\n' ~ n.x) | indent(100000)",
}
GREEDY = {
    name: "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{% set n = namespace(x='a' * 1000) %}"
    "{% for i in range(40) %}{% set n.x = " + doubled + " %}{% endfor %}{{ n.x }}"
    for name, doubled in DOUBLED.items()
} | {
    "output": "{% for i in range(99999) %}" + "x" * 1000 + "{% endfor %}",
    "block": "{% set x %}{% for i in range(90000) %}" + "x" * 10_000 + "{% endfor %}{% endset %}",
    "repeated": "{{ 'a' * 10**10 }}",
    "width": "{{ '%1000000000d' % 1 }}",
    "format of a width": "{{ '{:>1000000000}'.format(1) }}",
    "center": "{{ 'a' | center(1000000000) }}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "include": "{% set x = 'a' ~ x ~ x %}{% include 'chat' %}",
    "line by line": "{% set x = 'aaaa' %}" + "{% set x = x ~ x %}" * 60,
    "operators": "{{ " + "-" * 19_000 + "1 }}{{ raise_exception('a') }}",
    "more operators": "{{ " + "-" * 90_000 + "1 }}",
    "elif": "{% if x %}" + "{% elif x %}" * 3_000 + "{{ x.y.z }}{% endif %}{{ x.y }}",
    "nested": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "nested data": "{% set n = namespace(a=[]) %}{% for i in range(90000) %}"
    "{% set n.a = [n.a] %}{% endfor %}{{ raise_exception(n.a) }}",
}
WRONG = {
    "python": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "broken": "{% if %}",
    "unknown": "{{ 1 | nothing_like_it }}",
}
HOSTILE = ENDLESS | GREEDY | WRONG
# These need most of a second each.
LONG = {"output", "block", "nested data", "list", *ENDLESS} - {"lipsum"}


@pytest.fixture
def little_time(monkeypatch):
    monkeypatch.setattr(rendering, "CPU_SECONDS", 0.3)


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * (one in LONG)) for one in HOSTILE]
)
@pytest.mark.usefixtures("little_time")
def test_a_hostile_template_ends_in_an_error(name):
    # Whatever could grow is rendered in the other process, where growing harms nobody.
    assert name in WRONG or not is_plain(HOSTILE[name])
    with pytest.raises(Unsupported):
        Template(HOSTILE[name]).render([QUESTION])


@pytest.mark.usefixtures("little_time")
def test_what_a_hostile_template_ends_is_replaced():
    hostile, other = Template(GREEDY["~"]), Template("{{ bos_token ~ messages[0].content * 2 }}")
    assert other.render([QUESTION]) == "HiHi"
    with pytest.raises(Unsupported, match=r"more than (512 MiB|0\.3 s)|too much memory"):
        hostile.render([QUESTION])
    assert other.render([QUESTION]) == "HiHi"
    with pytest.raises(Unsupported, match=r"more than 0\.3 s"):
        Template(ENDLESS["lipsum"]).render([QUESTION])
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda n: other.render([Message("user", str(n))]), range(40)))
    assert texts == [f"{n}{n}" for n in range(40)]


def test_a_process_that_waits_for_something_is_ended(monkeypatch):
    Template("{{ 'a' * 2 }}").render([QUESTION])
    monkeypatch.setattr(rendering, "SECONDS", 0.2)
    process = rendering._process._made
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # the signal has arrived
    with pytest.raises(Unsupported, match="it takes more than"):
        Template("{{ 'a' * 2 }}").render([QUESTION])
    assert process.returncode == -signal.SIGKILL


def test_an_interrupted_rendering_leaves_no_answer_for_the_next(monkeypatch):
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    template = Template("{{ messages[0].content * 2 }}")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(json, "loads", interrupted)
        template.render([SYSTEM])
    assert template.render([QUESTION]) == "HiHi"


def test_a_program_ends_without_a_word_and_without_the_process():
    code = (
        "from llmrr.engines import rendering\n"
        "print(rendering.render('{{ 2 * 3 }}', {}, __import__('datetime').datetime.now))\n"
        "print(rendering._process._made.pid)"
    )
    path = str(Path(llmrr.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True,
        timeout=60, check=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    rendered, pid = done.stdout.split()
    assert (rendered, done.stderr) == ("6", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_plain_template_starts_no_process():
    rendering.stop()
    template = Template(DEFAULT)
    assert "Be brief." in template.prompt([SYSTEM, QUESTION], think="off").text
    assert rendering._process is None
    # A conversation of any length is the other process' work.
    long = Message("user", "x" * 200_000)
    assert long.content in template.render([long])
    assert rendering._process is not None


PIECES = (
    "{% for m in messages %}", "{% endfor %}", "{% if m.role == 'a' %}", "{% else %}",
    "{% endif %}", "{{ m.content | trim }}", "{{- '<' + m['role'] + '>\\n' -}}",
    "{% set x = messages[1:] %}", "{% set x = 'a' %}", "text", "{{ raise_exception('no') }}",
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}",
)  # fmt: skip
HIDDEN = (
    "x ~ x", "{{ x * 9 }}", "{% set x = x ~ x %}", "|replace('a', x)", ".join(x)", "'", '"', "{#",
    "#}", "%}", "}}", "{%", "{{", "(", ")", "[", "\\", "set x = x + x", "m(x)", "range(9)", "{",
    "{% macro m() %}", "{% raw %}", " recursive", ", x", "'%}", "\\'", "-", "namespace()", ".x =",
)  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(HIDDEN), st.integers(0, 10**6)), max_size=4),
)
@settings(deadline=None, max_examples=300)
def test_nothing_that_grows_is_taken_for_plain(pieces, hidden):
    text = "".join(pieces)
    for one, place in hidden:
        place %= len(text) + 1
        text = text[:place] + one + text[place:]
    if not is_plain(text):
        return
    try:
        tree = jinja2.Environment().parse(text)
    except jinja2.TemplateSyntaxError:
        return
    grows = nodes.Mul, nodes.Pow, nodes.Macro, nodes.NSRef, nodes.Include, nodes.AssignBlock
    assert not list(tree.find_all(grows)), text
    for kept in [*(one.node for one in tree.find_all(nodes.Assign)),
                 *(one.iter for one in tree.find_all(nodes.For))]:  # fmt: skip
        assert not isinstance(kept, nodes.Add | nodes.Concat | nodes.Filter | nodes.Call), text
        assert not list(kept.find_all((nodes.Add, nodes.Concat, nodes.Filter, nodes.Call))), text
    for call in tree.find_all(nodes.Call):
        name = call.node.attr if isinstance(call.node, nodes.Getattr) else call.node.name
        assert name in ("raise_exception", "strip", "lstrip", "rstrip", "startswith", "endswith")


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
    conversation = said(("system", "Be brief."), ("user", "Hi"))
    for path in real_templates():
        template = jinja.Jinja(path.read_text("utf-8"), lambda: NOON)
        try:
            template.render(values(messages=conversation))
        except jinja.Refused:
            continue
        except jinja.Unrenderable:
            assert path.stem == "fireworks-ai-llama-3-firefunction-v2"  # wants ``functions``
        else:
            if template.by == "jinja2":
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


@real
def test_which_real_templates_think():
    plain = {path.stem for path in real_templates() if not thinks(path.read_text("utf-8"))}
    said = {path.stem for path in real_templates() if "think" in path.read_text("utf-8").lower()}
    # A sentence of theirs has the word.
    assert plain & said <= {
        "GigaChat3-10B-A1.8B", "GigaChat3.1-10B-A1.8B", "Qwen3-Coder",
        "unsloth-mistral-Devstral-Small-2507", "meetkai-functionary-medium-v3.1",
    }  # fmt: skip
    thinking = {"Qwen-QwQ-32B", "llama-cpp-deepseek-r1", "tencent-Hy3", "Apertus-8B-Instruct",
                "mistralai-Ministral-3-14B-Reasoning-2512"}  # fmt: skip
    assert not plain & thinking
