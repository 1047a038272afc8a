"""Responses, what is asked: https://platform.openai.com/docs/api-reference/responses"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llmrr.protocols.base import Asked
from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai import common, items
from llmrr.protocols.openai.messages import turn
from llmrr.protocols.openai.sampling import sampling, thinking
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
# What OpenAI's own servers run, and agents (Codex) offer beside their functions. Of some there is a
# name with a date.
_HOSTED: Final = (
    "web_search", "file_search", "computer", "code_interpreter", "image_generation", "mcp",
    "local_shell", "shell", "apply_patch", "custom", "namespace", "tool_search",
)  # fmt: skip


def response(body: Mapping[str, Any], before: Sequence[Message] = ()) -> Asked:
    """The body of ``/v1/responses``; ``before`` is the conversation that it goes on with. Raises
    ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    for name, why in _REFUSED.items():
        given.refuse(name, why)
    given.one_of("truncation", "auto", "disabled")  # what does not fit is told, and never cut
    tools, tool_choice = offered(_served(given))
    system: tuple[Message, ...] = ()
    if (instructions := given.text("instructions")) is not None:
        system = (turn({"role": "system", "content": instructions}, "instructions"),)
    request = Request(
        messages=(*system, *before, *items.turns(given)),
        sampling=_sampling(given),
        tools=tools,
        tool_choice=tool_choice,
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
    )


def _served(given: Fields) -> Fields:
    """The body without the tools that nobody here runs, where there are functions besides: a model
    that may call them need not."""
    listed = given.listed("tools") or ()
    left = [one for one in listed if not _is_hosted(one)]
    return Fields({**given.given, "tools": left}) if left else given


def _is_hosted(tool: object) -> bool:
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    return isinstance(kind, str) and kind.startswith(_HOSTED)


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
