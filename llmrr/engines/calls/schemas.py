"""What the schemas of tools say, for families that do not write JSON."""

from collections.abc import Mapping
from typing import Any, Final

DEEPEST: Final = 16  # what a schema refers to in itself, again and again, is anything below that


def kinds_of(schema: object) -> frozenset[str]:
    """The types that a schema names, also those of its alternatives.

    >>> sorted(kinds_of({"anyOf": [{"type": "string"}, {"type": ["integer", "null"]}]}))
    ['integer', 'null', 'string']
    """
    if not isinstance(schema, Mapping):
        return frozenset()
    stated = schema.get("type") or ()
    found = {stated} if isinstance(stated, str) else {one for one in stated if isinstance(one, str)}
    for word in ("anyOf", "oneOf"):
        for one in schema.get(word) or ():
            found |= kinds_of(one)
    return frozenset(found | {"integer"} if "number" in found else found)


def inlined(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """The schema with what it refers to in its place.

    >>> root = {"$defs": {"N": {"type": "integer"}}}
    >>> inlined({"items": {"$ref": "#/$defs/N"}}, root)
    {'items': {'type': 'integer'}}
    """
    if depth > DEEPEST:
        return {}
    if isinstance(schema, list):
        return [inlined(one, root, depth + 1) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    target = schema.get("$ref")
    if isinstance(target, str):
        return inlined(_target(target, root), root, depth + 1)
    return {
        key: inlined(one, root, depth + 1) for key, one in schema.items()
        if key not in ("$defs", "definitions")
    }  # fmt: skip


def _target(reference: str, root: Mapping[str, Any]) -> Any:
    """What a reference inside of the schema means; anything where there is no such thing."""
    found: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return found if reference.startswith("#/") else {}
