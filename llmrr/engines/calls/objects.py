"""Calls that are objects of JSON: one, or several in an array."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from llmrr.engines.calls import pythonic
from llmrr.engines.calls.base import (
    DECODER,
    MORE,
    NONE,
    Begun,
    Found,
    Reading,
    Rest,
    call_of,
    closing,
    skip,
)
from llmrr.engines.calls.bodies import Json
from llmrr.types import Tool

_ARGUMENTS: Final = ("arguments", "parameters", "args")
# How an object begins that may be a call, without its spaces.
_HEADS: Final = ('{"name":', '{"type":"function"', '{"function":', '{"parameters":',
                 '{"arguments":', '{"id":')  # fmt: skip
_GIVEN: Final = (*_ARGUMENTS, "function")  # without any of them a bare object is no call
_NAMED = re.compile(r'\{\s*"(?:tool_)?name"\s*:\s*"([^"\\]*)"')
_JSON = re.compile(r'\{\s*["}]')
_PYTHON = re.compile(r"\{\s*'")


def read(
    text: str, at: int, tools: Mapping[str, Tool], *, known: bool, last: bool
) -> Reading:
    """The object, or the array of them, that begins at ``at``: whether its first one is a call
    decides. ``known``: only of tools that there are."""
    if text[at] != "[":
        return _call(text, at, tools, None, known=known, last=last)
    at = skip(text, at + 1)
    if at == len(text):
        return NONE if last else MORE
    return _call(text, at, tools, InArray(known), known=known, last=last)


def bare(text: str, at: int, tools: Mapping[str, Tool], *, last: bool) -> Reading:
    """The call that an object or an array without any tag is; its tool must be one that there is.
    """
    seen = re.sub(r"\s+", "", text[at : at + 200]).removeprefix("[")
    if not any(seen.startswith(one) or one.startswith(seen) for one in _HEADS):
        return NONE
    return read(text, at, tools, known=True, last=last)


def _call(
    text: str, at: int, tools: Mapping[str, Tool], rest: Rest | None, *, known: bool, last: bool
) -> Reading:
    """A call. It has begun with its arguments, where its name stands before them, as nearly always;
    else it is read when it is complete."""
    if text[at] != "{":
        return NONE
    named = _NAMED.match(text, at)
    if known and named and named[1] not in tools:
        return NONE
    head = _head(text, at, tools)
    if head and known and head.name not in tools:
        return NONE
    begun = head and Begun(head.name, head.at, Json(), head.id, InObject(rest))
    if begun and _JSON.match(text, begun.end):
        return begun
    broken = NONE if begun is None or known else begun
    end = pythonic.ending(text, at) if _PYTHON.match(text, at) else closing(text, at)
    if end is None:
        return broken if last else MORE
    said = call_of(text[at:end]) or pythonic.call_of(text[at:end])
    if said is None:
        return broken
    if known and (said.name not in tools or not any(f'"{one}"' in text[at:end] for one in _GIVEN)):
        return NONE
    return Found((said,), end, rest=rest)


class _Head(NamedTuple):
    """What stands before the arguments of a call, which begin at ``at``."""

    name: str
    at: int
    id: str | None


def _head(text: str, at: int, tools: Mapping[str, Tool]) -> _Head | None:
    """The beginning of an object up to its arguments; None where it is not complete, or another
    one: without a name in it, or with arguments that are no object. The name of a tool may be their
    key."""
    found: dict[str, object] = {}
    try:
        at = skip(text, at + 1)
        while True:
            key, at = DECODER.raw_decode(text, at)
            at = skip(text, at)
            if text[at] != ":" or key in ("function", *found):
                return None
            at = skip(text, at + 1)
            if key in tools and not found and text[at] == "{":
                return _Head(key, at, None)
            if key in _ARGUMENTS:
                name, identifier = found.get("name", found.get("tool_name")), found.get("id")
                if not (isinstance(name, str) and name and text[at] == "{"):
                    return None
                return _Head(name, at, identifier if isinstance(identifier, str) else None)
            found[key], at = DECODER.raw_decode(text, at)
            at = skip(text, at)
            if text[at] != ",":
                return None
            at = skip(text, at + 1)
    except (ValueError, IndexError, TypeError, RecursionError):
        return None


class InObject(NamedTuple):
    """Behind the arguments of a call, in its object; ``rest`` is what follows that."""

    rest: Rest | None

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        """Up to the end of the object; what else stands in it is of no use."""
        at = skip(text, 0)
        if text[at : at + 1] not in ("}", ",", ""):
            return NONE
        end = closing("{" + text)
        if end is None:
            return Found((), len(text)) if last else MORE
        return Found((), end - 1, rest=self.rest)


class InArray(NamedTuple):
    """Behind the object of a call, in an array of them."""

    known: bool

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        """The next call, or the end of all."""
        at = skip(text, 0)
        if text[at : at + 1] == "]":
            return Found((), at + 1)
        if text[at : at + 1] not in (",", ""):
            return NONE
        at = skip(text, at + 1)
        if at >= len(text):
            return Found((), len(text)) if last else MORE
        found = _call(text, at, tools, self, known=self.known, last=last)
        if found is NONE and last and text[at] == "{" and closing(text, at) is None:
            return Found((), len(text))
        return found
