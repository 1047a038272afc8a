"""Calls of tools in what models write: every family on the form that its makers publish, cut into
pieces at any place."""

import json
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transcripts import transcripts

from llmrr.engines.calls.base import Said, Syntax
from llmrr.engines.calls.bracketed import OLMO_3
from llmrr.engines.calls.families import FAMILIES, family_of
from llmrr.engines.calls.functionary import FUNCTIONARY_2, FUNCTIONARY_3
from llmrr.engines.calls.gemma import FUNCTION_GEMMA, GEMMA_4
from llmrr.engines.calls.glm import PAIRS
from llmrr.engines.calls.harmony import HARMONY
from llmrr.engines.calls.llama import LLAMA
from llmrr.engines.calls.marked import DEEPSEEK_3, DEEPSEEK_R1, KIMI
from llmrr.engines.calls.markup import ELEMENTS, FUNCTION, SEED
from llmrr.engines.calls.mistral import LISTED, NAMED
from llmrr.engines.calls.parsing import Parser, Spoken
from llmrr.engines.calls.prompted import PROMPTED
from llmrr.engines.calls.tagged import APRIEL, GRANITE, HERMES, MINIMAX, NEMOTRON
from llmrr.types import Tool, ToolCall

CITY = {"type": "object", "required": ["city"],
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"},
                       "where": {"type": "object"}, "tags": {"type": "array"}}}  # fmt: skip
TOOLS = {one: Tool(one, "", CITY) for one in ("weather", "time_in", "python")}


class Case(NamedTuple):
    """What a model wrote, and what that is: words, calls as ``(name, arguments)``, thoughts."""

    syntax: Syntax
    written: str
    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    reasoning: str = ""
    opened: str = ""


PARIS = ("weather", {"city": "Paris"})
ROME = ("time_in", {"city": "Rome", "days": 2})
SEP, CALL, ENDED = "<｜tool▁sep｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"  # noqa: RUF001
ALL, ALL_ENDED = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"  # noqa: RUF001

