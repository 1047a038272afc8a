"""Calls that are Python between two marks: LFM 2, and Olmo 3 with one in each line."""

from collections.abc import Collection, Mapping

from llmrr.engines.calls import objects, pythonic
from llmrr.engines.calls.base import (
    ANY_OBJECT,
    MORE,
    NONE,
    Found,
    Reading,
    Syntax,
    members,
    skip,
)
from llmrr.engines.calls.grammar import Rules, listed
from llmrr.engines.calls.markup import first_required
from llmrr.types import Tool, ToolCall


class Bracketed(Syntax):
    """``open``, calls of Python in a list, or with ``lines`` one after the other, ``close``. JSON
    in their place is read too, as these models write it when they are asked to."""

    def __init__(
        self, name: str, *signs: tuple[str, ...], open: str, close: str, lines: bool = False
    ) -> None:
        self.name, self.signs = name, signs
        self.open, self.close, self._lines = open, close, lines
        self.triggers, self.lead = (open,), open
        self.following = (close,)
        self.marks = (open, close)

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        if text.startswith(self.close):  # of the call before
            return Found((), len(self.close))
        at = skip(text, len(self.open))
        bare = text[at:].removeprefix("[").lstrip()
        if bare.startswith("{"):
            return objects.read(text, at, tools, known=False, last=last)
        if bare and not (bare[0].isalpha() or bare[0] == "_"):
            return NONE
        end = text.find(self.close, at)
        if end < 0 and not last:
            return MORE
        whole = text[at : end if end >= 0 else len(text)]
        said = pythonic.calls(f"[{','.join(whole.splitlines())}]" if self._lines else whole)
        return Found(tuple(said), at + len(whole)) if said else NONE

    def call(self, rules: Rules, tool: Tool) -> str:
        schema = {**ANY_OBJECT, **tool.parameters}
        required = schema.get("required") or ()
        shared: dict[str, object] = {
            key: schema[key] for key in ("$defs", "definitions") if key in schema
        }
        each = [
            f"{rules.text(f'{key}=')} {rules.json({**_mapping(about), **shared})}"
            for key, about in first_required(schema)
        ]
        inside = listed(each[: len(required)], each[len(required) :], rules.text(", "))
        return f"{rules.text(f'{tool.name}(')} {inside} {rules.text(')')}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        before, between, behind = ("\n", "\n", "\n") if self._lines else ("[", ", ", "]")
        inner = Syntax.calls(self, rules, first, more and f"{rules.text(between)} {more}")
        begin, end = rules.begin(self.open + before), rules.text(behind + self.close)
        return f"{begin} {inner} {end}"

    def written(self, calls: Collection[ToolCall]) -> str:
        said = [
            f"{one.name}({', '.join(map('='.join, (members(one.arguments) or {}).items()))})"
            for one in calls
        ]
        if self._lines:
            return "\n".join([self.open, *said, self.close])
        return f"{self.open}[{', '.join(said)}]{self.close}"


def _mapping(about: object) -> Mapping[str, object]:
    return about if isinstance(about, Mapping) else {}


LFM_2 = Bracketed(
    "lfm-2", ("<|tool_call_start|>",), ("<|tool_list_start|>",),
    ("<|im_start|>", "List of tools: ["),
    open="<|tool_call_start|>", close="<|tool_call_end|>",
)  # fmt: skip
OLMO_3 = Bracketed("olmo-3", ("<function_calls>",), open="<function_calls>",
                   close="</function_calls>", lines=True)  # fmt: skip
