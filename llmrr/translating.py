"""What a program states as its configuration, in the names of ``llmrr.toml``: those of the
JavaScript world (camelCase), the guide's blocks (``performance``, ``loading``, ``cleanup``) and its
milliseconds are understood. Pure.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from llmrr import settings
from llmrr.errors import BadConfig, nearest
from llmrr.guide import BLOCKS, PIECES, RULES, Rule, seconds, snake
from llmrr.parameters import FOREIGN, fields_of
from llmrr.prompts import PromptTemplate
from llmrr.tomltext import is_secret, toml_text


class Translation(NamedTuple):
    """``table`` is what ``llmrr.toml`` would hold; ``names`` maps its keys to those that were
    written where these differ; ``notices`` say so."""

    table: dict[str, Any]
    names: Mapping[str, str]
    notices: tuple[str, ...]


# What a request or a model may be told under other names.
ALIASES: Final = {
    **FOREIGN,
    "stop_tokens": "stop",
    "stop_sequences": "stop",
    "system_prompt": "system",
    "repetition_penalty": "repeat_penalty",
}
_MODEL_ALIASES: Final = {**ALIASES, "retries": "max_retries"}
_MODEL_MS: Final = ("timeout",)  # within a model's ``config``
# Tables whose keys are names of the user's, and those whose contents are none of ours to change.
_NAMING: Final = ("templates", "flags", "budgets", "engines")
_KEPT: Final = ("defaults", "headers_env")


def translated(stated: Mapping[str, object]) -> Translation:
    """What a program states, in our names. Raises ``BadConfig`` for what is stated twice in
    different ways, and for an unknown key in one of the guide's blocks.

    >>> found = translated({"fallbackChain": ["a"], "cleanup": {"interval": 60000}})
    >>> found.table
    {'fallback_chain': ['a'], 'memory': {'interval': 60.0}}
    >>> found.notices
    ('taken as: fallbackChain = fallback_chain, cleanup.interval = memory.interval (60.0)',)
    """
    writer = _Writer()
    for name, value in _items(stated, ""):
        writer.top(name, value)
    said = f"taken as: {', '.join(writer.said)}" if writer.said else ""
    return Translation(writer.table, writer.names, tuple(filter(None, (said, *writer.idle))))


class _Writer:
    """Collects what is stated."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.said: list[str] = []
        self.idle: list[str] = []

    def top(self, name: str, value: object) -> None:
        """One key of the outermost table."""
        ours = snake(name)
        if ours == "models":
            self.put("models", name, plain_models(value, self))
        elif ours == "templates" and isinstance(value, Mapping):
            self.put("templates", name, {key: _template(one) for key, one in _items(value, name)})
        elif ours in BLOCKS or ours in RULES:
            self.block(ours, name, value)
        elif isinstance(value, Mapping):
            self.inside(ours, name, value)
        else:
            self.put(ours, name, _plain(value))

    def inside(self, ours: str, name: str, table: Mapping[Any, object]) -> None:
        """A table that is ours, or may be."""
        if not table:
            self.table.setdefault(ours, {})
        for key, value in _items(table, name):
            place = f"{ours}.{snake(key)}"
            if ours in _NAMING and place not in settings.plain_settings():
                place = f"{ours}.{key}"  # a name of the user's
            written = f"{name}.{key}"
            if key == "chunkSize":
                self.ruled(PIECES, written, value)
            elif place in RULES:
                self.ruled(RULES[place], written, value)
            elif isinstance(value, Mapping) and _is_table(place):
                self.inside(place, written, value)
            else:
                self.put(place, written, _plain(value, place.rpartition(".")[2]))

    def block(self, ours: str, name: str, value: object) -> None:
        """A block of the guide's, down to what its rules know."""
        if not isinstance(value, Mapping):
            if ours not in RULES:
                raise BadConfig(f"{name} = {_short(value)} is not a table", f"{name} = {{…}}")
            self.ruled(RULES[ours], name, value)
            return
        for key, one in _items(value, name):
            place = f"{ours}.{snake(key)}"
            if place in RULES:
                self.ruled(RULES[place], f"{name}.{key}", one)
            elif any(known.startswith(f"{place}.") for known in RULES):
                self.block(place, f"{name}.{key}", one)
            else:
                known = [one for one in RULES if one.startswith(f"{ours}.")]
                near = nearest(place, known)
                hint = f"did you mean {near}?" if near else f"known there: {', '.join(known)}"
                raise BadConfig(f"unknown key {name}.{key}", hint)

    def ruled(self, rule: Rule, name: str, value: object) -> None:
        """A key that stands for one of ours, or for nothing."""
        if rule.key is None:
            self.idle.append(f"{name} = {_short(value)} changes nothing: {rule.why}")
            return
        given = _plain(value)
        found = rule.convert(given)
        if found is None and given is not None:  # it says what holds anyway
            return
        self.put(rule.key, name, found, shows=found != given)

    def put(self, key: str, name: str, value: object, *, shows: bool = False) -> None:
        """State a key of ours. ``name`` is how it was written."""
        *above, leaf = key.split(".")
        table = self.table
        for part in above:
            table = table.setdefault(part, {})
        if leaf in table and table[leaf] != value:
            before = self.names.get(key, key)
            raise BadConfig(
                f"{key} is stated twice: {before} and {name}", f"leave out {before} or {name}"
            )
        table[leaf] = value
        if name != key:
            self.note(key, name, f" ({_short(value)})" if shows else "")

    def note(self, key: str, name: str, more: str = "") -> None:
        """That a name stands for another one."""
        self.names[key] = name
        self.said.append(f"{name} = {key}{more}")


