"""What clients of other servers rely on, beside what their own clients' tests ask for."""

from collections.abc import Iterator

import pytest
from fakes import reply
from serving import ASKED, Served, serving

from llmrr.engines.templates import Template
from llmrr.router import Router
from llmrr.types import Message, ToolCall

CALL = ToolCall("call_1", "weather", '{"city": "Rome"}')


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(aliases={"gpt-4o": "small"}) as found:
        yield found


@pytest.fixture
def scripted(engine) -> Iterator[Served]:
    """A server of the scripted engine."""
    with serving(Router({"models": [{"name": "small", "source": "builtin:mini"}]})) as found:
        yield found


# -- what the model thought before ------------------------------------------------------------------

_OPENAI_CALL = {"id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}  # fmt: skip
_THOUGHT = [
    ("/v1/chat/completions", {"messages": [
        *ASKED,
        {"role": "assistant", "content": None, key: "Hm", "tool_calls": [_OPENAI_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]}) for key in ("reasoning_content", "reasoning")
] + [
    ("/v1/responses", {"input": [
        *ASKED,
        {"type": "reasoning", "id": "rs_1", "summary": [],
         "content": [{"type": "reasoning_text", "text": "Hm"}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather",
         "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]}),
    ("/v1/messages", {"max_tokens": 9, "messages": [
        *ASKED,
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm", "signature": ""},
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]},
    ]}),
    ("/api/chat", {"stream": False, "messages": [
        *ASKED,
        {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [
            {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
        {"role": "tool", "tool_name": "weather", "content": "sunny"},
    ]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), _THOUGHT)
def test_what_a_model_thought_before_its_call_goes_back_to_it(scripted, engine, path, body):
    engine.replies = [reply("It is sunny.")]
    assert scripted.ask(path, {"model": "small", **body}).status == 200
    (asked,) = engine.requests
    assert asked.messages[1] == Message("assistant", "", tool_calls=(CALL,), reasoning="Hm")
    assert [one.reasoning for one in asked.messages] == ["", "Hm", ""]


def test_a_thought_that_nothing_followed_is_no_turn(scripted, engine):
    engine.replies = [reply("Yes.")]
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}]}
    scripted.ask("/v1/responses", {"input": [thought, *ASKED]})
    assert engine.requests[0].messages == (Message("user", ASKED[0]["content"]),)


@pytest.mark.parametrize("key", ["reasoning_content", "thinking"])
def test_a_template_shows_what_was_thought(key):
    told = "{{ m.role }}|{{ m." + key + " or '-' }}|{{ m.content }}"
    text = "{% for m in messages %}[" + told + "]{% endfor %}"
    turns = (Message("user", "a"), Message("assistant", "b", reasoning="Hm"), Message("user", "c"))
    shown = Template(text).prompt(turns).text
    assert shown.startswith("[user|-|a][assistant|Hm|b][user|-|c]")
