"""What a way of writing calls of tools is, and how JSON is read that may not be complete yet."""

import re
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from json import JSONDecoder, dumps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from llmrr.types import Tool, ToolCall

if TYPE_CHECKING:
    from llmrr.engines.calls.grammar import Rules

ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}


class Said(NamedTuple):
    """A call as a model wrote it; ``arguments`` is the JSON text of an object."""

    name: str
    arguments: str
    id: str | None = None


class Step(NamedTuple):
    """How far the arguments of a call were read: the ``piece`` of them that is certain now, how
    much of the text that ``used``, and whether no more of them comes."""

    piece: str
    used: int
    ended: bool = False


class Body(Protocol):
    """Reads the arguments of one call as they come. The same pieces in all come of it, however the
    text is cut; what is no argument ends them."""

    def read(self, text: str, *, last: bool) -> Step:
        """The pieces in a text that begins where the one before was ``used``."""


class Rest(Protocol):
    """Reads what stands behind a call and belongs to it, and the calls that follow in there."""

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> "Reading":
        """What a text holds that begins there; NONE where it is none of that."""


class Found(NamedTuple):
    """What stands at the beginning of a text, up to ``end``: calls, or what is no text of the
    answer; ``reasoning`` is what is thought there, and ``rest`` reads what follows. With ``parts``
    the words that follow are another message than those before."""

    calls: tuple[Said, ...]
    end: int
    reasoning: str = ""
    rest: Rest | None = None
    parts: bool = False


class Begun(NamedTuple):
    """A call that stands at the beginning of a text, whatever follows; from ``end`` on ``body``
    reads its arguments, and behind those ``rest`` the rest."""

    name: str
    end: int
    body: Body
    id: str | None = None
    rest: Rest | None = None


class Verdict(Enum):
    """That no call is found: more must come first, or there is none."""

    MORE = "more"
    NONE = "none"


MORE, NONE = Verdict.MORE, Verdict.NONE
Reading = Found | Begun | Verdict


class Syntax:
    """How a family of models writes calls.

    ``signs`` are texts that a chat template of the family contains, all of one tuple. A call begins
    with one of ``triggers`` wherever that stands, with one of ``leading`` where the answer begins,
    and with one of ``following`` behind another call. ``closers`` are the characters of which one
    must come before anything is decided. ``marks`` are the control tokens inside. ``always``: also
    an answer without tools is written in this way. ``opened`` is how a prompt ends that begins what
    the family writes; ``lead`` is what its calls begin with in a grammar,
    and ``addressed`` what stands before words. ``lazy``: behind its ``lead`` a model is held to
    calls also where nobody asked for that; it is for families whose grammar allows what their
    models write anyway, apart from what is wrong. ``interrupts``: a call in a block of reasoning
    ends that, as models of the family forget to.
    """

    name: str
    signs: tuple[tuple[str, ...], ...] = ()
    triggers: tuple[str, ...] = ()
    leading: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    closers: str = '{}])>"'
    marks: tuple[str, ...] = ()
    always: bool = False
    opened: str | None = None
    lead: str = ""
    addressed: str = ""
    lazy: bool = False
    interrupts: bool = False

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        """What a text holds that begins where a call may; ``last``: nothing more will come. What
        is decided of a text holds for whatever follows it."""
        raise NotImplementedError

    def call(self, rules: "Rules", tool: Tool) -> str:
        """The Lark expression of a call of a tool."""
        raise NotImplementedError

    def calls(self, rules: "Rules", first: str, more: str | None) -> str:
        """The Lark expression of all that is written for calls: the ``first``, and where there may
        be ``more``, those."""
        return f"{first} ({more})*" if more else first

    def words(self, rules: "Rules", words: str) -> str:
        """The Lark expression of an answer that calls nothing, around its ``words``."""
        return words

    def before(self, rules: "Rules") -> str | None:
        """The Lark expression of words that stand before a call, up to and with its ``lead``; None
        where there can be none."""
        return rules.until(self.lead) if self.lead else None

    def written(self, calls: Collection[ToolCall]) -> str:
        """Calls, for a template that knows of none and for a prompt that explains them."""
        raise NotImplementedError

    def needs(self, token: str) -> bool:
        """Must this control token reach what reads the calls?"""
        return bool(token) and any(
            token in mark for mark in (*self.marks, *self.triggers, *self.leading)
        )


