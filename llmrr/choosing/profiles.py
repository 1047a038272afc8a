"""What is known of each of the ``[[models]]``, for choosing among them: what is stated, what its
files say, whether it fits, what was measured."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import catalogue, database, engines
from llmrr.catalogue import Catalogue
from llmrr.choosing import opening
from llmrr.choosing.abilities import abilities
from llmrr.choosing.behind import behind
from llmrr.config import Config, ConfiguredModel
from llmrr.engines.base import CONTEXT_AT_LEAST
from llmrr.engines.remote.keys import key_for
from llmrr.errors import DoesNotFit, FeatureMissing, LlmrrError, Unsupported
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.routing import Candidate, Health
from llmrr.routing.breaker import Rules
from llmrr.routing.candidate import UNKNOWN
from llmrr.strategies import Cost
from llmrr.types import Endpoint, Feature, ModelInfo

if TYPE_CHECKING:
    import sqlite3

    from llmrr.catalogue import Database, Resolved
    from llmrr.hardware import Hardware
    from llmrr.speeds import Speed

FRESH_S: Final = 30.0  # how long what was found out of a model holds
BENCHED: Final = 10.0  # runs: what is measured on purpose counts as much as is remembered of them
_LOSS: Final = "how models have been doing is not known"


class Loading(NamedTuple):
    """What a call states of how a model is loaded: an engine by its name, tokens of context."""

    engine: str | None = None
    context: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, object] | None, engine: str | None) -> "Loading":
        """The same, of what a call states."""
        context = (options or {}).get("context_size")
        return cls(engine, context if isinstance(context, int) else None)


AS_CONFIGURED: Final = Loading()


class Profiles:
    """What is known of each model. What takes time to find out is kept for a while. ``idle_bytes``
    is what models that nobody uses would leave to another one."""

    def __init__(
        self,
        found: Catalogue,
        config: Callable[[], Config],
        database: "Database",
        idle_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        self._catalogue, self._config, self._database = found, config, database
        self._idle_bytes = idle_bytes
        self._known: dict[
            tuple[str, Loading], tuple[ConfiguredModel, float, Candidate]
        ] = {}
        self._speeds: dict[str, Speed] = {}
        self._looking = threading.Lock()  # that of many threads one looks, and the others wait

    def candidates(
        self,
        models: Sequence[ConfiguredModel],
        loaded: frozenset[str] = frozenset(),
        loading: Loading = AS_CONFIGURED,
    ) -> list[Candidate]:
        """What is known of each. A model alone is not looked at: it is the one, whatever it is."""
        if len(models) == 1:
            return [as_stated(models[0])]
        return [self._kept(model, loading) or self._looked(model, loading, loaded)
                for model in models]  # fmt: skip

    def _kept(self, model: ConfiguredModel, loading: Loading) -> Candidate | None:
        """What was found out of it not long ago."""
        of, at, found = self._known.get((model.name, loading), (None, 0.0, None))
        return found if of is model and time.monotonic() - at <= FRESH_S else None

    def _looked(
        self, model: ConfiguredModel, loading: Loading, loaded: frozenset[str]
    ) -> Candidate:
        with self._looking:
            if kept := self._kept(model, loading):
                return kept
            found = self._look(model, loading, model.name in loaded)
            self._known[model.name, loading] = (model, time.monotonic(), found)
            return found

    def health(self, models: Iterable[ConfiguredModel]) -> dict[str, Health]:
        """How they have been doing, by name; where none ran, how fast ``bench`` found it."""
        from llmrr.choosing import health

        names = {key_of(one): one.name for one in models}
        found = self._database(
            lambda connection: health.read(connection, names, breaker_rules(self._config())), _LOSS
        )
        known = {names[at]: one for at, one in (found or {}).items()}
        for name in names.values():
            before = known.get(name, UNKNOWN)
            if before.first_token_s is None and (speed := self._speeds.get(name)):
                known[name] = replace(
                    before, runs=BENCHED, load_s=speed.load_s, first_token_s=speed.first_token_s,
                    token_s=1 / speed.decode_tokens_per_s,
                )  # fmt: skip
        return known

    def busy(self, models: Iterable[ConfiguredModel]) -> Mapping[str, int]:
        """The requests that are under way in all processes, by name."""
        from llmrr.choosing import health

        found: Mapping[str, int] = self._database(health.under_way, _LOSS) or {}
        return {one.name: found.get(key_of(one), 0) for one in models}

    def problem(self, model: ConfiguredModel) -> LlmrrError | None:
        """What keeps a model from being asked, breakers and budgets apart."""
        return self._look(model, AS_CONFIGURED, False).blocked

    def _look(self, model: ConfiguredModel, loading: Loading, is_loaded: bool) -> Candidate:
        stated = as_stated(model)
        try:
            found = self._catalogue.for_running(self._catalogue.configured(model))
            if loading.engine == "ollama":
                found = self._catalogue.served(found)
            if found.endpoint is not None:
                return self._remote(model, stated, found, found.endpoint, loading)
            return self._local(model, stated, found, loading, is_loaded)
        except LlmrrError as error:
            stated.blocked = error
        except OSError as error:
            stated.blocked = LlmrrError(f"{model.source} cannot be read: {error}")
        return stated

    def _local(
        self,
        model: ConfiguredModel,
        stated: Candidate,
        found: "Resolved",
        loading: Loading,
        is_loaded: bool,
    ) -> Candidate:
        from llmrr.choosing import infos

        place = catalogue.place(found)
        picked = engines.for_format(place.format, model.name, loading.engine or found.engine)
        if picked.engine.optional and (command := picked.engine.missing()):
            raise FeatureMissing(f"the {picked.engine.name} engine is not installed", command)
        info = infos.inspect(place.path, self._database)
        options = {**self._config().engine_options(picked.engine.name), **found.options}
        wanted = loading.context or options.get("context_size")
        context = wanted if isinstance(wanted, int) else None
        room = _room(info, context, options, is_loaded, self._idle_bytes())
        if self._database(_any_speed, _LOSS):
            speed = self._catalogue.speed(self._catalogue.entry(model.name))
            if speed is not None:
                self._speeds[model.name] = speed
        return replace(
            stated,
            context=context or room or info.context_length,
            features=frozenset(map(str, abilities(picked.engine.can, info, options))),
            quality=self._quality(model, stated),
            answers=info.writes,
        )

    def _remote(
        self,
        model: ConfiguredModel,
        stated: Candidate,
        found: "Resolved",
        endpoint: Endpoint,
        loading: Loading,
    ) -> Candidate:
        """Raises what forbids asking it: a missing key, an address nobody agreed to."""
        endpoint, _ = opening.endpoint_of(found, endpoint, {}, self._config())
        engine = engines.for_endpoint(endpoint, loading.engine or found.engine).engine
        if command := engine.missing():
            raise FeatureMissing(f"the {engine.name} engine is not installed", command)
        key_for(endpoint)
        vectors = engines.remote.makes_vectors(endpoint)
        return replace(
            stated,
            features=frozenset(
                str(one) for one in engine.can
                if one is not Feature.EMBEDDINGS or vectors is not False
            ),
            quality=self._quality(model, stated),
            answers=vectors is not True,
        )  # fmt: skip

    def _quality(self, model: ConfiguredModel, stated: Candidate) -> float | None:
        """The user's number, else what was measured last of just these files."""
        if stated.quality is not None:
            return stated.quality
        if not self._database(_any_score, _LOSS):  # looking for those of this model takes imports
            return None
        scores = self._catalogue.scores(self._catalogue.measured(model.name))
        return scores[0].accuracy if scores else None


