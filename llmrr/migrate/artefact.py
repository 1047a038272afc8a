"""What a reader finds: models, chains, prompts, and what could not be taken along."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrr.migrate.codes import CODES

KINDS = (
    "langchain-serialized", "langchain-legacy", "langchain-config-js", "langchain-code",
    "llamaindex", "llamaindex-code", "openai-config-js", "openai-code", "dotenv",
    "transformers-dir", "hf-cache", "transformers-code", "node-llama-cpp-code",
    "ollama-modelfile", "ollama-store", "localai", "localai-gallery", "mlx-dir", "mlx-code",
    "llama-cpp-python-code", "litellm", "llama-swap", "llama-server-preset", "lm-studio",
    "gpt4all", "continue", "aichat", "simonw-llm", "local-config-js", "response-cache", "custom",
    "none",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning: a stable ``code`` of ``codes.CODES``, ``where`` (a file, its line, a field) and a
    sentence."""

    code: str
    where: str
    message: str

    def as_json(self) -> dict[str, str]:
        """As ``migrate scan --json`` prints it."""
        return {"code": self.code, "where": self.where, "message": self.message}


@dataclass(slots=True)
class Model:
    """A model as an artefact has it, in our words; readers fill it in.

    ``name`` is unique in its artefact. ``params`` and ``options`` are those of ``[[models]]``; an
    ``options["api_key_env"]`` names the variable of the key, and ``key`` is a digest of a literal
    one, which never leaves the process: two that differ need two variables. ``source`` is as §5 of
    the design has it, with paths as the artefact has them. ``call_sites`` are lines where code asks
    it; ``cost`` is in dollars per million tokens. ``weights`` is the file where they lie on this
    machine, for a tool that keeps them under another name than ``source`` has. ``adrift`` is what
    decides on its address where that is not known: a variable, or what the code says.
    """

    name: str
    source: str
    params: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    format: str | None = None
    engine: str | None = None
    group: str | None = None
    weight: float | None = None
    priority: int | None = None
    tags: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    cost: dict[str, float] | None = None
    line: int | None = None
    call_sites: list[int] = field(default_factory=list)
    key: str | None = None
    bytes: int | None = None
    weights: str | None = None
    adrift: str | None = None

    @property
    def settings(self) -> tuple[Any, ...]:
        """What makes two models of one file the same."""
        return self.source, self.params, self.options, self.key

    def as_json(self) -> dict[str, Any]:
        """As ``migrate scan --json`` prints it."""
        found: dict[str, Any] = {
            "name": self.name, "source": self.source, "params": self.params,
            "options": self.options,
        }  # fmt: skip
        rest = (
            "format", "engine", "group", "weight", "priority", "tags", "aliases", "cost", "line",
            "call_sites", "bytes", "weights",
        )  # fmt: skip
        values = ((name, getattr(self, name)) for name in rest)
        return found | {name: one for name, one in values if one not in (None, [])}


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt: ``template``, or ``messages`` as (role, content). ``format`` is ``braces``, or that
    of a text which is kept raw (``go``, ``jinja2``, ``mustache``); ``model`` is the name of a model
    of its artefact."""

    name: str
    template: str | None = None
    messages: tuple[tuple[str, str], ...] = ()
    format: str = "braces"
    model: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As ``migrate scan --json`` prints it."""
        found: dict[str, Any] = {
            "name": self.name, "template": self.template, "format": self.format,
            "model": self.model,
        }  # fmt: skip
        if self.messages:
            found["messages"] = [
                {"role": role, "content": content} for role, content in self.messages
            ]
        return found | ({"defaults": dict(self.defaults)} if self.defaults else {})


