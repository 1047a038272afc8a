"""One ``llmrr.toml``, read and held against the table of settings. Nothing is raised for what it
says: every problem is listed, with its line, and the caller decides."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from llmrr import flags, kinds, settings, sides
from llmrr.errors import Unsupported, nearest
from llmrr.flags import Flag
from llmrr.prompts import PromptTemplate
from llmrr.strategies import Cost, Limits, strategy_warning
from llmrr.tomllayout import Layout, Place, layout
from llmrr.tomltext import is_secret, key_text, toml_text
from llmrr.types import Message, Sampling

# What of a [[models]] is about choosing, and the terms that [weights] weigh.
_CHOOSING = ("priority", "weight", "tags", "group", "fallback", "resume", "quality", "cost")
WEIGHTS = ("quality", "cost", "speed")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that cannot be used. The message says where it stands."""

    message: str
    hint: str = ""
    line: int | None = None


class Template(NamedTuple):
    """A ``[templates.NAME]`` of ``file``: a text, or messages, with ``{name}`` holes."""

    name: str
    template: str | None
    messages: tuple[Message, ...]
    defaults: Mapping[str, str]
    model: str | None
    format: str
    file: Path

    @property
    def prompt(self) -> PromptTemplate:
        """What fills its holes. Raises ``Unsupported`` for another format than braces."""
        if self.format != "braces":
            raise Unsupported(
                f"the template {self.name!r} is written as {self.format!r}, which is kept but not "
                "rendered",
                'rewrite it with {name} holes and format = "braces"',
            )
        return PromptTemplate.named(self.name, self.template, self.messages, self.defaults)

    @property
    def holes(self) -> tuple[str, ...]:
        """The names to be filled, each once, in the order of the text; none of a format that is not
        rendered."""
        return self.prompt.holes if self.format == "braces" else ()


class ConfiguredModel(NamedTuple):
    """A ``[[models]]``. ``path`` is the file or folder of a ``file:`` source, seen from ``file``,
    the TOML file that names it; ``options`` are those of ``engines.base.Options`` that are
    stated; ``engine`` is the one that it must be run by, ``format`` what its files must be. The
    rest is how it is chosen."""

    name: str
    source: str
    provider: str
    path: Path | None
    params: Sampling
    system: str | None
    options: Mapping[str, object]
    file: Path
    engine: str | None = None
    format: str | None = None
    priority: int | None = None
    weight: float = 1.0
    tags: tuple[str, ...] = ()
    group: str | None = None
    fallback: tuple[str, ...] = ()
    resume: bool = False
    quality: float | None = None
    cost: Cost | None = None


class TomlFile(NamedTuple):
    """What a file states. ``values`` maps dotted keys to (in use, as written); ``models`` is None
    where it has no ``[[models]]``."""

    path: Path
    values: Mapping[str, tuple[object, object]]
    models: tuple[ConfiguredModel, ...] | None
    templates: Mapping[str, Template]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()
    flags: Mapping[str, Flag] = MappingProxyType({})
    budgets: Mapping[str, Limits] = MappingProxyType({})


def read(path: Path, content: bytes | None = None) -> TomlFile:
    """Read ``path`` (or ``content`` in its stead; relative paths still start beside ``path``)."""
    reader = _Reader(path, path.parent)
    return _read(reader, reader.table(content))


def read_table(table: Mapping[str, object], label: str, folder: Path) -> TomlFile:
    """What a program states in place of a file: a table as TOML would give it. ``label`` is what
    errors call it; relative paths start at ``folder``."""
    from copy import deepcopy

    return _read(_Reader(Path(label), folder, is_file=False), deepcopy(dict(table)))


def _read(reader: "_Reader", table: dict[str, object]) -> TomlFile:
    models = reader.models(table.pop("models", None))
    templates = reader.templates(table.pop("templates", {}))
    found = reader.flags(table.pop("flags", {}), models)
    budgets = reader.budgets(table.get("budgets"), models)
    reader.plain(table, ())
    reader.chains(models)
    problems = sorted(reader.problems, key=lambda problem: problem.line or 0)
    return TomlFile(
        reader.path, reader.values, models, templates, tuple(problems), tuple(reader.notes), found,
        budgets,
    )