def _any_score(connection: "sqlite3.Connection") -> bool:
    with database.errors():
        return connection.execute("SELECT 1 FROM scores LIMIT 1").fetchone() is not None


def _any_speed(connection: "sqlite3.Connection") -> bool:
    with database.errors():
        return connection.execute("SELECT 1 FROM speeds LIMIT 1").fetchone() is not None


def key_of(model: ConfiguredModel) -> str:
    """What the figures of a model belong to: its name and what is behind it."""
    return f"{model.name} {behind(model)}"


def breaker_rules(config: Config) -> Rules:
    """``[breaker]``."""
    return Rules(**{name: config.value(f"breaker.{name}") for name in Rules._fields})  # type: ignore[arg-type]


def as_stated(model: ConfiguredModel) -> Candidate:
    """What the configuration says of a model. One on this machine costs nothing."""
    is_local = model.provider in LOCAL_PROVIDERS
    context = model.options.get("context_size")
    return Candidate(
        model.name,
        priority=model.priority,
        weight=model.weight,
        tags=frozenset(model.tags),
        group=model.group,
        context=context if isinstance(context, int) else None,
        features=None,
        quality=model.quality,
        cost=model.cost or (Cost(0.0, 0.0) if is_local else None),
    )


def _room(
    info: ModelInfo,
    context: int | None,
    options: Mapping[str, object],
    is_loaded: bool,
    idle_bytes: int,
) -> int | None:
    """The tokens that there is memory for; None where the files do not say their shape. Raises
    ``DoesNotFit``."""
    from llmrr import hardware

    if info.kind not in (None, "model"):
        raise Unsupported(f"it is no model but of the kind {info.kind}")
    smallest = context or min(CONTEXT_AT_LEAST, info.context_length or CONTEXT_AT_LEAST)
    kv_type = str(options.get("kv_type") or "f16")
    try:
        machine = _with_free(hardware.probe(), idle_bytes)
        found = hardware.fit_one(info, machine, context=smallest, kv_type=kv_type)
    except Unsupported:
        return None
    if not (found.fits or is_loaded or found.largest_context):
        raise DoesNotFit(f"it does not fit into memory: {'; '.join(found.why)}")
    if context is not None and not (found.fits or is_loaded):
        raise DoesNotFit(
            f"it does not fit into memory with {context:,} tokens of context: "
            f"{'; '.join(found.why)}"
        )
    return found.largest_context


def _with_free(machine: "Hardware", count: int) -> "Hardware":
    """The machine with so many bytes more that are free."""
    memory = machine.memory
    total = memory.limit_bytes or memory.total_bytes
    if not count or memory.available_bytes is None or total is None:
        return machine
    free = min(total, memory.available_bytes + count)
    return replace(machine, memory=replace(memory, available_bytes=free))
