"""What ``llmrr.toml`` takes of a model, a template or a setting: what it would refuse is left out,
and said."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from llmrr import settings, tomlfile
from llmrr.kinds import LOCAL_PROVIDERS, split_source
from llmrr.migrate.artefact import Model, Notice, Template
from llmrr.migrate.terms.hubnames import gpu_format
from llmrr.migrate.terms.secrets import masked
from llmrr.strategies import STRAY
from llmrr.tomltext import is_secret

# What other tools write for "not stated".
_SENTINELS: Final[Mapping[str, tuple[object, ...]]] = {
    "seed": (-1,), "max_tokens": (-1, -2, 0), "context_size": (0, -1, "auto"), "threads": (0, -1),
    "top_k": (-1,), "gpu_layers": ("auto",), "timeout": (0, -1), "max_retries": (-1,),
}  # fmt: skip
# What is given up, in this order, where the parts of a model do not go together.
_YIELDING: Final = ("format", "engine", "group", "cost", "tags", "weight", "priority")


class Fitter:
    """Holds things against what ``llmrr.toml`` takes; paths in it start at ``folder``. ``notices``
    say what was left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notices: list[Notice] = []

    def model(self, model: Model, where: str) -> Model | None:
        """The model as it can be written; None where it cannot be at all."""
        try:
            provider, rest = split_source(model.source)
        except ValueError as exc:
            self._say("unsupported-source", where, f"{model.name} is left out: {exc}")
            return None
        if "\0" in rest:
            self._say("unsupported-source", where, f"{model.name} is left out: no path or name")
            return None
        if (weights := gpu_format(model.source)) and model.engine != "mlx":
            said = f"{model.name}: no engine here runs weights in {weights}; name others: --replace"
            self._say("unsupported-source", where, said)
        found = replace(
            model,
            params=self._values("params", model.params, where),
            options=self._reachable(self._values("options", model.options, where), provider, where),
            **{name: self._own(name, getattr(model, name), where) for name in _YIELDING},
        )
        return self._whole(found, where)

    def template(self, template: Template, where: str) -> Template | None:
        """The template as it can be written, or None."""
        if template.format == "braces" and template.defaults:
            plain = table_of(replace(template, defaults={}))
            parsed = self._read("templates", {template.name: plain})
            holes = parsed.templates[template.name].holes if parsed.templates else ()
            kept = {name: one for name, one in template.defaults.items() if name in holes}
            template = replace(template, defaults=kept)
        if problems := self._read("templates", {template.name: table_of(template)}).problems:
            self._say("wrong-type", where, f"the template {template.name} is left out: "
                      f"{_said(problems[0])}")  # fmt: skip
            return None
        return template

    def setting(self, key: str, value: object, where: str) -> Iterator[tuple[str, Any]]:
        """A setting by its dotted key, or those in it; what is none is not yielded."""
        known = settings.plain_settings()
        if key not in known:
            if isinstance(value, dict) and any(one.startswith(f"{key}.") for one in known):
                for name, inner in value.items():
                    yield from self.setting(f"{key}.{name}", inner, where)
                return
            self._say("not-applied", where, f"{key} has no place in llmrr.toml")
            return
        if value is None:
            return
        if key == "strategy" and isinstance(value, str):
            value = value.strip().lower().replace("_", "-")
            if value in STRAY:
                said = f"the strategy {value!r} becomes {STRAY[value]!r}, which comes nearest"
                self._say("strategy", where, said)
                value = STRAY[value]
        if self._is_taken(known[key], value, key, where):
            yield key, value

    def _values(self, table: str, stated: Mapping[str, Any], where: str) -> dict[str, Any]:
        found = {}
        for name, value in stated.items():
            if value is None or (not isinstance(value, bool | list | dict)
                                 and value in _SENTINELS.get(name, ())):  # fmt: skip
                continue
            try:
                spec = settings.spec(f"models[].{table}.{name}")
            except KeyError:
                self._say("not-applied", where, f"{name} has no place in llmrr.toml")
                continue
            if self._is_taken(spec, value, name, where):
                found[name] = value
        return found

    def _own(self, name: str, value: Any, where: str) -> Any:
        if value is None or value == []:
            return value
        value = settings.STRAY.get(name, {}).get(value, value) if isinstance(value, str) else value
        spec = settings.spec(f"models[].{name}")
        empty: Any = [] if name == "tags" else None
        if value is None:
            return None
        return value if self._is_taken(spec, value, name, where) else empty

    def _is_taken(self, spec: settings.Spec, value: object, name: str, where: str) -> bool:
        if is_secret(spec.leaf, value):
            self._say("secret-in-clear", where, f"{name} looks like a key, and is left out")
            return False
        try:
            spec.kind.parse(value, self.folder)
        except (ValueError, OSError) as exc:
            why = str(exc) or f"it is not {spec.kind.expected}"
            self._say("wrong-type", where, f"{name} = {_short(value)} is left out: {masked(why)}")
            return False
        return True

    def _reachable(self, options: dict[str, Any], provider: str, where: str) -> dict[str, Any]:
        """Without what has no effect for models of this provider; ``ollama`` is both here and
        elsewhere."""
        if provider == "ollama":
            return options
        here, found = provider in LOCAL_PROVIDERS, {}
        for name, value in options.items():
            if (name in settings.REMOTE_OPTIONS) == here:
                place = "runs on this machine" if here else "runs elsewhere"
                self._say("not-applied", where, f"{name} has no effect: the model {place}")
            else:
                found[name] = value
        return found

    def _whole(self, model: Model, where: str) -> Model | None:
        """The model once its parts go together."""
        problem = self._problem(model)
        if problem is None:
            return model
        for name in ("file", "revision", *_YIELDING):
            less = _without(model, name)
            if less != model and self._problem(less) is None:
                self._say("not-applied", where, f"{name} is left out: {problem}")
                return less
        self._say("not-applied", where, f"{model.name} is left out: {problem}")
        return None

    def _problem(self, model: Model) -> str | None:
        if model.group == model.name:  # which gives way once all are known
            model = replace(model, group=None)
        found = tomlfile.read_table({"models": [model_table(model)]}, "llmrr.toml", self.folder)
        return _said(found.problems[0]) if found.problems else None

    def _read(self, key: str, table: object) -> tomlfile.TomlFile:
        return tomlfile.read_table({key: table}, "llmrr.toml", self.folder)

    def _say(self, code: str, where: str, message: str) -> None:
        notice = Notice(code, where, message)
        if notice not in self.notices:
            self.notices.append(notice)


