"""Answers with thoughts and calls, read as the chat template of their model shows, in any pieces.
"""

import json

import pytest
from transcripts import Transcript, transcripts

from llmrr.engines.templates import Prompt, Template
from llmrr.engines.text import TextAssembler
from llmrr.types import Message, Tool

PARAMETERS = {"type": "object", "properties": {
    "city": {"type": "string"}, "days": {"type": "integer"}}}  # fmt: skip
TOOLS = [Tool(one, "", PARAMETERS) for one in ("weather", "time_in", "python")]
THOUGHT = [one for one in transcripts() if one.template is not None]
QUESTION = (Message("user", "How is it?"),)


def heard(prompt: Prompt, pieces: list[str]) -> tuple[str, str, list[tuple[str, str]]]:
    """Words, thoughts and calls of an answer to a prompt."""
    assert prompt.offer is not None
    assembler = TextAssembler((), prompt.markers, prompt.opened, prompt.offer)
    parser = prompt.offer.parser(prompt.markers.close)
    found = [*map(assembler.add, pieces), assembler.finish()]
    spoken = [*(parser.push(text) for text, _, _ in found), parser.finish()]
    text = "".join(one.text for one in spoken)
    reasoning = "".join(one for _, one, _ in found) + "".join(one.reasoning for one in spoken)
    return text, reasoning, [(one.name, one.arguments) for each in spoken for one in each.calls]


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("case", THOUGHT, ids=[one.name for one in THOUGHT])
def test_thoughts_and_calls(case: Transcript, size: int) -> None:
    template = Template(case.template or "")
    prompt = template.prompt(QUESTION, tools=TOOLS)
    assert template.syntax.name == case.family
    pieces = [case.written[at : at + size] for at in range(0, len(case.written), size)]
    text, reasoning, calls = heard(prompt, pieces)
    assert (text, reasoning) == (case.text, case.reasoning)
    assert tuple((name, json.loads(given)) for name, given in calls) == case.calls


def test_without_tools_no_mark_of_a_channel_is_a_word() -> None:
    template = Template("{# <|channel|>analysis<|message|> functions. #}")
    prompt = template.prompt(QUESTION)
    assert prompt.offer is not None
    for written, text, reasoning in (
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
         "Yes.", "Hm."),
        ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", "", "{}"),
        ("<|channel|>final<|message|>to=me", "to=me", ""),
        ("to=me, or to=you", "to=me, or to=you", ""),
    ):  # fmt: skip
        for pieces in ([written], [*written]):
            assert heard(prompt, pieces) == (text, reasoning, [])


def test_what_must_be_a_call_ends_its_thoughts_itself() -> None:
    """A grammar that was told of no call yet must be shown all of it."""
    template = Template("<tool_call>{% if add_generation_prompt %}<think>{% endif %}")
    free, forced = (
        template.prompt(QUESTION, tools=TOOLS, tool_choice=one).offer for one in ("auto", "weather")
    )
    assert free is not None
    assert forced is not None
    assert not free.constrains
    assert forced.constrains
