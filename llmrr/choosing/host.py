"""What the requests of one router share: the configuration in use, the models in memory, the
database, the answers that are kept."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from llmrr import stats
from llmrr.catalogue import Resolved
from llmrr.choosing.backends import Backends
from llmrr.choosing.background import Background
from llmrr.choosing.budgeting import Budgeting
from llmrr.choosing.lookup import Cache
from llmrr.choosing.recording import Entry, Recording
from llmrr.choosing.room import Room
from llmrr.choosing.setup import Setup
from llmrr.choosing.warming import Warm
from llmrr.choosing.watching import Watch
from llmrr.choosing.wishes import Moment
from llmrr.config import Config
from llmrr.errors import DoesNotFit, LlmrrError
from llmrr.live import Live
from llmrr.pool import Lease, Pool, Rules

if TYPE_CHECKING:
    import sqlite3

    Work = Callable[[sqlite3.Connection], object]


class Host:
    """What a request needs of its router. ``kept`` is who has answered a conversation. Safe to use
    from several threads."""

    def __init__(
        self, live: Live, warn: Callable[[str], None], *, leave_model: bool, warm: bool = False
    ) -> None:
        self.live, self.warn, self._leave_model = live, warn, leave_model
        self.warm = Warm(lambda: self.setup.config, self.rules) if warm else None
        read = self.warm.memory if self.warm else None
        self.pool = Pool(self.rules, lives=not leave_model, read=read)
        self.room = Room(self.pool, self._slots)
        self.record = Recording(warn)
        self.gathers = False  # whoever asks waits for what is written down
        self.with_database = self.record.use
        self.kept: dict[str, str] = {}
        self.closed: dict[str, float] = {}  # breakers, and until when that need not be looked at
        self.cache, self.background = Cache(), Background()
        self.budgeting = Budgeting(lambda: self.setup.config, self.with_database, warn)
        self.watch = Watch(lambda: self.setup.config, self.with_database, warn, self.pool.use)
        self.backends = Backends(lambda: self.setup, warn)
        self._setup: Setup | None = None
        self._told: set[str] = set()

    @property
    def setup(self) -> Setup:
        """The configuration that holds now, with what follows from it."""
        config, setup = self.live.current(), self._setup
        if setup is None or setup.config is not config:
            self._setup = setup = Setup(
                config, self.with_database, self.idle_bytes, self.budgeting.now, self.room,
                self.backends,
            )
        return setup

    def rules(self) -> Rules:
        """``[memory]``."""
        value = self.setup.config.value
        return Rules(**{name: value(f"memory.{name}") for name in Rules._fields})  # type: ignore[arg-type]

    def moment(self, conversation: str | None = None) -> Moment:
        """What a decision hangs on now."""
        kept = None if conversation is None else self.kept.get(conversation)
        loaded = self.pool.names
        if self.warm is not None and len(self.setup.config.models) > 1:
            loaded |= self.warm.loaded()
        return Moment(random.getrandbits(64), loaded, self.pool.busy(), kept)

    def idle_bytes(self) -> int:
        """What could be free without interrupting anyone, here and where models stay loaded."""
        return self.pool.idle_bytes() + (self.warm.idle_bytes() if self.warm else 0)

    def open(
        self,
        resolved: Resolved,
        stated: Mapping[str, object],
        engine: str | None,
        setup: Setup,
        until: float | None = None,
    ) -> Lease:
        """A model to be used; room for it is waited for ``until``, by default as long as for an
        answer."""
        config = setup.config
        total = cast("float | None", config.value("timeouts.total"))
        if until is None and total is not None:
            until = time.monotonic() + total
        slots = self._slots(config)
        wanted = setup.wanted(resolved, stated, engine, slots)
        return self.pool.lease(self.warm.over(wanted) if self.warm else wanted, until)

    def _slots(self, config: Config) -> int:
        """How many requests a model of this machine computes at once."""
        if not config.value("batching.enabled") or self._leave_model:
            return 1
        return cast(int, config.value("batching.max_batch_size"))

    def vectors(self, texts: Sequence[str], model: str, setup: Setup) -> list[list[float]]:
        """One vector per text from a model that is needed besides; nothing of it is recorded."""
        found = setup.catalogue.for_running(setup.catalogue.wanted(model, None))
        with self.open(found, {}, None, setup) as lease:
            return lease.model.embed(texts)

    def preload(self, options: Mapping[str, object]) -> None:
        """Load the models of ``preload``, or without any all ``[[models]]``, where the
        configuration says so; warn of those that there is no room for."""
        setup = self.setup
        if setup.config.value("memory.loading") != "preload":
            return
        listed = setup.config.settings["preload"]
        named = cast("tuple[str, ...]", listed.value)
        for name in named or [one.name for one in setup.config.models]:
            try:
                found = setup.catalogue.for_running(setup.catalogue.wanted(name, None))
            except LlmrrError as error:
                if named:
                    error.add(f"preload, {listed.where or listed.source}")
                raise
            try:
                self.open(found, options, None, setup).release()
            except DoesNotFit as error:
                self.warn(f"{name} is not preloaded: {error.message}")

    def note(
        self, run: stats.Run, log: bool, label: str | None, config: Config,
        outcome: "Work | None" = None, done: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Write down a run, and do what follows it, ``done`` last; where it ``gathers``, perhaps by
        another thread, in a moment."""

        def follow(is_recorded: bool) -> None:
            self.budgeting.note(run, is_recorded=is_recorded)
            self.watch.after(run)
            done()

        self.record.add(Entry(run, log, label, config, outcome), follow)
        if not self.gathers:
            self.record.flush()

    def tell(self, notes: Sequence[str]) -> None:
        """Warn of each once."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                self.warn(note)

    def close(self) -> None:
        """Free the models and the database, after what answers left behind has ended. Twice is
        allowed."""
        self.backends.close()
        self.background.wait(self.warn)
        self.cache.close()
        self.pool.close(leave=self._leave_model)
        if self.warm is not None:
            self.warm.close()
        self.record.close()
