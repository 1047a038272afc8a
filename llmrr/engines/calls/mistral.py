"""Calls of Mistral: an array behind ``[TOOL_CALLS]``, or since 2025 a name and ``[ARGS]``."""

import re
from collections.abc import Collection, Mapping
from typing import Final

from llmrr.engines.calls import objects
from llmrr.engines.calls.base import (
    MORE,
    NONE,
    Begun,
    Found,
    Reading,
    Said,
    Syntax,
    skip,
)
from llmrr.engines.calls.bodies import Json
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.tagged import head, parameters
from llmrr.types import Tool, ToolCall

_TAG: Final = "[TOOL_CALLS]"
_NAMED = re.compile(r"\s*([\w.-]{1,256})\s*(?:\[CALL_ID\]\s*(\w{1,64})\s*)?(?:\[ARGS\]\s*)?(?=\{)")
_PARTIAL = re.compile(r"\s*[\w.-]{0,256}\s*(?:\[[A-Z_]*\]?\s*(?:\w{0,64}\s*(?:\[[A-Z]*\]?\s*)?)?)?")


class Listed(Syntax):
    """``[TOOL_CALLS][{"name": …, "arguments": {…}, "id": …}]``. A model of either kind is read in
    both ways."""

    name = "mistral"
    signs: tuple[tuple[str, ...], ...] = ((_TAG,),)
    triggers = (_TAG,)
    lead, lazy = _TAG, True
    leading = ('[{"name"', '[{"arguments"')
    marks = (_TAG, "[ARGS]", "[CALL_ID]")

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        tagged = text.startswith(_TAG)
        at = skip(text, len(_TAG) if tagged else 0)
        while text.startswith(_TAG, at):  # some write it twice
            at = skip(text, at + len(_TAG))
        if _TAG.startswith(text[at:]):
            return NONE if last else MORE
        if text[at] not in "[{":
            return _named(text, at, tools, last=last)
        return objects.read(text, at, tools, known=not tagged, last=last)

    def call(self, rules: Rules, tool: Tool) -> str:
        return f'{rules.text(head(tool.name))} {parameters(rules, tool)} {rules.text("}")}'

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        inner = f"{first} ({rules.text(', ')} {more})*" if more else first
        return f"{rules.begin(f'{_TAG}[')} {inner} {rules.text(']')}"

    def written(self, calls: Collection[ToolCall]) -> str:
        said = [f"{head(one.name)}{one.arguments or '{}'}}}" for one in calls]
        return f"{_TAG}[{', '.join(said)}]"


class Named(Listed):
    """``[TOOL_CALLS]NAME[ARGS]{…}``, once for each call."""

    name = "mistral-args"
    signs = ((_TAG, "[ARGS]"),)

    def call(self, rules: Rules, tool: Tool) -> str:
        return f"{rules.begin(f'{_TAG}{tool.name}[ARGS]')} {parameters(rules, tool)}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        return Syntax.calls(self, rules, first, more)

    def written(self, calls: Collection[ToolCall]) -> str:
        return "".join(f"{_TAG}{one.name}[ARGS]{one.arguments or '{}'}" for one in calls)


def _named(text: str, at: int, tools: Mapping[str, Tool], *, last: bool) -> Reading:
    found = _NAMED.match(text, at)
    if not found:
        bare = text[at:].split(_TAG)[0].rstrip()
        if bare in tools and (last or _TAG in text[at:]):
            return Found((Said(bare, "{}"),), at + len(bare))
        return MORE if not last and _PARTIAL.fullmatch(text, at) else NONE
    return Begun(found[1], found.end(), Json(), found[2])


LISTED, NAMED = Listed(), Named()