CASES = {
    "hermes": Case(
        HERMES, '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>',
        calls=(PARIS,),
    ),
    "hermes: the name last": Case(
        HERMES, '<tool_call>\n{"arguments": {"city": "Paris"}, "name": "weather"}\n</tool_call>',
        calls=(PARIS,),
    ),
    "hermes: two, behind words": Case(
        HERMES,
        'Let me look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n'
        '</tool_call>\n<tool_call>\n{"name": "time_in", "arguments": {"city": "Rome", "days": 2}}\n'
        "</tool_call>",
        "Let me look.", (PARIS, ROME),
    ),
    "hermes: two in one tag, then words": Case(
        HERMES,
        '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}\n'
        '{"name": "time_in", "arguments": {"city": "Rome", "days": 2}}</tool_call>\nWait for it.',
        "Wait for it.", (PARIS, ROME),
    ),
    "hermes: never closed": Case(
        HERMES, '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}', calls=(PARIS,)
    ),
    "hermes: arguments as text, and a line break in them": Case(
        HERMES,
        '<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}</tool_call>'
        '<tool_call>{"name": "python", "arguments": {"code": "a\nb"}}</tool_call>',
        calls=(PARIS, ("python", {"code": "a\nb"})),
    ),
    "hermes: cut off": Case(
        HERMES, 'Now: <tool_call>\n{"name": "weather", "argu',
        'Now: <tool_call>\n{"name": "weather", "argu',
    ),
    "hermes: no call": Case(
        HERMES, "<tool_call> is a tag, and <tool_call>[1, 2]</tool_call> no call.",
        "<tool_call> is a tag, and <tool_call>[1, 2]</tool_call> no call.",
    ),
    "granite": Case(
        GRANITE,
        '<|tool_call|>[{"name": "weather", "arguments": {"city": "Paris"}},'
        ' {"name": "time_in", "arguments": {"city": "Rome", "days": 2}}]',
        calls=(PARIS, ROME),
    ),
    "granite: words behind the first one": Case(
        GRANITE,
        '<|tool_call|>[{"name": "weather", "arguments": {"city": "Paris"}}, and so "on',
        ', and so "on', (PARIS,),
    ),
    "deepseek v3.1: no name": Case(
        DEEPSEEK_3, f'{CALL}a{{b{SEP}{{"city": "Paris"}}', f'{CALL}a{{b{SEP}{{"city": "Paris"}}'
    ),
    "nemotron": Case(
        NEMOTRON, 'So.\n<TOOLCALL>[{"name": "weather", "arguments": {"city": "Paris"}}]</TOOLCALL>',
        "So.", (PARIS,),
    ),
    "apriel": Case(
        APRIEL, '<tool_calls>[{"name": "weather", "arguments": {"city": "Paris"}}]</tool_calls>',
        calls=(PARIS,),
    ),
    "minimax m1": Case(
        MINIMAX,
        'I ask.\n<tool_calls>\n{"name": "weather", "arguments": {"city": "Paris"}}\n'
        '{"name": "time_in", "arguments": {"city": "Rome", "days": 2}}\n</tool_calls>',
        "I ask.", (PARIS, ROME),
    ),
    "qwen3-coder": Case(
        ELEMENTS,
        "I ask.\n<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n"
        "</function>\n</tool_call>\n<tool_call>\n<function=time_in>\n<parameter=city>\nRome\n"
        "</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
        "I ask.", (PARIS, ROME),
    ),
    "qwen3-coder: the tag around it is missing, a value holds tags and lines": Case(
        ELEMENTS,
        "<function=weather>\n<parameter=city>\nA </parameter> b\n\n12\n</parameter>\n"
        '<parameter=where>\n{"x": [1, "</parameter>"]}\n</parameter>\n</function>\n</tool_call>',
        calls=(("weather",
                {"city": "A </parameter> b\n\n12", "where": {"x": [1, "</parameter>"]}}),),
    ),
    "qwen3-coder: no parameters, and a string that looks like a number": Case(
        ELEMENTS,
        "<tool_call>\n<function=python>\n</function>\n</tool_call>\n"
        "<tool_call>\n<function=weather>\n<parameter=city>\n75000\n</parameter>\n</function>\n"
        "</tool_call>",
        calls=(("python", {}), ("weather", {"city": "75000"})),
    ),
    "qwen3-coder: no call": Case(
        ELEMENTS, "Use <function=f> or <tool_call> <b>", "Use <function=f> or <tool_call> <b>"
    ),
    "seed-oss": Case(
        SEED,
        "<seed:tool_call>\n<function=weather>\n<parameter=city>Paris</parameter>\n</function>\n"
        "</seed:tool_call>",
        calls=(PARIS,),
    ),
    "glm": Case(
        PAIRS,
        "Hm.\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
        "</tool_call>\n<tool_call>time_in\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n"
        "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
        "Hm.", (PARIS, ROME),
    ),
    "functionary 3.1": Case(
        FUNCTION,
        '<function=weather>{"city": "Paris"}</function>'
        '<function=time_in>{"city": "Rome", "days": 2}</function>',
        calls=(PARIS, ROME),
    ),
    "llama 3": Case(LLAMA, '{"name": "weather", "parameters": {"city": "Paris"}}', calls=(PARIS,)),
    "llama 3: type": Case(
        LLAMA, '\n{"type": "function", "name": "weather", "parameters": {"city": "Paris"}}',
        calls=(PARIS,),
    ),
    "llama 3: two": Case(
        LLAMA,
        '{"name": "weather", "parameters": {"city": "Paris"}}; '
        '{"name": "time_in", "parameters": {"city": "Rome", "days": 2}}',
        calls=(PARIS, ROME),
    ),
    "llama 3: behind the tag": Case(
        LLAMA, '<|python_tag|>{"name": "weather", "parameters": {"city": "Paris"}}', calls=(PARIS,)
    ),
    "llama 3: built in": Case(
        LLAMA, '<|python_tag|>weather.call(city="Paris")', calls=(PARIS,)
    ),
    "llama 3: code": Case(
        LLAMA, "<|python_tag|>x = 1\nprint(x)", calls=(("python", {"code": "x = 1\nprint(x)"}),)
    ),
    "llama 3: a list of calls": Case(
        LLAMA, "[weather(city='Paris'), time_in(city=\"Rome\", days=2)]", calls=(PARIS, ROME)
    ),
    "llama 3: a function's tag": Case(
        LLAMA, '<function=weather>{"city": "Paris"}</function>', calls=(PARIS,)
    ),
    "llama 3: JSON that is no call": Case(
        LLAMA, '{"name": "Anna", "parameters": {}} and {"a": 1}',
        '{"name": "Anna", "parameters": {}} and {"a": 1}',
    ),
    "llama 3: not at the beginning": Case(
        LLAMA, 'So: {"name": "weather", "parameters": {"city": "Paris"}}',
        'So: {"name": "weather", "parameters": {"city": "Paris"}}',
    ),
    "mistral": Case(
        LISTED,
        '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Paris"}, "id": "ab12CD34e"},'
        ' {"name": "time_in", "arguments": {"city": "Rome", "days": 2}}]',
        calls=(PARIS, ROME),
    ),
    "mistral: the tag is missing": Case(
        LISTED, '[{"name": "weather", "arguments": {"city": "Paris"}}]', calls=(PARIS,)
    ),
    "mistral small": Case(
        NAMED,
        'I look.[TOOL_CALLS]weather[CALL_ID]123456789[ARGS]{"city": "Paris"}'
        '[TOOL_CALLS]time_in[ARGS]{"city": "Rome", "days": 2}',
        "I look.", (PARIS, ROME),
    ),
    "mistral: no call": Case(NAMED, "The mark [TOOL_CALLS] is it.", "The mark [TOOL_CALLS] is it."),
    "functiongemma": Case(
        FUNCTION_GEMMA,
        "<start_function_call>call:weather{city:<escape>Paris<escape>}<end_function_call>"
        "<start_function_call>call:time_in{city:<escape>Rome<escape>,days:2}<end_function_call>",
        calls=(PARIS, ROME),
    ),
    "gemma 4": Case(
        GEMMA_4,
        'Yes.<|tool_call>call:weather{city:<|"|>Paris<|"|>}<tool_call|>'
        '<|tool_call>call:python{a:true,b:[1,-2.5,<|"|>x, {y}<|"|>],c:{d:null,e:{}}}<tool_call|>',
        "Yes.",
        (PARIS, ("python", {"a": True, "b": [1, -2.5, "x, {y}"], "c": {"d": None, "e": {}}})),
    ),
    "gemma 4: no call": Case(
        GEMMA_4, "<|tool_call>calling{ <|tool_call>", "<|tool_call>calling{ <|tool_call>"
    ),
    "gemma 3: JSON": Case(
        PROMPTED, '{"name": "weather", "parameters": {"city": "Paris"}}', calls=(PARIS,)
    ),
    "gemma 3: fenced": Case(
        PROMPTED, '```json\n{"name": "weather", "parameters": {"city": "Paris"}}\n```',
        calls=(PARIS,),
    ),
    "gemma 3: code": Case(
        PROMPTED, 'Right.\n```tool_code\nprint(weather(city="Paris"))\n```', "Right.", (PARIS,)
    ),
    "gemma 3: two lines of code": Case(
        PROMPTED, '```tool_code\nweather(city="Paris")\ntime_in(city="Rome", days=2)\n```',
        calls=(PARIS, ROME),
    ),
    "gemma 3: a list": Case(PROMPTED, "[weather(city='Paris')]", calls=(PARIS,)),
    "gemma 3: other code": Case(
        PROMPTED, "See:\n```python\nprint(1)\n```\nDone.", "See:\n```python\nprint(1)\n```\nDone."
    ),
    "functionary 3.2": Case(
        FUNCTIONARY_3,
        'all\nI look.\n>>>weather\n{"city": "Paris"}>>>time_in\n{"city": "Rome", "days": 2}',
        "I look.", (PARIS, ROME), opened=">>>",
    ),
    "functionary 3.2: words": Case(FUNCTIONARY_3, "all\nGood day.", "Good day.", opened=">>>"),
    "functionary 3.2: code": Case(
        FUNCTIONARY_3, 'python\nprint("{}")\n', calls=(("python", {"code": 'print("{}")'}),),
        opened=">>>",
    ),
    "functionary 2": Case(
        FUNCTIONARY_2,
        "all\n<|content|>I look.<|stop|>\n<|from|>assistant\n<|recipient|>weather\n"
        '<|content|>{"city": "Paris"}<|stop|>',
        "I look.", (PARIS,), opened="<|recipient|>",
    ),
    "gpt-oss": Case(
        HARMONY,
        "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
        '{"city": "Paris"}<|call|>',
        calls=(PARIS,),
    ),
    "gpt-oss: the recipient first": Case(
        HARMONY, ' to=functions.weather<|channel|>commentary json<|message|>{"city": "Paris"}',
        calls=(PARIS,),
    ),
    "gpt-oss: a preamble, more thoughts, a call": Case(
        HARMONY,
        "I shall look.<|end|><|start|>assistant<|channel|>analysis<|message|>Paris, then."
        "<|end|><|start|>assistant<|channel|>commentary to=functions.weather"
        ' <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
        "I shall look.", (PARIS,), "Paris, then.",
    ),
    "gpt-oss: a call without arguments": Case(
        HARMONY, "<|channel|>commentary to=functions.python <|constrain|>json<|message|><|call|>",
        calls=(("python", {}),),
    ),
    "llama 4: JSON behind its tag": Case(
        LLAMA, '<|python_start|>{"name": "weather", "parameters": {"city": "Paris"}}<|python_end|>',
        calls=(PARIS,),
    ),
    "deepseek r1": Case(
        DEEPSEEK_R1,
        f"{ALL}{CALL}function{SEP}weather\n```json\n" '{"city": "Paris"}' f"\n```{ENDED}\n"
        f"{CALL}function{SEP}time_in\n```json\n" '{"city": "Rome", "days": 2}'
        f"\n```{ENDED}{ALL_ENDED}",
        calls=(PARIS, ROME),
    ),
    "deepseek v3.1": Case(
        DEEPSEEK_3,
        f"Good.{ALL}{CALL}weather{SEP}" '{"city": "Paris"}' f"{ENDED}{CALL}time_in{SEP}"
        '{"city": "Rome", "days": 2}' f"{ENDED}{ALL_ENDED}",
        "Good.", (PARIS, ROME),
    ),
    "kimi k2": Case(
        KIMI,
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0"
        '<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|>'
        "<|tool_call_begin|>functions.time_in:1<|tool_call_argument_begin|>"
        '{"city": "Rome", "days": 2}<|tool_call_end|><|tool_calls_section_end|>',
        calls=(PARIS, ROME),
    ),
}  # fmt: skip
BY_NAME = {one.name: one for one in FAMILIES}
CASES |= {
    one.name: Case(BY_NAME[one.family], one.written, one.text, one.calls, one.reasoning)
    for one in transcripts() if one.template is None
}  # fmt: skip
named = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def heard(case: Case, pieces: list[str]) -> tuple[str, str, list[Said]]:
    """Words, thoughts and calls of an answer that comes in pieces; what is told of a call before
    its end must be that call."""
    parser = Parser(case.syntax, TOOLS, opened=case.opened)
    spoken = [*map(parser.push, pieces), parser.finish()]
    calls = [call for one in spoken for call in one.calls]
    told = told_of(spoken)
    assert [*told.values()] == [(one.name, one.arguments) for one in calls]
    assert [*told] == [*range(len(calls))]
    return "".join(one.text for one in spoken), "".join(one.reasoning for one in spoken), calls


