"""A JSON Schema as people give it: JSON text, a file, or a short form that is quick to type.

The short form names fields, separated by commas, or one to a line: ``name, age int, tags[]``. A
field is a string, or ``int``, ``float`` or ``bool``; ``[]`` makes it a list; what follows a colon
describes it. All fields are required, and there are no others. (After simonw/llm's
https://llm.datasette.io/en/stable/schemas.html, with ``[]`` added.)
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmrr.errors import FeatureMissing, NotFound, UsageError

Schema = Mapping[str, Any] | bool

_TYPES = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
}
_FIELD = re.compile(
    r"(?P<name>[^\s:\[\],]+)(?P<many>\[\])?"
    r"(?:\s+(?P<type>[^\s:\[\],]+)(?P<also>\[\])?)?"
    r"(?:\s*:\s*(?P<description>.+))?"
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# The keywords of all drafts that say which values are valid, by what stands under them.
_SCHEMA = _words(
    "additionalItems additionalProperties contains contentSchema else if items not propertyNames"
    " then unevaluatedItems unevaluatedProperties"
)
_SCHEMAS = _words("allOf anyOf oneOf prefixItems")
_NAMED = _words("$defs definitions dependencies dependentSchemas patternProperties properties")
_PLAIN = _words(
    "$ref $dynamicRef $recursiveRef const dependentRequired enum exclusiveMaximum exclusiveMinimum"
    " format maxContains maxItems maxLength maxProperties maximum minContains minItems minLength"
    " minProperties minimum multipleOf pattern required type uniqueItems"
)
_VALIDATING = frozenset([*_SCHEMA, *_SCHEMAS, *_NAMED, *_PLAIN])
# Those that only tell something, and are not to be taken for a misspelt one.
_TELLING = frozenset(
    _words(
        "$anchor $comment $dynamicAnchor $id $recursiveAnchor $schema $vocabulary contentEncoding"
        " contentMediaType default deprecated description example examples id markdownDescription"
        " readOnly title writeOnly x-guidance"
    )
)


def load(given: str) -> Schema:
    """The schema that ``--schema`` was given. Raises ``UsageError``, ``NotFound`` for a file that
    does not exist, and ``FeatureMissing`` for a keyword that would not be obeyed."""
    text = given.strip()
    if text.startswith("{") or text in ("true", "false"):
        return parse(text, "the schema")
    path = Path(text)
    if "\n" not in text and len(text) < 1024 and path.is_file():
        try:
            return parse(path.read_text("utf-8-sig"), str(path))
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(f"{path} cannot be read: {exc}", "give a JSON file") from exc
    # "s.jsn" is a misspelt file rather than a field.
    if re.search(r"\.(js\w*|ya?ml|toml|txt|schema)$", text) or ("/" in text and "\n" not in text):
        raise NotFound(f"the schema file {text} does not exist", "give the path of a JSON Schema")
    return short(text)


def parse(text: str, where: str) -> Schema:
    """The schema of a JSON text; ``where`` it stands is said in errors."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as exc:
        raise UsageError(
            f"{where} is not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}",
            "mend it, or use the short form: name, age int, tags[]",
        ) from exc
    except RecursionError as exc:
        raise UsageError(f"{where} is nested too deeply", "make it flatter") from exc
    if not isinstance(found, dict | bool):
        raise UsageError(f"{where} is a JSON {_named(found)}, not a schema", "give a JSON object")
    check(found)
    return found


def short(text: str) -> dict[str, Any]:
    """The schema of the short form.

    >>> short("name, age int")["properties"]
    {'name': {'type': 'string'}, 'age': {'type': 'integer'}}
    """
    by_line = "\n" in text.strip()
    lines = text.split("\n") if by_line else text.strip().removesuffix(",").split(",")
    properties: dict[str, Any] = {}
    for line in lines if text.strip() else ():
        field = line.strip().rstrip(",").strip()
        if not field and by_line:
            continue
        if not field:
            raise UsageError(
                f"the schema {text!r} has an empty field between its commas", "omit the comma"
            )
        name, value = _field(field)
        if name in properties:
            raise UsageError(f"the schema names the field {name!r} twice", "name it once")
        properties[name] = value
    if not properties:
        raise UsageError("the schema is empty", "name its fields: name, age int, tags[]")
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def check(schema: Schema) -> None:
    """Refuse what would be passed over in silence: a misspelt keyword, and OpenAPI's nullable.

    What is a keyword and cannot be enforced the compiler refuses.
    """
    for part in _parts(schema):
        if part.get("nullable") is True:
            raise FeatureMissing(
                "the schema's nullable cannot be enforced: it is no keyword of JSON Schema",
                'say "type": ["string", "null"]',
            )
        for word in part.keys() - _VALIDATING - _TELLING:
            meant = difflib.get_close_matches(word, _VALIDATING, n=1, cutoff=0.8)
            if meant:
                raise UsageError(
                    f"the schema has no keyword {word!r}", f"write {meant[0]!r}, or leave it out"
                )


def _field(field: str) -> tuple[str, dict[str, Any]]:
    found = _FIELD.fullmatch(field)
    if not found:
        raise UsageError(
            f"the schema's field {field!r} cannot be read", "write them so: name, age int, tags[]"
        )
    kind = found["type"] or "str"
    if kind not in _TYPES:
        raise UsageError(
            f"the schema's field {field!r} has the unknown type {kind!r}",
            "the types are str, int, float and bool; with a description that has commas in it,"
            " write one field to a line",
        )
    value: dict[str, Any] = {"type": _TYPES[kind]}
    if found["many"] or found["also"]:
        value = {"type": "array", "items": value}
    if found["description"]:
        value["description"] = found["description"].strip()
    return found["name"], value


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """This schema and all that are inside it, as far as they are objects."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        yield part
        for word, value in part.items():
            if word in _NAMED and isinstance(value, dict):
                waiting.extend(value.values())
            elif word in _SCHEMAS or (word in _SCHEMA and isinstance(value, list)):
                waiting.extend(value if isinstance(value, list) else [])
            elif word in _SCHEMA:
                waiting.append(value)


def _named(value: Any) -> str:
    """JSON's name for a Python value's type."""
    names = {list: "array", str: "string", int: "number", float: "number", type(None): "null"}
    return names[type(value)]