def plain_models(value: object, writer: _Writer) -> object:
    """``models``, each with its keys in their places."""
    if isinstance(value, Mapping):  # by their names
        value = [{"name": name, **_model_of(one)} for name, one in _items(value, "models")]
    if not isinstance(value, list | tuple):
        return value
    return [_model(one, f"models[{at}]", writer) for at, one in enumerate(value)]


def _model_of(value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        return {"source": value}
    return value if isinstance(value, Mapping) else {"source": value}


def _model(entry: object, place: str, writer: _Writer) -> object:
    """One of the models: what is about sampling goes into params, what is about loading into
    options, wherever it stands."""
    if not isinstance(entry, Mapping):
        return entry
    own = {spec.leaf for spec in settings.SETTINGS if spec.table == "models[]"}
    found: dict[str, Any] = {}
    for name, value in _items(entry, place):
        key = snake(name)
        if key in own:
            _keep(found, key, name, value, place, writer)
        elif key in ("params", "options", "config") and isinstance(value, Mapping):
            for inner, one in _items(value, f"{place}.{name}"):
                _place(found, key, f"{name}.{inner}", inner, one, place, writer)
        elif key not in ("provider", "model"):
            _place(found, "", name, name, value, place, writer)
    _source(found, entry, place, writer)
    return found


def _keep(
    found: dict[str, Any], key: str, name: str, value: object, place: str, writer: _Writer
) -> None:
    if value is not None:
        found[key] = _plain(value, key)
        if key != name:
            writer.note(f"{place}.{key}", f"{place}.{name}")


def _place(
    found: dict[str, Any], table: str, written: str, name: str, value: object, place: str,
    writer: _Writer,
) -> None:  # fmt: skip
    """A value that belongs into params or options."""
    if value is None:
        return
    key = snake(name)
    key = _MODEL_ALIASES.get(key, key)
    home = "params" if key in fields_of("params") else "options"
    is_known = home == "params" or key in fields_of("options")
    if is_secret(name, value):  # refused under the name that it was given
        home, key = table if table in ("params", "options") else "options", name
    elif not is_known and table == "":
        found[name] = _plain(value, key)  # the validation says which key was meant
        return
    elif not is_known:
        home = table if table in ("params", "options") else "options"
        key = name
    value = _plain(value, key)
    if table == "config" and key in _MODEL_MS:
        value = seconds(value)
    inside = found.setdefault(home, {})
    if key in inside and inside[key] != value:
        raise BadConfig(f"{place}.{home}.{key} is stated twice", f"leave out {place}.{written}")
    inside[key] = value
    if f"{home}.{key}" != written:
        writer.note(f"{place}.{home}.{key}", f"{place}.{written}")


def _source(
    found: dict[str, Any], entry: Mapping[str, object], place: str, writer: _Writer
) -> None:
    """``provider`` and ``model`` (or the name) in place of a source."""
    provider, model = entry.get("provider"), entry.get("model", entry.get("name"))
    if "source" not in found and provider and model:
        found["source"] = f"{provider}:{model}"
        writer.said.append(f"{place}.provider = source ({found['source']})")
    elif model is not None and "source" not in found and "model" in entry:
        found["source"] = _plain(model)
        writer.said.append(f"{place}.model = source")


def _template(value: object) -> object:
    """A template, which may be its text alone, or one that is made already."""
    if isinstance(value, PromptTemplate):
        turns = [{"role": one.role, "content": one.content} for one in value.messages]
        own = {"template": value.template} if value.is_text else {"messages": turns}
        return {**own, "defaults": dict(value.filled)}
    return {"template": value} if isinstance(value, str) else _plain(value, "NAME")


def _plain(value: object, name: str = "") -> Any:
    """A value as TOML has it: lists, tables and texts."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {
            key if name in _KEPT else snake(key): _plain(one, snake(key))
            for key, one in _items(value, name)
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value


def _is_table(place: str) -> bool:
    return any(key.startswith(f"{place}.") for key in settings.plain_settings())


def _items(table: Mapping[Any, object], place: str) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if not isinstance(name, str):
            raise BadConfig(f"{place or 'the configuration'} has {name!r} for a name", "a text")
        yield name, value


def _short(value: object) -> str:
    text = toml_text(value)
    return text if len(text) <= 40 else text[:39] + "…"