def told_of(spoken: list[Spoken]) -> dict[int, tuple[str, str]]:
    """Names and arguments that the pieces of calls make up, by their number."""
    found: dict[int, tuple[str, str]] = {}
    for piece in (piece for one in spoken for piece in one.pieces):
        name, before = found.get(piece.number, (piece.name, ""))
        assert name == piece.name
        found[piece.number] = name, before + piece.arguments
    return found


@named
def test_what_a_model_wrote(case: Case) -> None:
    text, reasoning, calls = heard(case, [case.written])
    assert (text, reasoning) == (case.text, case.reasoning)
    assert tuple((one.name, json.loads(one.arguments)) for one in calls) == case.calls


@named
def test_letter_by_letter(case: Case) -> None:
    assert heard(case, [*case.written]) == heard(case, [case.written])


@named
def test_one_cut_anywhere(case: Case) -> None:
    whole = heard(case, [case.written])
    for at in range(1, len(case.written)):
        assert heard(case, [case.written[:at], case.written[at:]]) == whole


@given(st.sampled_from(list(CASES.values())), st.lists(st.integers(0, 400), max_size=8))
def test_any_cut_gives_the_same(case: Case, cuts: list[int]) -> None:
    places = sorted({0, *(one % (len(case.written) + 1) for one in cuts), len(case.written)})
    pieces = [case.written[a:b] for a, b in pairwise(places)]
    assert heard(case, pieces) == heard(case, [case.written])


