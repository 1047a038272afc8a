"""Requests that are under way: those that are the same are answered by one run.

The first to come leads: it begins the run, and the record of what that took is its. The others hear
the same chunks as they come. Whoever needs the next chunk fetches it for all, so that nobody waits
for a request that nobody listens to. A request that is stopped leaves; the run goes on while
somebody is left, and the next in line leads. Where the run fails, the leader has the error, and the
others run it once more, one for all again; where that fails too, each runs it alone. Who has heard
something goes on behind it, if the new run says the same again, and else has the error as well.
"""

import threading
from collections.abc import Callable
from weakref import ReferenceType, WeakValueDictionary, ref

from llmrr.choosing.attempts import Attempt
from llmrr.engines.base import Stream
from llmrr.errors import EngineFailed
from llmrr.types import Chunk

SHARED_RUNS = 2  # how often one request is run for several before each runs it alone


class Flight:
    """One run of one request; ``number`` counts it and those that failed before it, ``about`` is
    what who began it knows of the request, ``heard_by`` begins with the one that leads. Everything
    changes under its condition. The model stays in memory while it runs and somebody hears it.
    """

    def __init__(self, key: str, number: int = 1, about: object = None) -> None:
        self.key, self.number, self.about = key, number, about
        self.condition = threading.Condition()
        self.attempt: Attempt | None = None
        self.chunks: list[Chunk] = []
        self.error: BaseException | None = None
        self.blamed: ReferenceType[object] | None = None
        self.ended = self.closed = self.stored = self.recorded = False
        self._heard_by: list[ReferenceType[object]] = []  # one that is forgotten has left
        self._fetching = False

    @property
    def stream(self) -> Stream | None:
        """What the engine gives, once it runs."""
        return self.attempt.stream if self.attempt else None

    @property
    def is_complete(self) -> bool:
        """Whether all of the answer has come."""
        return bool(self.chunks) and self.chunks[-1].usage is not None

    @property
    def heard_by(self) -> list[object]:
        """Who hears it, in the order of their coming."""
        return [one for one in (known() for known in self._heard_by) if one is not None]

    def enter(self, listener: object) -> None:
        """Somebody more hears it."""
        self._heard_by.append(ref(listener))

    def leave(self, listener: object) -> None:
        """Somebody does not any more. Twice is allowed."""
        self._heard_by = [one for one in self._heard_by if one() not in (None, listener)]

    def release(self, listener: object) -> None:
        """Give the model back that it runs on, unless others than this one need it."""
        with self.condition:
            is_over = self.ended or self.error is not None or self.is_complete
            is_needed = not is_over and any(one is not listener for one in self.heard_by)
        if self.attempt is not None and not is_needed:
            self.attempt.lease.release()

    def started(self, attempt: Attempt) -> None:
        """It runs."""
        with self.condition:
            self.attempt = attempt
            self.condition.notify_all()

    def failed(self, error: BaseException) -> None:
        """It does not, or no more."""
        with self.condition:
            self._fail(error)
            self.condition.notify_all()

    def claim(self) -> bool:
        """Whether the caller is the one to keep the answer: the first that has all of it."""
        with self.condition:
            if not self.is_complete:
                return False
            before, self.stored = self.stored, True
            return not before

    def chunk(self, at: int, may_wait: Callable[[], bool]) -> Chunk | None:
        """The chunk of that number, fetched if nobody else does; None where there is none, and
        where it ``may_wait`` no longer."""
        while True:
            with self.condition:
                if at < len(self.chunks):
                    return self.chunks[at]
                if self.ended or self.error is not None or not may_wait():
                    return None
                if self._fetching:
                    self.condition.wait()
                    continue
                self._fetching = True
            self._fetch()

    def ready(self, at: int, timeout: float) -> bool:
        """Wait at most so many seconds for the chunk of that number, or the end."""
        with self.condition:
            if self._fetching:
                self.condition.wait(timeout)
            if at < len(self.chunks) or self.ended or self.error is not None or not self.stream:
                return True
            if self._fetching:
                return False
            self._fetching, stream = True, self.stream
        try:
            return stream.ready(timeout)
        finally:
            with self.condition:
                self._fetching = False
                self.condition.notify_all()

    def _fail(self, error: BaseException) -> None:
        self.error, self.closed = error, True
        if isinstance(error, Exception):
            self.blamed = next((ref(one) for one in self.heard_by), None)
        else:
            self.error = EngineFailed("another request, which ran it, was interrupted")

    def _fetch(self) -> None:
        chunk: Chunk | None = None
        error: BaseException | None = None
        try:
            assert self.stream is not None
            chunk = next(self.stream, None)
        except BaseException as caught:
            error = caught
        with self.condition:
            self._fetching = False
            if chunk is not None:
                self.chunks.append(chunk)
            elif error is None:
                self.ended = True
            elif isinstance(error, Exception) or len(self.heard_by) > 1:
                # Of an interrupt too: a chunk may be lost.
                self._fail(error)
            else:
                self.closed = True
            self.condition.notify_all()
        if error is not None and not isinstance(error, Exception):
            raise error


class Flights:
    """The requests that are under way in one process, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A request that everybody dropped without an end is no reason for others to wait.
        self._under_way: WeakValueDictionary[str, Flight] = WeakValueDictionary()

    def enter(
        self, key: str, listener: object, number: int, about: object
    ) -> tuple[Flight, bool]:
        """The run of that key that is under way; or a new one, and that it is new: the listener
        begins it."""
        with self._lock:
            flight = self._under_way.get(key) if number <= SHARED_RUNS else None
            if flight is not None:
                with flight.condition:
                    if not flight.closed and flight.heard_by:
                        flight.enter(listener)
                        return flight, False
            flight = Flight(key, number, about)
            flight.enter(listener)
            if number <= SHARED_RUNS:
                self._under_way[key] = flight
            return flight, True