def model_table(model: Model, fallback: tuple[str, ...] = ()) -> dict[str, Any]:
    """A model as a table of ``[[models]]``."""
    stated = {
        "name": model.name, "source": model.source, "format": model.format,
        "engine": model.engine, "priority": model.priority, "weight": model.weight,
        "tags": list(model.tags), "group": model.group, "fallback": list(fallback),
        "cost": model.cost, "params": model.params, "options": model.options,
    }  # fmt: skip
    return {name: value for name, value in stated.items() if value not in (None, [], {})}


def table_of(template: Template) -> dict[str, Any]:
    """A template as its table."""
    stated = {
        "template": template.template,
        "messages": [{"role": role, "content": text} for role, text in template.messages],
        "defaults": dict(template.defaults), "model": template.model,
        "format": None if template.format == "braces" else template.format,
    }  # fmt: skip
    return {name: value for name, value in stated.items() if value not in (None, [], {})}


def _without(model: Model, name: str) -> Model:
    if name in ("file", "revision"):
        options = {key: one for key, one in model.options.items() if key != name}
        return replace(model, options=options)
    empty: dict[str, Any] = {name: [] if name == "tags" else None}
    return replace(model, **empty)


def _said(problem: tomlfile.Problem) -> str:
    return problem.message.removesuffix(" (llmrr.toml)")


def _short(value: object) -> str:
    text = masked(repr(value))
    return text if len(text) <= 60 else f"{text[:59]}…"