# What is no JSON at all, or not in the usual order: only its end shows what it is.
WHOLE = {
    "hermes: the name last", "hermes: arguments as text, and a line break in them",
    "llama 3: built in", "llama 3: a list of calls", "gemma 3: fenced", "gemma 3: code",
    "gemma 3: two lines of code", "gemma 3: a list", "lfm 2", "olmo 3", "hermes: Python's quotes",
    "llama 4: behind its tag", "llama 4: words around its tag", "mistral: arguments as text",
}
EARLY = {name: one for name, one in CASES.items() if PARIS in one.calls and name not in WHOLE}


@pytest.mark.parametrize("case", EARLY.values(), ids=list(EARLY))
def test_arguments_are_told_while_they_come(case: Case) -> None:
    place = case.calls.index(PARIS)
    parser = Parser(case.syntax, TOOLS, opened=case.opened)
    told = told_of([*map(parser.push, case.written[: case.written.rindex("Paris") + 3])])
    assert told[place] == ("weather", '{"city": "Par')


def test_every_family_but_those_of_code_tells_early() -> None:
    assert {case.syntax for case in EARLY.values()} == set(FAMILIES) - {OLMO_3}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_other_calls_are_told_at_their_end(name: str) -> None:
    case = CASES[name]
    parser = Parser(case.syntax, TOOLS, opened=case.opened)
    pieces = [piece for letter in case.written for piece in parser.push(letter).pieces]
    pieces += parser.finish().pieces
    assert [one.number for one in pieces].count(0) == 1


