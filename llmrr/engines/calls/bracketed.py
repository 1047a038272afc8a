"""Calls that are Python between two marks: LFM 2, and Olmo 3 with one in each line."""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

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

_NAME = re.compile(r"[^\W\d][\w.]{0,256}\(")
_PARTIAL = re.compile(r"([^\W\d][\w.]{0,256})?")


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
        inside = skip(text, at + 1) if text.startswith("[", at) else at
        if text.startswith("{", inside):
            return objects.read(text, at, tools, known=False, last=last)
        return _call(text, inside, last=last)

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


def _call(text: str, at: int, *, last: bool) -> Reading:
    found = _NAME.match(text, at)
    end = pythonic.ending(text, found.end() - 1) if found else None
    if end is None:
        begins = found or _PARTIAL.fullmatch(text, at)
        return MORE if begins and not last else NONE
    said = pythonic.calls(text[at:end])
    return Found(tuple(said), end, rest=_Next()) if said else NONE


class _Next(NamedTuple):
    """Behind a call, in the list."""

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        """The next one, or the end of the list."""
        at = skip(text, 0)
        at = skip(text, at + 1) if text.startswith(",", at) else at
        if text.startswith("]", at):
            return Found((), at + 1)
        if at == len(text):
            return Found((), at) if last else MORE
        found = _call(text, at, last=last)
        begun = _PARTIAL.fullmatch(text, at) or _NAME.match(text, at)
        return Found((), len(text)) if found is NONE and last and begun else found


def _mapping(about: object) -> Mapping[str, object]:
    return about if isinstance(about, Mapping) else {}


LFM_2 = Bracketed(
    "lfm-2", ("<|tool_call_start|>",), ("<|tool_list_start|>",),
    ("<|im_start|>", "List of tools: ["),
    open="<|tool_call_start|>", close="<|tool_call_end|>",
)  # fmt: skip
OLMO_3 = Bracketed("olmo-3", ("<function_calls>",), open="<function_calls>",
                   close="</function_calls>", lines=True)  # fmt: skip
