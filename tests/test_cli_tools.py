"""``--tool FILE.py``: what a model is told of its functions, who is asked before a call, and where
what comes of it goes."""

from pathlib import Path

import pytest
from fakes import FakeEngine, Reply, reply
from terminal import Typed

from llmrr import stats
from llmrr.cli import tooling
from llmrr.database import open_database
from llmrr.errors import UsageError
from llmrr.types import Message, ToolCall

FILE = '''
import os
from typing import Annotated, Literal

def weather(city: str, days: int = 1) -> str:
    """The weather of a city.

    Args:
        city: Which one.
        days (int): How many,
            from today.

    Returns:
        Words.
    """
    print("looking")
    os.system("echo outside")
    return f"{city}: sun for {days}"

async def add(a: float, b: Annotated[float, "the other"]) -> float:
    return a + b

def breaks(kind: Literal["a", "b"], more: list[str] | None = None) -> dict:
    """:param kind: of what"""
    raise ValueError("no " + kind)

def _hidden(): ...
'''


@pytest.fixture
def tools(tmp_path: Path) -> str:
    file = tmp_path / "my tools.py"
    file.write_text(FILE)
    return str(file)


def calls(*wanted: tuple[str, str]) -> Reply:
    pieces = [ToolCall(f"call_{at}", name, given) for at, (name, given) in enumerate(wanted)]
    return reply("Let me look.", *pieces, finish_reason="tool_calls")


PARIS = ("weather", '{"city": "Paris"}')


def test_functions_are_described_by_what_they_say(tools: str) -> None:
    found = tooling.load([tools])
    assert list(found) == ["weather", "add", "breaks"]
    weather, add, breaks = (one.tool for one in found.values())
    assert weather.description == "The weather of a city.\n\nReturns:\n    Words."
    assert weather.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Which one."},
            "days": {"type": "integer", "description": "How many, from today.", "default": 1},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert add.parameters["properties"]["b"] == {"type": "number", "description": "the other"}
    assert breaks.parameters["properties"] == {
        "kind": {"enum": ["a", "b"], "description": "of what"},
        "more": {
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
            "default": None,
        },
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "defines no function"),
        ("def f(*a): ...", "takes \\*a"),
        ("def f(a: complex): ...", "a of f is a complex"),
        ("def f(a: Absent): ...", "annotations of f cannot be read"),
        ("import absent_module", "cannot be imported: ModuleNotFoundError"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "f.py"
    file.write_text(f"from __future__ import annotations\n{text}\n")
    with pytest.raises(UsageError, match=said):
        tooling.load([str(file)])


def test_a_file_finds_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("VALUE = 5\n")
    file = tmp_path / "f.py"
    file.write_text("from beside_it import VALUE\ndef f() -> int:\n    return VALUE\n")
    assert tooling.load([str(file)])["f"].call() == 5


def test_calls_are_made_and_only_the_answer_is_printed(
    typed: Typed, engine: FakeEngine, tools: str
) -> None:
    engine.replies = [calls(PARIS, ("add", '{"a": 1, "b": 2}')), "It is sunny."]
    seen = typed("run", "-m", "tiny.gguf", "--tool", tools, "-y", "Weather?")
    assert (seen.code, seen.out) == (0, "It is sunny.\n")
    assert 'llmrr: calls weather({"city": "Paris"})' in seen.err
    assert "looking" in seen.err
    first, second = engine.requests
    assert [one.name for one in first.tools] == ["weather", "add", "breaks"]
    assert second.tools == first.tools
    user, assistant, *results = second.messages
    assert (user.content, assistant.content) == ("Weather?", "Let me look.")
    assert [one.id for one in assistant.tool_calls] == ["call_0", "call_1"]
    assert results == [
        Message("tool", "Paris: sun for 1", tool_call_id="call_0", name="weather"),
        Message("tool", "3", tool_call_id="call_1", name="add"),
    ]


def test_of_an_answer_that_was_cut_nothing_is_called(
    typed: Typed, engine: FakeEngine, tools: str
) -> None:
    cut = ToolCall("call_1", "weather", '{"city": "Pa')
    engine.replies = [reply("Let me look.", cut, finish_reason="length"), "never asked"]
    seen = typed("run", "-m", "tiny.gguf", "--tool", tools, "-y", "Weather?")
    assert (seen.code, seen.out) == (0, "Let me look.\n")
    assert 'not called, for the answer was cut: weather({"city": "Pa)' in seen.err
    assert len(engine.requests) == 1


def test_each_call_is_asked_for(typed: Typed, engine: FakeEngine, tools: str) -> None:
    engine.replies = [calls(PARIS, PARIS), "Well."]
    seen = typed(
        "run", "-m", "tiny.gguf", "--tool", tools, "Weather?",
        answers="y\nsure\nn\n", err_terminal=True,
    )  # fmt: skip
    asked = 'call weather({"city": "Paris"})? [y/N] '
    assert f"{asked}looking\n{asked}y or n\n{asked}" in seen.err
    results = [one.content for one in engine.requests[1].messages[2:]]
    assert results == ["Paris: sun for 1", "The user did not allow this call."]


def test_nothing_is_asked_where_nobody_can_allow_a_call(
    typed: Typed, engine: FakeEngine, tools: str
) -> None:
    seen = typed("run", "-m", "tiny.gguf", "--tool", tools, "Weather?")
    assert (seen.code, seen.out) == (2, "")
    assert "hint: -y calls without asking" in seen.err
    seen = typed("run", "--tool", "gone.py", "hi")
    assert (seen.code, '--tool names no file: "gone.py"' in seen.err) == (3, True)
    assert engine.requests == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (("breaks", '{"kind": "a"}'), "Error: ValueError: no a"),
        (("breaks", '{"kind": "z"}'), "Error: the arguments do not fit: kind is"),
        (("weather", "{}"), "Error: the arguments do not fit: city is missing"),
        (("weather", "[1]"), "Error: the arguments are no JSON object"),
        (("weather", "{"), "Error: the arguments are no JSON"),
        (("absent", "{}"), "Error: there is no tool absent; there are weather"),
    ],
)
def test_the_model_is_told_what_went_wrong(
    typed: Typed, engine: FakeEngine, tools: str, wanted: tuple[str, str], said: str
) -> None:
    engine.replies = [calls(wanted), "Oh."]
    assert typed("run", "-m", "tiny.gguf", "--tool", tools, "-y", "?").out == "Oh.\n"
    assert engine.requests[1].messages[-1].content.startswith(said)


