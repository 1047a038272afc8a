"""A configuration with what follows from it: the models that it names, and the choice among them.

A request keeps the one that it began with; a change of the configuration makes another.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmrr.catalogue import Catalogue
from llmrr.choosing.selection import Selection
from llmrr.config import Config

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
        self.catalogue = Catalogue(lambda: config, database)
        self.selection = Selection(
            self.catalogue, lambda: config, database, idle_bytes, budgets, room, backends
        )
