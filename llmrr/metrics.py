"""Figures of one's own beside those of the runs: ``MetricsCollector`` keeps what a program tracks
in the database of the runs, raises alerts when a figure is too large, and sums both up.

    >>> from llmrr import MetricsCollector                                # doctest: +SKIP
    >>> metrics = MetricsCollector(retention="30d", alerts={"latency": 2000})  # doctest: +SKIP
    >>> slow = []                                                         # doctest: +SKIP
    >>> metrics.on("high-latency", slow.append)                           # doctest: +SKIP
    >>> metrics.track("inference.latency", 2500, model="m")               # doctest: +SKIP
    >>> slow[0].message                                                   # doctest: +SKIP
    'm took 2,500 ms, and may take 2,000 ms'
    >>> metrics.summary()["inference.latency"]["mean"]                    # doctest: +SKIP
    2500.0
    >>> metrics.alert("queue-full", "200 requests wait").message          # doctest: +SKIP
    '200 requests wait'
    >>> metrics.close()                                                   # doctest: +SKIP
"""

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from llmrr import alerts, database
from llmrr.alerts import Alert, Facts, Rules
from llmrr.choosing.diagnosis import figures, run_rows
from llmrr.choosing.watching import logger
from llmrr.errors import LlmrrError, UsageError, nearest
from llmrr.kinds import parse_duration
from llmrr.pool import MemoryUse, memory
from llmrr.stats import Run, quantile

if TYPE_CHECKING:
    import sqlite3

    from llmrr.router import Router

T = TypeVar("T")
Handler = Callable[[Alert], object]

LATENCY: Final = "inference.latency"  # milliseconds
ERRORS: Final = "inference.errors"  # how many
DEFAULTS: Final = {"latency": 2000.0, "errorRate": 0.05, "memory": 0.85}
MEMORY_EVERY_S: Final = 5.0
_ALIASES: Final = {"high-usage": "high-memory"}
_PRUNED_EVERY_S: Final = 3600.0
_NAMES: Final = {
    "latency": "latency_ms", "latency_ms": "latency_ms", "errorRate": "error_rate",
    "error_rate": "error_rate", "memory": "memory",
}  # fmt: skip


