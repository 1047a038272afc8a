"""A run and the processes of its user that keep models loaded: it uses a model that is there, and
leaves the one that it had to load itself to a process of its own."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from llmrr.config import Config
from llmrr.engines.base import Model
from llmrr.pool import Key, MemoryUse, Rules, Wanted

if TYPE_CHECKING:
    from llmrr.engines.resident.loads import Load

FRESH_S: Final = 1.0  # how long what those processes say of themselves is good enough


class Warm:
    """What one router has of such processes."""

    def __init__(self, config: Callable[[], Config], rules: Callable[[], Rules]) -> None:
        self._config, self._rules = config, rules
        self._found: dict[Key, Wanted] = {}
        self._models: list[Model] = []
        self._own: Wanted | None = None
        self._seen: list[dict[str, Any]] = []  # the models in those processes
        self._look_at = 0.0  # when to ask again, by ``time.monotonic``

    def over(self, wanted: Wanted) -> Wanted:
        """The same model in a process that has it or takes it; as it is where there is none."""
        key = wanted.key
        if not isinstance(key, Key):  # it is elsewhere
            return wanted
        if key not in self._found:
            self._found[key] = self._looked(wanted, key)
        return self._found[key]

    def loaded(self) -> frozenset[str]:
        """The names of the models that are in such processes."""
        return frozenset(str(one["name"]) for one in self._there())

    def memory(self, known: int) -> MemoryUse | None:
        """How full memory is, without what those processes would unload for another model."""
        from llmrr.pool import memory

        use = memory.read(known)
        return use and use._replace(used_bytes=max(0, use.used_bytes - self.idle_bytes()))

    def idle_bytes(self) -> int:
        """What those processes would unload for another model."""
        return sum(one["bytes"] or 0 for one in self._there() if not one["in_use"])

    def _there(self) -> "list[dict[str, Any]]":
        if time.monotonic() >= self._look_at:
            self._look_at, self._seen = time.monotonic() + FRESH_S, []
            if _listens():
                from llmrr.engines.resident import asking

                processes = asking.known(ours=True)
                self._seen = [one for process in processes for one in process["models"]]
        return self._seen

    def _looked(self, wanted: Wanted, key: Key) -> Wanted:
        own = wanted._replace(load=partial(self._load, wanted))
        if not _listens():
            return own
        from llmrr.engines.resident import asking

        model = asking.hold(self._asked(wanted, key), wanted.load)
        if model is None:
            return own
        self._models.append(model)
        return wanted._replace(load=partial(_itself, model), need=None)

    def _load(self, wanted: Wanted) -> Model:
        model = wanted.load()
        self._own = wanted
        return model

    def close(self) -> None:
        """Hold nothing any more in other processes. Twice is allowed."""
        for model in self._models:
            model.close()

    def leave(self) -> None:
        """Have a process keep the model that was loaded here, if that is wanted and none does."""
        own, keepalive = self._own, self._config().value("keepalive")
        if own is None or keepalive == 0:
            return
        if _listens():
            from llmrr.engines.resident import asking

            if asking.alive():
                return
        from llmrr.warm import leaving

        load = self._asked(own, cast(Key, own.key))
        leaving.leave({"load": load.message(), "rules": self._rules(), "most_slots": self._slots()})

    def _asked(self, wanted: Wanted, key: Key) -> "Load":
        from llmrr.engines.resident.loads import Load

        stays = self._config().settings["keepalive"]
        keepalive = cast("float | None", stays.value)
        files = replace(key.files, path=key.files.path.absolute())
        lora = tuple((path.absolute(), scale) for path, scale in key.options.lora)
        encoder = key.options.mmproj and key.options.mmproj.absolute()
        options = replace(key.options, lora=lora, mmproj=encoder)
        is_stated = stays.source != "default"
        return Load(wanted.name, files, key.engine, options, keepalive, is_stated)

    def _slots(self) -> int:
        value = self._config().value
        return cast(int, value("batching.max_batch_size")) if value("batching.enabled") else 1


def _itself(model: Model) -> Model:
    return model


def _listens() -> bool:
    """Whether there may be such a process."""
    from llmrr.engines.resident import places

    return bool(places.sockets())
