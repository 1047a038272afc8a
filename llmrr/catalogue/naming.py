"""The models that can be named here."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from llmrr import engines, formats, paths
from llmrr.catalogue import noting, sources
from llmrr.catalogue.resolved import (
    BUILTIN,
    Resolved,
    as_format,
    builtin,
    of_entry,
    of_file,
    served,
)
from llmrr.catalogue.stored import Database, Stored
from llmrr.config import Config, ConfiguredModel
from llmrr.errors import UsageError, nearest
from llmrr.kinds import LOCAL_PROVIDERS, guessed_provider, split_source
from llmrr.settings import REMOTE_OPTIONS
from llmrr.tomltext import is_secret
from llmrr.types import Format, Recipe

if TYPE_CHECKING:
    from llmrr.evaluate.scoring import Score
    from llmrr.speeds import Speed
    from llmrr.store.records import Entry

_LIKELY, _SURE = 0.65, 0.85  # how alike a short name has to be to be meant


class Catalogue:
    """The models that can be named here."""

    def __init__(self, config: Callable[[], Config], database: Database) -> None:
        self._config, self._database = config, database
        self._stored = Stored(database)
        self._remote: dict[str, tuple[ConfiguredModel, Resolved]] = {}
        self._stated: dict[str, tuple[Resolved, Resolved]] = {}  # those, and as they were named

    def resolve(self, name: str | None) -> Resolved:
        """Which model a name means; without one, the one that answers by default.

        Raises ``NotFound`` with the nearest name, ``NotInstalled`` for one that could be fetched,
        ``Unsupported`` for a source that nothing here reads.
        """
        if name is not None:
            return self._as_named(self._named(name))
        config = self._config()
        if config.models:
            first = self._named(config.models[0].name)
            return replace(first, stated=False, why="it is the first of [[models]]")
        if default := config.value("default_model"):
            return replace(self._named(str(default)), stated=False, why="it is default_model")
        if entry := self._stored.latest():
            return replace(of_entry(entry), stated=False, why="it was used or added last")
        why = "nothing else is installed or configured"
        return replace(builtin(), stated=False, why=why)

    def wanted(self, name: str | None, engine: str | None) -> Resolved:
        """The same, for the engine that must run it."""
        found = self.resolve(name)
        return self.served(found) if engine == "ollama" else found

    def for_running(self, found: Resolved) -> Resolved:
        """The same model as an engine here runs it: where its own format is none of those, what
        was converted from it on this machine, if it has not changed since."""
        if found.endpoint is not None:
            return found
        if self.needs_conversion(found) and (entry := self._stored.conversion(found)):
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

    def is_model(self, word: str) -> bool:
        """May this word of a command line be a model's name? A plain ``owner/repo``, with or
        without a tag, is one only once it is installed."""
        if not word or any(character.isspace() for character in word):
            return False
        names = {name for model in self._config().models for name in (model.name, model.group)}
        if word in names or word.endswith(".gguf"):
            return True
        return sources.may_be(word, self._stored)

    def conversion(self, found: Resolved) -> "Entry | None":
        """What was last converted from a model here, and is newer than it."""
        return self._stored.conversion(found)

    def entry(self, name: str | None) -> "Entry":
        """A model as the store notes it, installed or not: with all its files. Raises what
        ``resolve`` does."""
        return noting.entry(self.resolve(name), self._stored)

    def measured(self, name: str | None) -> "Entry":
        """What a score of a model belongs to: the same as ``entry``, also for a remote one, which
        has no files."""
        return noting.measured(self.resolve(name), self._stored)

    def scores(self, entry: "Entry") -> "list[Score]":
        """What ``eval`` measured of exactly this model, the newest first."""
        return noting.scores(entry, self._database)

    def speed(self, entry: "Entry") -> "Speed | None":
        """What ``bench`` measured last of exactly this model."""
        return noting.speed(entry, self._database)

    def entries(self) -> "list[Entry]":
        """The installed models, by label."""
        return self._stored.entries()

    def find(self, name: str) -> "Entry | None":
        """The installed model of this label, or of this name the one used or added last."""
        return next(iter(self._stored.matching(name)), None)

    def installed(self, name: str) -> "Entry":
        """The installed model of this label. Raises ``NotFound``, also for a name with several
        tags, none of them ``latest``, of which one must be named."""
        return self._stored.installed(name)

    def _named(self, name: str) -> Resolved:
        if is_secret("", name):
            raise UsageError(
                "a key stands in the place of the model's name",
                "llmrr keys set OPENAI_API_KEY keeps it; replace a key that others could have read",
            )
        config = self._config()
        group = (one for one in config.models if one.group == name)
        model = config.model(name) or next(group, None)
        if model is not None:
            return self.configured(model)
        return sources.meaning(name, self._stored, self._nearest)

    def _as_named(self, found: Resolved) -> Resolved:
        if found.endpoint is None:
            return replace(found, why="it was named")
        of, stated = self._stated.get(found.name, (None, None))
        if stated is None or of is not found:
            stated = replace(found, why="it was named")
            self._stated[found.name] = found, stated
        return stated

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
            found = of_file(model.path, model.name, model.source)
        elif model.provider == "ollama" and (
            model.engine == "ollama" or not REMOTE_OPTIONS.isdisjoint(model.options)
        ):
            found = served(split_source(model.source)[1])
        else:
            found = sources.meaning(model.source, self._stored, self._nearest)
        if model.format is not None and paths.exists(found.path):
            found = as_format(found, Format(model.format), model)
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
        there = served(split_source(found.source)[1])
        return replace(there, stated=found.stated, why=found.why)

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
        owner = guessed_provider(name)
        # A provider's gpt-4o is no gpt-oss with a slip of the pen.
        if near := nearest(name, SHORT_NAMES, _SURE if owner else _LIKELY):
            return f"llmrr pull {near}"
        if owner:
            return f"{owner}:{name} is that of the provider"
        return "llmrr list shows those that there are"

    def _names(self) -> list[str]:
        configured = (model.name for model in self._config().models)
        return [*configured, *(entry.label for entry in self.entries()), BUILTIN]