@dataclass(frozen=True, slots=True)
class Artefact:
    """One thing that was found. ``fallbacks`` are chains of names of its models; ``settings`` is
    what else it says, as keys of ``llmrr.toml`` (``strategy``, ``retry.attempts``); ``error`` is
    why nothing could be taken from it; ``confidence``, 0 to 1, is for guessed shapes alone.
    ``env_file`` is where its keys lie; ``framework`` what it belongs to, where that is known.
    ``keys`` are those in clear: for comparison alone, they are never written."""

    path: Path
    kind: str
    models: tuple[Model, ...] = ()
    fallbacks: tuple[tuple[str, ...], ...] = ()
    templates: tuple[Template, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()
    error: str | None = None
    confidence: float | None = None
    env_file: str | None = None
    keys: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """As ``migrate scan --json`` prints it."""
        found: dict[str, Any] = {
            "path": str(self.path), "kind": self.kind,
            "models": [one.as_json() for one in self.models],
            "fallbacks": [list(one) for one in self.fallbacks],
            "templates": [one.as_json() for one in self.templates],
            "settings": dict(self.settings),
            "warnings": [one.as_json() for one in self.warnings], "error": self.error,
        }  # fmt: skip
        rest = {"confidence": self.confidence, "env_file": self.env_file}
        return found | {name: one for name, one in rest.items() if one is not None}


class Findings:
    """Collects what a reader finds in one artefact."""

    def __init__(self, path: Path, kind: str, text: str | None = None) -> None:
        """``text`` is that of the file, where lines are those of it."""
        assert kind in KINDS
        self.path, self.kind = path, kind
        self._text = text or ""
        self.models: list[Model] = []
        self.fallbacks: list[tuple[str, ...]] = []
        self.templates: list[Template] = []
        self.settings: dict[str, Any] = {}
        self.warnings: list[Notice] = []
        self._told: set[Notice] = set()
        self._prompts: dict[str, tuple[object, ...]] = {}  # by their names
        self._said: set[tuple[object, ...]] = set()
        self._starts: list[int] = []  # of the lines
        self._names: set[str] = set()  # of its models, where none was taken away since
        self.confidence: float | None = None
        self.env_file: str | None = None
        self.secrets: set[str] = set()  # literal ones, to be kept out of every text

    def model(self, source: str, name: str | None = None, line: int | None = None) -> Model:
        """A new model; without a name it is called as its source ends. A name that is taken gets a
        ``-2``."""
        from llmrr.migrate.terms.naming import model_name

        wanted = model_name(name or source)
        if len(self._names) != len(self.models):
            self._names = {one.name for one in self.models}
        model = Model(unique(wanted, self._names), source, line=line)
        self._names.add(model.name)
        self.models.append(model)
        return model

    def template(
        self, name: str, template: str | None = None,
        messages: Iterable[tuple[str, str]] = (), *, format: str = "braces",
        model: Model | None = None, defaults: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """A prompt; the same one twice is one."""
        from llmrr.migrate.terms.naming import model_name

        found = Template(
            "", template, tuple(messages), format, model.name if model else None, defaults or {}
        )
        if len(self._prompts) != len(self.templates):
            self._prompts = {one.name: _said(one) for one in self.templates}
            self._said = set(self._prompts.values())
        if _said(found) in self._said:
            return
        wanted = unique(model_name(name), self._prompts.keys())
        self._prompts[wanted] = _said(found)
        self._said.add(_said(found))
        self.templates.append(
            Template(wanted, found.template, found.messages, format, found.model, found.defaults)
        )

    def chain(self, *models: Model) -> None:
        """A model and those that follow when it fails, in that order."""
        names = tuple(dict.fromkeys(one.name for one in models))
        if len(names) > 1 and names not in self.fallbacks:
            self.fallbacks.append(names)

    def warn(self, code: str, message: str, line: int | None = None, at: str = "") -> None:
        """A warning; ``at`` is the field that it is about. The same one twice is one."""
        if code not in CODES:
            raise KeyError(code)
        where = ":".join([str(self.path), *([str(line)] if line is not None else [])])
        notice = Notice(code, f"{where} {at}".strip(), message)
        if notice not in self._told:
            self._told.add(notice)
            self.warnings.append(notice)

    def line_of(self, value: str, line: int | None) -> int | None:
        """Where a value stands: at the given line or behind it, else before, else that line."""
        if not value:
            return line
        if not self._starts:
            self._starts = [0, *(found.end() for found in re.finditer("\n", self._text))]
        if len(self._starts) == 1:
            return line
        at = self._text.find(value, self._starts[min(line or 1, len(self._starts)) - 1])
        at = at if at >= 0 else self._text.find(value)
        return line if at < 0 else bisect_right(self._starts, at)

    def artefact(self, error: str | None = None) -> Artefact:
        """What was found, with no secret in any text of it."""
        from llmrr.migrate.terms.secrets import scrubbed

        found = Artefact(
            self.path, self.kind, tuple(self.models), tuple(self.fallbacks),
            tuple(self.templates), self.settings, tuple(self.warnings), error, self.confidence,
            self.env_file, frozenset(self.secrets),
        )  # fmt: skip
        return scrubbed(found, self.secrets)


def unique(name: str, taken: Iterable[str]) -> str:
    """A name that is not taken.

    >>> unique("a", ["b"]), unique("a", ["a", "a-2"])
    ('a', 'a-3')
    """
    known = taken if isinstance(taken, Set) else set(taken)
    at, wanted = 1, name
    while wanted in known:
        at += 1
        wanted = f"{name}-{at}"
    return wanted


def _said(one: Template) -> tuple[object, ...]:
    """What makes two prompts of one file the same."""
    return one.template, one.messages, one.model
