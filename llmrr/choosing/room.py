"""Which of the ``[[models]]`` of this machine memory has no room for now, as the pool decides."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from llmrr.catalogue import Catalogue
from llmrr.choosing import opening
from llmrr.choosing.profiles import FRESH_S, Loading
from llmrr.config import Config, ConfiguredModel
from llmrr.errors import LlmrrError
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.pool import Pool, Wanted


class Room:
    """What a model takes is found out where it matters, and kept for a while."""

    def __init__(self, pool: Pool, slots: Callable[[Config], int]) -> None:
        self._pool, self._slots = pool, slots
        self._known: dict[tuple[str, Loading], tuple[ConfiguredModel, float, Wanted | None]] = {}

    def lacking(
        self, models: Sequence[ConfiguredModel], loading: Loading, found: Catalogue, config: Config
    ) -> Mapping[str, LlmrrError]:
        """Those that would be refused if they were asked now, by name, with what they are refused
        with. What only has to wait for others is not."""
        wanted, since = [], time.monotonic() - FRESH_S
        for model in models:
            if model.provider not in LOCAL_PROVIDERS:
                continue
            of, at, known = self._known.get((model.name, loading), (None, 0.0, None))
            if of is not model or at < since:
                known = self._look(model, loading, found, config)
            if known is not None:
                wanted.append(known)
        return self._pool.refusals(wanted) if wanted else {}

    def _look(
        self, model: ConfiguredModel, loading: Loading, found: Catalogue, config: Config
    ) -> Wanted | None:
        """What the pool would be asked for; None for what cannot be run, or not here."""
        known: Wanted | None = None
        stated = {} if loading.context is None else {"context_size": loading.context}
        try:
            resolved = found.for_running(found.configured(model))
            known = opening.wanted(resolved, stated, loading.engine, config, self._slots(config))
            known = known._replace(need=known.need and cache(known.need))
        except (LlmrrError, OSError):  # it is told by its profile, or when it is asked
            pass
        self._known[model.name, loading] = (model, time.monotonic(), known)
        return known
