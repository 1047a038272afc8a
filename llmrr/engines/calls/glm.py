"""Calls of GLM 4: the name, then keys and values in turn, each between tags."""

import re
from collections.abc import Collection, Mapping
from typing import Final

from llmrr.engines.calls.base import (
    ANY_OBJECT,
    MORE,
    NONE,
    Begun,
    Reading,
    Syntax,
    members,
    value_of,
)
from llmrr.engines.calls.bodies import Entries, Value
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.markup import first_required, value_rule
from llmrr.engines.text import settled
from llmrr.types import Tool, ToolCall

_KEY = re.compile(r"<arg_key>([^<>]{0,256})</arg_key>\s*<arg_value>")
_END: Final = "</tool_call>"
_CLOSED: Final = "</arg_value>"


class Arguments(Entries):
    """``<arg_key>KEY</arg_key>`` and ``<arg_value>VALUE</arg_value>`` in turn."""

    close = _END

    def key(self, text: str, at: int) -> tuple[str, int] | None:
        """With the tag that opens its value."""
        found = _KEY.match(text, at)
        return (found[1].strip(), found.end()) if found else None

    def value(self, text: str) -> Value:
        """Up to its tag."""
        end = text.find(_CLOSED)
        return Value(end, end + len(_CLOSED)) if end >= 0 else Value(settled(text, (_CLOSED,)))

    def may_go_on(self, rest: str) -> bool:
        """A key has no end, or its value no beginning."""
        if not rest.startswith("<arg_key>"):
            return any(one.startswith(rest) for one in ("<arg_key>", _END))
        key = re.match("[^<>]{0,256}", rest[len("<arg_key>") :])
        assert key
        tail = rest[len("<arg_key>") + key.end() :]
        behind = tail.removeprefix("</arg_key>")
        if behind == tail:
            return "</arg_key>".startswith(tail)
        return "<arg_value>".startswith(behind.lstrip())


class Pairs(Syntax):
    """``<tool_call>NAME`` with keys and values in turn."""

    name = "glm"
    signs = (("<arg_key>",),)
    triggers = ("<tool_call>",)
    lead, interrupts = "<tool_call>", True
    marks = ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>",
             "</arg_value>")  # fmt: skip
    closers = ">"

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        found = re.match(r"<tool_call>\s*([^\s<>{}]+)\s*", text)
        if not found:
            partial = re.fullmatch(r"<tool_call>\s*[^\s<>{}]*", text)
            return MORE if partial and not last else NONE
        body = Arguments(tools.get(found[1]))
        at = found.end()
        if text.startswith(_END, at) or body.key(text, at):
            return Begun(found[1], at, body)
        return MORE if not last and body.may_go_on(text[at:]) else NONE

    def call(self, rules: Rules, tool: Tool) -> str:
        schema = {**ANY_OBJECT, **tool.parameters}
        required, line = schema.get("required") or (), rules.text("\n")
        parts = [rules.begin(f"<tool_call>{tool.name}\n")]
        for key, about in first_required(schema):
            begin = rules.text(f"<arg_key>{key}</arg_key>\n<arg_value>")
            value = value_rule(rules, about, schema, "", "</arg_value>")
            part = f"{begin} {value} {line}"
            parts.append(part if key in required else f"({part})?")
        return " ".join([*parts, rules.text("</tool_call>")])

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        line = rules.text("\n")
        return f"{first} ({line} {more})*" if more else first

    def written(self, calls: Collection[ToolCall]) -> str:
        def pair(key: str, value: str) -> str:
            read = value_of(value)
            said = read if isinstance(read, str) else value
            return f"<arg_key>{key}</arg_key>\n<arg_value>{said}</arg_value>\n"

        return "\n".join(
            f"<tool_call>{one.name}\n"
            + "".join(pair(*each) for each in (members(one.arguments) or {}).items())
            + "</tool_call>"
            for one in calls
        )


PAIRS = Pairs()
