"""Whether an answer that nothing here enforced is what a JSON Schema asks for.

Only what is certain is told: keywords that stand for themselves are looked at, and what they refuse
no other keyword allows. So an answer that passes may still be wrong in a finer point.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmrr.engines.schema import Schema

_IS: Final = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    and math.isfinite(value) and value == int(value),
}  # fmt: skip


def misfit(schema: Schema, text: str) -> str | None:
    """Why a text is no answer to a schema; None where nothing speaks against it.

    >>> misfit({"type": "object", "required": ["age"]}, "Ada is 36.")
    'it is no JSON'
    >>> misfit({"type": "object", "required": ["age"]}, '{"name": "Ada"}')
    'age is missing'
    >>> misfit({"properties": {"age": {"type": "integer"}}}, '{"age": "36"}')
    'age is "36", and no integer'
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "it is no JSON"
    return next(_wrong(schema, found, ""), None)


def _wrong(schema: object, value: Any, at: str) -> Iterator[str]:
    if not isinstance(schema, Mapping) or "$ref" in schema:  # older drafts read nothing beside it
        return
    where = at or "it"
    types = schema.get("type", ())
    types = [types] if isinstance(types, str) else types
    if types and all(one in _IS and not _IS[one](value) for one in types):
        yield f"{where} is {_shown(value)}, and no {' or '.join(types)}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {_shown(value)}, and none of {_shown(schema['enum'])}"
    if isinstance(value, dict):
        yield from _wrong_object(schema, value, at)
    if isinstance(value, list) and "prefixItems" not in schema:
        for number, one in enumerate(value):
            yield from _wrong(schema.get("items"), one, f"{at}[{number}]")


def _wrong_object(
    schema: Mapping[str, Any], value: Mapping[str, Any], at: str
) -> Iterator[str]:
    inside = f"{at}." if at else ""
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{inside}{name} is missing"
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties") is not False or "patternProperties" in schema
    for name, one in value.items():
        if name in properties:
            yield from _wrong(properties[name], one, f"{inside}{name}")
        elif not others:
            yield f"{inside}{name} is not in the schema"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
