"""Calls of GLM 4: the name, then keys and values in turn, each between tags."""

import re
from collections.abc import Collection, Mapping
from json import dumps
from typing import Final

from llmrr.engines.calls.base import (
    ANY_OBJECT,
    MORE,
    NONE,
    Found,
    Reading,
    Said,
    Syntax,
    members,
    value_of,
)
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.markup import first_required, typed, value_rule
from llmrr.types import Tool, ToolCall

_KEY = re.compile(r"\s*<arg_key>(.*?)</arg_key>\s*<arg_value>", re.DOTALL)


_FOLLOWS: Final = ("<arg_key>", "</tool_call>")


class Pairs(Syntax):
    """``<tool_call>NAME`` with keys and values in turn."""

    name = "glm"
    signs = (("<arg_key>",),)
    triggers = ("<tool_call>",)
    lead = "<tool_call>"
    marks = ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>",
             "</arg_value>")  # fmt: skip
    closers = ">"

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        end = text.find("</tool_call>")
        found = re.match(r"<tool_call>\s*([^\s<>{}]+)\s*", text)
        if not found:
            partial = re.fullmatch(r"<tool_call>\s*[^\s<>{}]*", text)
            return MORE if partial and not last else NONE
        rest = text[found.end() :]
        if not any(rest.startswith(one) or one.startswith(rest) for one in _FOLLOWS):
            return NONE
        if end < 0:
            return NONE if last else MORE
        name, at = found[1], found.end()
        tool = tools.get(name)
        kinds = (tool.parameters.get("properties") if tool else None) or {}
        values: dict[str, str] = {}
        while key := _KEY.match(text, at, end):
            close = text.find("</arg_value>", key.end(), end)
            if close < 0:
                return NONE
            values[key[1].strip()] = typed(text[key.end() : close], kinds.get(key[1].strip()))
            at = close + len("</arg_value>")
        if text[at:end].strip():
            return NONE
        written = (f"{dumps(key, ensure_ascii=False)}: {one}" for key, one in values.items())
        said = Said(name, f"{{{', '.join(written)}}}")
        return Found((said,), end + len("</tool_call>"))

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
