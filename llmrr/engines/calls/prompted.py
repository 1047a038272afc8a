"""Calls of Gemma 2 and 3, whose published prompts ask for JSON, or for Python in a fence."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from llmrr.engines.calls import objects, pythonic
from llmrr.engines.calls.base import MORE, NONE, Found, Reading, Said, Syntax
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.tagged import head, listed_calls, parameters
from llmrr.types import Tool, ToolCall

_FENCE = re.compile(r"```(?:tool_code|tool_call|json|python)[ \t]*\n")
_FENCES: Final = ("```tool_code", "```tool_call", "```json", "```python")


class Prompted(Syntax):
    """What Gemma 2 and 3 are asked for by their published prompts: an object with ``name`` and
    ``parameters``, or a list of Python calls; in a fence or not."""

    name = "gemma"
    signs = (("<start_of_turn>",),)
    triggers = _FENCES
    leading = ("{", "[")
    closers = "{}])>`\":,"

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        if text.startswith("{"):
            return objects.bare(text, 0, tools, last=last)
        if text.startswith("["):
            return self._list(text, tools, last=last)
        found = _FENCE.match(text)
        if not found:
            head = text.split("\n", 1)[0].rstrip()
            return NONE if last or "\n" in text or head not in _starts() else MORE
        end = text.find("```", found.end())
        if end < 0:
            if not last:
                return MORE
            end = len(text)
        said = _fenced(text[found.end() : end])
        if not said or not all(one.name in tools for one in said):
            return NONE
        return Found(tuple(said), min(len(text), end + 3))

    def _list(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        bare = text[1:].lstrip()
        if not any(bare.startswith(f"{one}(") or f"{one}(".startswith(bare) for one in tools):
            return NONE
        end = pythonic.ending(text)
        if end is None:
            return NONE if last else MORE
        said = pythonic.calls(text[:end])
        known = said and all(one.name in tools for one in said)
        return Found(tuple(said), end) if said and known else NONE

    def call(self, rules: Rules, tool: Tool) -> str:
        begin = rules.text(head(tool.name, given="parameters"))
        return f'{begin} {parameters(rules, tool)} {rules.text("}")}'

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        if not more:
            return first
        begin, end = rules.text("```json\n["), rules.text("]\n```")
        return f"({first} | {begin} {first} ({rules.text(', ')} {more})* {end})"

    def written(self, calls: Collection[ToolCall]) -> str:
        said = [f"{head(one.name, given='parameters')}{one.arguments or '{}'}}}" for one in calls]
        return said[0] if len(said) == 1 else f"```json\n[{', '.join(said)}]\n```"


def _starts() -> Collection[str]:
    return {one[:length] for one in _FENCES for length in range(len(one) + 1)}


def _fenced(body: str) -> list[Said] | None:
    """The calls in a fence: JSON, or Python in one expression for each line."""
    body = body.strip()
    if body[:1] in ("{", "["):
        return listed_calls(body) or pythonic.calls(body)
    return list(_lines(body)) or None


def _lines(body: str) -> Iterator[Said]:
    found = re.sub(r"\bprint\((.*)\)\s*$", r"\1", body, flags=re.DOTALL)
    if said := pythonic.calls(found):
        yield from said
        return
    for line in body.splitlines():
        said = pythonic.calls(re.sub(r"^\s*print\((.*)\)\s*$", r"\1", line))
        if said is None and line.strip():
            return
        yield from said or ()


PROMPTED = Prompted()
