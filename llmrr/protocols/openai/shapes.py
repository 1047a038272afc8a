"""What an answer has to obey, as bodies state it: OpenAI's ``response_format``, llama-server's
``grammar`` and ``json_schema``, vLLM's ``structured_outputs``, and its older ``guided_`` names."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmrr.protocols.fields import Fields

ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}


class Shape(NamedTuple):
    """A JSON Schema, or a grammar."""

    schema: Mapping[str, Any] | None = None
    grammar: str | None = None


def shape(given: Fields) -> Shape:
    """The shape that a body asks for. Raises ``BadField``."""
    wanted = given.inner("response_format")
    if wanted is not None:
        return Shape(format_schema(wanted), given.text("grammar"))
    schema = given.inner("json_schema")
    own = Shape(None if schema is None else schema.given, given.text("grammar"))
    if own != Shape():
        return own
    outer = given.inner("structured_outputs")
    return _structured(given, "guided_") if outer is None else _structured(outer, "")


def _structured(given: Fields, start: str) -> Shape:
    """vLLM's words for it, of which one is said."""
    if given.flag(start + "json_object"):
        return Shape(ANY_OBJECT)
    if given.get(start + "json") is not None:
        return Shape(_schema(given, start + "json"))
    if (choices := given.listed(start + "choice")) is not None:
        if not choices or not all(isinstance(one, str) and one for one in choices):
            raise given.bad(start + "choice", "list of texts")
        words = " | ".join(json.dumps(one, ensure_ascii=False) for one in choices)
        return Shape(grammar=f"start: {words}")
    if pattern := given.text(start + "regex"):
        return Shape(grammar=f"start: /{_escaped(pattern)}/")
    given.refuse(start + "structural_tag", "no tags inside a text are enforced", "a grammar")
    return Shape(grammar=given.text(start + "grammar"))


def _schema(given: Fields, name: str) -> Mapping[str, Any]:
    """A schema, or the text of one."""
    value = given.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        raise given.bad(name, "JSON Schema")
    return value


def _escaped(pattern: str) -> str:
    r"""A regular expression as it stands between slashes.

    >>> print(_escaped(r"a/b\/c"))
    a\/b\/c
    """
    return re.sub(r"\\.|/", lambda found: found[0] if found[0] != "/" else r"\/", pattern)


def format_schema(wanted: Fields) -> Mapping[str, Any] | None:
    """The schema of a ``response_format``, or of the ``format`` of ``text``. Raises ``BadField``.
    """
    kind = wanted.one_of("type", "text", "json_object", "json_schema")
    if kind is None:
        raise wanted.bad("type", "word of text, json_object, json_schema")
    if kind == "json_schema":
        outer = wanted.inner("json_schema") or wanted
        if (schema := outer.inner("schema")) is None:
            raise outer.bad("schema", "JSON Schema")
        return schema.given
    if kind == "json_object":
        stated = wanted.inner("schema")
        return ANY_OBJECT if stated is None else stated.given
    return None