def tagged(arguments: str) -> str:
    return f'<tool_call>{{"name": "weather", "arguments": {arguments}'


# What was cut or is broken: what a model wrote, and the words and calls that this is.
CUT = {
    "before the name": (HERMES, '<tool_call>{"name": "wea', '<tool_call>{"name": "wea', ()),
    "before the arguments": (
        HERMES, '<tool_call>{"name": "weather", "arguments": ',
        '<tool_call>{"name": "weather", "arguments": ', (),
    ),
    "in a string": (HERMES, tagged('{"city": "Par'), "", ('{"city": "Par',)),
    "in an escape": (HERMES, tagged('{"city": "a\\'), "", ('{"city": "a\\',)),
    "behind the arguments": (HERMES, tagged('{"city": "Paris"}'), "", ('{"city": "Paris"}',)),
    "in the closing tag": (HERMES, tagged("{}}\n</tool_ca"), "", ("{}",)),
    "in the name of a second one": (
        HERMES, tagged('{}}</tool_call>\n<tool_call>{"name": "ti'), "", ("{}",)
    ),
    "between two in an array": (
        LISTED, '[TOOL_CALLS][{"name": "weather", "arguments": {}}, {"na', "", ("{}",)
    ),
    "in the second of an array": (
        LISTED, '[TOOL_CALLS][{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"a": 1',
        "", ("{}", '{"a": 1'),
    ),
    "no JSON": (HERMES, tagged("{'city': Paris}}</tool_call> Hm."), "Hm.", ("{'city': Paris}",)),
    "words behind the arguments": (HERMES, tagged("{} and so on"), "and so on", ("{}",)),
    "no call in an array": (
        GRANITE, '<|tool_call|>[{"name": "f", "arguments": {}}, 5]', ", 5]", ("{}",)
    ),
    "a value that is no string": (
        ELEMENTS, "<function=weather>\n<parameter=city>\nA\n</parameter>\n<parameter=days>\n1",
        "", ('{"city": "A", "days": ',),
    ),
    "in the tag that closes a string": (
        ELEMENTS, "<function=weather>\n<parameter=city>\nParis\n</para", "", ('{"city": "Paris',)
    ),
    "behind a value": (
        ELEMENTS, "<function=weather>\n<parameter=city>\nParis\n</parameter>\n<par", "",
        ('{"city": "Paris"',),
    ),
    "in a pair": (
        PAIRS, "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Pa</arg_v", "",
        ('{"city": "Pa',),
    ),
    "words among the pairs": (
        PAIRS, "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>A</arg_value> and", "and",
        ('{"city": "A"',),
    ),
    "in a notation": (
        GEMMA_4, '<|tool_call>call:weather{city:<|"|>A<|"|>,days:1', "", ('{"city": "A"',)
    ),
    "no notation": (GEMMA_4, "<|tool_call>call:weather{days:1]", "]", ('{"days": 1',)),
    "code": (LLAMA, "[weather(city='Par", "[weather(city='Par", ()),
}  # fmt: skip


