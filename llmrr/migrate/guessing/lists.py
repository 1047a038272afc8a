"""Models that a provider's table lists, and what a table says of sampling and loading."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from llmrr.migrate.terms.fields import NAMES
from llmrr.migrate.terms.provider_words import prefixed
from llmrr.migrate.terms.secrets import is_secret_field, reference
from llmrr.migrate.values import Env, Value

_INNER: Final = frozenset({
    "params", "options", "config", "settings", "parameters", "completionoptions", "modelparams",
    "completionparams", "generationconfig", "modelkwargs", "additionalkwargs", "kwargs", "args",
    "samplingparams", "inference", "sampling", "chatoptions", "extraparams", "modelconfig",
    "generation", "llmconfig",
})  # fmt: skip
_LISTS: Final = frozenset({
    "models", "availablemodels", "modellist", "modelids", "modelnames", "custommodels",
})
_LONGEST: Final = 30  # models; a longer list is a catalogue
_SURE: Final = 0.8
_NAME: Final = re.compile(r"(?![./])[A-Za-z0-9_./:@+-]{2,120}")


class Guess(NamedTuple):
    """A model that fields seem to name: its place, what else they state, and how sure it is.
    ``name`` is what the file calls it, where that is something else; ``field`` is where it stands,
    ``variable`` what it is the default of, ``after`` the model that it follows when that fails."""

    name: str | None
    provider: str | None
    model: str
    base_url: Value
    stated: Mapping[str, Value]
    confidence: float
    field: str | None = None
    variable: str | None = None
    after: str | None = None


def models(
    table: Mapping[str, Any], provider: str | None, base_url: Value, key: tuple[str, Value] | None
) -> Iterator[Guess]:
    """The models that a table lists beside the address, or the key, with which they are asked.

    >>> table = {"baseURL": "http://h/v1", "models": {"default": ["a-b"]}}
    >>> [(one.provider, one.model) for one in models(table, None, None, None)]
    [('openai', 'a-b')]
    """
    own = {**table, **inner(table)}
    has_address = any(
        NAMES.get(plain_name(one)) == "base_url" and is_address(value) for one, value in own.items()
    )
    has_key = provider is not None and any(
        is_secret_field(one) and isinstance(value, str | Env) and value
        for one, value in own.items()
    )
    if not has_address and not has_key:
        return
    if has_address:
        said = stated(own)
        base_url = said.get("base_url", base_url)
        key = key or next(((one, said[one]) for one in said if is_secret_field(one)), None)
    shared = {} if key is None else {"api_key": key[1]}
    for field, value in table.items():
        if plain_name(field) not in _LISTS:
            continue
        entries = list(_entries(value))
        for name, entry in entries if len(entries) <= _LONGEST else ():
            one = _told(entry, provider, plain_name(field) == "availablemodels")
            yield Guess(None, provider or "openai", name, base_url, {**shared, **one}, _SURE)


def _entries(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The names in a list, with what is said of each."""
    if isinstance(value, dict):
        if isinstance(value.get("default"), list):
            value = value["default"]
        elif value and all(isinstance(one, dict) for one in value.values()):
            value = [{**one, "id": name} for name, one in value.items()]
    for one in value if isinstance(value, list) else ():
        table = one if isinstance(one, dict) else {}
        if "model" in table or "litellm_params" in table:
            continue  # which is read by its field
        name = table.get("id") or table.get("name") if table else one
        if isinstance(name, str) and _NAME.fullmatch(name):
            yield name, table


def _told(
    entry: Mapping[str, Any], provider: str | None, are_available: bool
) -> Mapping[str, Value]:
    """What is said of a listed model. Zed's ``max_tokens`` is the context."""
    found = {key: one for key, one in stated(entry).items() if key != "base_url"}
    if are_available and "max_tokens" in found:
        context = found.pop("max_tokens")
        if provider == "ollama":
            found["context_size"] = context
        found |= {"max_tokens": one} if (one := entry.get("max_output_tokens")) else {}
        found.pop("max_output_tokens", None)
    return found


def prefixed_names(values: list[Any]) -> Iterator[Guess]:
    """Names with their provider before them, alone in a list or as the ``id`` of an entry."""
    for one in values:
        text = one.get("id") if isinstance(one, dict) else one
        config = one.get("config") if isinstance(one, dict) else None
        if isinstance(config, dict) and isinstance(config.get("model"), str):
            continue  # the id is a way of asking it
        if isinstance(text, str) and ":" in text and (found := prefixed(text)) is not None:
            own = stated(one) if isinstance(one, dict) else {}
            yield Guess(None, found[0], found[1], own.pop("base_url", None), own, _SURE)


def inner(table: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the tables inside that are for settings."""
    return {
        str(key): one for field, value in table.items()
        if isinstance(value, dict) and plain_name(field) in _INNER for key, one in value.items()
    }  # fmt: skip


def stated(table: Mapping[str, Any]) -> dict[str, Value]:
    """What is said of sampling and loading in a table, and in one that is inside for that."""
    found: dict[str, Value] = {}
    for field, value in table.items():
        plain = plain_name(field)
        if isinstance(value, dict) and plain in _INNER:
            flat = {str(key): one for key, one in value.items() if not isinstance(one, dict)}
            found |= stated(flat)
        elif is_secret_field(field) and isinstance(value, str | Env):
            if "key" in plain or "token" in plain:
                found[field] = value
        elif plain in NAMES and plain not in ("system", "lora", "revision", "endpoint"):
            if NAMES[plain] != "base_url" and not isinstance(value, dict):
                found[field] = value
            elif NAMES[plain] == "base_url" and isinstance(value, str):
                found["base_url"] = value
    return {key: one for key, one in found.items() if key != "base_url" or is_address(one)}


def is_address(value: Value) -> bool:
    if isinstance(value, Env):
        return True
    return isinstance(value, str) and (
        value.startswith(("http://", "https://")) or reference(value) is not None
    )


@lru_cache(maxsize=8192)
def plain_name(name: str) -> str:
    return re.sub(r"[-_\s]", "", name.rpartition(".")[2]).lower()
