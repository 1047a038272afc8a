"""Calls whose name and whose parameters are attributes of elements: MiniMax, DeepSeek since 3.2 and
MiniCPM 5."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llmrr.engines.calls.base import ANY_OBJECT, Syntax, members, value_of
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.markup import RAW, Elements, Tags, first_required, value_rule
from llmrr.engines.calls.schemas import kinds_of
from llmrr.types import Tool, ToolCall


class Invoke(Elements):
    """``<invoke name="NAME">`` with an element for each parameter; all calls inside one element
    ``tag``, where there is one. ``typed``: a parameter says whether it is a string. ``line`` stands
    between the elements."""

    def __init__(
        self, name: str, *signs: tuple[str, ...], tag: str, tags: Tags, typed: bool = False,
        line: str = "\n",
    ) -> None:  # fmt: skip
        super().__init__(name, *signs, tag=tag, tags=tags)
        self._typed, self._line = typed, line

    def call(self, rules: Rules, tool: Tool) -> str:
        schema = {**ANY_OBJECT, **tool.parameters}
        required = schema.get("required") or ()
        begin = f'{self.tags.function}"{tool.name}">{self._line}'
        parts = [rules.text(begin) if self.open else rules.begin(begin)]
        for key, about in first_required(schema):
            each = " | ".join(
                f"{rules.text(self._head(key, one))} "
                + value_rule(rules, one, schema, "", self.tags.closed)
                for one in (_parted(about) if self._typed else (about,))
            )
            part = f"({each}) {rules.text(self._line)}"
            parts.append(part if key in required else f"({part})?")
        return " ".join([*parts, rules.text(self.tags.end)])

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        inner = Syntax.calls(self, rules, first, more and f"{rules.text(chr(10))} {more}")
        if not self.open:
            return inner
        begin, end = rules.begin(f"{self.open}\n"), rules.text(f"\n{self.close}")
        return f"{begin} {inner} {end}"

    def written(self, calls: Collection[ToolCall]) -> str:
        inner = "\n".join(map(self._written, calls))
        return f"{self.open}\n{inner}\n{self.close}" if self.open else inner

    def _written(self, call: ToolCall) -> str:
        given = members(call.arguments) or {}
        parts = "".join(self._element(*pair) + self._line for pair in given.items())
        return f'{self.tags.function}"{call.name}">{self._line}{parts}{self.tags.end}'

    def _element(self, key: str, value: str) -> str:
        read = value_of(value)
        is_string = isinstance(read, str)
        about = {"type": "string" if is_string else "object"}
        said = read if is_string else value
        if self.tags.raw and re.search(r"[<&\n]", said):
            said = said.join(RAW)
        return f"{self._head(key, about)}{said}{self.tags.closed}"

    def _head(self, key: str, about: Any) -> str:
        """The tag that opens a parameter."""
        known: Mapping[str, Any] = about if isinstance(about, Mapping) else {}
        words = any(isinstance(one, str) for one in known.get("enum") or ())
        is_string = "true" if words or "string" in kinds_of(known) else "false"
        kind = f' string="{is_string}"' if self._typed else ""
        return f'{self.tags.parameter}"{key}"{kind}>'


def _parted(about: Any) -> Sequence[Any]:
    """The schema; of one with strings among other words these and the others."""
    words = (about.get("enum") or ()) if isinstance(about, Mapping) else ()
    strings = [one for one in words if isinstance(one, str)]
    others = [one for one in words if not isinstance(one, str)]
    parts = (strings, others) if strings and others else ()
    return [{**about, "enum": one} for one in parts] or [about]


def _dsml(name: str, tag: str) -> Invoke:
    """Those of DeepSeek, whose tags hold a token of its own."""
    mark = "\uff5cDSML\uff5c"
    tags = Tags(f"<{mark}invoke name=", f"</{mark}invoke>", f"<{mark}parameter name=",
                f"</{mark}parameter>", quoted=True, tight=True)  # fmt: skip
    signs = (mark, f"{tag}>")
    return Invoke(name, signs, tag=f"{mark}{tag}", tags=tags, typed=True)


MINIMAX_2 = Invoke(
    "minimax-m2", ("<minimax:tool_call>", "<invoke name="), tag="minimax:tool_call",
    tags=Tags("<invoke name=", "</invoke>", "<parameter name=", "</parameter>", quoted=True,
              tight=True),
)  # fmt: skip
DEEPSEEK_32 = _dsml("deepseek-v3.2", "function_calls")
DEEPSEEK_4 = _dsml("deepseek-v4", "tool_calls")
MINICPM_5 = Invoke(
    "minicpm-5", ("<function name=", "<param name="), tag="", line="",
    tags=Tags("<function name=", "</function>", "<param name=", "</param>", quoted=True,
              tight=True, raw=True),
)  # fmt: skip
