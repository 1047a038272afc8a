"""How the server is at this moment, for ``/health`` and ``/metrics``."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import alerts
from llmrr.choosing import health
from llmrr.choosing.profiles import breaker_rules, key_of
from llmrr.pool import Held, MemoryUse
from llmrr.routing.candidate import Health
from llmrr.server.service import Service

if TYPE_CHECKING:
    import sqlite3

FRESH_S: Final = 1.0
_LOSS: Final = "how models have been doing is not known"


class State(NamedTuple):
    """What was looked at. ``open_breakers`` are the ``[[models]]`` that are not asked for having
    failed, ``down`` those whose server does not answer, ``models`` all of them; ``alerts`` how
    often each was raised since the server began, and ``alerted`` those of the last minutes."""

    at: float
    models: tuple[str, ...]
    open_breakers: frozenset[str]
    down: frozenset[str]
    alerts: Counter[str]
    alerted: frozenset[str]
    loaded: tuple[Held, ...]
    memory: MemoryUse | None

    @property
    def status(self) -> str:
        """``degraded`` where models are left alone; ``failing`` where all are."""
        if not self.left_out:
            return "ok"
        return "degraded" if len(self.left_out) < len(self.models) else "failing"

    @property
    def left_out(self) -> frozenset[str]:
        """The models that are not asked now."""
        return self.open_breakers | self.down


class Looks:
    """Looks at a service, once a second at most, and beside the event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._state: State | None = None
        self._looking: asyncio.Future[State] | None = None

    async def state(self) -> State:
        """How it is; whoever asks meanwhile waits for the same look."""
        if self._state is not None and time.monotonic() - self._state.at < FRESH_S:
            return self._state
        if self._looking is None:
            self._looking = asyncio.ensure_future(asyncio.to_thread(look, self._service))
            self._looking.add_done_callback(self._looked)
        return await asyncio.shield(self._looking)

    def _looked(self, found: "asyncio.Future[State]") -> None:
        self._looking = None
        if not found.cancelled() and found.exception() is None:
            self._state = found.result()


def look(service: Service) -> State:
    """How a service is now."""
    router = service.router
    config, now = router.config, time.time()
    keys = {key_of(one): one.name for one in config.models}

    def read(connection: "sqlite3.Connection") -> tuple[frozenset[str], list[alerts.Alert]]:
        records = health.read(connection, keys, breaker_rules(config), now)
        is_open = (name for key, name in keys.items() if _is_open(records.get(key), now))
        return frozenset(is_open), alerts.recent(connection, since=service.began)

    is_open, raised = router.with_database(read, _LOSS) or (frozenset(), [])
    return State(
        time.monotonic(),
        tuple(keys.values()),
        is_open,
        frozenset(router.down()),
        Counter(one.event for one in raised),
        frozenset(one.event for one in raised if now - one.at < alerts.QUIET_S),
        tuple(router.loaded()),
        router.memory(),
    )


def _is_open(found: Health | None, now: float) -> bool:
    return found is not None and found.closed_at is not None and found.closed_at > now


class Process(NamedTuple):
    """What the process takes; None is not known."""

    descriptors: int | None
    threads: int
    resident_bytes: int | None


def process() -> Process:
    """What this process takes now."""
    import threading

    return Process(_descriptors(), threading.active_count(), _resident())


def _descriptors() -> int | None:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return sum(1 for _ in Path(folder).iterdir())
        except OSError:
            continue
    return None


def _resident() -> int | None:
    import os

    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
