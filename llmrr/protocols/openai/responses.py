"""Responses, what is asked: https://platform.openai.com/docs/api-reference/responses"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llmrr.protocols.base import Asked
from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai import common, items
from llmrr.protocols.openai.messages import turn
from llmrr.protocols.openai.sampling import insists, sampling, thinking
from llmrr.protocols.openai.shapes import Shape, stated
from llmrr.protocols.openai.tools import offered
from llmrr.types import Message, Request, Sampling

_REFUSED: Final = {
    "background": "an answer is told to whoever asks for it",
    "conversation": "conversations are kept by previous_response_id alone",
    "prompt": "no prompts are kept here",
}
_INCLUDED: Final = (
    "message.output_text.logprobs", "reasoning.encrypted_content",
    # Of these there is nothing here to include.
    "message.input_image.image_url", "computer_call_output.output.image_url",
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "code_interpreter_call.outputs",
)  # fmt: skip


def response(body: Mapping[str, Any], before: Sequence[Message] = ()) -> Asked:
    """The body of ``/v1/responses``; ``before`` is the conversation that it goes on with. Raises
    ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    for name, why in _REFUSED.items():
        given.refuse(name, why)
    given.one_of("truncation", "auto", "disabled")  # what does not fit is told, and never cut
    tools, tool_choice, left_out = offered(given)
    system: tuple[Message, ...] = ()
    if (instructions := given.text("instructions")) is not None:
        system = (turn({"role": "system", "content": instructions}, "instructions"),)
    request = Request(
        messages=(*system, *before, *items.turns(given)),
        sampling=_sampling(given),
        tools=tools,
        tool_choice=tool_choice,
        firm=insists((given.get("reasoning") or {}).get("effort"), "reasoning.effort"),
    )
    for name in ("parallel_tool_calls", "store"):
        given.flag(name)
    given.inner("metadata")  # it is repeated
    given.whole("max_tool_calls", 1)
    return Asked(
        request,
        given.text("model"),
        stream=bool(given.flag("stream")),
        choice=common.choice(given),
        body=body,
        left_out=(*left_out, *given.unread(), *_unwritten(given)),
    )


def _unwritten(given: Fields) -> tuple[str, ...]:
    """What is said of the words of an answer, beside its format."""
    text = given.inner("text")
    return ("text.verbosity",) if text is not None and text.get("verbosity") else ()


def _sampling(given: Fields) -> Sampling:
    """As the API has it; what other servers take besides is taken as in chat completions."""
    text, reasoning = given.inner("text"), given.inner("reasoning")
    wanted = text and text.inner("format")
    effort = reasoning and reasoning.text("effort")
    found = sampling(given, given.whole("max_output_tokens", 1), _logprobs(given))
    if wanted and (form := stated(wanted)) != Shape():
        found = replace(found, schema=form.schema, grammar=form.grammar)
    return replace(found, think=thinking(given, "reasoning", effort)) if effort else found


def _logprobs(given: Fields) -> int | None:
    included = given.words("include") or ()
    for one in included:
        if one not in _INCLUDED:
            said = f"include = {one!r} is not served here"
            raise BadField("include", said, _INCLUDED[0], code="unsupported_value")
    top = given.whole("top_logprobs", 0, 20)
    return (top or 0) if _INCLUDED[0] in included else top or None
