"""The arguments of a call, read as they come: JSON as it stands, and values between tags."""

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from json import dumps
from typing import Any, Final, NamedTuple

from llmrr.engines.calls import pythonic
from llmrr.engines.calls.base import Step, members, skip, value_of
from llmrr.engines.calls.schemas import kinds_of
from llmrr.types import Tool

_PLAIN = re.compile(r'[^"{}\[\]<`]+')
_QUOTED = re.compile(r'[^"\\\x00-\x1f]+')


def escaped(text: str) -> str:
    """A text as it stands in a string of JSON, without the quotes around it.

    >>> escaped('a "b"\\n')
    'a \\\\"b\\\\"\\\\n'
    """
    return dumps(text, ensure_ascii=False)[1:-1]


class Json:
    """An object of JSON as the model writes it, up to its last bracket, or to a mark that can only
    stand behind it; nobody checks it, as nobody does at OpenAI. Control characters in its strings
    are escaped, for models write a line break as it is."""

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = self._escaped = False

    def read(self, text: str, *, last: bool) -> Step:
        """All of it is certain at once."""
        at, parts = 0, []
        while at < len(text):
            run = (_QUOTED if self._quoted else _PLAIN).match(text, at)
            if run and not self._escaped:
                parts.append(run.group())
                at = run.end()
                continue
            mark = text[at]
            if not self._quoted and mark in "<`":
                return Step("".join(parts), at, True)
            at += 1
            parts.append(escaped(mark) if self._quoted and mark < " " else mark)
            if self._ends(mark):
                return Step("".join(parts), at, True)
        return Step("".join(parts), at)

    def _ends(self, mark: str) -> bool:
        """Note a quote, a backslash or a bracket; is it the last one?"""
        if self._quoted:
            self._quoted = self._escaped or mark != '"'
            self._escaped = mark == "\\" and not self._escaped
        elif mark == '"':
            self._quoted = True
        else:
            self._depth += 1 if mark in "{[" else -1
            return self._depth <= 0
        return False


class Value(NamedTuple):
    """Of a text that begins in a value so much as is certain to be of it, up to ``end``; ``after``
    is where what follows the value begins, ``None`` where that may yet go on. ``closed``: the tag
    that ends it stands there."""

    end: int
    after: int | None = None
    closed: bool = False


class Entries:
    """Keys and values between tags, up to ``close``, or where that is missing to the ``outer`` tag,
    which is left. A value that can be nothing but a string is
    told while it comes, any other one once it is complete: only then is it known what it is."""

    close: str
    outer: str = ""

    def __init__(self, tool: Tool | None) -> None:
        kinds = tool.parameters.get("properties") if tool else None
        self._schemas: Mapping[str, Any] = kinds if isinstance(kinds, Mapping) else {}
        self._before = "{"  # what is told before the next key
        self._inside = False  # a value
        self._string = False  # one that is told while it comes
        self._schema: object = None  # that of the value

    def key(self, text: str, at: int) -> tuple[str, int] | None:
        """The key that stands here, and where its value begins; None for none that is complete."""
        raise NotImplementedError

    def value(self, text: str) -> Value:
        """How far the value goes that the text begins in."""
        raise NotImplementedError

    def may_go_on(self, rest: str) -> bool:
        """May this become a key or the end of all?"""
        raise NotImplementedError

    def schema(self, key: str) -> object:
        """That of the value of the key which was read last."""
        return self._schemas.get(key)

    def read(self, text: str, *, last: bool) -> Step:
        """What is certain of them."""
        parts: list[str] = []
        at = 0
        while True:
            if self._inside:
                used = self._valued(text[at:], parts, last=last)
                at += used
                if self._inside:
                    return Step("".join(parts), at)
            bare = skip(text, at)
            for end, used in ((self.close, len(self.close)), (self.outer, 0)):
                if end and text.startswith(end, bare):
                    parts.append(self._before if self._before == "{" else "")
                    return Step("".join([*parts, "}"]), bare + used, True)
            found = self.key(text, bare)
            if found is None or (found[1] == len(text) and not last):
                ended = found is None and not self.may_go_on(text[bare:])
                return Step("".join(parts), bare if ended else at, ended)
            parts.append(self._keyed(found[0]))
            at = found[1]

    def _keyed(self, key: str) -> str:
        """A key as it is written, of a string also the quote."""
        self._schema, self._inside = self.schema(key), True
        self._string = kinds_of(self._schema) == {"string"}
        told = f"{self._before}{dumps(key, ensure_ascii=False)}: "
        self._before = ", "
        return told + '"' if self._string else told

    def _valued(self, text: str, parts: list[str], *, last: bool) -> int:
        """Tell of the value so much as is certain; how much of the text that was."""
        found = self.value(text)
        self._inside = found.after is None
        whole = not self._inside or (last and found.closed)
        if self._string:
            parts.append(escaped(text[: found.end]) + ('"' if whole else ""))
        elif whole:
            parts.append(typed(text[: found.end], self._schema))
        if found.after is not None:
            return found.after
        return len(text) if last else found.end if self._string else 0


def typed(value: str, schema: object) -> str:
    """The JSON text of what was written without quotes: a string, where the schema has one and
    nothing else that this may be, or where it is no JSON.

    >>> typed("5", {"type": "string"}), typed("5", {"type": "integer"}), typed("True", {})
    ('"5"', '5', 'true')
    """
    if isinstance(schema, Mapping) and value in (schema.get("enum") or ()):
        return dumps(value, ensure_ascii=False)
    kinds = kinds_of(schema)
    for word in _readings(value.strip(), kinds):
        found = members(f'{{"": {word}}}')
        if found is not None and list(found) == [""]:
            kind = _KINDS[type(value_of(found[""]))]
            if "string" not in kinds or kind in kinds - {"string"}:
                return found[""]
    return dumps(value, ensure_ascii=False)


def _readings(value: str, kinds: AbstractSet[str]) -> Iterator[str]:
    """The texts that are JSON if the value is any: also a word or an object of Python, and a number
    with zeros in front."""
    word = _WORDS.get(value if not kinds else value.lower(), value)
    yield word
    if kinds & {"integer", "number"} and (found := _PADDED.fullmatch(value)):
        yield found[1].replace("+", "") + found[2]
    if kinds & {"array", "object"} and (literal := pythonic.literal(value)) is not None:
        yield literal


_WORDS: Final[Mapping[str, str]] = {
    "True": "true", "False": "false", "None": "null", "none": "null",
    **{one: one for one in ("true", "false", "null")},
}  # fmt: skip
_PADDED = re.compile(r"([+-]?)0*(\d+(?:\.\d+)?)")
_KINDS: Final[Mapping[type, str]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "array",
    dict: "object", type(None): "null",
}  # fmt: skip
