"""What is right, as a line of a set states it."""

import json
from collections.abc import Mapping
from typing import Any, Final, get_args

from llmrr.errors import UsageError, nearest
from llmrr.evaluate import patterns
from llmrr.evaluate.judging import MATCHES, Expected, Match, numbers

ANSWERING: Final = ("expected", "answer", "ideal")


class Wrong(Exception):
    """What is wrong with a line, and perhaps what mends it."""


def expected_of(
    facts: Mapping[str, Any], choices: tuple[str, ...], default: Match | None
) -> Expected:
    """What a line expects; ``default`` is how it is matched where it neither says so nor shows it.
    Raises ``Wrong``."""
    key = next((one for one in ANSWERING if facts.get(one) is not None), None)
    if key is None:
        raise Wrong(f"expects nothing: it has no {missing('expected', facts)}")
    values = facts[key] if isinstance(facts[key], list) else [facts[key]]
    if not values:
        raise Wrong(f'has an empty list as "{key}"')
    match = _match(facts.get("match"), values, bool(choices), default)
    if match == "choice" and not choices:
        raise Wrong("is matched by choice, and has no choices")
    read = tuple(_value(match, one, choices) for one in values)
    tolerance = _tolerance(facts.get("tolerance"), read) if match == "number" else None
    return Expected(match, read, tolerance, choices, flag(facts, "subset"))


def _match(
    stated: Any, values: list[Any], has_choices: bool, default: Match | None
) -> Match:
    if stated is not None:
        return match_named(stated)
    if has_choices:
        return "choice"
    if default is not None:
        return default
    if any(isinstance(one, dict | list) for one in values):
        return "json"
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return "number"
    return "contains"


def match_named(name: Any) -> Match:
    """A way of matching by its name. Raises ``UsageError``."""
    for one in get_args(Match):
        if name == one:
            known: Match = one
            return known
    near = nearest(str(name), MATCHES)
    hint = f"did you mean {near}?" if near else f"one of {', '.join(MATCHES)}"
    raise UsageError(f'there is no match "{name}"', hint)


def _value(match: Match, value: Any, choices: tuple[str, ...]) -> Any:
    if match == "json":
        return _json(value)
    if match == "number":
        return _number(value)
    if match == "choice":
        return _index(value, choices)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Wrong(f"expects what is no text: {short(value)}")
    text = str(value)
    if not text.strip() and match != "exact":
        raise Wrong("expects an empty text, which is in every answer")
    if match == "regex" and (why := patterns.check(text)):
        raise Wrong(f'expects "{short(text)}", which is no pattern: {why}')
    return text


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # a JSON string


def _number(value: Any) -> float:
    """The number itself, or the last one of a text: "… #### 72"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = numbers(value) if isinstance(value, str) else []
    if not found:
        raise Wrong(f"expects what is no number: {short(value)}")
    return found[-1]


def _index(value: Any, choices: tuple[str, ...]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return value
    if isinstance(value, str):
        if value in choices:
            return choices.index(value)
        at = ord(value.upper()) - ord("A") if len(value) == 1 else -1
        if 0 <= at < len(choices):
            return at
    raise Wrong(f"expects {short(value)}, which is none of its choices")


def _tolerance(stated: Any, values: tuple[float, ...]) -> float | None:
    if stated is None:
        return None
    share = isinstance(stated, str) and stated.strip().endswith("%")
    try:
        found = float(stated.strip().rstrip("%")) if isinstance(stated, str) else float(stated)
    except (TypeError, ValueError):
        raise Wrong(f"has a tolerance that is no number: {short(stated)}") from None
    if not 0 <= found < float("inf"):
        raise Wrong(f"has a tolerance below 0 or without end: {short(stated)}")
    return found / 100 * max(abs(one) for one in values) if share else found


def flag(facts: Mapping[str, Any], key: str) -> bool:
    """A key that is true or false; not stated is false. Raises ``Wrong``."""
    value = facts.get(key)
    if value not in (None, True, False):
        raise Wrong(f'has "{key}": {short(value)}, which is neither true nor false')
    return bool(value)


def missing(key: str, facts: Mapping[str, Any]) -> str:
    """A key that is not there, for people, with the one that was perhaps meant."""
    near = nearest(key, facts)
    return f'"{key}"' + (f'; did "{near}" mean it?' if near else "")


def short(value: Any) -> str:
    """A value for people."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
