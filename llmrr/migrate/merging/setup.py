"""The neutral form between artefacts and ``llmrr.toml``: many artefacts as one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from llmrr.migrate.artefact import Artefact, Model, Notice, Template, unique
from llmrr.migrate.merging import addressing, alike, stored, variables
from llmrr.migrate.merging.fitting import Fitter, table_of
from llmrr.migrate.merging.ordering import ordered
from llmrr.migrate.merging.placing import Placer
from llmrr.migrate.merging.served import URL, is_own
from llmrr.migrate.terms import naming

# Settings that name models.
NAMING: Final = (
    "fallback_chain", "default_model", "preload", "ensemble.judge", "cache.semantic.model",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setup:
    """``models`` and ``templates`` have unique names, ``chains`` are lists of names of models;
    ``settings`` are further keys of ``llmrr.toml`` by their dotted names; ``sources`` are the files
    it came from with their SHA-256 (None for a folder); ``origins`` says where a model or a
    template (``templates.NAME``) was found, ``called`` what a model of an artefact is called here.
    Paths are relative to where ``llmrr.toml`` is to lie.
    """

    models: tuple[Model, ...] = ()
    chains: tuple[tuple[str, ...], ...] = ()
    templates: tuple[Template, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()
    sources: tuple[tuple[Path, str | None], ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    called: Mapping[tuple[Path, str, str], str] = field(default_factory=dict)


def combined(
    artefacts: Iterable[Artefact], folder: Path, named: Collection[str] = (), served: str = URL
) -> Setup:
    """What all of them say, for an ``llmrr.toml`` in ``folder``, in their order. ``named`` are
    sources that the user names, seen from there; ``served`` is where llmrr answers itself.

    What is the same is there once; of two things with one name the second is renamed. What
    ``llmrr.toml`` would refuse is left out. Each of these is a warning, or needs none.
    """
    given = alike.with_code(stored.joined(artefacts, folder, named))
    stated = addressing.stated(given)
    found = _Combining(folder, variables.addresses(given), stated, served)
    for artefact in given:
        found.add(artefact)
    return found.setup(given)


class _Combining:
    """The setup as it grows."""

    def __init__(
        self, folder: Path, addresses: Mapping[str, str], stated: Sequence[addressing.Stated],
        served: str,
    ) -> None:  # fmt: skip
        self.folder, self.fitter, self.served = folder, Fitter(folder), served
        self.addresses, self.stated = addresses, stated
        self.models: list[Model] = []
        self.homes: dict[str, str] = {}  # of each model, the artefact that it is from
        self.chains: list[tuple[str, ...]] = []
        self.templates: list[Template] = []
        self.settings: dict[str, Any] = {}
        self.warnings: list[Notice] = []
        self.origins: dict[str, str] = {}
        self.called: dict[tuple[Path, str, str], str] = {}
        self._by_fingerprint: dict[str, list[int]] = {}

    def add(self, artefact: Artefact) -> None:
        """Take in one artefact."""
        self.warnings += artefact.warnings
        if artefact.error and artefact.kind != "none":
            self._say("syntax", str(artefact.path), artefact.error)
        names: dict[str, str] = {}
        placer = Placer(artefact.path, self.folder)
        for model in artefact.models:
            where = _where(artefact.path, model.line)
            model = addressing.asked(model, artefact, self.stated, where, self._say)
            if (placed := self._placed(model, placer, where)) is not None:
                fitted = self.fitter.model(placed, where)
                if fitted is not None:
                    names[model.name] = self._enter(fitted, artefact, where)
        self.called |= {(artefact.path, artefact.kind, old): new for old, new in names.items()}
        groups = self._groups(artefact, names)
        for chain in artefact.fallbacks:
            self._follow(_named(chain, names, groups))
        for template in artefact.templates:
            self._keep(template, names, str(artefact.path))
        for key, value in artefact.settings.items():
            self._set(key, value, names, groups, str(artefact.path))

    def setup(self, artefacts: Sequence[Artefact]) -> Setup:
        """What it came to."""
        given, self.models = (
            self.models, variables.numbered(self.models, self.origins, self._say)
        )  # fmt: skip
        self.warnings = variables.told_once(self.warnings, given, self.models, self.origins)
        self.models = alike.answering(self.models, self.origins, self._say)
        self.models, self.chains = ordered(self.models, self.chains)
        self._free_groups()
        self.settings |= variables.chosen(artefacts, self.models, self.folder, self._say)
        self._prefer_default()
        notices = dict.fromkeys([*self.warnings, *self.fitter.notices])
        files = dict.fromkeys(one.path for one in artefacts if one.kind != "none")
        return Setup(
            tuple(self.models), tuple(dict.fromkeys(self.chains)), tuple(self.templates),
            self.settings, tuple(notices), tuple((path, digest_of(path)) for path in files),
            self.origins, self.called,
        )  # fmt: skip

    def _placed(self, model: Model, placer: Placer, where: str) -> Model | None:
        before = len(placer.missing)
        try:
            source = placer.source(model.source)
        except ValueError as exc:
            self._say("unsupported-source", where, f"{model.name} is left out: {exc}")
            return None
        options = placer.options(model.options)
        if model.adrift and "base_url" not in options:
            if model.adrift not in self.addresses:
                said = f"{model.name} is left out: it is asked at {model.adrift}, not known here"
                self._say("address-unknown", where, f"{said}; its key is to go nowhere else")
                return None
            options = options | {"base_url": self.addresses[model.adrift]}
        if is_own(options.get("base_url"), self.served):
            self._say("own-server", where, f"{model.name} is left out: it is served by llmrr")
            return None
        file = where.partition(":")[0]
        known = [one for one in self.warnings
                 if one.code == "foreign-path" and one.where.startswith(file)]  # fmt: skip
        for path in placer.missing[before:]:
            if any(path in one.message for one in known):
                continue
            self._say("foreign-path", where, f"{model.name}: there is no {path} here")
        name = naming.model_name(model.name).lstrip("-") or "model"
        return replace(model, name=name, source=source, options=options, params=dict(model.params))

    def _enter(self, model: Model, artefact: Artefact, where: str) -> str:
        """Enter a model, unless it is there; its name."""
        home = f"{artefact.path}\n{artefact.kind}"
        fingerprint = alike.fingerprint(model)
        for at in self._by_fingerprint.get(fingerprint, ()):
            other = self.models[at]
            if None not in (model.key, other.key) and model.key != other.key:
                continue
            if self.homes[other.name] == home and not alike.is_automatic(model, other, artefact):
                continue
            self._join(at, model, where)
            return other.name
        taken = [one.name for one in self.models]
        name = unique(model.name, taken)
        if name != model.name:
            self._say("clash", where, f"another model is called {model.name}: this one is {name}")
        self._by_fingerprint.setdefault(fingerprint, []).append(len(self.models))
        self.models.append(replace(model, name=name))
        self.homes[name], self.origins[name] = home, where
        return name

    def _join(self, at: int, model: Model, where: str) -> None:
        """The same model again."""
        other = self.models[at]
        if model.name != other.name and not alike.is_usual(model):
            self._say("alias", where, f"{model.name} is the same model as {other.name}, and is"
                      " called so")  # fmt: skip
        self.models[at] = replace(
            other, call_sites=[*other.call_sites, *model.call_sites],
            aliases=list(dict.fromkeys([*other.aliases, *model.aliases])),
            key=other.key or model.key, cost=other.cost or model.cost,
            bytes=other.bytes or model.bytes, weights=other.weights or model.weights,
        )  # fmt: skip
        said = self.origins[other.name]
        file = where.partition(":")[0]
        if file not in (one.partition(":")[0] for one in said.split(", ")) and said.count(", ") < 2:
            self.origins[other.name] = f"{said}, {where}"

    def _groups(self, artefact: Artefact, names: Mapping[str, str]) -> dict[str, list[str]]:
        """The names of the models that answer to each group of an artefact."""
        found: dict[str, list[str]] = {}
        for model in artefact.models:
            for word in filter(None, (model.group, *model.aliases)):
                if model.name in names:
                    found.setdefault(word, []).append(names[model.name])
        return found

    def _follow(self, chain: tuple[str, ...]) -> None:
        if len(chain) > 1:
            self.chains.append(chain)

    def _keep(self, template: Template, names: Mapping[str, str], where: str) -> None:
        model = names.get(template.model) if template.model else None
        found = self.fitter.template(replace(template, model=model), where)
        if found is None:
            return
        content = table_of(found)
        if any(table_of(one) == content for one in self.templates):
            return
        name = unique(found.name, [one.name for one in self.templates])
        if name != found.name:
            said = f"another template is called {found.name}: this one is {name}"
            self._say("clash", where, said)
        self.templates.append(replace(found, name=name))
        self.origins[f"templates.{name}"] = where

    def _set(
        self, key: str, value: Any, names: Mapping[str, str],
        groups: Mapping[str, list[str]], where: str,
    ) -> None:  # fmt: skip
        if key == "fallback_chain" and value is not False:
            listed = [value] if isinstance(value, str) else value
            if isinstance(listed, list | tuple):
                wide = {**{one: [known] for one, known in names.items()}, **groups}
                value = list(_named(listed, {}, wide))
                if len(value) < min(2, len(listed)) or not value:
                    return
        elif key in NAMING:
            value = _translated(value, names)
        for one, known in self.fitter.setting(key, value, where):
            if one in self.settings and self.settings[one] != known:
                said = f"{one} was {self.settings[one]!r} elsewhere; the later value is taken"
                self._say("clash", where, said)
            self.settings[one] = known

    def _free_groups(self) -> None:
        """No model may be called as a group is."""
        names = {one.name for one in self.models}
        for group in dict.fromkeys(one.group for one in self.models if one.group in names):
            assert group is not None
            [holder] = (one for one in self.models if one.name == group)
            taken = names | {one.group for one in self.models if one.group}
            if holder.group == group:
                self._rename(group, unique(f"{group}-1", taken))
                continue
            new = unique(f"{group}-group", taken)
            said = f"the group {group} has the name of a model, and is called {new}"
            self._say("clash", self.origins[group], said)
            self.models = [
                replace(one, group=new) if one.group == group else one for one in self.models
            ]

    def _rename(self, old: str, new: str) -> None:
        self.models = [replace(one, name=new) if one.name == old else one for one in self.models]
        self.chains = [tuple(new if one == old else one for one in each) for each in self.chains]
        self.origins[new] = self.origins.pop(old)
        self.called = {key: new if one == old else one for key, one in self.called.items()}
        self.templates = [
            replace(one, model=new) if one.model == old else one for one in self.templates
        ]
        for key in NAMING:
            if key in self.settings:
                self.settings[key] = _translated(self.settings[key], {old: new})

    def _prefer_default(self) -> None:
        """What another tool asks by default is asked first here: ``default_model`` is only for
        where there are no models."""
        wanted = self.settings.get("default_model")
        if wanted is None or not self.models:
            return
        del self.settings["default_model"]
        names = [one.name for one in self.models]
        if wanted not in names:
            self._say("no-model", str(wanted), f"the default model {wanted} was not found")
        elif len(names) > 1 and all(one.priority is None for one in self.models):
            at = names.index(wanted)
            self.models[at] = replace(self.models[at], priority=1)

    def _say(self, code: str, where: str, message: str) -> None:
        self.warnings.append(Notice(code, where, message))


def digest_of(path: Path) -> str | None:
    """The SHA-256 of a file; None for what is none, or cannot be read."""
    import hashlib

    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def _where(path: Path, line: int | None) -> str:
    return str(path) if line is None else f"{path}:{line}"


def _named(
    chain: Iterable[object], names: Mapping[str, str], groups: Mapping[str, list[str]]
) -> tuple[str, ...]:
    """A chain by final names; a group stands for its models."""
    found: list[str] = []
    for one in chain:
        if isinstance(one, str):
            found += [names[one]] if one in names else groups.get(one, [])
    return tuple(dict.fromkeys(found))


def _translated(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list | tuple):
        return [names.get(one, one) for one in value]
    return names.get(value, value) if isinstance(value, str) else value
