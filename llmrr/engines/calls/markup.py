"""Calls whose arguments are elements of their own, as Qwen3-Coder and its likes write them; and a
function's tag around JSON, which Functionary 3.1 writes, and Llama at times."""

import re
from collections.abc import Collection, Iterator, Mapping
from json import dumps
from typing import Any, Final, NamedTuple

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
from llmrr.engines.text import first, settled
from llmrr.types import Tool, ToolCall

_LONGEST_NAME: Final = 256
_LINE: Final = "\n"
RAW: Final = ("<![CDATA[", "]]>")


class Tags(NamedTuple):
    """The elements of a call and of its parameters; with ``quoted`` their names are attributes.
    ``tight``: a line break behind a value is of it, unless one stands before it too. ``raw``: a
    value may stand in a CDATA section."""

    function: str = "<function="
    end: str = "</function>"
    parameter: str = "<parameter="
    closed: str = "</parameter>"
    quoted: bool = False
    tight: bool = False
    raw: bool = False

    def opening(self, before: str) -> "re.Pattern[str]":
        """What begins with one of the tags and names something."""
        quote, name = ('"', '[^<>"\\n]+') if self.quoted else ("", "[^<>\\n]+")
        return re.compile(f"{re.escape(before)}{quote}({name}){quote}([^<>\\n]*)>")

    def opened(self, key: str) -> str:
        """The tag that opens a parameter."""
        return f'{self.parameter}"{key}">' if self.quoted else f"{self.parameter}{key}>"

    def may_open(self, before: str, text: str) -> bool:
        """May this become such a beginning?"""
        inside = text.removeprefix(before)
        if inside == text:
            return before.startswith(text)
        return len(inside) <= _LONGEST_NAME and not re.search(r"[<>\n]", inside)


class Parameters(Entries):
    """An element for each parameter: its value may have a line break around it, and may hold the
    closing tag itself: it ends where the next one begins, or the end of all. Where the closing tag
    is missing, a line that opens another parameter of the tool ends it."""

    def __init__(self, tool: Tool | None, tags: Tags, outer: str) -> None:
        super().__init__(tool)
        self.close, self.outer, self._tags = tags.end, outer, tags
        self._next = (tags.parameter, tags.end, *filter(None, (outer,)))
        self._openings = {key: _LINE + tags.opened(key) for key in self._schemas}
        self._opening = tags.opening(tags.parameter)
        self._line = _LINE  # what may stand before the closing tag and is no value
        self._attributes = ""
        self._closed = tags.closed

    def key(self, text: str, at: int) -> tuple[str, int] | None:
        """With the line break behind it."""
        found = self._opening.match(text, at)
        if not found:
            return None
        line = _LINE if text.startswith(_LINE, found.end()) else ""
        at = found.end() + len(line)
        is_raw = self._tags.raw and text.startswith(RAW[0], at)
        if self._tags.raw and not is_raw and RAW[0].startswith(text[at:]):
            return None
        self._line = "" if is_raw else line if self._tags.tight else _LINE
        self._closed = (RAW[1] if is_raw else "") + self._tags.closed
        self._attributes = found[2]
        self._openings.pop(found[1].strip(), None)
        return found[1].strip(), at + (len(RAW[0]) if is_raw else 0)

    def value(self, text: str) -> Value:
        """Without the line break before its closing tag."""
        at, closed, openings = 0, self._closed, tuple(self._openings.values())
        opening = first(text, openings)
        while 0 <= (end := text.find(closed, at)) < (opening[0] if opening else len(text)):
            after = skip(text, end + len(closed))
            inside = len(text[:end].removesuffix(self._line))
            if text.startswith(self._next, after):
                return Value(inside, after)
            if any(one.startswith(text[after:]) for one in self._next):
                return Value(inside, closed=True)
            at = end + len(closed)
        if opening:
            return Value(opening[0], opening[0] + len(_LINE))
        return Value(settled(text, (self._line + closed, closed, *openings)))

    def may_go_on(self, rest: str) -> bool:
        """A name has no end."""
        may_end = any(one.startswith(rest) for one in (self.close, self.outer))
        return may_end or self.begins(rest) or self._tags.may_open(self._tags.parameter, rest)

    def begins(self, text: str, at: int = 0) -> bool:
        """Does a parameter begin here?"""
        return self._opening.match(text, at) is not None

    def schema(self, key: str) -> object:
        """That of the tool; what it does not have is a string, unless the model itself says that it
        is none."""
        known = super().schema(key)
        if known is not None:
            return known
        return {} if 'string="false"' in self._attributes else {"type": "string"}


class Elements(Syntax):
    """``<function=NAME>`` with an element for each parameter, inside an element ``tag`` where there
    is one."""

    closers = "{>"
    interrupts = True

    def __init__(
        self, name: str, *signs: tuple[str, ...], tag: str, tags: Tags = Tags()  # noqa: B008
    ) -> None:
        self.name, self.signs, self.tags = name, signs, tags
        self.open, self.close = (f"<{tag}>", f"</{tag}>") if tag else ("", "")
        self.triggers = (*filter(None, (self.open,)), tags.function)
        self.following = (*filter(None, (self.close,)), tags.end)
        self.marks, self.lead = (self.open, self.close) if tag else (), self.triggers[0]
        self._around = re.compile(rf"(?:{re.escape(self.open)}\s*)?")
        self._opening = tags.opening(tags.function)

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        for end in self.following:  # of the call before
            if text.startswith(end):
                return Found((), len(end))
        around = self._around.match(text)
        assert around
        found = self._opening.match(text, around.end())
        if not found:
            opens = self.tags.may_open(self.tags.function, text[around.end() :])
            return MORE if opens and not last else NONE
        name, at = found[1].strip(), skip(text, found.end())
        if text.startswith("{", at):
            return Begun(name, at, Json())
        body = Parameters(tools.get(name), self.tags, self.close)
        ends = text.startswith((self.tags.end, self.close or self.tags.end), at)
        if ends or body.begins(text, at):
            return Begun(name, at, Parameters(tools.get(name), self.tags, self.close))
        return NONE if last or not body.may_go_on(text[at:]) else MORE

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
        super().__init__("functionary-3.1", ("<function=",), tag="")

    def call(self, rules: Rules, tool: Tool) -> str:
        schema = rules.json({**ANY_OBJECT, **tool.parameters})
        return f"{rules.begin(f'<function={tool.name}>')} {schema} {rules.text(self.tags.end)}"

    def calls(self, rules: Rules, first: str, more: str | None) -> str:
        return Syntax.calls(self, rules, first, more)

    def written(self, calls: Collection[ToolCall]) -> str:
        return "".join(f"<function={one.name}>{one.arguments or '{}'}</function>" for one in calls)


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
SEED = Elements("seed-oss", ("<seed:tool_call>",), tag="seed:tool_call", tags=Tags(tight=True))
FUNCTION = Function()
