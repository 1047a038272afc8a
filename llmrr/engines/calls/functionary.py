"""Calls of Functionary 2 and 3.2, which name a recipient for all that they write."""

import re
from collections.abc import Collection, Mapping
from json import dumps

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


class Functionary(Syntax):
    """``begin`` a recipient, ``after`` it what is for it: text for ``all``, arguments for a tool.
    The prompt ends with ``begin``."""

    always = True

    def __init__(
        self, name: str, sign: str, *, begin: str, after: str, between: str = "",
        ends: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.name, self.signs = name, ((sign,),)
        self.begin, self.after, self.between, self.ends = begin, after, between, ends
        self.opened, self.addressed = begin, f"all{after}"
        self.triggers = (begin, *ends)
        self.closers = "{}])>\n"
        self.marks = (begin, after, between, *ends)
        self._header = re.compile(
            f"{re.escape(begin)}[ ]?([\\w.-]{{1,256}}){re.escape(after)}"
        )

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        for end in self.ends:
            if text.startswith(end):
                return Found((), len(end))
        found = self._header.match(text)
        if not found:
            return MORE if not last and self._may_name(text) else NONE
        if found[1] == "all":
            return Found((), found.end())
        at = skip(text, found.end())
        if at == len(text) or text[at] != "{":
            return self._code(found[1], text, found.end(), tools, last=last)
        return Begun(found[1], at, Json()) if found[1] in tools else NONE

    def _may_name(self, text: str) -> bool:
        rest = text[len(self.begin) :].removeprefix(" ")
        name = re.match(r"[\w.-]{0,256}", rest)
        assert name
        return self.after.startswith(rest[name.end() :])

    def _code(
        self, name: str, text: str, at: int, tools: Mapping[str, Tool], *, last: bool
    ) -> Reading:
        """Python is written as it is, up to the next recipient."""
        if name not in ("python", "code_interpreter") or name not in tools:
            return NONE if text[at:].strip() or last else MORE
        places = [place for one in self.triggers if (place := text.find(one, at)) >= 0]
        if not places and not last:
            return MORE
        end = min(places, default=len(text))
        code = dumps({"code": text[at:end].strip()}, ensure_ascii=False)
        return Found((Said(name, code),), end)

    def call(self, rules: Rules, tool: Tool) -> str:
        return f"{rules.text(f'{tool.name}{self.after}')} {parameters(rules, tool)}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        return f"{first} ({rules.text(self.between + self.begin)} {more})*" if more else first

    def words(self, rules: Rules, words: str) -> str:
        return f"{rules.text(self.addressed)} {words}"

    def before(self, rules: Rules) -> str:
        return self.words(rules, rules.until(self.between + self.begin))

    def written(self, calls: Collection[ToolCall]) -> str:
        said = (f"{one.name}{self.after}{one.arguments or '{}'}" for one in calls)
        return self.begin + (self.between + self.begin).join(said)


FUNCTIONARY_3 = Functionary("functionary-3.2", ">>>${recipient}", begin=">>>", after="\n")
FUNCTIONARY_2 = Functionary(
    "functionary-2", "<|recipient|>", begin="<|recipient|>", after="\n<|content|>",
    between="<|stop|>\n<|from|>assistant\n", ends=("<|stop|>", "<|from|>assistant\n"),
)  # fmt: skip