class _Reader:
    """Collects what a file states and what is wrong with it."""

    def __init__(self, path: Path, folder: Path, *, is_file: bool = True) -> None:
        self.path, self.folder, self.is_file = path, folder, is_file
        self.text = ""
        self.layout: Layout | None = None
        self.values: dict[str, tuple[object, object]] = {}
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def table(self, content: bytes | None) -> dict[str, object]:
        """The parsed file; empty with a problem noted when it cannot be parsed."""
        import tomllib

        try:
            raw = self.path.read_bytes() if content is None else content
            self.text = raw.decode("utf-8-sig").replace("\r\n", "\n")
            return tomllib.loads(self.text)
        except OSError as exc:
            self.problems.append(
                Problem(f"cannot read {self.path}: {exc.strerror}", f"ls -l {self.path}")
            )
        except UnicodeDecodeError as exc:
            self.problems.append(
                Problem(f"{self.path} is not UTF-8 (byte {exc.start})", "save it as UTF-8")
            )
        except tomllib.TOMLDecodeError as exc:
            self.problems.append(_syntax_problem(self.path, self.text, str(exc)))
        except RecursionError:
            self.problems.append(
                Problem(f"{self.path} is nested too deeply", f"edit {self.path}")
            )
        return {}

    def fail(self, place: Place, message: str, hint: str = "") -> None:
        """Note a problem at ``place``; the message gets where that is."""
        line = self.line(place)
        where = f"{self.path}, line {line}" if line else str(self.path)
        mend = f"edit {where}" if self.is_file else ""
        self.problems.append(Problem(f"{message} ({where})", hint or mend, line))

    def line(self, place: Place) -> int | None:
        """Where a key is written, or the nearest table around it."""
        if self.layout is None:
            try:
                self.layout = layout(self.text)
            except RecursionError:
                self.layout = Layout()
        return self.layout.line(self.text, place)

    def value(self, spec: settings.Spec, raw: object, place: Place) -> object:
        """The value in use of one setting, or None with a problem noted."""
        key = _shown(place)
        if self.secret(raw, place):
            return None
        try:
            return spec.kind.parse(raw, self.folder)
        except ValueError as exc:
            why = f": {exc}" if str(exc) else f" is not {spec.kind.expected}"
            written = "" if str(exc) else f" = {_short(raw)}"
            self.fail(place, f"{key}{written}{why}", f"for example: {spec.leaf} = {spec.example}")
        return None

    def secret(self, raw: object, place: Place) -> bool:
        """Whether a key is written there, which is refused without repeating it."""
        if not is_secret(str(place[-1]), raw):
            return False
        self.fail(
            place,
            f"{_shown(place)} holds a key, which does not belong into "
            f"{'this file' if self.is_file else 'a configuration'}",
            'api_key_env = "NAME" names its variable; replace a key that others could have read',
        )
        return True

    def unknown(self, place: Place, raw: object, known: Iterable[str]) -> None:
        """Note an unknown key, with the known one that was probably meant."""
        if self.secret(raw, place):
            return
        name, known = str(place[-1]), list(known)
        near = nearest(name, known)
        elsewhere = [setting.key for setting in settings.SETTINGS if setting.leaf == name]
        if near:
            hint = f"did you mean {near}?"
        elif elsewhere:
            hint = f"it belongs elsewhere: {' or '.join(elsewhere)}"
        else:
            hint = f"known here: {', '.join(sorted(known))}; see man llmrr.toml"
        self.fail(place, f"unknown key {_shown(place)}", hint)

    def plain(self, table: Mapping[str, object], above: tuple[str, ...]) -> None:
        """The settings of one value each, table by table."""
        known = settings.plain_settings()
        for name, raw in table.items():
            place = (*above, name)
            key = ".".join(place)
            inside = [other for other in known if other.startswith(f"{key}.")]
            if key in known and "." not in name:
                value = self.value(known[key], raw, place)
                self.values[key] = (value, raw)
            elif inside and "." not in name and isinstance(raw, dict):
                self.plain(raw, place)
            elif inside:
                self.fail(place, f"{key} = {_short(raw)} is not a table", f"write [{key}]")
            else:
                self.unknown(place, raw, _children(above))

    def fields(self, table: object, above: Place, pattern: str) -> dict[str, object]:
        """The settings ``pattern.*`` that a table of a repeated thing states, in use."""
        if not isinstance(table, dict):
            self.fail(above, f"{_shown(above)} = {_short(table)} is not a table")
            return {}
        known = {spec.leaf: spec for spec in settings.SETTINGS if spec.table == pattern}
        inside = f"{pattern}."
        tables = {
            spec.table.removeprefix(inside) for spec in settings.SETTINGS
            if spec.table.startswith(inside)
        }  # fmt: skip
        found = {}
        for name, raw in table.items():
            place = (*above, name)
            if name in known:
                found[name] = self.value(known[name], raw, place)
            elif name not in tables:
                self.unknown(place, raw, (*known, *tables))
        return found

    def models(self, entries: object) -> tuple[ConfiguredModel, ...] | None:
        """The ``[[models]]``, each name once."""
        if entries is None:
            return None
        if not isinstance(entries, list):
            self.fail(("models",), "models is not a list of tables", "write [[models]]")
            return None
        models: dict[str, ConfiguredModel] = {}
        for index, entry in enumerate(entries):
            model = self.model(entry, ("models", index))
            if model is not None and model.name in models:
                self.fail(
                    ("models", index, "name"),
                    f"the model name {model.name!r} stands here twice",
                    "give one of them another name",
                )
            elif model is not None:
                models[model.name] = model
        return tuple(models.values())

    def model(self, entry: object, place: Place) -> ConfiguredModel | None:
        """One ``[[models]]``; None when it cannot be used."""
        before = len(self.problems)
        own = self.fields(entry, place, "models[]")
        if not isinstance(entry, dict):
            return None
        for name in ("name", "source"):
            if name not in entry:
                example = settings.spec(f"models[].{name}").example
                self.fail(place, f"{_shown(place)} has no {name}", f"add: {name} = {example}")
        inside = "models[].params", "models[].options"
        params = self.fields(entry.get("params", {}), (*place, "params"), inside[0])
        options = self.fields(entry.get("options", {}), (*place, "options"), inside[1])
        if len(self.problems) > before:
            return None
        system = params.pop("system", None)
        source = self.source(own, options, entry, place)
        if source is None:
            return None
        provider, rest = kinds.split_source(source)
        if not self.options(options, provider, place):
            return None
        return ConfiguredModel(
            name=str(own["name"]),
            source=source,
            provider=provider,
            path=kinds.file_path(rest, self.folder) if provider == "file" else None,
            params=Sampling(**params),  # type: ignore[arg-type]
            system=None if system is None else str(system),
            options=options,
            file=self.path,
            engine=own.get("engine"),  # type: ignore[arg-type]
            format=own.get("format"),  # type: ignore[arg-type]
            **{name: own[name] for name in _CHOOSING if name in own},  # type: ignore[arg-type]
        )

    def budgets(
        self, table: object, models: tuple[ConfiguredModel, ...] | None
    ) -> dict[str, Limits]:
        """The ``[budgets.NAME]``, which are taken out of the table: what remains has one value
        each. The names are those of the ``[[models]]``, where the file has some."""
        if not isinstance(table, dict):
            return {}
        found = {}
        for name in [name for name, inside in table.items() if isinstance(inside, dict)]:
            place, inside = ("budgets", name), table.pop(name)
            if name in Limits._fields:
                hint = f"write {name} = NUMBER; a model of this name can have no budget of its own"
                self.fail(place, f"budgets.{name} is the budget of all models, and no table", hint)
                continue
            own = self.fields(inside, place, "budgets.NAME")
            found[name] = Limits(**{key: one for key, one in own.items() if key in Limits._fields})  # type: ignore[arg-type]
            for stranger in _strangers(f"[budgets.{key_text(name)}]", place, (name,), models or ()):
                if models is not None:
                    self.fail(*stranger)
        return found

    def source(
        self,
        own: Mapping[str, object],
        options: dict[str, object],
        entry: Mapping[str, object],
        place: Place,
    ) -> str | None:
        """The source with its file and revision, which are options no longer; None, with a problem
        noted, where they do not go together."""
        source, stray = str(own["source"]), settings.STRAY
        for name in stray:
            if str(entry.get(name)) in stray[name]:
                means = stray[name][str(entry[name])] or "what its files are"
                said = f"{_shown((*place, name))} = {toml_text(entry[name])} is taken as {means}"
                line = self.line((*place, name))
                self.notes.append(f"{said} ({self.path}{f', line {line}' if line else ''})")
        file, revision = (options.pop(name, None) for name in ("file", "revision"))
        local = kinds.split_source(source)[0] in kinds.LOCAL_PROVIDERS
        try:
            if own.get("format") is not None and not local:
                raise ValueError(f"a source of {kinds.split_source(source)[0]}: has no format")
            return kinds.placed(
                source,
                None if file is None else str(file),
                None if revision is None else str(revision),
            )
        except ValueError as exc:
            self.fail(place, f"{_shown(place)}: {exc}")
            return None

    def chains(self, models: tuple[ConfiguredModel, ...] | None) -> None:
        """What a chain, a group or the weights cannot be."""
        for place, message, hint in (*_chains(models or ()), *self._plain_chain(models)):
            self.fail(place, message, hint)
        mode, new, legacy = (
            self.values.get(f"migration.{leaf}", (None,))[0] for leaf in ("mode", *sides.SIDES)
        )
        for one in sides.wrong(mode, new, legacy, [model.name for model in models or ()]):  # type: ignore[arg-type]
            if models or (new and legacy and one.absent is None):  # else other files may tell
                self.fail(("migration", one.leaf), one.message, one.hint)

    def _plain_chain(
        self, models: tuple[ConfiguredModel, ...] | None
    ) -> Iterator[tuple[Place, str, str]]:
        chain, _ = self.values.get("fallback_chain", (None, None))
        if isinstance(chain, tuple) and models:
            yield from _strangers("fallback_chain", ("fallback_chain",), chain, models)
        weights = [self.values.get(f"weights.{name}", (None,))[0] for name in WEIGHTS]
        if all(weight == 0 for weight in weights):
            yield ("weights",), "[weights] are all zero", "give one of them a number above 0"

    def options(self, stated: Iterable[str], provider: str, place: Place) -> bool:
        """Whether all options mean something to models of this provider; ``ollama`` is both here
        and elsewhere."""
        if provider == "ollama":
            return True
        here = provider in kinds.LOCAL_PROVIDERS
        wrong = [name for name in stated if (name in settings.REMOTE_OPTIONS) == here]
        for name in wrong:
            where = "run on this machine" if here else "run elsewhere"
            self.fail(
                (*place, "options", name),
                f"{_shown((*place, 'options', name))} has no effect: models of {provider}: {where}",
                f"take out {name}",
            )
        return not wrong

    def templates(self, tables: object) -> dict[str, Template]:
        """The ``[templates.NAME]``."""
        if not isinstance(tables, dict):
            self.fail(("templates",), "templates is not a table", "write [templates.NAME]")
            return {}
        found = ((name, self.template(name, table)) for name, table in tables.items())
        return {name: template for name, template in found if template is not None}

    def template(self, name: str, table: object) -> Template | None:
        """One ``[templates.NAME]``; None when it cannot be used."""
        before = len(self.problems)
        place = ("templates", name)
        own = self.fields(table, place, "templates.NAME")
        if len(self.problems) == before and ("template" in own) == ("messages" in own):
            self.fail(
                place,
                f"the template {name!r} needs either a template or messages",
                'for example: template = "Translate: {input}"',
            )
        if len(self.problems) > before:
            return None
        messages: tuple[tuple[str, str], ...] = own.get("messages", ())  # type: ignore[assignment]
        made = Template(
            name=name,
            template=own.get("template"),  # type: ignore[arg-type]
            messages=tuple(Message(role, content) for role, content in messages),
            defaults=own.get("defaults", {}),  # type: ignore[arg-type]
            model=own.get("model"),  # type: ignore[arg-type]
            format=str(own.get("format", "braces")),
            file=self.path,
        )
        for key in made.defaults if made.format == "braces" else ():
            if key not in made.holes:
                near = nearest(key, made.holes)
                hint = f"its holes are: {', '.join(made.holes) or 'none'}"
                said = f"the template {name!r} has no hole {{{key}}} for a default"
                hint = f"did you mean {near}?" if near else hint
                self.fail((*place, "defaults", key), said, hint)
        return made


    def flags(
        self, tables: object, models: tuple[ConfiguredModel, ...] | None
    ) -> dict[str, Flag]:
        """The ``[flags.NAME]``; ``models`` are those of the same file."""
        if not isinstance(tables, dict):
            self.fail(("flags",), "flags is not a table", "write [flags.NAME]")
            return {}
        origin = None
        if "start" in tables:
            origin = self.value(settings.spec("flags.start"), tables["start"], ("flags", "start"))
        names = None if models is None else [model.name for model in models]
        found = {name: self.flag(name, tables[name], origin, names) for name in tables
                 if name != "start"}  # fmt: skip
        return {name: flag for name, flag in found.items() if flag is not None}

    def flag(
        self, name: str, table: object, origin: object, names: list[str] | None
    ) -> Flag | None:
        """One ``[flags.NAME]``; None when it cannot be used."""
        before, place = len(self.problems), ("flags", name)
        own = self.fields(table, place, "flags.NAME")
        if not isinstance(table, dict):
            return None
        sets = self.fields(table.get("set", {}), (*place, "set"), "flags.NAME.set")
        if len(self.problems) > before:
            return None
        start = own.get("start", origin)
        made = Flag(name, **own, **sets, origin=start, file=self.path)  # type: ignore[arg-type]
        for key, message, hint in flags.problems(made):
            self.fail((*place, key), message, hint)
        for message, hint in () if names is None else flags.strangers(made, names):
            self.fail((*place, "set", "models"), message, hint)
        line = self.line((*place, "set", "strategy"))
        where = f"{self.path}, line {line}"
        if not sets:
            self.notes.append(f"the flag {name!r} sets nothing ({where})")
        elif stray := strategy_warning(table["set"].get("strategy"), where):
            self.notes.append(stray)
        return made


