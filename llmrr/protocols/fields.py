"""The values of a JSON object that came from outside, each checked and named when it is wrong."""

import binascii
import math
from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from llmrr.errors import InvalidRequest, nearest

# What says nothing of an answer: who pays, where it is noted, how it is computed; and what vLLM's
# and SGLang's clients may turn off, and is so here.
HINTS: Final = frozenset({
    "user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "prediction", "cache_prompt", "id_slot", "timings_per_token",
    "return_progress", "max_tool_calls", "previous_response_id", "stream_options", "cache_control",
    "inference_geo", "skip_special_tokens", "separate_reasoning", "stream_reasoning",
    "add_special_tokens", "spaces_between_special_tokens",
})  # fmt: skip
_USUAL: Final = ("auto", "default")
_NEAR: Final = 0.8  # how much alike two names are of which one was probably meant
_LONGEST: Final = 40  # characters of a name that is looked at so closely


class BadField(InvalidRequest):
    """A field of a request has the wrong type or value. ``param`` is its name, as it was sent,
    ``code`` a word for what is wrong, where the protocol has such."""

    def __init__(
        self, param: str, message: str, hint: str = "", *, code: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.param, self.code = param, code


class Fields:
    """A JSON object, read by name. What is null counts as absent. ``place`` stands before the
    names in errors, as ``options.``.

    >>> Fields({"top_p": 2}).number("top_p", 0, 1)
    Traceback (most recent call last):
        ...
    llmrr.protocols.fields.BadField: top_p = 2 is no number from 0 to 1
    """

    def __init__(self, given: Mapping[str, Any], place: str = "") -> None:
        self.given, self._place = given, place
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def get(self, name: str) -> Any:
        """The value as it came."""
        self._read.add(name)
        return self.given.get(name)

    def unread(self, others: Collection[str] = ()) -> tuple[str, ...]:
        """The names of what nobody here has looked at, and asks for something of an answer, or is
        nearly the name of what does. ``others`` are known, too.

        >>> Fields({"mirostat": 2, "dry_multiplier": 0, "meta_data": {}}).unread()
        ('mirostat', 'meta_data (metadata?)')
        """
        found: list[str] = []
        for name, value in self.given.items():
            if name in self._read or name in HINTS or name in others or value is None:
                continue
            known = frozenset(self._read.union(HINTS, others))
            if near := _near(name, known):
                found.append(f"{self._place}{name} ({near}?)")
            elif value and value not in _USUAL:
                found.append(self._place + name)
        return tuple(found)

    def bad(self, name: str, expected: str) -> BadField:
        """The error for a value that is not what is ``expected``."""
        full, value = self._place + name, self.given.get(name)
        if value is None:
            said = f"{full} is missing: a {expected}"
            return BadField(full, said, code="missing_required_parameter")
        shown = repr(value)
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        return BadField(full, f"{full} = {shown} is no {expected}", code="invalid_value")

    def refuse(self, name: str, why: str, hint: str = "", *, empty: bool = False) -> None:
        """Raise ``BadField`` for a value that the protocol has, and nothing here serves. What is
        null, false or empty asks for nothing; with ``empty`` what is empty does."""
        value = self.get(name)
        if value or (empty and value == {}):
            full = self._place + name
            said = f"{full} is not served here: {why}"
            raise BadField(full, said, hint, code="unsupported_parameter")

    def text(self, name: str) -> str | None:
        """A text. Raises ``BadField``, as the others do."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise self.bad(name, "text")
        return value

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def number(
        self, name: str, low: float = -math.inf, high: float = math.inf
    ) -> float | None:
        """A finite number, bounds included."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(name, "number")
        if not math.isfinite(value) or not low <= value <= high:
            raise self.bad(name, "number" + _bounds(low, high))
        return float(value)

    def whole(self, name: str, low: int, high: int | None = None) -> int | None:
        """A whole number, bounds included; 3.0 is one."""
        value = self.get(name)
        if value is None:
            return None
        is_whole = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_whole or not math.isfinite(value) or value != int(value):
            raise self.bad(name, "whole number")
        if value < low or (high is not None and value > high):
            raise self.bad(name, "whole number" + _bounds(low, math.inf if high is None else high))
        return int(value)

    def words(self, name: str, most: int | None = None) -> tuple[str, ...] | None:
        """A text, or a list of texts; empty ones are left out."""
        value = self.get(name)
        if value is None:
            return None
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self.bad(name, "text or list of texts")
        if most is not None and len(found) > most:
            raise self.bad(name, f"list of {most} at most")
        return tuple(one for one in found if one)

    def listed(self, name: str) -> Sequence[Any] | None:
        """A list."""
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise self.bad(name, "list")
        return value

    def inner(self, name: str) -> "Fields | None":
        """An object."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.bad(name, "object")
        return Fields(value, f"{self._place}{name}.")

    def one_of(self, name: str, *choices: str) -> str | None:
        """One of these words."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise self.bad(name, f"word of {', '.join(choices)}")
        return value


@lru_cache(1024)
def _near(name: str, known: frozenset[str]) -> str | None:
    """The name that was probably meant."""
    return nearest(name, known, _NEAR) if len(name) <= _LONGEST else None


def decoded(value: object, param: str) -> bytes:
    """The bytes of a base64 text; the ``data:`` of an URL may stand before it. Raises ``BadField``.

    >>> decoded("QQ==", "data"), decoded("data:image/png;base64,QQ==", "data")
    (b'A', b'A')
    """
    if not isinstance(value, str) or not value:
        raise BadField(param, f"{param} is no text", f"{param}: base64")
    try:
        text = value.partition(",")[2] if value.startswith("data:") else value
        return b64decode(text.replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise BadField(param, f"{param} holds no base64", f"{param}: base64") from None


def _bounds(low: float, high: float) -> str:
    if high == math.inf:
        return f" of {low:g} or more"
    return f" from {low:g} to {high:g}"