class MetricsCollector:
    """Tracks figures, and alerts. Safe to use from several threads.

    ``retention`` is how long tracked figures are kept: a text such as "30d", seconds, a
    ``timedelta``, None for ever; ``[stats] retention`` holds for them too. ``alerts`` are limits:
    ``latency`` in milliseconds, ``errorRate`` and ``memory`` as shares; what is left out alerts of
    nothing. With a ``router`` its runs are watched too, and its database is used; else that of
    ``LLMRR_HOME``.

    Handlers are called by the thread that tracked or ran; one that raises is logged, and stops
    nothing. An alert of one event and model is followed by no other for five minutes. Where the
    database cannot be used, that is logged once, and nothing is kept.
    """

    def __init__(
        self,
        retention: str | float | timedelta | None = "30d",
        alerts: Mapping[str, float] | None = None,
        router: "Router | None" = None,
    ) -> None:
        self._retention = _seconds(retention)
        self._rules = _rules(DEFAULTS if alerts is None else alerts)
        self._router = router
        self._handlers: dict[str, list[Handler]] = {}
        self._outcomes: dict[str, deque[bool]] = {}  # whether the last requests failed, by model
        self._raised: dict[tuple[str, str], float] = {}
        self._lock, self._database_lock = threading.Lock(), threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._lost = False
        self._looked = self._pruned = -math.inf
        if router is not None:
            router.watch.listeners.append(self._after)

    def __enter__(self) -> "MetricsCollector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def track(
        self,
        event: str,
        value: float = 1,
        labels: Mapping[str, object] | None = None,
        **more: object,
    ) -> None:
        """Keep a figure under an event's name, with labels, as ``model="x"``.

        ``inference.latency`` (milliseconds, of a request that succeeded) and ``inference.errors``
        (how many failed) are held against the limits; any other name is only kept. Raises
        ``UsageError`` for a name or a value that is none.
        """
        name, number = _event(event), _number(value)
        tags = {str(key): one for key, one in {**(labels or {}), **more}.items()}
        text = json.dumps(tags, default=str, ensure_ascii=False, sort_keys=True)
        now = time.time()
        sql = "INSERT INTO metrics (at, event, value, labels) VALUES (?, ?, ?, ?)"
        self._use(lambda connection: connection.execute(sql, (now, name, number, text)))
        self._prune(now)
        model = str(tags.get("model", ""))
        if name == LATENCY:
            self._outcome(now, model, number, [False])
        elif name == ERRORS and number >= 1:
            self._outcome(now, model, None, [True] * min(int(number), alerts.WINDOW))

    def on(self, event: str, handler: Handler) -> None:
        """Call ``handler`` with the ``Alert`` whenever one of this event is raised:
        ``high-latency``, ``high-error-rate``, ``high-memory`` (or ``high-usage``), or a name of
        one's own."""
        if not callable(handler):
            raise UsageError(f"the handler of {event!r} cannot be called", "on(EVENT, FUNCTION)")
        with self._lock:
            name = _ALIASES.get(event, _event(event))
            self._handlers.setdefault(name, []).append(handler)

    def alert(self, event: str, what: object = None, **labels: object) -> Alert | None:
        """With a function, the same as ``on``. With anything else, or nothing: raise an alert of
        this event now, ``what`` being its message, or its value where it is a number.
        """
        if callable(what):
            self.on(event, what)
            return None
        value = float(what) if isinstance(what, int | float) and math.isfinite(what) else None
        said = str(what) if what is not None and value is None else _event(event)
        model = str(labels.get("model", ""))
        found = Alert(_event(event), model, value, None, time.time(), said)
        self._give(found, quiet=0.0)
        return found

    def summary(self, since: str | float | None = None) -> dict[str, dict[str, Any]]:
        """What was tracked, by event: count, sum, mean, median, 95th percentile, maximum; and under
        ``runs`` what is recorded of the runs. ``since`` is epoch seconds, or how long ago, as "7d".
        """
        moment = _since(since)

        def read(connection: "sqlite3.Connection") -> tuple[list[Any], list[Any]]:
            sql = "SELECT event, value FROM metrics WHERE at >= ? ORDER BY event"
            tracked = connection.execute(sql, (moment,)).fetchall()
            return tracked, [row[1:] for row in run_rows(connection, moment)]

        tracked, runs = self._use(read) or ([], [])
        values: dict[str, list[float]] = {}
        for event, value in tracked:
            values.setdefault(event, []).append(value)
        return {**{event: _summed(found) for event, found in values.items()}, "runs": figures(runs)}

    def raised(self, since: str | float | None = None) -> list[Alert]:
        """The alerts that are kept, newest last, those of other processes too."""
        return self._use(lambda one: alerts.recent(one, since=_since(since))) or []

    def close(self) -> None:
        """Let go of the database and the router. Twice is allowed."""
        if self._router is not None and self._after in self._router.watch.listeners:
            self._router.watch.listeners.remove(self._after)
        with self._database_lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # -- inside --------------------------------------------------------------------------------

    def _after(self, run: Run) -> None:
        """A run of the router."""
        if run.finish_reason == "cancelled" or run.cache is not None:
            return
        now = time.time()
        if not run.error:
            self._outcome(now, run.model, run.total_s * 1000, [False])
        elif not alerts.is_of_request(run.error):
            self._outcome(now, run.model, None, [True])

    def _outcome(
        self, now: float, model: str, latency_ms: float | None, failed: list[bool]
    ) -> None:
        with self._lock:
            last = self._outcomes.setdefault(model, deque(maxlen=alerts.WINDOW))
            last.extend(failed)
            counts = (sum(last), len(last))
            looks = self._rules.memory is not None and now - self._looked >= MEMORY_EVERY_S
            self._looked = now if looks else self._looked
        use = self._memory() if looks else None
        facts = Facts(now, model, latency_ms, *counts, None if use is None else use.share)
        for one in alerts.due(self._rules, facts):
            self._give(one)

    def _memory(self) -> MemoryUse | None:
        return memory.read() if self._router is None else self._router.memory()

    def _give(self, alert: Alert, quiet: float = alerts.QUIET_S) -> None:
        with self._lock:
            key = (alert.event, alert.model)
            before = self._raised.get(key, -math.inf)
            if quiet and 0 <= alert.at - before < quiet:
                return
            self._raised[key] = alert.at
            handlers = list(self._handlers.get(alert.event, ()))
        self._use(lambda connection: alerts.record(connection, [alert], quiet))
        logger().warning("%s: %s", alert.event, alert.message)
        for handler in handlers:
            try:
                handler(alert)
            except Exception:
                logger().exception("a handler of %s failed", alert.event)

    def _prune(self, now: float) -> None:
        if self._retention is None or now - self._pruned < _PRUNED_EVERY_S:
            return
        self._pruned, oldest = now, now - self._retention
        self._use(lambda one: one.execute("DELETE FROM metrics WHERE at < ?", (oldest,)))

    def _use(self, work: "Callable[[sqlite3.Connection], T]") -> "T | None":
        """Work with the database; None where it cannot be used."""
        if self._router is not None:
            router = self._router

            def within(connection: "sqlite3.Connection") -> T:
                with database.errors():
                    return work(connection)

            return router.with_database(within, "metrics are not kept")
        if self._lost:
            return None
        try:
            with self._database_lock, database.errors():
                if self._connection is None:
                    self._connection = database.open_database()
                return work(self._connection)
        except LlmrrError as error:
            self._lost = True
            logger().warning("metrics are not kept: %s", error.message)
            return None


def _summed(values: list[float]) -> dict[str, Any]:
    return {
        "count": len(values),
        "sum": math.fsum(values),
        "mean": math.fsum(values) / len(values),
        "median": quantile(values, 0.5),
        "p95": quantile(values, 0.95),
        "max": max(values),
    }


def _rules(stated: Mapping[str, float]) -> Rules:
    found: dict[str, float] = {}
    for name, limit in stated.items():
        if name not in _NAMES:
            near = nearest(str(name), _NAMES)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(DEFAULTS)}"
            raise UsageError(f"there is no alert {name!r}", hint)
        if limit is None:
            continue
        number = _number(limit)
        if number < 0 or (name not in ("latency", "latency_ms") and number > 1):
            raise UsageError(
                f"the limit {name} = {limit!r} is not possible",
                "latency in milliseconds, errorRate and memory from 0 to 1",
            )
        found[_NAMES[name]] = number
    return Rules(**found)


def _event(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"{name!r} is no name of an event", f'for example "{LATENCY}"')
    return name


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{value!r} is no number that can be tracked", f'track("{LATENCY}", 120)')
    return float(value)


def _seconds(retention: object) -> float | None:
    if retention is None or retention == "forever":
        return None
    if isinstance(retention, timedelta):
        return retention.total_seconds()
    try:
        return parse_duration(retention)
    except ValueError:
        raise UsageError(
            f"the retention {retention!r} is no time", '"30d", seconds, a timedelta, or None'
        ) from None


def _since(since: str | float | None) -> float:
    if isinstance(since, str):
        ago = _seconds(since)
        return 0.0 if ago is None else time.time() - ago
    return float(since or 0.0)
