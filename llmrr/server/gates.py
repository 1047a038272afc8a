"""Which gate of the queue a request goes through: known from the name that it asks for, before it
is decided which model answers."""

from typing import Final, cast

from llmrr.config import Config
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.server.queueing import REMOTE, Places

REMOTE_AT_ONCE: Final = 256  # answers of models elsewhere, each of which holds a thread that waits


class Gates:
    """The gates of one configuration: one for each model of this machine, and one for all others.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._places: dict[str | None, Places] = {}
        self._remote = {
            one.name for one in config.models if one.provider not in LOCAL_PROVIDERS
        }  # fmt: skip
        is_batched = config.value("batching.enabled")
        self._parallel = cast(int, config.value("batching.max_batch_size")) if is_batched else 1

    def places(self, name: str | None) -> Places:
        """Those of a model or a group; of all ``[[models]]`` where none is named."""
        if name not in self._places:
            models = self.config.models
            among = [one.name for one in models if name is None or name in (one.name, one.group)]
            self._places[name] = frozenset(map(self.place, among or [name or "auto"]))
        return self._places[name]

    def place(self, model: str) -> str:
        """The gate that a model is behind."""
        return REMOTE if model in self._remote else model

    def room(self, place: str) -> int:
        """How many sequences it lets through at once."""
        return REMOTE_AT_ONCE if place == REMOTE else self._parallel
