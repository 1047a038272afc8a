"""What is looked for in the cache, and what is found there."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from llmrr.choosing.flights import Flights
from llmrr.types import Chunk, Request, Sampling

if TYPE_CHECKING:
    import sqlite3

    from llmrr.choosing.kept import Kept

T = TypeVar("T")


class Cache:
    """What the requests of one router share. Answers whose words may not be written to the disk
    are kept in memory, until the router is closed."""

    def __init__(self) -> None:
        self.flights = Flights()
        self.failed: set[str] = set()  # models that were to compare prompts, and do not
        self.judged: set[str] = set()  # those that were looked at
        self.samplings: dict[tuple[str, int, int, int], Sampling] = {}  # of files that were read
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def in_memory(self, work: "Callable[[sqlite3.Connection], T]", *, opens: bool) -> "T | None":
        """Use what is in memory; None where nothing is, unless this ``opens`` it."""
        with self._lock:
            if self._memory is None and opens:
                from llmrr import database

                self._memory = database.in_memory()
            return None if self._memory is None else work(self._memory)

    def close(self) -> None:
        """Forget what is in memory. Twice is allowed."""
        with self._lock:
            if self._memory is not None:
                self._memory.close()
            self._memory = None


@dataclass(slots=True)
class Wanted:
    """A request that may have been answered before; ``words`` and ``vector`` are of the comparison
    by meaning."""

    key: str
    request: Request
    family: str | None = None
    words: str = ""
    vector: list[float] = field(default_factory=list)


class Replay:
    """An answer that was kept, as a stream."""

    notes: tuple[str, ...] = ()
    progress = (0, 0)
    context_size: int | None = None

    def __init__(self, kept: "Kept", cache: str) -> None:
        from llmrr.routing.cache import again

        self.key, self.cache = kept.key, cache
        self._rest = list(again(kept.answer))

    def __iter__(self) -> "Replay":
        return self

    def __next__(self) -> Chunk:
        if not self._rest:
            raise StopIteration
        return self._rest.pop(0)

    def ready(self, timeout: float) -> bool:
        """At once."""
        return True

    def cancel(self) -> None:
        """It is complete already."""

    def release(self) -> None:
        """No model is used."""
