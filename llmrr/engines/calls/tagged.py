"""Calls that are JSON behind a tag: Hermes and Qwen, and those that do it with another tag."""

from collections.abc import Collection, Mapping
from typing import Final

from llmrr.engines.calls import objects
from llmrr.engines.calls.base import (
    ANY_OBJECT,
    MORE,
    NONE,
    Found,
    Reading,
    Said,
    Syntax,
    call_of,
    elements,
    skip,
)
from llmrr.engines.calls.grammar import Rules
from llmrr.types import Tool, ToolCall

KEYS: Final = ("name", "arguments")


class Tagged(Syntax):
    """``open``, or the ``other`` mark that some write, then one call as an object, or with
    ``listed`` several in an array, then ``close``; ``space`` stands inside the tags. Objects and
    arrays are both read, of ``keys`` for the name and what is given, or any usual ones."""

    lazy = True

    def __init__(
        self, name: str, *signs: tuple[str, ...], open: str, close: str = "", space: str = "",
        listed: bool = False, interrupts: bool = False, keys: tuple[str, str] = KEYS,
        other: str = "",
    ) -> None:  # fmt: skip
        self.keys = keys
        self.name, self.signs, self.interrupts = name, signs, interrupts
        self.open, self.close, self.space, self.listed = open, close, space, listed
        self.triggers, self.lead = (open, *filter(None, (other,))), open
        # One tag may hold several calls; what closes it is no text.
        self.following = ("{", "[", ",", *filter(None, (close,)))
        self.marks = (open, close) if close else (open,)

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        if self.close and text.startswith(self.close):  # of the call before
            return Found((), len(self.close))
        tag = next(filter(text.startswith, (*self.triggers, ",")), "")
        tagged, at = tag not in ("", ","), skip(text, len(tag))
        if at == len(text):
            return NONE if last else MORE
        return objects.read(text, at, tools, known=not tagged, last=last)

    def call(self, rules: Rules, tool: Tool) -> str:
        begin = rules.text(head(tool.name, *self.keys))
        inner = f'{begin} {parameters(rules, tool)} {rules.text("}")}'
        if self.listed:
            return inner
        end = rules.text(self.space + self.close)
        return f"{rules.begin(self.open + self.space)} {inner} {end}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        between = rules.text(", " if self.listed else "\n")
        inner = f"{first} ({between} {more})*" if more else first
        if not self.listed:
            return inner
        begin, end = rules.begin(self.open + self.space + "["), rules.text("]" + self.close)
        return f"{begin} {inner} {end}"

    def written(self, calls: Collection[ToolCall]) -> str:
        said = [f"{head(one.name, *self.keys)}{one.arguments or '{}'}}}" for one in calls]
        if self.listed:
            return f"{self.open}{self.space}[{', '.join(said)}]{self.close}"
        return "\n".join(f"{self.open}{self.space}{one}{self.space}{self.close}" for one in said)


def head(name: str, named: str = "name", given: str = "arguments") -> str:
    """How the object of a call begins, with its keys for the name and what is given; without them
    the name is the key.

    >>> head("now")
    '{"name": "now", "arguments": '
    """
    from json import dumps

    if not named:
        return f"{{{dumps(name, ensure_ascii=False)}: "
    return f'{{"{named}": {dumps(name, ensure_ascii=False)}, "{given}": '


def parameters(rules: Rules, tool: Tool) -> str:
    """The rule of the arguments of a tool."""
    return rules.json({**ANY_OBJECT, **tool.parameters})


def listed_calls(text: str) -> list[Said] | None:
    """The calls of an object, or of an array of them; None where one is none."""
    parts = elements(text) if text.startswith("[") else [text]
    said = [call_of(one) for one in parts or ()]
    found = [one for one in said if one is not None]
    return found if found and len(found) == len(said) else None


HERMES = Tagged("hermes", ("<tool_call>",), open="<tool_call>", close="</tool_call>", space="\n",
                interrupts=True)  # fmt: skip
GRANITE = Tagged("granite", ("<|tool_call|>",), open="<|tool_call|>", listed=True)
NEMOTRON = Tagged("nemotron", ("<TOOLCALL>",), open="<TOOLCALL>", close="</TOOLCALL>", listed=True)
MINIMAX = Tagged("minimax-m1", ("<tool_calls>",), open="<tool_calls>", close="</tool_calls>",
                 space="\n")  # fmt: skip
PHI_4 = Tagged("phi-4", ("<|tool|>", "<|/tool|>"), ("functools[",), open="<|tool_call|>",
               close="<|/tool_call|>", listed=True, other="functools")  # fmt: skip
COHERE = Tagged("command-r7b", ("<|START_ACTION|>",), open="<|START_ACTION|>",
                close="<|END_ACTION|>", listed=True, keys=("tool_name", "parameters"))  # fmt: skip
APERTUS = Tagged("apertus", ("<|tools_prefix|>",), open="<|tools_prefix|>",
                 close="<|tools_suffix|>", listed=True, keys=("", ""))  # fmt: skip
GIGACHAT = Tagged("gigachat-3.1", ("<|function_call|>",), open="<|function_call|>")
GIGACHAT_3 = Tagged("gigachat-3", ("function call", "<|role_sep|>"),
                    open="<|message_sep|>\n\nfunction call<|role_sep|>\n")  # fmt: skip
INTERNLM = Tagged("internlm-2", ("<|action_start|>", "<|plugin|>"), space="\n",
                  open="<|action_start|><|plugin|>", close="<|action_end|>",
                  keys=("name", "parameters"))  # fmt: skip
APRIEL = Tagged("apriel", ("<tool_calls>[",), open="<tool_calls>", close="</tool_calls>",
                listed=True)  # fmt: skip
