"""What an answer has to obey, as bodies state it: OpenAI's ``response_format``, llama-server's
``grammar`` and ``json_schema``, SGLang's ``regex`` and ``ebnf``, vLLM's ``structured_outputs``, and
its older ``guided_`` names."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmrr.protocols.fields import Fields

_FORMATS: Final = ("text", "json_object", "json_schema", "json", "regex", "grammar")
ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}


class Shape(NamedTuple):
    """A JSON Schema, or a grammar."""

    schema: Mapping[str, Any] | None = None
    grammar: str | None = None


def shape(given: Fields) -> Shape:
    """The shape that a body asks for. Raises ``BadField``."""
    wanted = given.inner("response_format")
    if wanted is not None and (found := stated(wanted)) != Shape():
        return found
    schema = given.get("json_schema")
    own = Shape(
        None if schema is None else _schema(given, "json_schema"),
        given.text("grammar") or given.text("ebnf"),
    )
    if own != Shape():
        return own
    if pattern := given.text("regex"):
        return Shape(grammar=_by_pattern(pattern))
    outer = given.inner("structured_outputs")
    if outer is None:
        return _structured(given, "guided_")
    if (found := _structured(outer, "")) == Shape():
        raise given.bad("structured_outputs", f"object with one of {', '.join(_KINDS)}")
    return found


_KINDS: Final = ("json_object", "json", "choice", "regex", "grammar", "structural_tag")


def _structured(given: Fields, start: str) -> Shape:
    """vLLM's words for it, of which one may be said."""
    said = [start + kind for kind in _KINDS if given.get(start + kind) not in (None, False, "")]
    if len(said) > 1:
        raise given.bad(said[1], f"shape beside {said[0]}: an answer has one")
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
        return Shape(grammar=_by_pattern(pattern))
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


def _by_pattern(pattern: str) -> str:
    r"""A grammar of what a regular expression matches: it stands between slashes.

    >>> print(_by_pattern(r"a/b\/c"))
    start: /a\/b\/c/
    """
    escaped = re.sub(r"\\.|/", lambda found: found[0] if found[0] != "/" else r"\/", pattern)
    return f"start: /{escaped}/"


def stated(wanted: Fields) -> Shape:
    """The shape of a ``response_format``, or of the ``format`` of ``text``. Text Generation
    Inference has more kinds, and a ``value`` for what they hold. Raises ``BadField``."""
    kind = wanted.one_of("type", *_FORMATS)
    if kind is None:
        raise wanted.bad("type", f"word of {', '.join(_FORMATS)}")
    if kind == "regex":
        return Shape(grammar=_by_pattern(_text(wanted, "value", "pattern")))
    if kind == "grammar":
        return Shape(grammar=_text(wanted, "grammar", "value"))
    if kind == "json_schema":
        outer = wanted.inner("json_schema") or wanted.inner("value") or wanted
        if (schema := outer.inner("schema")) is None:
            raise outer.bad("schema", "JSON Schema")
        return Shape(schema.given)
    if kind in ("json_object", "json"):
        found = wanted.inner("schema") or wanted.inner("value")
        return Shape(ANY_OBJECT if found is None else found.given)
    return Shape()


def _text(given: Fields, *names: str) -> str:
    found = next((text for name in names if (text := given.text(name))), None)
    if found is None:
        raise given.bad(names[0], "text")
    return found