def test_json_has_the_calls(typed: Typed, engine: FakeEngine, tools: str) -> None:
    engine.replies = [calls(PARIS), "Sunny."]
    seen = typed("run", "-m", "tiny.gguf", "--tool", tools, "-y", "--json", "?")
    made = {"name": PARIS[0], "arguments": PARIS[1], "result": "Paris: sun for 1"}
    assert (seen.json["text"], seen.json["tool_calls"]) == ("Sunny.", [made])


def test_every_round_is_recorded_in_one_conversation(
    typed: Typed, engine: FakeEngine, tools: str
) -> None:
    engine.replies = [calls(PARIS), "Sunny."]
    typed("run", "-m", "tiny.gguf", "--tool", tools, "-y", "?")
    with open_database() as connection:
        runs = stats.runs(connection, last=2)
    assert len({one.conversation for one in runs}) == 1
    assert {one.finish_reason for one in runs} == {"tool_calls", "stop"}


def test_a_model_that_only_calls_is_stopped(typed: Typed, engine: FakeEngine, tools: str) -> None:
    engine.replies = [calls(PARIS)] * 30
    seen = typed("run", "-m", "tiny.gguf", "--tool", tools, "-y", "?")
    assert (seen.code, seen.out) == (7, "")
    assert "20 times over" in seen.err


def test_in_a_conversation_calls_are_remembered(
    typed: Typed, engine: FakeEngine, tools: str
) -> None:
    engine.replies = [calls(PARIS), "Sunny.", "Bye."]
    typed("chat", "-m", "tiny.gguf", "--tool", tools, "-y", stdin="Weather?\nThanks\n")
    roles = [one.role for one in engine.requests[2].messages]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


def test_raw_and_tools_exclude_each_other(typed: Typed, engine: FakeEngine, tools: str) -> None:
    assert typed("run", "--raw", "--tool", tools, "-y", "?").code == 2


