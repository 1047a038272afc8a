"""Calls whose arguments are elements of their own, as Qwen3-Coder and its likes write them; and a
function's tag around JSON, which Functionary 3.1 writes, and Llama at times."""

import re
from collections.abc import Collection, Iterator, Mapping
from json import dumps
from typing import Any, Final

from llmrr.engines.calls.base import (
    ANY_OBJECT,
    MORE,
    NONE,
    Begun,
    Found,
    Reading,
    Syntax,
    members,
    skip,
    value_of,
)
from llmrr.engines.calls.bodies import Entries, Json, Value
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.schemas import kinds_of
from llmrr.engines.text import settled
from llmrr.types import Tool, ToolCall

_LONGEST_NAME: Final = 256
_LINE: Final = "\n"
_PARAMETER = re.compile(r"<parameter=([^<>\n]+)>\n?")
_END: Final = "</function>"
_NEXT: Final = ("<parameter=", _END)
_CLOSED: Final = "</parameter>"


class Parameters(Entries):
    """``<parameter=KEY>``, a value that may have a line break around it, ``</parameter>``. The
    value may hold the closing tag itself: it ends where the next one begins, or the end of all."""

    close = _END

    def key(self, text: str, at: int) -> tuple[str, int] | None:
        """With the line break behind it."""
        found = _PARAMETER.match(text, at)
        return (found[1].strip(), found.end()) if found else None

    def value(self, text: str) -> Value:
        """Without the line break before its closing tag."""
        at = 0
        while (end := text.find(_CLOSED, at)) >= 0:
            after = skip(text, end + len(_CLOSED))
            inside = len(text[:end].removesuffix(_LINE))
            if text.startswith(_NEXT, after):
                return Value(inside, after)
            if any(one.startswith(text[after:]) for one in _NEXT):
                return Value(inside, closed=True)
            at = end + len(_CLOSED)
        return Value(settled(text, (_LINE + _CLOSED, _CLOSED)))

    def may_go_on(self, rest: str) -> bool:
        """A name has no end."""
        if rest.startswith("<parameter="):
            return len(rest) <= _LONGEST_NAME and not re.search(r"[<>\n]", rest[1:])
        return any(one.startswith(rest) for one in _NEXT)


class Elements(Syntax):
    """``<function=NAME>`` with an element for each parameter, inside an element ``tag``."""

    closers = "{>"

    def __init__(self, name: str, *signs: tuple[str, ...], tag: str) -> None:
        self.name, self.signs = name, signs
        self.open, self.close = f"<{tag}>", f"</{tag}>"
        self.triggers = (self.open, "<function=")
        self.following = (self.close, _END)
        self.marks, self.lead = (self.open, self.close), self.open
        self._opening = re.compile(rf"(?:{re.escape(self.open)}\s*)?<function=([^<>\n]+)>\s*")

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        for end in self.following:  # of the call before
            if text.startswith(end):
                return Found((), len(end))
        found = self._opening.match(text)
        if not found:
            return NONE if last or not _may_open(text.removeprefix(self.open)) else MORE
        name, at = found[1].strip(), found.end()
        if text.startswith("{", at):
            return Begun(name, at, Json())
        if text.startswith(_END, at) or _PARAMETER.match(text, at):
            return Begun(name, at, Parameters(tools.get(name)))
        return NONE if last or not Parameters(None).may_go_on(text[at:]) else MORE

    def call(self, rules: Rules, tool: Tool) -> str:
        schema = {**ANY_OBJECT, **tool.parameters}
        required = schema.get("required") or ()
        parts = [rules.begin(f"{self.open}\n<function={tool.name}>\n")]
        for key, about in first_required(schema):
            value = value_rule(rules, about, schema, "\n", "</parameter>")
            part = f"{rules.text(f'<parameter={key}>{_LINE}')} {value} {rules.text(_LINE)}"
            parts.append(part if key in required else f"({part})?")
        return " ".join([*parts, rules.text(f"</function>\n{self.close}")])

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        return f"{first} ({rules.text(_LINE)} {more})*" if more else first

    def written(self, calls: Collection[ToolCall]) -> str:
        def element(key: str, value: str) -> str:
            read = value_of(value)
            return f"<parameter={key}>\n{read if isinstance(read, str) else value}\n</parameter>\n"

        return "\n".join(
            f"{self.open}\n<function={one.name}>\n"
            + "".join(element(*pair) for pair in (members(one.arguments) or {}).items())
            + f"</function>\n{self.close}"
            for one in calls
        )


class Function(Elements):
    """``<function=NAME>{…}</function>``."""

    lazy = True

    def __init__(self) -> None:
        super().__init__("functionary-3.1", ("<function=",), tag="function")
        self.triggers, self.following, self.marks = ("<function=",), (_END,), ()
        self.lead = "<function="

    def call(self, rules: Rules, tool: Tool) -> str:
        schema = rules.json({**ANY_OBJECT, **tool.parameters})
        return f"{rules.begin(f'<function={tool.name}>')} {schema} {rules.text(_END)}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        return Syntax.calls(self, rules, first, more)

    def written(self, calls: Collection[ToolCall]) -> str:
        return "".join(f"<function={one.name}>{one.arguments or '{}'}{_END}" for one in calls)


def _may_open(text: str) -> bool:
    """May this become the beginning of a function?"""
    bare = text.lstrip()
    inside = bare.removeprefix("<function=")
    if inside != bare:
        return len(inside) <= _LONGEST_NAME and not re.search(r"[<>\n]", inside)
    return "<function=".startswith(bare)


def first_required(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The properties, those that must be there first."""
    found = dict(schema.get("properties") or {})
    for key in schema.get("required") or ():
        yield key, found.pop(key, {})
    yield from found.items()


def value_rule(
    rules: Rules, about: Any, root: Mapping[str, Any], space: str, end: str
) -> str:
    """The rule of a value up to the end of its element, with ``space`` before that."""
    known: Mapping[str, Any] = about if isinstance(about, Mapping) else {}
    if "string" in kinds_of(known) and "enum" not in known:
        return rules.until(end)
    if known.get("enum") and any(isinstance(one, str) for one in known["enum"]):
        words = " | ".join(
            rules.text(one if isinstance(one, str) else dumps(one)) for one in known["enum"]
        )
        return f"({words}) {rules.text(space + end)}"
    shared = {key: root[key] for key in ("$defs", "definitions") if key in root}
    return f"{rules.json({**known, **shared})} {rules.text(space + end)}"


_SIGNS: Final = ("<function=", "<parameter=")
ELEMENTS = Elements("qwen3-coder", _SIGNS, tag="tool_call")
SEED = Elements("seed-oss", ("<seed:tool_call>",), tag="seed:tool_call")
FUNCTION = Function()
