"""Calls of Llama 3: a JSON object that is the whole answer, or Python behind ``<|python_tag|>``."""

import re
from collections.abc import Collection, Mapping
from json import dumps
from typing import Final

from llmrr.engines.calls import objects, pythonic
from llmrr.engines.calls.base import (
    MORE,
    NONE,
    Found,
    Reading,
    Said,
    Syntax,
    skip,
)
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.markup import FUNCTION
from llmrr.engines.calls.tagged import head, parameters
from llmrr.types import Tool, ToolCall

_TAG: Final = "<|python_tag|>"
_START, _END = "<|python_start|>", "<|python_end|>"  # of Llama 4, for calls of any form
_INTERPRETERS: Final = ("python", "code_interpreter", "ipython")


class Llama(Syntax):
    """``{"name": …, "parameters": {…}}``; several one after the other, with or without ``;``."""

    name = "llama-3"
    signs = (
        (_TAG,), (_START,), ('{"name": function name, "parameters":',),
        ("<|start_header_id|>", "[func_name1(params_name1=params_value1"),
    )  # fmt: skip
    triggers = (_TAG, _START, "<function=")
    leading = ("{", "[")
    following = ("{", ";", ",", "[", _END, *FUNCTION.following)
    closers = "{}])>\":,"
    marks = (_TAG, _START, _END)

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        if text.startswith(("<function=", *FUNCTION.following)):
            return FUNCTION.read(text, tools, last=last)
        if text.startswith(_END):
            return Found((), len(_END))
        if text.startswith(_START) and _END.startswith(text[len(_START) :]) and not last:
            return MORE
        if text.startswith(_START + _END):  # some write both before an object
            return Found((), len(_START + _END))
        before = next((one for one in (_TAG, _START, ";", ",") if text.startswith(one)), "")
        tagged = before == _TAG
        at = skip(text, len(before))
        if at == len(text):
            return NONE if last else MORE
        if text[at] == "{":
            return objects.bare(text, at, tools, last=last)
        if text[at] == "[" or tagged:
            return self._python(text, at, tools, tagged=tagged, last=last)
        return NONE

    def _python(
        self, text: str, at: int, tools: Mapping[str, Tool], *, tagged: bool, last: bool
    ) -> Reading:
        """A list of calls; behind the tag also a call of what Llama has built in, or code."""
        if tagged and text[at] != "[":
            return self._behind_tag(text, at, tools, last=last)
        if not _may_list(text[at:], tools):
            return NONE
        end = pythonic.ending(text, at)
        if end is None:
            return NONE if last else MORE
        said = pythonic.calls(text[at:end])
        return Found(tuple(said), end) if said and _known(said, tools) else NONE

    def _behind_tag(
        self, text: str, at: int, tools: Mapping[str, Tool], *, last: bool
    ) -> Reading:
        if not last:  # code may go on to the end
            return MORE
        written = text[at:].strip()
        said = pythonic.calls(re.sub(r"^(\w+)\.call\(", r"\1(", written))
        if said and _known(said, tools):
            return Found(tuple(said), len(text))
        name = next((one for one in _INTERPRETERS if one in tools), None)
        if name is None or not written:
            return NONE
        code = dumps({"code": written}, ensure_ascii=False)
        return Found((Said(name, code),), len(text))

    def call(self, rules: Rules, tool: Tool) -> str:
        begin = rules.text(head(tool.name, given="parameters"))
        return f'{begin} {parameters(rules, tool)} {rules.text("}")}'

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        return f"{first} ({rules.text('; ')} {more})*" if more else first

    def written(self, calls: Collection[ToolCall]) -> str:
        return "; ".join(f"{head(one.name, given='parameters')}{one.arguments or '{}'}}}"
                         for one in calls)  # fmt: skip


def _may_list(text: str, tools: Mapping[str, Tool]) -> bool:
    """May this be a list of calls? It begins with a tool's name."""
    bare = text[1:].lstrip()
    return any(bare.startswith(f"{one}(") or f"{one}(".startswith(bare) for one in tools)


def _known(said: list[Said], tools: Mapping[str, Tool]) -> bool:
    return all(one.name in tools for one in said)


LLAMA = Llama()
