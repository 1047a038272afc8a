"""JSON Schemas as those who write them for a model mean them."""

from collections.abc import Mapping
from typing import Any, Final

_EACH: Final = ("properties", "$defs", "definitions")  # objects of schemas
_LISTED: Final = ("anyOf", "oneOf", "prefixItems")
# What says of itself which properties there may be besides, or takes several schemas together.
_STATES: Final = ("additionalProperties", "unevaluatedProperties", "patternProperties")


def closed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema whose objects have the properties that they list and no others, unless it says so:
    llama.cpp's grammars, and so Ollama's, read it like this. One that joins schemas by ``allOf`` is
    left as it is.

    >>> closed({"type": "object", "properties": {"a": {"type": "string"}}})
    {'type': 'object', 'properties': {'a': {'type': 'string'}}, 'additionalProperties': False}
    >>> closed({"type": "object"})
    {'type': 'object'}
    """
    return schema if _joins(schema) else _closed(schema)


def _joins(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "allOf" in value or any(map(_joins, value.values()))
    return isinstance(value, list) and any(map(_joins, value))


def _closed(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    found = dict(schema)
    for key in _EACH:
        if isinstance(found.get(key), Mapping):
            found[key] = {name: _closed(one) for name, one in found[key].items()}
    for key in _LISTED:
        if isinstance(found.get(key), list):
            found[key] = [_closed(one) for one in found[key]]
    if isinstance(found.get("items"), Mapping):
        found["items"] = _closed(found["items"])
    if found.get("properties") and not any(key in found for key in _STATES):
        found["additionalProperties"] = False
    return found