@pytest.mark.parametrize(("syntax", "written", "text", "arguments"), CUT.values(), ids=list(CUT))
def test_a_call_that_has_begun_stays_one(
    syntax: Syntax, written: str, text: str, arguments: tuple[str, ...]
) -> None:
    said, _, calls = heard(Case(syntax, written), [written])
    assert (said, tuple(one.arguments for one in calls)) == (text, arguments)
    assert heard(Case(syntax, written), [*written]) == heard(Case(syntax, written), [written])


@pytest.mark.parametrize(("syntax", "written", "text"), [
    (HERMES, 'I look. <tool_call>{"name": "wea', "I look."),
    (HERMES, '<tool_call>\n{"name": "weather", "argu', ""),
    (HERMES, "A <b> and <tool_call> b", "A <b> and <tool_call> b"),  # no call
    (HERMES, "a <tool_ca", "a <tool_ca"),
    (LLAMA, '{"name": "wea', '{"name": "wea'),  # it may be any JSON
    (HARMONY, "<|channel|>commentary to=functions.wea", ""),
])  # fmt: skip
def test_of_an_answer_that_was_cut_no_mark_of_a_call_is_shown(
    syntax: Syntax, written: str, text: str
) -> None:
    for size in (1, 3, 100):
        parser = Parser(syntax, TOOLS)
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        spoken = [*map(parser.push, pieces), parser.finish(cut=True)]
        assert "".join(one.text for one in spoken) == text
        assert not any(one.calls or one.pieces for one in spoken)


def test_code_that_goes_on_to_the_end_is_a_call_behind_another() -> None:
    written = '>>>weather\n{"city": "Paris"}>>>python\nprint(1)'
    assert [one.name for one in heard(Case(FUNCTIONARY_3, written), [*written])[2]] == [
        "weather", "python",
    ]  # fmt: skip


@named
def test_what_is_told_of_a_beginning_is_never_taken_back(case: Case) -> None:
    parser = Parser(case.syntax, TOOLS, opened=case.opened)
    spoken = [parser.push(letter) for letter in case.written]
    for place in range(len(case.written)):
        cut = heard(case, [case.written[:place]])[2]
        told = told_of(spoken[:place])
        assert len(told) <= len(cut)
        for one, (name, arguments) in zip(cut, told.values(), strict=False):
            assert one.name == name
            assert one.arguments.startswith(arguments)


def test_an_object_that_names_no_tool_is_told_as_it_comes() -> None:
    parser = Parser(HERMES, TOOLS)
    said = [parser.push(letter).text for letter in '{"name": "Anna", "age": 3']
    assert "".join(said) == '{"name": "Anna", "age": 3'


def test_control_characters_in_strings_are_escaped() -> None:
    written = tagged('{"city": "a\n\tb", \n"days": 1}}</tool_call>')
    (call,) = heard(Case(HERMES, written), [*written])[2]
    assert call.arguments == '{"city": "a\\n\\tb", \n"days": 1}'


SIGNS = {
    "hermes": "return a json object within <tool_call></tool_call> XML tags",
    "qwen3-coder": "<tool_call>\n<function=example>\n<parameter=one>",
    "functionary-3.1": "<function=example_function_name>{\"example\": 1}</function> <|python_tag|>",
    "functionary-3.2": "Respond in this format:\n>>>${recipient}\n${content}",
    "functionary-2": "'<|from|>assistant\\n<|recipient|>all\\n<|content|>'",
    "llama-3": 'Respond in the format {"name": function name, "parameters": dictionary',
    "mistral": "'[TOOL_CALLS][' … '[/TOOL_RESULTS]'",
    "mistral-args": "'[TOOL_CALLS]' + name + '[ARGS]'",
    "gpt-oss": "'<|channel|>commentary' … 'to=functions.'",
    "gemma-4": "'<|tool_call>call:'",
    "functiongemma": "'<start_function_call>call:'",
    "gemma": "'<start_of_turn>' + role",
    "glm": "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>",
}