def _chains(models: Sequence[ConfiguredModel]) -> Iterator[tuple[Place, str, str]]:
    """What is wrong with the models' own chains and groups: place, message, hint."""
    names = {model.name for model in models}
    for index, model in enumerate(models):
        place = ("models", index, "fallback")
        yield from _strangers(f"fallback of {model.name!r}", place, model.fallback, models)
        if circle := _circle(model, models):
            yield place, f"the fallback goes round in a circle: {' -> '.join(circle)}", ""
        if model.group in names:
            yield (
                ("models", index, "group"),
                f"the group {model.group!r} has the name of a model",
                "give the group another name",
            )


def _strangers(
    what: str, place: Place, chain: Sequence[str], models: Sequence[ConfiguredModel]
) -> Iterator[tuple[Place, str, str]]:
    names = [model.name for model in models]
    for name in chain:
        if name not in names:
            near = nearest(name, names)
            hint = f"did you mean {near}?" if near else f"the models are {', '.join(names)}"
            yield place, f"{what} names {name!r}, and no [[models]] is called so", hint


def _circle(model: ConfiguredModel, models: Sequence[ConfiguredModel]) -> list[str] | None:
    """The way from a model over fallbacks back to it, told once: at the first model of it."""
    by_name = {one.name: one for one in models}
    ways = [[model.name, name] for name in model.fallback]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == model.name:
            order = list(by_name)
            return way if min(way, key=order.index) == model.name else None
        if way[-1] in by_name and way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, name] for name in by_name[way[-1]].fallback]
    return None


