"""The thread that unloads what is idle; it lives as long as a pool holds models of this machine."""

import threading
import weakref
from typing import Final, Protocol

LONGEST_S: Final = 3600.0  # of one wait: what is much longer overflows on some systems
_SHORTEST_S: Final = 0.01


class Sweeps(Protocol):
    """What is swept."""

    def pause(self, stop: threading.Event) -> float | None:
        """Seconds until there may be something to unload, None where nothing is left."""

    def sweep(self) -> list[str]:
        """Unload what is idle for too long."""


def start(pool: Sweeps) -> threading.Event:
    """Begin; the event ends it. It does not keep a pool that nobody else has."""
    stop = threading.Event()
    threading.Thread(
        target=_run, args=(weakref.ref(pool), stop), name="llmrr-pool", daemon=True
    ).start()
    return stop


def _run(pool: "weakref.ref[Sweeps]", stop: threading.Event) -> None:
    while (here := pool()) is not None:
        pause = here.pause(stop)
        del here
        if pause is None or stop.wait(max(_SHORTEST_S, min(pause, LONGEST_S))):
            return
        if (here := pool()) is not None:
            here.sweep()
        del here
