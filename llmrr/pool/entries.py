"""A model of the pool, and the right to use it."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final, Literal, NamedTuple, Protocol

from llmrr.engines import Picked, Reached
from llmrr.engines.base import Model
from llmrr.errors import LlmrrError
from llmrr.pool.deciding import Held

_SAID: Final = ("load", "footprint", "largest_context")  # of a model, by those that do


class Wanted(NamedTuple):
    """A model that a request needs. What has the same ``key`` is the same model, loaded in the same
    way. ``need`` says the bytes that it takes, None for a model elsewhere."""

    name: str
    key: Hashable
    about: Picked | Reached
    load: Callable[[], Model]
    need: Callable[[], int] | None = None


class Entry:
    """A model of the pool; what changes of it does so under the pool's lock."""

    __slots__ = ("bytes", "claims", "error", "keeps", "leases", "model", "names", "owners", "state",
                 "used", "wanted")  # fmt: skip

    def __init__(self, wanted: Wanted, now: float, need: int | None = None) -> None:
        self.wanted, self.names = wanted, {wanted.name}
        self.state: Literal["loading", "loaded", "leaving", "gone"] = "loading"
        self.model: Model | None = None
        self.error: LlmrrError | None = None
        self.bytes = 0 if wanted.need is None else need  # None: nobody asked yet
        self.leases, self.used = 0, now
        self.keeps: float | None = None
        self.owners: Counter[int] = Counter()  # threads that began to use it
        self.claims: set[int] = set()  # threads that wait for its room

    @property
    def is_local(self) -> bool:
        """Does it take memory here?"""
        return self.wanted.need is not None

    @property
    def held(self) -> Held:
        """As decisions see it: what is being loaded or freed is in use."""
        busy = self.leases + (self.state != "loaded")
        size, used = self.bytes or 0, self.used
        said = (getattr(self.model, name, None) for name in _SAID)
        return Held(self.wanted.key, self.wanted.name, size, used, busy, self.keeps, *said)

    def measure(self) -> None:
        """Find out what it takes."""
        if self.bytes is None and self.wanted.need is not None:
            self.bytes = self.wanted.need()


class Releases(Protocol):
    """What takes leases back."""

    def release(self, lease: "Lease") -> None: ...


class Lease:
    """The right to use a model: it stays in memory until this is released, or forgotten. ``thread``
    is who took it, None once it was released."""

    __slots__ = ("__weakref__", "_pool", "entry", "model", "name", "thread")

    def __init__(self, pool: Releases, entry: Entry, model: Model, name: str) -> None:
        self._pool, self.entry, self.model, self.name = pool, entry, model, name
        self.thread: int | None = threading.get_ident()

    @property
    def about(self) -> Picked | Reached:
        """What runs it, and why that."""
        return self.entry.wanted.about

    def release(self) -> None:
        """Give it back. Twice is allowed, from any thread."""
        self._pool.release(self)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        if getattr(self, "thread", None) is not None:
            self.release()


class Claim:
    """One who waits for room, until a time by ``time.monotonic``. ``need`` is in bytes, once it is
    known; ``entries`` are those whose end is waited for."""

    __slots__ = ("entries", "need", "until", "wanted")

    def __init__(self, wanted: Wanted, until: float | None) -> None:
        self.wanted, self.until = wanted, until
        self.need: int | None = None
        self.entries: list[Entry] = []

    def measure(self) -> None:
        """Find out what the model takes."""
        if self.need is None and self.wanted.need is not None:
            self.need = self.wanted.need()
