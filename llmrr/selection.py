"""The candidates among the ``[[models]]``: what is known of each, for ``routing.route``."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import catalogue, database, engines, hardware, infos
from llmrr.catalogue import Catalogue
from llmrr.config import Config, ConfiguredModel
from llmrr.engines.base import CONTEXT_AT_LEAST
from llmrr.engines.remote.keys import key_for
from llmrr.errors import (
    BadConfig,
    DoesNotFit,
    FeatureMissing,
    LlmrrError,
    NotFound,
    Unsupported,
    UsageError,
)
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.routing import Candidate, Decision, Health, Needs, State, route
from llmrr.routing.breaker import Rules
from llmrr.routing.candidate import UNKNOWN
from llmrr.routing.chain import RetryRules, chain
from llmrr.routing.rejection import sorted_words
from llmrr.settings import REMOTE_OPTIONS
from llmrr.strategies import Cost, parse_strategy
from llmrr.types import Endpoint, ModelInfo, Request

if TYPE_CHECKING:
    import sqlite3

    from llmrr.catalogue import Database, Resolved

FRESH_S: Final = 30.0  # how long what was found out of a model holds
BYTES_PER_TOKEN: Final = 4  # of English text, about; only engines know
_LOSS: Final = "how models have been doing is not known"


class Wish(NamedTuple):
    """What a call states of the choice: a model or a group by its name, how to choose, what is
    asked when that fails, what is needed (``--need``)."""

    model: str | None = None
    strategy: str | None = None
    fallback: tuple[str, ...] = ()
    need: tuple[str, ...] = ()


class Moment(NamedTuple):
    """What else a decision hangs on: see ``routing.State``."""

    seed: int = 0
    loaded: frozenset[str] = frozenset()
    busy: Mapping[str, int] = MappingProxyType({})
    kept: str | None = None


class Chosen(NamedTuple):
    """The models to be asked, in this order; the empty name is the one that answers by default.
    ``decision`` is None where nothing was to be chosen; ``candidates`` are those that it is of."""

    names: tuple[str, ...]
    decision: Decision | None = None
    candidates: tuple[Candidate, ...] = ()


class Selection:
    """The ``[[models]]`` as candidates. What takes time to find out is kept for a while."""

    def __init__(
        self, found: Catalogue, config: Callable[[], Config], database: "Database"
    ) -> None:
        self._catalogue, self._config, self._database = found, config, database
        self._known: dict[str, tuple[float, Candidate]] = {}

    def choose(self, request: Request, wish: Wish, moment: Moment) -> Chosen:
        """Which models are asked, and in which order. Raises what forbids every one of them, and
        ``NotFound`` for a fallback that is none."""
        if self.members(wish.model):
            decision, candidates = self.decide(request, wish, moment)
            if not decision.asked:
                raise decision.refusal
            return Chosen(decision.asked, decision, candidates)
        _require_unstated(wish)
        self._require_models(wish.fallback)
        return Chosen(tuple(chain(wish.model or "", self._own(), wish.fallback)))

    def decide(
        self, request: Request, wish: Wish, moment: Moment
    ) -> tuple[Decision, tuple[Candidate, ...]]:
        """The decision among the ``[[models]]``, or among those of a group. ``NotFound`` where
        there are none."""
        config, models = self._config(), self.members(wish.model)
        self._require_models(wish.fallback)
        if not models:
            raise NotFound(
                "there are no [[models]] to choose among"
                if wish.model is None else f'no group is called "{wish.model}"',
                "llmrr config edit",
            )  # fmt: skip
        strategy = _strategy(wish, config)
        candidates = self.candidates(models, moment.loaded)
        health = self.health(models)
        everywhere = strategy == "least-loaded"
        for name, busy in (self._busy(models) if everywhere else moment.busy).items():
            health[name] = replace(health.get(name, UNKNOWN), busy=busy)
        state = State(
            time.time(), moment.seed, health, moment.loaded, weights(config), moment.kept
        )
        found = route(needs_of(request, wish.need, strategy), candidates, state)
        return replace(found, asked=self._order(found, wish)), tuple(candidates)

    def _order(self, decision: Decision, wish: Wish) -> tuple[str, ...]:
        """The models that are asked in turn, without those that cannot take the request whenever
        they are asked."""
        if decision.chosen is None:
            return wish.fallback
        alone = self._config().value("fallback_chain") is False and not wish.fallback
        own = {} if alone else self._own()
        names = chain(decision.chosen, own, self._then(decision, wish))
        kinds = {one.name: one.kind for one in decision.rejected}
        return tuple(one for one in names if kinds.get(one, "breaker") in ("breaker", "probing"))

    def _own(self) -> dict[str, tuple[str, ...]]:
        return {one.name: one.fallback for one in self._config().models}

    def _require_models(self, names: Iterable[str]) -> None:
        for name in names:
            self._catalogue.resolve(name)

    def _then(self, decision: Decision, wish: Wish) -> Sequence[str]:
        """What follows the first and its own fallbacks."""
        configured = self._config().value("fallback_chain")
        if wish.fallback:
            return wish.fallback
        if isinstance(configured, tuple):
            return configured
        return () if configured is False else decision.order

    def members(self, name: str | None) -> tuple[ConfiguredModel, ...]:
        """Those that a name leaves to choose among: all without one, those of a group; none for any
        other name."""
        models = self._config().models
        return tuple(one for one in models if name is None or one.group == name)

    def candidates(
        self, models: Sequence[ConfiguredModel], loaded: frozenset[str]
    ) -> list[Candidate]:
        """What is known of each. A model alone is not looked at: it is the one, whatever it is."""
        if len(models) == 1:
            return [_stated(models[0])]
        now = time.monotonic()
        for model in models:
            kept = self._known.get(model.name)
            if kept is None or now - kept[0] > FRESH_S:
                self._known[model.name] = (now, self._look(model, model.name in loaded))
        return [self._known[model.name][1] for model in models]

    def health(self, models: Iterable[ConfiguredModel]) -> dict[str, Health]:
        """How they have been doing, by name."""
        from llmrr import health

        names = {key_of(one): one.name for one in models}
        found = self._database(
            lambda connection: health.read(connection, names, breaker_rules(self._config())), _LOSS
        )
        return {names[at]: one for at, one in (found or {}).items()}

    def _busy(self, models: Iterable[ConfiguredModel]) -> Mapping[str, int]:
        """The requests that are under way in all processes, by name."""
        from llmrr import health

        found: Mapping[str, int] = self._database(health.under_way, _LOSS) or {}
        return {one.name: found.get(key_of(one), 0) for one in models}

    def _look(self, model: ConfiguredModel, is_loaded: bool) -> Candidate:
        stated = _stated(model)
        try:
            found = self._catalogue.for_running(self._catalogue.configured(model))
            if found.endpoint is None:
                return self._local(model, stated, found, is_loaded)
            return self._remote(model, stated, found.endpoint, found)
        except LlmrrError as error:
            stated.blocked = error
        except OSError as error:
            stated.blocked = LlmrrError(f"{model.source} cannot be read: {error}")
        return stated

    def _local(
        self, model: ConfiguredModel, stated: Candidate, found: "Resolved", is_loaded: bool
    ) -> Candidate:
        place = catalogue.place(found)
        picked = engines.for_format(place.format, model.name, found.engine)
        if command := picked.engine.missing():
            raise FeatureMissing(f"the {picked.engine.name} engine is not installed", command)
        info = infos.inspect(place.path, self._database)
        options = {**self._config().engine_options(picked.engine.name), **found.recipe.options}
        wanted = options.get("context_size")
        context = wanted if isinstance(wanted, int) else None
        room = _room(info, context, options, is_loaded)
        features = {str(one) for one in picked.engine.can}
        return replace(
            stated,
            context=context or room or info.context_length,
            features=frozenset(features),
            quality=self._quality(model, stated),
            answers=not info.pooling,
        )

    def _remote(
        self, model: ConfiguredModel, stated: Candidate, endpoint: Endpoint, found: "Resolved"
    ) -> Candidate:
        """Raises what forbids asking it: a missing key, an address nobody agreed to."""
        if untrusted := self._config().untrusted(model.name, {}):
            raise BadConfig(f"{untrusted}, and nobody agreed to that", "llmrr config trust")
        own = {name: one for name, one in found.recipe.options.items() if name in REMOTE_OPTIONS}
        endpoint = replace(endpoint, **own)
        reached = engines.for_endpoint(endpoint, found.engine)
        if command := reached.engine.missing():
            raise FeatureMissing(f"the {reached.engine.name} engine is not installed", command)
        key_for(endpoint)
        return replace(
            stated,
            features=frozenset(str(one) for one in reached.engine.can),
            quality=self._quality(model, stated),
        )

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


def key_of(model: ConfiguredModel) -> str:
    """What the figures of a model belong to: its name and what is behind it."""
    behind = model.source if model.path is None else f"file:{_absolute(model.path)}"
    return f"{model.name} {behind}"


def needs_of(request: Request, words: Sequence[str] = (), strategy: str = "") -> Needs:
    """What a request demands, with what ``words`` add."""
    features, tags = sorted_words(list(words))
    sampling = request.sampling
    asked = {
        "schema": sampling.schema is not None,
        "grammar": sampling.grammar is not None,
        "logprobs": bool(sampling.logprobs),
        "tools": bool(request.tools),
        "images": any(one.images for one in request.messages),
    }
    found = frozenset(name for name, is_needed in asked.items() if is_needed)
    size = sum(len(one.content.encode()) for one in request.messages)
    size += len((request.prompt or "").encode())
    return Needs(
        strategy=strategy,
        tokens=-(-size // BYTES_PER_TOKEN),
        answer_tokens=sampling.max_tokens,
        features=found | features,
        tags=tags,
        answers="embeddings" not in features,
    )


def breaker_rules(config: Config) -> Rules:
    """``[breaker]``."""
    return Rules(**{name: config.value(f"breaker.{name}") for name in Rules._fields})  # type: ignore[arg-type]


def retry_rules(config: Config) -> RetryRules:
    """``[retry]``."""
    return RetryRules(
        **{name: config.value(f"retry.{name}") for name in RetryRules._fields}  # type: ignore[arg-type]
    )


def weights(config: Config) -> tuple[float, float, float]:
    """``[weights]``, of quality, cost and speed."""
    quality, cost, speed = (config.value(f"weights.{one}") for one in ("quality", "cost", "speed"))
    return quality, cost, speed  # type: ignore[return-value]


def _strategy(wish: Wish, config: Config) -> str:
    """How to choose. Within a group it is drawn by weight, unless the call says otherwise."""
    if wish.strategy is None:
        return "random" if wish.model is not None else str(config.value("strategy"))
    try:
        return parse_strategy(wish.strategy)
    except ValueError as error:
        raise UsageError(str(error), "--strategy NAME") from None


def _require_unstated(wish: Wish) -> None:
    for flag, stated in (("--strategy", wish.strategy), ("--need", wish.need)):
        if stated:
            why = "one model is named" if wish.model else "there are no [[models]]"
            raise UsageError(f"{flag} has nothing to choose among: {why}", f"omit {flag}")


def _stated(model: ConfiguredModel) -> Candidate:
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
    info: ModelInfo, context: int | None, options: Mapping[str, object], is_loaded: bool
) -> int | None:
    """The tokens that there is memory for; None where the files do not say their shape. Raises
    ``DoesNotFit``."""
    if info.kind not in (None, "model"):
        raise Unsupported(f"it is no model but of the kind {info.kind}")
    smallest = context or min(CONTEXT_AT_LEAST, info.context_length or CONTEXT_AT_LEAST)
    kv_type = str(options.get("kv_type") or "f16")
    try:
        found = hardware.fit_one(info, hardware.probe(), context=smallest, kv_type=kv_type)
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


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else path.absolute()
