"""Calls behind ``<tool_call>``: models of one family write there what those of another do; and
small ones begin with the object that belongs there."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from llmrr.engines.calls import objects
from llmrr.engines.calls.base import MORE, NONE, Begun, Found, Reading, Syntax
from llmrr.engines.calls.glm import PAIRS
from llmrr.engines.calls.markup import ELEMENTS
from llmrr.engines.calls.tagged import HERMES
from llmrr.types import Tool

_TAG: Final = "<tool_call>"
_FAMILIES: Final[tuple[Syntax, ...]] = (HERMES, ELEMENTS, PAIRS)
_CLOSING: Final = ("</tool_call>", "</function>")


class Akin(Syntax):
    """Reads what a family writes, and of tools that there are also what others write behind the
    tag, and an object without any where the answer begins."""

    def __init__(self, own: Syntax) -> None:
        self.name, self._own = own.name, own
        self.triggers = tuple(dict.fromkeys((*own.triggers, _TAG)))
        self.leading = own.leading or ("{", "[")
        self.following = tuple(dict.fromkeys((*own.following, *_CLOSING)))
        self.closers = own.closers + "".join(one.closers for one in _FAMILIES)
        self.marks = (*own.marks, _TAG, *_CLOSING)
        self.interrupts = own.interrupts

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        if text.startswith(("{", "[")) and not self._own.leading:
            return objects.bare(text, 0, tools, last=last)
        found = NONE if self._is_other(text) else self._own.read(text, tools, last=last)
        if found is not NONE or not text.startswith((_TAG, *_CLOSING)):
            return found
        others = [
            one.read(text, tools, last=last) for one in _FAMILIES
            if one is not self._own and (one is not PAIRS or _may_name(text, tools))
        ]  # fmt: skip
        known = [one for one in others if isinstance(one, Found | Begun) and _known(one, tools)]
        return known[0] if known else MORE if MORE in others else NONE

    def _is_other(self, text: str) -> bool:
        """Does it begin with what the family itself knows nothing of?"""
        starts = (*self._own.triggers, *self._own.leading, *self._own.following)
        return text.startswith(_TAG) and not text.startswith(starts)


@lru_cache(64)
def reader(own: Syntax) -> Syntax:
    """What reads the calls of a family."""
    return own if own.always else Akin(own)


def _may_name(text: str, tools: Mapping[str, Tool]) -> bool:
    """May the tag be followed by the name of a tool?"""
    bare = text.removeprefix(_TAG).lstrip()
    return any(bare.startswith(one) or one.startswith(bare) for one in tools)


def _known(found: Found | Begun, tools: Mapping[str, Tool]) -> bool:
    if isinstance(found, Begun):
        return found.name in tools
    return all(one.name in tools for one in found.calls)
