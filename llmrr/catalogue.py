"""Which model a name means, and what is known of it: the configuration, the store, what other tools
hold, and the files themselves, joined."""

import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from llmrr import engines, formats, paths
from llmrr.config import Config, ConfiguredModel
from llmrr.errors import (
    BadConfig,
    LlmrrError,
    NotFound,
    NotInstalled,
    Unsupported,
    UsageError,
    nearest,
)
from llmrr.kinds import LOCAL_PROVIDERS, split_source
from llmrr.settings import REMOTE_OPTIONS
from llmrr.tomltext import is_secret
from llmrr.types import Endpoint, Format, ModelFiles, Recipe

if TYPE_CHECKING:
    import sqlite3

    from llmrr.evaluate.scoring import Score
    from llmrr.speeds import Speed
    from llmrr.store.holders import Holding
    from llmrr.store.records import Entry
    from llmrr.store.references import HubReference
    from llmrr.store.shortnames import ShortName

T = TypeVar("T")

BUILTIN = "builtin:mini"
_PATHS = ("./", "../", "~/")  # what begins so can be nothing else


@dataclass(frozen=True, slots=True)
class Resolved:
    """Which model answers, and why. ``stated`` is False when nobody named it; ``label`` is that of
    an installed one. ``format`` is None where it has yet to be looked at; ``engine`` is the one
    that the configuration names. ``endpoint`` is where a remote one answers, which has no
    ``path``; ``mmproj`` is the image encoder among its files."""

    name: str
    source: str
    path: Path
    stated: bool = True
    why: str = ""
    recipe: Recipe = field(default_factory=Recipe)
    format: Format | None = None
    label: str | None = None
    engine: str | None = None
    endpoint: Endpoint | None = None
    mmproj: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """How it is loaded, unless the call says otherwise: its recipe, and the image encoder that
        lies with its files."""
        found = {} if self.mmproj is None else {"mmproj": self.mmproj}
        return {**found, **self.recipe.options}