@pytest.mark.parametrize(("name", "template"), SIGNS.items(), ids=list(SIGNS))
def test_a_template_shows_its_family(name: str, template: str) -> None:
    found = family_of(template)
    assert found is not None
    assert found.name == name


def test_a_template_of_no_family_shows_none() -> None:
    assert family_of("{{ '<|im_start|>' + m.role }}") is None


def test_every_family_has_a_transcript() -> None:
    assert {case.syntax for case in CASES.values()} == set(FAMILIES)


@pytest.mark.parametrize("syntax", FAMILIES, ids=[one.name for one in FAMILIES])
def test_what_is_shown_of_calls_is_read_as_they_were(syntax: Syntax) -> None:
    calls = [ToolCall("", "weather", '{"city": "Paris", "days": 3}'),
             ToolCall("", "time_in", '{"city": "A \\"b\\" {c}"}')]  # fmt: skip
    parser = Parser(syntax, TOOLS)
    spoken = [parser.push(syntax.written(calls)), parser.finish()]
    heard = [(call.name, json.loads(call.arguments)) for one in spoken for call in one.calls]
    assert heard == [(one.name, json.loads(one.arguments)) for one in calls]
    assert "".join(one.text for one in spoken) == ""


FRAGMENTS = st.sampled_from(sorted({
    *(mark for one in FAMILIES
      for mark in (*one.triggers, *one.leading, *one.following, *one.marks) if mark),
    '{"name": "weather", "arguments": {', '"city": "Pa', '\\"', "<parameter=days>\n", ":", "'",
    '{"name": "weather", "arguments": {"city": "Paris"}}', '{"city": "Paris"}', "weather", "\n",
    " ", "all\n", "call:weather", "{city:", "1}", "[weather(city='x')]", "```json\n", "```",
    "<function=", "weather>", "<parameter=city>", "</parameter>", "</function>", "<arg_key>",
    "</arg_key>", "commentary to=functions.weather ", "final", "analysis", "json", ";", ", ", "}",
    "]", "Hm.", "NaN", "1e999",
}))  # fmt: skip


@settings(max_examples=150)
@given(st.sampled_from(FAMILIES), st.lists(FRAGMENTS, max_size=9), st.sampled_from([1, 2, 3, 7]))
def test_any_cut_of_any_text_gives_the_same(syntax: Syntax, parts: list[str], size: int) -> None:
    case = Case(syntax, "".join(parts))
    pieces = [case.written[at : at + size] for at in range(0, len(case.written), size)]
    assert heard(case, pieces) == heard(case, [case.written])


@settings(max_examples=150)
@given(st.sampled_from(list(CASES.values())), st.integers(0, 300), st.lists(FRAGMENTS, max_size=6),
       st.sampled_from([1, 2, 3, 7]))  # fmt: skip
def test_any_cut_of_what_goes_on_otherwise_gives_the_same(
    known: Case, begun: int, parts: list[str], size: int
) -> None:
    written = known.written[:begun] + "".join(parts)
    case = Case(known.syntax, written, opened=known.opened)
    pieces = [written[at : at + size] for at in range(0, len(written), size)]
    assert heard(case, pieces) == heard(case, [written])


@given(st.sampled_from(FAMILIES),
       st.text(alphabet='{}[]"\'<>|/=:,.\n a1`wether_python', max_size=60))  # fmt: skip
def test_no_text_is_an_error_and_words_are_kept(syntax: Syntax, text: str) -> None:
    begun = next(iter(syntax.triggers))
    for written in (text, begun + text):
        parser = Parser(syntax, TOOLS)
        spoken = [*map(parser.push, written), parser.finish()]
        if not any(one.calls for one in spoken) and begun not in written:
            assert "".join(one.text for one in spoken) == written