# -- JSON --------------------------------------------------------------------------------------

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]"]', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")


def _no_json(name: str) -> None:
    raise ValueError(name)


# A model writes a line break into a string as it is; NaN is no JSON.
DECODER = JSONDecoder(strict=False, parse_constant=_no_json)
_STRICT = JSONDecoder()


def closing(text: str, at: int = 0) -> int | None:
    """Where the object or array that begins at ``at`` ends; None where it does not yet.

    >>> closing('{"a": "}"} and'), closing('[{"a": 1}')
    (10, None)
    """
    depth = 0
    for found in _STRUCTURE.finditer(text, at):
        mark = found.group()
        if mark == '"':
            return None
        if mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
            if depth <= 0:
                return found.end()
    return None


def skip(text: str, at: int) -> int:
    """Where what is no space begins."""
    found = _SPACE.match(text, at)
    assert found
    return found.end()


def members(text: str) -> dict[str, str] | None:
    """The members of an object, each with its JSON text as it stands there; None for what is no
    object.

    >>> members('{"name": "f", "arguments": {"a":1.0}}')
    {'name': '"f"', 'arguments': '{"a":1.0}'}
    """
    try:
        return dict(_members(text))
    except (ValueError, IndexError, RecursionError):
        return None


def elements(text: str) -> list[str] | None:
    """The same of an array."""
    try:
        return list(_elements(text))
    except (ValueError, IndexError, RecursionError):
        return None


def value_of(text: str | None) -> Any:
    """The value of a JSON text that ``members`` gave."""
    return None if text is None else DECODER.decode(text)


def _members(text: str) -> Iterator[tuple[str, str]]:
    at = skip(text, _past(text, 0, "{"))
    if text[at] == "}":
        return _ended(text, at)
    while True:
        key, at = DECODER.raw_decode(text, at)
        if not isinstance(key, str):
            raise ValueError
        value, at = _value(text, skip(text, _past(text, skip(text, at), ":")))
        yield key, value
        at = skip(text, at)
        if text[at] == "}":
            return _ended(text, at)
        at = skip(text, _past(text, at, ","))


def _elements(text: str) -> Iterator[str]:
    at = skip(text, _past(text, 0, "["))
    if text[at] == "]":
        return _ended(text, at)
    while True:
        value, at = _value(text, at)
        yield value
        at = skip(text, at)
        if text[at] == "]":
            return _ended(text, at)
        at = skip(text, _past(text, at, ","))


def _value(text: str, at: int) -> tuple[str, int]:
    """The JSON text of a value, and where it ends."""
    value, end = DECODER.raw_decode(text, at)
    try:
        _STRICT.raw_decode(text, at)
    except ValueError:
        return dumps(value, ensure_ascii=False), end
    return text[at:end], end


def _past(text: str, at: int, mark: str) -> int:
    if text[at] != mark:
        raise ValueError
    return at + 1


def _ended(text: str, at: int) -> None:
    if text[at + 1 :].strip():
        raise ValueError


def arguments(text: str | None) -> str | None:
    """The JSON text of the arguments, from what stands in their place: nothing, an object, or its
    text as a string; None for anything else.

    >>> arguments(None), arguments('"{\\\\"a\\\\": 1}"'), arguments("[1]")
    ('{}', '{"a": 1}', None)
    """
    if text is None or text == "null":
        return "{}"
    if text.startswith('"'):
        text = str(value_of(text)).strip() or "{}"
    return text if members(text) is not None else None


def call_of(text: str) -> Said | None:
    """The call that an object is, by the names that models give to its parts; None for none.

    >>> call_of('{"type": "function", "name": "f", "parameters": {"a": 1}}')
    Said(name='f', arguments='{"a": 1}', id=None)
    """
    found = members(text)
    if found is None:
        return None
    inner = found.get("function", "")
    if inner.startswith("{"):
        found = {**found, **(members(inner) or {})}
    elif inner.startswith('"'):
        found.setdefault("name", inner)
    found.setdefault("name", found.get("tool_name", '""'))
    name, identifier = (_text(found.get(key)) for key in ("name", "id"))
    given = next((found[key] for key in ("arguments", "parameters", "args") if key in found), None)
    said = arguments(given)
    return Said(name, said, identifier) if name and said is not None else None


def _text(found: str | None) -> str | None:
    value = value_of(found)
    return value if isinstance(value, str) else None
