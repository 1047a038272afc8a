"""Calls of gpt-oss: OpenAI's harmony, in which every message has a channel, and a call a recipient.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

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
from llmrr.engines.calls.tagged import parameters
from llmrr.types import Tool, ToolCall

_ENDS: Final = ("<|end|>", "<|call|>", "<|return|>")
_TO = r"\s*to=(?P<{}>[\w.-]{{1,256}})"
_HEADER = re.compile(
    r"(?:<\|start\|>assistant)?(?:" + _TO.format("early") + r")?\s*"
    r"<\|channel\|>(?P<channel>\w*)(?:" + _TO.format("late") + r")?\s*"
    r"(?:<\|constrain\|>)?\s*\w*\s*<\|message\|>"
)
_BROKEN = re.compile(r"(?:<\|start\|>assistant)?[^<]{0,300}<\|channel\|>[^<]{0,300}"
                     r"(?=<\|channel\|>|<\|start\|>)")  # fmt: skip
_EARLY = re.compile(r"to=[\w.-]{0,256}\s*(?P<rest><.*)?", re.DOTALL)
_LONGEST: Final = 600  # characters of a header
_THINKS: Final = "analysis"
_TOOLS: Final = "functions."


class Harmony(Syntax):
    """``<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{…}<|call|>``. What is
    for nobody that there is, as for a tool that OpenAI's own models have built in, is a thought."""

    name = "gpt-oss"
    signs = (("<|channel|>", "functions."),)
    triggers = ("<|start|>assistant", "<|channel|>", *_ENDS)
    leading = ("to=",)
    closers = "{}> "
    always = True
    marks = ("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", *_ENDS)

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        for end in _ENDS:
            if text.startswith(end):
                return Found((), len(end), parts=True)
        found = _HEADER.match(text)
        if not found:
            return _headless(text, last=last)
        name, at = found["early"] or found["late"], found.end()
        if name and tools and (name.startswith(_TOOLS) or name in tools):
            return self._call(name.removeprefix(_TOOLS), text, at, last=last)
        if not name and found["channel"] != _THINKS:
            return Found((), at)
        places = [place for one in _ENDS if (place := text.find(one, at)) >= 0]
        if not places and not last:
            return MORE
        end_at = min(places, default=len(text))
        return Found((), end_at, text[at:end_at])

    def _call(self, name: str, text: str, at: int, *, last: bool) -> Reading:
        at = skip(text, at)
        if "<|call|".startswith(text[at:]):
            return NONE if last else MORE
        if text.startswith("<|call|>", at):
            return Found((Said(name, "{}"),), at)
        return Begun(name, at, Json()) if text[at] == "{" else NONE

    def call(self, rules: Rules, tool: Tool) -> str:
        begin = f"<|channel|>commentary to=functions.{tool.name} <|constrain|>json<|message|>"
        return f"{rules.text(begin)} {parameters(rules, tool)}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        return first  # the model ends its turn behind a call

    def words(self, rules: Rules, words: str) -> str:
        return f"{rules.text('<|channel|>final<|message|>')} {words}"

    def before(self, rules: Rules) -> str:
        begin = rules.text("<|channel|>commentary<|message|>")
        return f"{begin} {rules.until('<|end|>')} {rules.text('<|start|>assistant')}"

    def written(self, calls: Collection[ToolCall]) -> str:
        return "<|start|>assistant".join(
            f"<|channel|>commentary to=functions.{one.name} <|constrain|>json<|message|>"
            f"{one.arguments or '{}'}<|call|>"
            for one in calls
        )


def _headless(text: str, *, last: bool) -> Reading:
    """What begins as a header and is not one yet, or never: one that another one breaks off is
    nothing."""
    if found := _BROKEN.match(text):
        return Found((), found.end())
    early = _EARLY.fullmatch(text)
    rest = (early["rest"] or "") if early else None
    if text.startswith("to=") and not (early and _may_be(rest or "", "<|channel|>")):
        return NONE
    return NONE if last or "<|message|>" in text or len(text) > _LONGEST else MORE


def _may_be(text: str, mark: str) -> bool:
    return text.startswith(mark) or mark.startswith(text)


HARMONY = Harmony()
