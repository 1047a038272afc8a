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
    Found,
    Reading,
    Said,
    Syntax,
    Verdict,
    arguments,
    closing,
    members,
    skip,
    value_of,
)
from llmrr.engines.calls.grammar import Rules
from llmrr.engines.calls.schemas import kinds_of
from llmrr.types import Tool, ToolCall

_LONGEST_NAME: Final = 256
_LINE: Final = "\n"
_PARAMETER = re.compile(r"<parameter=([^<>\n]+)>\n?")
_END: Final = "</function>"
_NEXT: Final = ("<parameter=", _END)


class Elements(Syntax):
    """``<function=NAME>`` with an element for each parameter, inside an element ``tag``."""

    closers = ">"

    def __init__(self, name: str, *signs: tuple[str, ...], tag: str) -> None:
        self.name, self.signs = name, signs
        self.open, self.close = f"<{tag}>", f"</{tag}>"
        self.triggers = (self.open, "<function=")
        self.following = (self.close,)
        self.marks, self.lead = (self.open, self.close), self.open
        self._opening = re.compile(rf"(?:{re.escape(self.open)}\s*)?<function=([^<>\n]+)>\s*")

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        if text.startswith(self.close):  # of the call before
            return Found((), len(self.close))
        found = self._opening.match(text)
        if not found:
            return NONE if last or not _may_open(text.removeprefix(self.open)) else MORE
        name, at = found[1].strip(), found.end()
        listed = text[at : at + 1] != "{"
        body = _elements(text, at, tools.get(name)) if listed else _json(text, at)
        if not isinstance(body, tuple):
            return NONE if last else body
        said, at = body
        return Found((Said(name, said),), at)

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

    def __init__(self) -> None:
        super().__init__("functionary-3.1", ("<function=",), tag="function")
        self.triggers, self.following, self.marks = ("<function=",), (), ()
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


def _json(text: str, at: int) -> tuple[str, int] | Verdict:
    end = closing(text, at)
    if end is None:
        return MORE
    after = skip(text, end)
    rest = text[after : after + len(_END)]
    if rest != _END:
        return MORE if _END.startswith(rest) else NONE
    said = arguments(text[at:end])
    return NONE if said is None else (said, after + len(_END))


def _elements(text: str, at: int, tool: Tool | None) -> tuple[str, int] | Verdict:
    """The arguments as JSON, and where the function ends."""
    kinds = tool.parameters.get("properties") if tool else None
    kinds = kinds if isinstance(kinds, Mapping) else {}
    values: dict[str, str] = {}
    while True:
        at = skip(text, at)
        if text.startswith(_END, at):
            written = (f"{dumps(key, ensure_ascii=False)}: {one}" for key, one in values.items())
            return f"{{{', '.join(written)}}}", at + len(_END)
        found = _PARAMETER.match(text, at)
        if not found or found.end() == len(text):
            return MORE if _may_go_on(text[at:]) else NONE
        ends = _ended(text, found.end())
        if ends is None:
            return MORE
        end, at = ends
        value = text[found.end() : end]
        values[found[1].strip()] = typed(value.removesuffix("\n"), kinds.get(found[1].strip()))


def _may_go_on(rest: str) -> bool:
    if found := _PARAMETER.match(rest):
        return found.end() == len(rest)
    if rest.startswith("<parameter="):
        return len(rest) <= _LONGEST_NAME and not re.search(r"[<>\n]", rest[1:])
    return any(one.startswith(rest) for one in _NEXT)


def _ended(text: str, at: int) -> tuple[int, int] | None:
    """Where a value ends, and what follows its element begins: the next one, or the end of all. A
    value may hold the closing tag itself."""
    mark = "</parameter>"
    while (end := text.find(mark, at)) >= 0:
        after = skip(text, end + len(mark))
        if text.startswith(_NEXT, after):
            return end, after
        if any(one.startswith(text[after:]) for one in _NEXT):
            return None
        at = end + len(mark)
    return None


def typed(value: str, schema: object) -> str:
    """The JSON text of what was written without quotes: a string, where the schema has one and
    nothing else that this may be, or where it is no JSON.

    >>> typed("5", {"type": "string"}), typed("5", {"type": "integer"}), typed("True", {})
    ('"5"', '5', 'true')
    """
    if isinstance(schema, Mapping) and value in (schema.get("enum") or ()):
        return dumps(value, ensure_ascii=False)
    kinds = kinds_of(schema)
    word = {"True": "true", "False": "false", "None": "null"}.get(value.strip(), value.strip())
    found = members(f'{{"": {word}}}')
    if found is not None and list(found) == [""]:
        kind = _KINDS[type(value_of(found[""]))]
        if "string" not in kinds or kind in kinds - {"string"}:
            return found[""]
    return dumps(value, ensure_ascii=False)


_KINDS: Final[Mapping[type, str]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "array",
    dict: "object", type(None): "null",
}  # fmt: skip


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