class Database(Protocol):
    """Uses the database, or warns once of what is lost without it."""

    def __call__(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None": ...


class Catalogue:
    """The models that can be named here."""

    def __init__(self, config: Callable[[], Config], database: Database) -> None:
        self._config, self._database = config, database
        self._remote: dict[str, tuple[ConfiguredModel, Resolved]] = {}

    def resolve(self, name: str | None) -> Resolved:
        """Which model a name means; without one, the one that answers by default.

        Raises ``NotFound`` with the nearest name, ``NotInstalled`` for one that could be fetched,
        ``Unsupported`` for a source that nothing here reads.
        """
        if name is not None:
            return replace(self._named(name), why="it was named")
        config = self._config()
        if config.models:
            first = self._named(config.models[0].name)
            return replace(first, stated=False, why="it is the first of [[models]]")
        if default := config.value("default_model"):
            return replace(self._named(str(default)), stated=False, why="it is default_model")
        if entry := self._latest():
            return replace(_of_entry(entry), stated=False, why="it was used or added last")
        why = "nothing else is installed or configured"
        return replace(_builtin(), stated=False, why=why)

    def wanted(self, name: str | None, engine: str | None) -> Resolved:
        """The same, for the engine that must run it."""
        found = self.resolve(name)
        return self.served(found) if engine == "ollama" else found

    def for_running(self, found: Resolved) -> Resolved:
        """The same model as an engine here runs it: where its own format is none of those, what
        was converted from it on this machine, if it has not changed since."""
        if found.endpoint is not None:
            return found
        if self.needs_conversion(found) and (entry := self.conversion(found)):
            return replace(
                found, path=entry.path, format=entry.format, label=entry.label,
                why=f"{entry.label} was converted from it",
            )  # fmt: skip
        return found

    def needs_conversion(self, found: Resolved) -> bool:
        """Whether no engine here runs its format, or its architecture in that format."""
        if found.endpoint is not None:
            return False
        return not engines.runs(found.format or formats.detect(found.path), found.path)

    def conversion(self, found: Resolved) -> "Entry | None":
        """What was last converted from a model here, and is newer than it."""
        origin = f"file:{found.path}"
        made = self._stored(lambda records, connection: records.of_origin(connection, origin))
        usable = [
            one for one in made
            if one.format in runnable() and not one.is_missing and one.added >= _changed(found.path)
        ]  # fmt: skip
        return max(usable, key=lambda one: one.added, default=None)

    def is_model(self, word: str) -> bool:
        """May this word of a command line be a model's name? A plain ``owner/repo``, with or
        without a tag, is one only once it is installed."""
        if not word or any(character.isspace() for character in word):
            return False
        names = {name for model in self._config().models for name in (model.name, model.group)}
        if word in names or word.endswith(".gguf"):
            return True
        if word.startswith(_PATHS) or _is_source(word) or self._matching(word):
            return True
        return _is_model_file(paths.expanded(word)) or _short_name(word) is not None

    def entry(self, name: str | None) -> "Entry":
        """A model as the store notes it, installed or not: with all its files. Raises what
        ``resolve`` does."""
        from llmrr.store import adoption, candidates, imports, records

        resolved = self.resolve(name)
        require_files(resolved)
        if resolved.label is not None:
            return replace(self._matching(resolved.label)[0], recipe=resolved.recipe)
        if resolved.source == BUILTIN:
            info = formats.inspect(resolved.path)
            return records.Entry(  # without files: where the package lies may change
                BUILTIN, "", resolved.path, BUILTIN, (), format=info.format, quant=info.quant,
                bytes=info.bytes,
            )  # fmt: skip
        if holding := _holding(resolved.source) or _cached(resolved.source):
            return adoption.held(holding, resolved.name)
        try:
            entry = imports.lying(candidates.candidate(resolved.path), resolved.name)
        except Unsupported:  # nothing to keep, and still something to look at
            entry = records.Entry(resolved.name, "", resolved.path, resolved.source, ())
        return replace(entry, recipe=resolved.recipe)

    def measured(self, name: str | None) -> "Entry":
        """What a score of a model belongs to: the same as ``entry``, also for a remote one, which
        has no files."""
        from llmrr.store import records

        resolved = self.resolve(name)
        if resolved.endpoint is None:
            return self.entry(name)
        where = resolved.recipe.options.get("base_url") or resolved.endpoint.provider
        return records.Entry(
            resolved.name, "", Path(), resolved.source, (), digest=f"at {where}",
            recipe=resolved.recipe,
        )  # fmt: skip

    def scores(self, entry: "Entry") -> "list[Score]":
        """What ``eval`` measured of exactly this model, the newest first."""
        from llmrr.evaluate import scoring

        identity = identity_of(entry)
        if identity is None:
            return []
        return self._database(
            lambda connection: scoring.scores(connection, entry.origin, identity),
            "what was measured is not known",
        ) or []

    def speed(self, entry: "Entry") -> "Speed | None":
        """What ``bench`` measured last of exactly this model."""
        from llmrr import speeds

        identity = identity_of(entry)
        if identity is None:
            return None
        return self._database(
            lambda connection: speeds.latest(connection, entry.origin, identity),
            "what was measured is not known",
        )

    def find(self, name: str) -> "Entry | None":
        """The installed model of this label, or of this name the one used or added last."""
        return next(iter(self._matching(name)), None)

    def installed(self, name: str) -> "Entry":
        """The installed model of this label. Raises ``NotFound``, also for a name with several
        tags, none of them ``latest``, of which one must be named."""
        found = self._matching(name)
        if len(found) > 1 and found[0].tag.lower() != "latest":
            tags = ", ".join(entry.label for entry in found)
            raise NotFound(f'"{name}" means several models: {tags}', "name one with its tag")
        if not found:
            near = nearest(name, [entry.label for entry in self.entries()])
            hint = f"did you mean {near}?" if near else "llmrr list shows what is installed"
            raise NotFound(f'no model "{name}" is installed', hint)
        return found[0]

    def _named(self, name: str) -> Resolved:
        if is_secret("", name):
            raise UsageError(
                "a key stands in the place of the model's name",
                "llmrr keys set OPENAI_API_KEY keeps it; replace a key that others could have read",
            )
        models = self._config().models
        for model in sorted(models, key=lambda one: one.name != name):
            if name in (model.name, model.group):
                return self.configured(model)
        return self._from(name)

    def configured(self, model: ConfiguredModel) -> Resolved:
        """A model of ``[[models]]``; its path is seen from the file that names it."""
        of, found = self._remote.get(model.name, (None, None))
        if found is None or of is not model:
            found = self._configured(model)
            if model.provider not in LOCAL_PROVIDERS:  # what is here may change
                self._remote[model.name] = model, found
        return found

    def _configured(self, model: ConfiguredModel) -> Resolved:
        from llmrr.store.creation import over

        if model.path is not None:
            found = Resolved(model.name, model.source, model.path)
        elif model.provider == "ollama" and (
            model.engine == "ollama" or not REMOTE_OPTIONS.isdisjoint(model.options)
        ):
            found = _served(split_source(model.source)[1])
        else:
            found = self._from(model.source)
        if model.format is not None and paths.exists(found.path):
            found = _as_format(found, Format(model.format), model)
        stated = Recipe(model.system, model.params, model.options)
        return replace(
            found, name=model.name, source=model.source, recipe=over(stated, found.recipe),
            engine=model.engine,
        )  # fmt: skip

    def served(self, found: Resolved) -> Resolved:
        """The same model, asked at Ollama's server; what is no model of Ollama's as it was."""
        if not found.source.startswith("ollama:") or found.endpoint is not None:
            return found
        configured = self._config().model(found.name)
        if configured is not None:
            return self.configured(configured._replace(engine="ollama"))
        served = _served(split_source(found.source)[1])
        return replace(served, stated=found.stated, why=found.why)

    def _from(self, name: str) -> Resolved:
        """What a label, a source or a path means."""
        if name == BUILTIN:
            return _builtin()
        if found := self._matching(name):
            whole = [entry for entry in found if not entry.is_missing]
            return _of_entry(_present((whole or found)[0]))
        provider, rest = _split(name) or (None, name)
        if provider is not None and provider not in LOCAL_PROVIDERS:
            endpoint = Endpoint(provider, rest)
            return Resolved(endpoint.source, endpoint.source, Path(), endpoint=endpoint)
        path = paths.expanded(rest)
        if provider == "file" or (provider in (None, "huggingface") and paths.exists(path)):
            return Resolved(path.name, f"file:{path}", path)
        if provider == "builtin":
            raise NotFound(f'there is no model "{name}"', f"llmrr run -m {BUILTIN}")
        from llmrr.store.references import hub_reference

        if reference := hub_reference(name):
            return self._from_hub(reference, name)
        if provider == "ollama" and not _is_held(name):  # its server may have it elsewhere
            return _served(rest)
        if holding := _holding(name):
            if holding.problem:
                raise NotFound(f"{name}: {holding.problem}", "llmrr list --all")
            return _of_holding(holding)
        if short := _short_name(name):
            ollama = f"ollama:{name}"
            there = _is_held(ollama)
            raise NotInstalled(
                f"{name} is not installed; on the hub it is {short.reference.repo}"
                + (", and Ollama has it here" if there else ""),
                f"llmrr run -m {ollama}, or llmrr pull {name}" if there else f"llmrr pull {name}",
                reference=name,
            )
        raise NotFound(f'there is no model "{name}"{_refused(name)}', self._nearest(name))

    def _from_hub(self, reference: "HubReference", name: str) -> Resolved:
        """A model of the hub: one that was pulled, or that lies in the hub's cache all the same."""
        from llmrr.store import cached

        entries = [
            one for one in self._latest_first()
            if cached.is_of(one.origin, reference) and not one.is_made
        ]  # fmt: skip
        if entries:
            return _of_entry(_present(entries[0]))
        if holding := cached.find(reference):
            return _of_holding(holding)
        raise NotInstalled(
            f"{reference.source} is not on this machine",
            f"llmrr pull {shlex.quote(name)}",
            reference=name,
        )

    def near(self, word: str) -> str | None:
        """The model that was perhaps meant by the first word of a prompt: one that is configured,
        one installed with just this name behind an owner, and for a word that looks like the name
        of a model any that is known."""
        from llmrr.store.shortnames import SHORT_NAMES

        if any(character.isspace() for character in word):
            return None
        labels = [entry.label for entry in self.entries()]
        parts = {re.split("[/:]", label.rpartition("/")[2])[0]: label for label in labels}
        if found := nearest(word, [model.name for model in self._config().models]):
            return found
        if word in parts:
            return parts[word]
        if not set(word) & set("0123456789:/._-"):
            return None
        return nearest(word, [*labels, *parts, *SHORT_NAMES])

    def nearest(self, name: str) -> str | None:
        """The model that was probably meant by a name."""
        return nearest(name, self._names())

    def _nearest(self, name: str) -> str:
        from llmrr.store.shortnames import SHORT_NAMES

        if near := self.nearest(name):
            return f"did you mean {near}?"
        near = nearest(name, SHORT_NAMES)
        return f"llmrr pull {near}" if near else "llmrr list shows those that there are"

    def _names(self) -> list[str]:
        configured = (model.name for model in self._config().models)
        return [*configured, *(entry.label for entry in self.entries()), BUILTIN]

    def _matching(self, label: str) -> "list[Entry]":
        return self._stored(lambda records, connection: records.matching(connection, label))

    def entries(self) -> "list[Entry]":
        """The installed models, by label."""
        return self._stored(lambda records, connection: records.entries(connection))

    def _latest_first(self) -> "list[Entry]":
        return self._stored(lambda records, connection: records.latest(connection))

    def _latest(self) -> "Entry | None":
        """The installed model that answers by default: it can be run, and is there."""
        runs = runnable()
        usable = (
            entry for entry in self._latest_first()
            if entry.format in runs and entry.kind in (None, "model") and not entry.is_missing
        )  # fmt: skip
        return next(usable, None)

    def _stored(self, work: "Callable[..., list[Entry]]") -> "list[Entry]":
        from llmrr.store import records

        loss = "installed models are not known, and nothing is recorded"
        return self._database(lambda connection: work(records, connection), loss) or []


def _changed(path: Path) -> float:
    """When a model's files last changed, in epoch seconds."""
    inside = path.iterdir() if path.is_dir() else (path,)
    return max((one.stat().st_mtime for one in inside if one.is_file()), default=0.0)


def identity_of(entry: "Entry") -> str | None:
    """What a score of this model belongs to; None where its files cannot be got at."""
    from llmrr.evaluate import scoring

    files = [file.path for file in entry.files] or [entry.path]
    try:
        return scoring.identity(files, entry.digest, entry.recipe)
    except OSError:
        return None


def runnable() -> frozenset[Format]:
    """The formats that an engine here runs."""
    return engines.runnable()


def place(resolved: Resolved) -> ModelFiles:
    """What to open. Raises what ``formats.locate`` does, and ``Unsupported`` for a remote one."""
    require_files(resolved)
    if resolved.format is not None:
        return ModelFiles(resolved.path, resolved.format)
    return formats.locate(resolved.path)


def require_files(resolved: Resolved) -> None:
    """Raise ``Unsupported`` for a model that runs elsewhere, ``NotFound`` for one that Ollama may
    have elsewhere."""
    endpoint = resolved.endpoint
    if endpoint is not None and endpoint.provider == "ollama":
        found = _holding(endpoint.source)  # raises NotFound with the nearest
        why = (found and found.problem) or "Ollama's server is asked for it"
        raise NotFound(f"{resolved.name}: {why}", f"ollama pull {shlex.quote(endpoint.model)}")
    if endpoint is not None:
        raise Unsupported(
            f"{resolved.name} runs at {endpoint.provider}: nothing of it is on this machine",
            f'llmrr run -m {shlex.quote(resolved.name)} "…" asks it',
        )


def _as_format(found: Resolved, wanted: Format, model: ConfiguredModel) -> Resolved:
    """The same, in the format that the configuration states."""
    try:
        path = formats.of_format(found.path, wanted)
    except Unsupported as error:
        raise BadConfig(
            f"{error.message}; {model.name} has format = {model.format} ({model.file})",
            "take out the format, or name the right file",
        ) from None
    return replace(found, path=path, format=wanted if path.is_file() else found.format)


def _builtin() -> Resolved:
    return Resolved(BUILTIN, BUILTIN, paths.builtin_model(), format=Format.GGUF)


def _served(name: str) -> Resolved:
    """A model of Ollama's server."""
    source = f"ollama:{name}"
    return Resolved(source, source, Path(), endpoint=Endpoint("ollama", name))


def _of_entry(entry: "Entry") -> Resolved:
    path = paths.builtin_model() if entry.origin == BUILTIN else entry.path
    return Resolved(
        entry.label, entry.origin, path, recipe=entry.recipe, format=entry.format,
        label=entry.label, mmproj=_mmproj(entry.format, [file.path for file in entry.files]),
    )  # fmt: skip


def _of_holding(holding: "Holding") -> Resolved:
    return Resolved(
        holding.name, holding.source, holding.path, recipe=holding.recipe, format=holding.format,
        mmproj=_mmproj(holding.format, holding.files),
    )  # fmt: skip


def _mmproj(form: Format | None, files: Sequence[Path]) -> Path | None:
    """The image encoder among the files of a model, told by what it says."""
    for path in files[1:] if form is Format.GGUF else ():
        with suppress(LlmrrError):
            if formats.inspect(path).kind == "mmproj":
                return path
    return None


def _present(entry: "Entry") -> "Entry":
    """The entry, if its files are there. Raises ``NotFound``."""
    for file in entry.files:
        try:
            file.path.stat()
        except PermissionError as exc:
            raise NotFound(
                f"{file.path} of {entry.label} cannot be read: {exc.strerror}",
                f"ls -l {file.path}",
            ) from exc
        except OSError as exc:
            hint = f"llmrr rm {entry.label}"
            if entry.provider == "huggingface":
                hint = f"llmrr pull {entry.origin}, or {hint}"
            said = f"the files of {entry.label} are gone: {file.path}"
            raise NotFound(said, hint) from exc
    return entry


def _holding(source: str) -> "Holding | None":
    """What another tool holds under a source of it; None for a source of another kind."""
    if not source.startswith(("ollama:", "lmstudio:")):
        return None
    from llmrr.store import holders

    return holders.find(source)


def _cached(source: str) -> "Holding | None":
    """What the cache of the hub has under a source of it."""
    from llmrr.store import cached
    from llmrr.store.references import hub_reference

    reference = hub_reference(source) if source.startswith("huggingface:") else None
    return cached.find(reference) if reference else None


def _is_held(source: str) -> bool:
    try:
        found = _holding(source)
        return found is not None and found.problem is None
    except LlmrrError:
        return False


def _short_name(word: str) -> "ShortName | None":
    from llmrr.store.shortnames import short_name

    # Without a digit or a tag it may as well be the first word of a prompt.
    return short_name(word) if any(one.isdigit() or one == ":" for one in word) else None


def _is_source(word: str) -> bool:
    """Whether a word is a source by its prefix."""
    found = _split(word)
    return found is not None and found[1] != word


def _refused(name: str) -> str:
    """Why a name with a prefix is no source."""
    try:
        split_source(name)
    except ValueError as error:
        return f": {error}" if ":" in name else ""
    return ""


def _split(name: str) -> tuple[str, str] | None:
    """Provider and rest of a source; None for what is none."""
    try:
        return split_source(name)
    except ValueError:
        return None


def _is_model_file(path: Path) -> bool:
    """A file or folder that exists and holds a model, by its content."""
    if not paths.exists(path):
        return False
    try:
        formats.locate(path)
    except LlmrrError:
        return False
    return True