def _syntax_problem(path: Path, text: str, message: str) -> Problem:
    reason, _, place = message.rpartition(" (at ")
    match = re.fullmatch(r"line (\d+), column (\d+)\)", place)
    line = int(match[1]) if match else text.rstrip("\n").count("\n") + 1
    column = f", column {match[2]}" if match else ""
    reason = (reason or message)[:1].lower() + (reason or message)[1:]
    said = f"not valid TOML: {reason} ({path}, line {line}{column})"
    return Problem(said, f"edit {path}, line {line}", line)


def _children(above: tuple[str, ...]) -> list[str]:
    """The names that may stand in a table of plain settings."""
    prefix = "".join(f"{name}." for name in above)
    keys = [*settings.plain_settings(), *(() if above else ("models", "templates", "flags"))]
    inside = (key.removeprefix(prefix) for key in keys if key.startswith(prefix))
    return list(dict.fromkeys(key.partition(".")[0] for key in inside))


def _shown(place: Place) -> str:
    """A place as a reader would name it.

    >>> _shown(("models", 0, "params", "top k"))
    'models[0].params."top k"'
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{key_text(part)}" for part in place)
    return "".join(parts).removeprefix(".")


def _short(value: object) -> str:
    text = toml_text(value)
    return text if len(text) <= 60 else text[:59] + "…"
