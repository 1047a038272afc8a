"""A configuration with what follows from it: the models that it names, and the choice among them.

A request keeps the one that it began with; a change of the configuration makes another.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from llmrr.catalogue import Catalogue, Resolved
from llmrr.choosing import opening
from llmrr.choosing.profiles import breaker_rules
from llmrr.choosing.selection import Selection
from llmrr.config import Config
from llmrr.pool import Wanted
from llmrr.routing.chain import RetryRules

if TYPE_CHECKING:
    from llmrr.catalogue import Database
    from llmrr.choosing.backends import Backends
    from llmrr.choosing.room import Room
    from llmrr.routing.budgets import Budgets


class Setup:
    """One configuration in use. Safe to use from several threads."""

    def __init__(
        self,
        config: Config,
        database: "Database",
        idle_bytes: Callable[[], int] = lambda: 0,
        budgets: "Callable[[], Budgets | None]" = lambda: None,
        room: "Room | None" = None,
        backends: "Backends | None" = None,
    ) -> None:
        self.config = config
        self.models = {one.name: one for one in config.models}
        self.resumes = frozenset(one.name for one in config.models if one.resume)
        self.breaker = breaker_rules(config)
        self.retry = RetryRules(
            **{name: config.value(f"retry.{name}") for name in RetryRules._fields}  # type: ignore[arg-type]
        )
        self._reached: dict[str, tuple[Resolved, Mapping[str, object], str | None, Wanted]] = {}
        self.catalogue = Catalogue(lambda: config, database)
        self.selection = Selection(
            self.catalogue, lambda: config, database, idle_bytes, budgets, room, backends
        )

    def wanted(
        self, resolved: Resolved, stated: Mapping[str, object], engine: str | None, slots: int
    ) -> Wanted:
        """``opening.wanted``. For a model elsewhere that is the same again and again: what was
        found last of it is kept."""
        if resolved.endpoint is None:
            return opening.wanted(resolved, stated, engine, self.config, slots)
        if (kept := self._reached.get(resolved.name)) is not None:
            of, options, by, found = kept
            is_same = of.endpoint is resolved.endpoint and of.recipe is resolved.recipe
            if is_same and by == engine and of.engine == resolved.engine and options == stated:
                return found
        found = opening.wanted(resolved, stated, engine, self.config, slots)
        self._reached[resolved.name] = resolved, stated, engine, found
        return found
