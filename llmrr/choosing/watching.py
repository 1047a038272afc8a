"""What follows a run: ``[alerts]``. Off until one of its keys is set, and then a few comparisons
per run; the database is asked only when something is due or a run failed."""

import shlex
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from llmrr import alerts
from llmrr.alerts import Alert, Facts, Rules
from llmrr.config import Config, of_alerts
from llmrr.pool import MemoryUse
from llmrr.stats import Run

if TYPE_CHECKING:
    import logging

    from llmrr.catalogue import Database
    from llmrr.choosing.delivery import Targets

MEMORY_EVERY_S: Final = 5.0
_KEYS: Final = ("latency_ms", "error_rate", "memory", "webhook", "command")
_LOSS: Final = "alerts are not kept"


class _Set(NamedTuple):
    """``[alerts]`` as it holds; ``opens_at`` so many failures no more runs come."""

    rules: Rules
    opens_at: int


class Watch:
    """Raises alerts after runs. ``listeners`` are told of every run, ``tell`` of every alert, in
    words."""

    def __init__(
        self,
        config: Callable[[], Config],
        database: "Database",
        warn: Callable[[str], None],
        memory: Callable[[], MemoryUse | None],
    ) -> None:
        self._config, self._database, self._warn = config, database, warn
        self._use = memory
        self._read: tuple[Config, _Set | None] | None = None
        self._looked = -MEMORY_EVERY_S
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self.listeners: list[Callable[[Run], None]] = []
        self.tell: Callable[[str], None] | None = None

    def after(self, run: Run) -> None:
        """Look at a run that ended, and raise what is due. Never raises itself."""
        found = self._now()
        if found is not None:
            due = alerts.due(found.rules, self._facts(run, found))
            if due:
                self._raise(due)
        for listener in tuple(self.listeners):
            try:
                listener(run)
            except Exception:  # the answer is worth more
                logger().exception("what listens to runs failed")

    def _raise(self, due: list[Alert]) -> None:
        from llmrr.choosing import delivery

        targets, withheld = self._targets(self._config())
        kept = self._database(
            lambda connection: alerts.record(connection, due, withheld=withheld), _LOSS
        ) or []  # fmt: skip
        for one in kept:
            logger().warning("%s: %s", one.event, one.message)
            if self.tell is not None:
                self.tell(f"{one.event}: {one.message}")
            delivery.deliver(one, targets, self._failed)

    def _facts(self, run: Run, found: _Set) -> Facts:
        rules = found.rules
        is_whole = not (run.error or run.cache or run.finish_reason == "cancelled")
        latency = run.total_s * 1000 if is_whole else None
        failed = runs = 0
        if run.error and rules.error_rate is not None:  # only a failure lets the rate rise
            counts = self._database(
                lambda connection: alerts.outcomes(connection, run.model, time.time()), _LOSS
            )
            failed, runs = counts or (0, 0)
        memory = self._memory() if rules.memory is not None else None
        return Facts(time.time(), run.model, latency, failed, runs, memory, found.opens_at)

    def _memory(self) -> float | None:
        now = time.monotonic()
        with self._lock:
            if now - self._looked < MEMORY_EVERY_S:
                return None
            self._looked = now
        use = self._use()
        return None if use is None else use.share

    def _now(self) -> _Set | None:
        config = self._config()
        if self._read is None or self._read[0] is not config:
            self._read = (config, self._settings(config))
        return self._read[1]

    def _settings(self, config: Config) -> _Set | None:
        if all(config.settings[f"alerts.{key}"].source == "default" for key in _KEYS):
            return None
        rules = Rules(*(config.value(f"alerts.{key}") for key in Rules._fields))  # type: ignore[arg-type]
        self._targets(config)  # tells what nobody agreed to
        return _Set(rules, cast(int, config.value("breaker.failures")))

    def _targets(self, config: Config) -> "tuple[Targets, bool]":
        """Where alerts go, without what nobody agreed to; whether there is such."""
        from llmrr.choosing.delivery import Targets

        found = {key: self._agreed(config, key) for key in Targets._fields}
        withheld = any(
            one is None and config.value(f"alerts.{key}") is not None for key, one in found.items()
        )
        return Targets(**found), withheld  # type: ignore[arg-type]

    def _agreed(self, config: Config, key: str) -> object:
        """The webhook or the command, unless a project's file brought it and nobody agreed."""
        setting = config.settings[f"alerts.{key}"]
        if setting.value is None or config.is_agreed(f"alerts.{key}"):
            return setting.value
        said = f"{of_alerts(key, setting.value)} ({setting.where}), and nobody agreed to that"
        self._once(f"{said}: llmrr config trust{_argument(setting.where)}")
        return None

    def _failed(self, text: str) -> None:
        logger().warning("%s", text)
        self._once(text)

    def _once(self, text: str) -> None:
        with self._lock:
            if text in self._said:
                return
            self._said.add(text)
        self._warn(text)


def logger() -> "logging.Logger":
    """The logger ``llmrr``. Who wants to see it gives it a handler."""
    import logging

    found = logging.getLogger("llmrr")
    if not found.handlers:
        found.addHandler(logging.NullHandler())
    return found


def _argument(file: str | None) -> str:
    return f" {shlex.quote(file)}" if file and Path(file).parent != Path.cwd() else ""
