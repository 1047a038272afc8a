"""Calls between tokens of their own, the name apart from the JSON: DeepSeek and Kimi."""

import re
from collections.abc import Collection, Mapping

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

_LONGEST = 400  # characters before the arguments


class Marked(Syntax):
    """``section`` around all calls, ``begin`` and ``end`` around each; in it the name by ``named``,
    and ``fence`` around the arguments. ``written_name`` is how the name is written."""

    lazy = True

    def __init__(
        self, name: str, *signs: tuple[str, ...], section: tuple[str, str], begin: str, end: str,
        named: str, written_name: str, fence: tuple[str, str] = ("", ""), interrupts: bool = False,
    ) -> None:  # fmt: skip
        self.interrupts = interrupts
        self.name, self.signs = name, signs
        self.section, self.begin, self.end = section, begin, end
        self.written_name, self.fence = written_name, fence
        self.triggers, self.lead = (section[0], begin), section[0]
        self.following = (end, *filter(None, (*section[1:], fence[1].strip())))
        separator = re.findall(r"<[^<>]+>", written_name)
        self.marks = (*filter(None, section), begin, end, *separator)
        opens, begins = (re.escape(one) for one in (section[0], begin))
        self._head = re.compile(f"(?:{opens}\\s*(?:{begins})?|{begins}){named}")

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        for one in self.following:
            if text.startswith(one):
                return Found((), len(one))
        found = self._head.match(text)
        if not found:
            if not last and len(text) < _LONGEST and "{" not in text:
                return MORE
            return Found((), len(self.section[0])) if text.startswith(self.section[0]) else NONE
        at = skip(text, found.end())
        ends = (self.end, self.fence[1].strip() or self.end)
        if any(one != text[at:] and one.startswith(text[at:]) for one in ends):
            return NONE if last else MORE
        if text.startswith(ends, at):
            return Found((Said(found["name"], "{}"),), at)
        return Begun(found["name"], at, Json()) if text[at] == "{" else NONE

    def call(self, rules: Rules, tool: Tool) -> str:
        begin = self.begin + self.written_name.format(name=tool.name) + self.fence[0]
        end = rules.text(self.fence[1] + self.end)
        return f"{rules.text(begin)} {parameters(rules, tool)} {end}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        inner = f"{first} ({more})*" if more else first
        return f"{rules.begin(self.section[0])} {inner} {rules.text(self.section[1])}"

    def written(self, calls: Collection[ToolCall]) -> str:
        inside = "".join(
            f"{self.begin}{self.written_name.format(name=one.name)}{self.fence[0]}"
            f"{one.arguments or '{}'}{self.fence[1]}{self.end}"
            for one in calls
        )
        return f"{self.section[0]}{inside}{self.section[1]}"


_SECTION = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")  # noqa: RUF001
_BEGIN, _END, _SEP = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"  # noqa: RUF001

DEEPSEEK_R1 = Marked(
    "deepseek-r1", (_SEP, "```json"), section=_SECTION, begin=_BEGIN, end=_END,
    named=rf"(?:function)?{_SEP}(?P<name>[^\s<>{{]{{1,256}})\n```json\n",
    written_name=f"function{_SEP}{{name}}", fence=("\n```json\n", "\n```"),
)  # fmt: skip
DEEPSEEK_3 = Marked(
    "deepseek-v3.1", (_SEP,), section=_SECTION, begin=_BEGIN, end=_END,
    named=rf"(?P<name>[^\s<>{{]{{1,256}}){_SEP}", written_name=f"{{name}}{_SEP}",
)  # fmt: skip
SOLAR = Marked(
    "solar", ("<|tool_call:args|>",), section=("<|tool_calls|>", ""),  # ends with its turn
    begin="<|tool_call:begin|>", end="<|tool_call:end|>",
    named=r"[^<]{0,256}<\|tool_call:name\|>(?P<name>[^\s<>:{]{1,256})<\|tool_call:args\|>",
    written_name="functions.{name}:0<|tool_call:name|>{name}<|tool_call:args|>",
)  # fmt: skip
KIMI = Marked(
    "kimi-k2", ("<|tool_calls_section_begin|>",),
    section=("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    begin="<|tool_call_begin|>", end="<|tool_call_end|>",
    named=r"\s*(?:functions\.)?(?P<name>[^\s<>:{]{1,256})(?::\d+)?\s*"
          r"<\|tool_call_argument_begin\|>",
    written_name="functions.{name}:0<|tool_call_argument_begin|>", interrupts=True,
)  # fmt: skip
