"""The values of a call, as engines take them; each that is wrong is named."""

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Final

from llmrr import guide, parameters, translating
from llmrr.choosing.stating import known, unknown
from llmrr.errors import InvalidRequest, nearest
from llmrr.kinds import Kind
from llmrr.tomltext import complaint, is_secret
from llmrr.types import Sampling


@cache
def _kinds(table: str = "") -> Mapping[str, Kind]:
    return parameters.fields_of(table) if table else parameters.known_options()


def names(name: str, value: object) -> tuple[str, ...]:
    """One name, or several. Raises ``InvalidRequest``."""
    found = (value,) if isinstance(value, str) else value
    if isinstance(found, Iterable) and not isinstance(found, Mapping | bytes):
        found = tuple(found)
        if all(isinstance(one, str) and one for one in found) and (found or name != "models"):
            return found
    raise InvalidRequest(f"{name} = {value!r} is no name, and no list of names", f'{name}=["…"]')


def options(value: object) -> dict[str, object]:
    """How a model is loaded or reached, checked as ``llmrr.toml`` is. Raises ``InvalidRequest``."""
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"options = {value!r} is no dict", 'options={"context_size": 8192}')
    found: dict[str, object] = {}
    for name, one in value.items():
        key = guide.snake(str(name))
        key = translating.ALIASES.get(key, key)
        if known().get(key) != "loading" and key != "timeout":
            if is_secret(str(name), one):
                raise unknown(str(name), one)
            near = nearest(key, _kinds("options"))
            raise InvalidRequest(
                f"options have no {name!r}", f"did you mean {near}?" if near else "see llmrr.toml"
            )
        if one is not None:
            found[key] = parsed(key, one, "options")
    return found


def parsed(name: str, value: object, table: str = "") -> object:
    """A value as engines take it. Raises ``InvalidRequest``."""
    if value is None:
        return None
    kind = _kinds(table)[name]
    plain = _plain(value)
    if name in ("max_tokens", "seed") and plain in (-1, -2) and not isinstance(plain, bool):
        return None  # what others call no limit, or a random seed
    try:
        if is_secret(name, plain):
            raise ValueError
        return kind.parse(plain, Path())
    except (ValueError, TypeError) as error:
        said = complaint(
            name, plain, kind.expected, str(error), named=name, written=f" = {value!r}"
        )
        raise InvalidRequest(said, f"for example: {_example(name)}") from None


def _example(name: str) -> str:
    from llmrr.settings import SETTINGS

    return next(
        (f"{name}={spec.example}" for spec in SETTINGS if spec.leaf == name), f"{name}=…"
    )


def _plain(value: object) -> object:
    """Numbers of other kinds (numpy's) as Python's, tuples as lists."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def timeout(value: object) -> float | None:
    """Seconds, or None. Raises ``InvalidRequest``."""
    if value is None:
        return None
    plain = _plain(value)
    if type(plain) not in (int, float) or not 0 < plain < math.inf:  # type: ignore[operator]
        raise InvalidRequest(f"timeout = {value!r} is not a number above 0", "timeout=30, seconds")
    return float(plain)  # type: ignore[arg-type]


def require_running(conversation: object, log: object) -> None:
    """Raise ``InvalidRequest`` for an id of a conversation that is no text, and for ``log`` where
    it is neither true nor false."""
    if not isinstance(conversation, str | None):
        raise InvalidRequest(f"conversation = {conversation!r} is no id", 'conversation="ID"')
    if not isinstance(log, bool):
        raise InvalidRequest(f"log = {log!r} is neither true nor false", "log=False")


def sampling(given: Mapping[str, Any]) -> Sampling:
    """What is stated of sampling. Raises ``InvalidRequest``."""
    names = {one.name for one in fields(Sampling)}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or name not in names:
            continue
        shape = _SHAPES.get(name)
        found[name] = shape(value) if shape else parsed(name, value)
    if "grammar" in found and "schema" in found:
        raise InvalidRequest("a grammar and a schema exclude each other", "leave one of them out")
    return Sampling(**found)


def _grammar(given: object) -> object:
    if not isinstance(given, str) or not given.strip():
        raise InvalidRequest(f"grammar = {given!r} is no text", "grammar='root ::= …'")
    return given


def _logprobs(given: object) -> object:
    plain = _plain(given)
    if type(plain) is not int or plain < 0:
        raise InvalidRequest(f"logprobs = {given!r} is no number of tokens", "logprobs=5")
    return plain


def _biases(given: object) -> object:
    """What is added to the logits of tokens, by their ids, which may be written as texts."""
    try:
        found = {int(token): float(_plain(bias)) for token, bias in given.items()}  # type: ignore
    except (AttributeError, TypeError, ValueError):
        found = {-1: 0.0}
    if any(token < 0 or not math.isfinite(bias) for token, bias in found.items()):
        raise InvalidRequest(f"logit_bias = {given!r} is no dict of biases", "logit_bias={15: 1.5}")
    return found


def _schema(given: object) -> object:
    """A JSON Schema: a dict, True for any JSON, a class of pydantic's, or llmrr's short form."""
    from llmrr.engines import schema

    if isinstance(given, str):
        return schema.load(given)
    if hasattr(given, "model_json_schema"):
        given = given.model_json_schema()
    if isinstance(given, Mapping):
        given = dict(given)
        schema.check(given)
        return given
    if isinstance(given, bool):
        return given
    raise InvalidRequest(f"schema = {given!r} is no JSON Schema", 'schema={"type": "object", …}')


_SHAPES: Final = {
    "schema": _schema, "grammar": _grammar, "logprobs": _logprobs, "logit_bias": _biases,
}  # fmt: skip
