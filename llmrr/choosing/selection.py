"""Which of the ``[[models]]`` a request goes to, and which are asked when that one fails."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from llmrr.catalogue import Catalogue
from llmrr.choosing.profiles import Profiles, key_of
from llmrr.choosing.wishes import (
    HANGS_ON_OTHERS,
    Moment,
    Wish,
    names_features,
    needs_of,
    require_one,
    require_text,
    require_unstated,
    strategy_of,
    wants_vectors,
    weights_of,
)
from llmrr.config import Config, ConfiguredModel
from llmrr.errors import LlmrrError, UsageError
from llmrr.routing import Candidate, Decision, Needs, State, route
from llmrr.routing.budgets import Budgets
from llmrr.routing.candidate import UNKNOWN
from llmrr.routing.chain import chain
from llmrr.routing.decision import NOT_CHOSEN
from llmrr.routing.flags import NO_EFFECT, Effect, active, draw_key
from llmrr.routing.rejection import Rejected
from llmrr.sides import Sides
from llmrr.types import Request, Sampling

if TYPE_CHECKING:
    import sqlite3

    from llmrr.catalogue import Database, Resolved
    from llmrr.choosing.backends import Backends
    from llmrr.choosing.room import Room

# Why a model was left out, and may still be asked when the one that was chosen fails.
_MAY_BE_ASKED: Final = ("breaker", "probing", "flag", "memory", "down")


class Chosen(NamedTuple):
    """The models to be asked, in this order; the empty name is the one that answers by default.
    ``decision`` is None where nothing was to be chosen; ``candidates`` are those that it is of;
    ``flags`` is what flags set; ``under_way`` is the number of the request that was noted for the
    first of them, ``notes`` what is to be told."""

    names: tuple[str, ...]
    decision: Decision | None = None
    candidates: tuple[Candidate, ...] = ()
    flags: Effect = NO_EFFECT
    under_way: int | None = None
    notes: tuple[str, ...] = ()


class _Offer(NamedTuple):
    """What a decision is made of that does not hang on other requests."""

    wish: Wish
    moment: Moment
    needs: Needs
    models: tuple[ConfiguredModel, ...]
    candidates: tuple[Candidate, ...]
    flags: Effect
    left_out: tuple[Rejected, ...]
    no_room: Mapping[str, LlmrrError]


class Selection:
    """The ``[[models]]``, to choose among."""

    def __init__(
        self,
        found: Catalogue,
        config: Callable[[], Config],
        database: "Database",
        idle_bytes: Callable[[], int] = lambda: 0,
        budgets: Callable[[], Budgets | None] = lambda: None,
        room: "Room | None" = None,
        backends: "Backends | None" = None,
    ) -> None:
        self._backends = backends
        self._catalogue, self._config, self._database = found, config, database
        self._budgets, self._room = budgets, room
        self.profiles = Profiles(found, config, database, idle_bytes)

    def choose(self, request: Request, wish: Wish, moment: Moment) -> Chosen:
        """Which models are asked, and in which order; of a side there may be none. Raises what
        forbids every one of them, and ``NotFound`` for a fallback that is none."""
        require_text(request)
        if self.members(wish.model, wish.models):
            offer = self._offer(request, wish, moment)
            decision, number = self._taken(offer)
            if not decision.asked and wish.among is None:
                raise decision.refusal
            notes = (*decision.flags.notes, *self._untrusted(decision))
            return Chosen(
                decision.asked, decision, offer.candidates, decision.flags, number, notes
            )
        require_unstated(wish)
        self._require_models(wish.fallback)
        flags = self._flags(request, wish)
        return Chosen(self._alone(wish), flags=flags, notes=flags.notes)

    def decide(self, request: Request, wish: Wish, moment: Moment) -> Decision:
        """The decision among the ``[[models]]``, or among those of a group. Of a model that is
        named, and of the one that answers by default, there is nothing to decide: it is the one."""
        require_text(request)
        if self.members(wish.model, wish.models):
            return self._decided(self._offer(request, wish, moment))
        require_unstated(wish)
        default = self._catalogue.resolve(None) if wish.model is None else None
        name, why = (default.name, default.why) if default else (wish.model or "", "it is named")
        wish = wish._replace(model=name)
        one = self._config().model(name) or self._besides(name, default)
        found = self._decided(self._offer(request, wish, moment, (one,)))
        why = found.why if found.chosen is None else why
        return replace(found, strategy=NOT_CHOSEN, why=why, asked=self._alone(wish))

    def _alone(self, wish: Wish) -> tuple[str, ...]:
        """What is asked in turn where nothing is to be chosen."""
        own = {} if wish.alone else self._own()
        return tuple(chain(wish.model or "", own, wish.fallback))

    def _untrusted(self, decision: Decision) -> Iterator[str]:
        """The models that are left out until the user agrees to what they are sent."""
        for one in decision.rejected:
            if one.error is not None and self._config().untrusted(one.name):
                yield f"{one.name} is left out: {one.why}: {one.error.hint}"

    def _offer(
        self, request: Request, wish: Wish, moment: Moment,
        alone: tuple[ConfiguredModel, ...] = (),
    ) -> _Offer:  # fmt: skip
        models = alone or self.members(wish.model, wish.models)
        if wish.among is not None:
            models = tuple(one for one in models if one.name in wish.among)
        self._require_models(wish.fallback)
        flags = self._flags(request, wish)
        models, left_out = _narrowed(models, flags)
        strategy = strategy_of(wish, self._config(), flags)
        require_one(request, strategy)
        needs = needs_of(request, wish.need, strategy)
        candidates = self.profiles.candidates(
            models, moment.loaded, wish.loading, needs_features=names_features(wish.need)
        )
        is_dedicated = not needs.answers and any(one.is_for_vectors for one in candidates)
        named = frozenset(filter(None, (wish.model, *wish.models)))
        needs = replace(needs, dedicated=is_dedicated, named=named)
        return _Offer(
            wish, moment, needs, models, tuple(candidates), flags, tuple(left_out),
            self._lacking(models, wish, moment),
        )  # fmt: skip

    def _lacking(
        self, models: Iterable[ConfiguredModel], wish: Wish, moment: Moment
    ) -> Mapping[str, LlmrrError]:
        """Those that there is no memory for, with what they would be refused with."""
        if self._room is None:
            return {}
        away = [one for one in models if one.name not in moment.loaded]
        return self._room.lacking(away, wish.loading, self._catalogue, self._config())

    def _taken(self, offer: _Offer) -> tuple[Decision, int | None]:
        """The decision. Where it hangs on what others were just given, looking and noting is one
        step, or all that come at once would take the same model."""
        if offer.needs.strategy not in HANGS_ON_OTHERS:
            return self._decided(offer), None
        from llmrr import database
        from llmrr.choosing import health

        keys = {one.name: key_of(one) for one in offer.models}

        def take(connection: "sqlite3.Connection") -> tuple[Decision, int | None]:
            with database.errors(), database.transaction(connection):
                decision = self._decided(offer)
                if decision.chosen is None:
                    return decision, None
                if offer.needs.strategy == "round-robin":
                    health.chosen(connection, keys[decision.chosen])
                    return decision, None
                return decision, health.begin(connection, keys[decision.chosen])

        taken = self._database(take, "how models have been doing is not known")
        return taken or (self._decided(offer), None)

    def _decided(self, offer: _Offer) -> Decision:
        wish, moment, models = offer.wish, offer.moment, offer.models
        health = self.profiles.health(models)
        everywhere = offer.needs.strategy == "least-loaded"
        for name, busy in (self.profiles.busy(models) if everywhere else moment.busy).items():
            health[name] = replace(health.get(name, UNKNOWN), busy=busy)
        down: Mapping[str, LlmrrError] = {}
        if self._backends is not None:
            down = self._backends.down(models)
            if everywhere:
                self._backends.add_others(models, health)
        state = State(
            time.time(), moment.seed, health, moment.loaded, weights_of(self._config()),
            moment.kept, self._budgets(), offer.no_room, down,
        )  # fmt: skip
        found = route(offer.needs, offer.candidates, state)
        rejected = (*found.rejected, *offer.left_out)
        found = replace(found, rejected=rejected, flags=offer.flags)
        return replace(found, asked=self._order(found, wish))

    def _flags(self, request: Request, wish: Wish) -> Effect:
        """What the flags set that the call leaves open."""
        config = self._config()
        names = [one.name for one in config.models]
        stated = {"strategy"} if wish.strategy is not None else set()
        if wish.model is not None:
            stated |= {"strategy", "models"}
        if wish.models or wants_vectors(wish.need):
            stated.add("models")
        if wish.caches:
            stated.add("cache")
        key = draw_key(request, wish.user)
        return active(config.flags, key, time.time(), os.environ, names, stated)

    def _order(self, decision: Decision, wish: Wish) -> tuple[str, ...]:
        """The models that are asked in turn, without those that cannot take the request whenever
        they are asked; of an ensemble all its members. Those of a group are asked before what
        follows any of them."""
        if decision.chosen is None:
            return self._instead(decision, wish)
        if decision.strategy == "ensemble":
            return decision.order[: cast(int, self._config().value("ensemble.size"))]
        configured = self._config().value("fallback_chain")
        alone = wish.alone or (configured is False and not wish.fallback)
        own = {} if alone else self._own()
        names = chain(decision.chosen, own, self._then(decision, wish))
        if wish.model is not None and not wish.fallback and not alone:
            names = list(dict.fromkeys((*decision.order, *names)))
        if wish.models and not wish.fallback:
            narrow = {one.name for one in self.members(wish.model, wish.models)}
            names = [one for one in names if one in narrow]
        if wish.among is not None:
            names = [one for one in names if one in wish.among]
        kinds = {one.name: one.kind for one in decision.rejected}
        return tuple(one for one in names if kinds.get(one, "breaker") in _MAY_BE_ASKED)

    def _instead(self, decision: Decision, wish: Wish) -> tuple[str, ...]:
        """The models that are asked where none was left; what follows one that lacks memory does so
        as if that had been asked."""
        if wish.among is not None or wish.fallback:
            return () if wish.among is not None else wish.fallback
        out = [one.name for one in decision.rejected]
        full = [one.name for one in decision.rejected if one.kind == "memory"]
        if not full or wish.models or self._config().value("fallback_chain") is False:
            return ()
        names = chain(full[0], self._own(), self._then(decision, wish))
        return tuple(one for one in names if one not in out)

    def _own(self) -> dict[str, tuple[str, ...]]:
        return {one.name: one.fallback for one in self._config().models}

    def _require_models(self, names: Iterable[str]) -> None:
        for name in names:
            self._catalogue.resolve(name)

    def _then(self, decision: Decision, wish: Wish) -> Sequence[str]:
        """What follows the first and its own fallbacks; of a group its other members, and the
        chain after them."""
        configured = self._config().value("fallback_chain")
        if wish.fallback or wish.alone:
            return wish.fallback
        if isinstance(configured, tuple):
            return configured if wish.model is None else (*decision.order, *configured)
        return () if configured is False else decision.order

    def sides(self, wish: Wish) -> Sides | None:
        """The two sides of a migration that a call goes to; None where it names its model or its
        models, or they do not run. Raises ``UsageError`` for a fallback that is on neither."""
        config = self._config()
        if config.value("migration.mode") is None or wish.model is not None or wish.models:
            return None
        sides = Sides(*(config.value(f"migration.{one}") for one in Sides._fields))  # type: ignore[arg-type]
        for name in wish.fallback:
            if name not in (*sides.new, *sides.legacy):
                why = "it is on neither side of the migration"
                raise UsageError(f"fallback {name}: {why}", f"{name} can be named as the model")
        return sides

    def members(
        self, name: str | None, only: Sequence[str] = ()
    ) -> tuple[ConfiguredModel, ...]:
        """Those that a name leaves to choose among: all without one, those of a group; none for any
        other name. ``only`` narrows them to these names and groups, and may name models besides.
        Raises ``NotFound``."""
        models = self._config().models
        found = tuple(one for one in models if name is None or one.group == name)
        if not only:
            return found
        chosen: dict[str, ConfiguredModel] = {}
        for word in only:
            named = [one for one in found if word in (one.name, one.group)]
            chosen |= {one.name: one for one in named or [self._besides(word)]}
        return tuple(chosen.values())

    def _besides(self, name: str, found: "Resolved | None" = None) -> ConfiguredModel:
        """A model that is none of the ``[[models]]``, as one of them without anything stated."""
        found = found or self._catalogue.resolve(name)
        provider = "file" if found.endpoint is None else found.endpoint.provider
        return ConfiguredModel(name, name, provider, None, Sampling(), None, {}, Path())


def _narrowed(
    models: tuple[ConfiguredModel, ...], flags: Effect
) -> tuple[tuple[ConfiguredModel, ...], list[Rejected]]:
    """The models that flags leave to choose among, and the others."""
    if flags.models is None:
        return models, []
    left = tuple(one for one in models if one.name in flags.models)
    by = next(f"the flag {one.name}" for one in flags.acted if "models" in one.sets)
    return left, [Rejected(one.name, "flag", (by,)) for one in models if one not in left]
