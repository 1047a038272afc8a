"""Requests that are under way: those that are the same are answered by one run.

The first to come leads: it begins the run, and the record of what that took is its. The others hear
the same chunks as they come. Whoever needs the next chunk fetches it for all, so that nobody waits
for a request that nobody listens to. A request that is stopped leaves; the run goes on while
somebody is left, and the next in line leads. Where the run fails, the leader has the error, and the
others run it once more, one for all again; where that fails too, each runs it alone. Who has heard
something goes on behind it, if the new run says the same again, and else has the error as well.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from weakref import ReferenceType, WeakValueDictionary, ref

from llmrr.choosing.attempts import Attempt
from llmrr.engines.base import Stream
from llmrr.errors import EngineFailed
from llmrr.types import Chunk, Usage

SHARED_RUNS = 2  # how often one request is run for several before each runs it alone


class Flight:
    """One run of one request; ``number`` counts those that failed before it, ``heard_by`` begins
    with the one that leads. Everything changes under its condition. The model stays in memory while
    it runs and somebody hears it."""

    def __init__(self, key: str, number: int = 1) -> None:
        self.key, self.number = key, number
        self.condition = threading.Condition()
        self.attempt: Attempt | None = None
        self.chunks: list[Chunk] = []
        self.error: BaseException | None = None
        self.blamed: ReferenceType[Listener] | None = None
        self.ended = self.closed = self.stored = self.recorded = False
        self._heard_by: list[ReferenceType[Listener]] = []  # one that is forgotten has left
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
    def heard_by(self) -> "list[Listener]":
        """Who hears it, in the order of their coming."""
        return [one for one in (known() for known in self._heard_by) if one is not None]

    def enter(self, listener: "Listener") -> None:
        """Somebody more hears it."""
        self._heard_by.append(ref(listener))

    def leave(self, listener: "Listener") -> None:
        """Somebody does not any more. Twice is allowed."""
        self._heard_by = [one for one in self._heard_by if one() not in (None, listener)]

    def release(self, listener: "Listener") -> None:
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


class Listener(Iterator[Chunk]):
    """A flight as one request hears it: the stream of an answer under way. ``run`` begins a run,
    told whether this is not the first."""

    def __init__(self, flights: "Flights", key: str, run: Callable[[bool], Attempt]) -> None:
        self._flights, self.key, self._run = flights, key, run
        self._at = 0
        self._heard = Heard()
        self._has_left = self._said_so = self._is_done = self._led = False
        self.notes: tuple[str, ...] = ()
        self.flight: Flight
        self._board(1)

    @property
    def attempt(self) -> Attempt:
        """The run as that of this request."""
        assert self.flight.attempt is not None
        return self.flight.attempt._replace(stream=self, lease=self)

    @property
    def leads(self) -> bool:
        """Whether the run is recorded as that of this request."""
        flight = self.flight
        with flight.condition:
            if flight.recorded:
                return self._led
            if flight.error is not None:
                return flight.blamed is not None and flight.blamed() is self
            return flight.heard_by[:1] == [self]

    @property
    def cache(self) -> str | None:
        """Why nothing was run for it: the answer was kept, or it is that of somebody else's run."""
        kept: str | None = getattr(self.flight.stream, "cache", None)
        return kept or (None if self.leads or self._has_left else "exact")

    @property
    def progress(self) -> tuple[int, int]:
        """That of the run."""
        stream = self.flight.stream
        return stream.progress if stream else (0, 0)

    @property
    def context_size(self) -> int | None:
        """That of the run."""
        stream = self.flight.stream
        return stream.context_size if stream else None

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; will ``next`` return at once?"""
        return self._has_left or self.flight.ready(self._at, timeout)

    def __next__(self) -> Chunk:
        while not self._has_left:
            try:
                chunk = self.flight.chunk(self._at, lambda: not self._has_left)
            except BaseException:  # an interrupt of this thread
                self._leave_failed()
                raise
            if chunk is not None:
                self._at += 1
                if (new := self._heard.rest(chunk)) is not None:
                    return new
                continue
            error = self.flight.error
            if self._has_left:
                break
            if error is None:
                raise StopIteration
            if self.leads or not self._heard.again(error):
                raise error
            self._at = 0
            self._board(self.flight.number + 1)
        return self._farewell()

    def cancel(self) -> None:
        """Stop it, from any thread. The run ends where nobody else hears it."""
        flight = self.flight
        with flight.condition:
            if self._has_left or self._is_done or flight.error is not None:
                return
            alone = flight.attempt is not None and flight.heard_by == [self]
            if alone:
                flight.closed = True
            else:
                self._has_left = True
                if flight.attempt is not None or not self.leads:  # else it is about to begin
                    flight.leave(self)
                flight.condition.notify_all()
        if alone and flight.stream is not None:
            flight.stream.cancel()

    def _leave_failed(self) -> None:
        with self.flight.condition:
            self._has_left = self.flight.error is not None

    def done(self, *, closes: bool) -> None:
        """It is recorded. With ``closes`` whoever asks from now on finds the answer kept, if it is.
        """
        flight = self.flight
        with flight.condition:
            self._is_done = True
            flight.closed = flight.closed or closes
            if not self.leads:
                flight.leave(self)
            elif flight.is_complete:
                flight.recorded = self._led = True

    def release(self) -> None:
        """The request needs the model no more. Twice is allowed."""
        self.flight.release(self)

    def _board(self, number: int) -> None:
        """Hear the run that is under way, or begin one. Raises what it cannot begin with."""
        while True:
            self.flight = flight = self._flights.enter(self.key, self, number)
            if self.leads:
                self._begin(flight)
            if self._waits(flight) or self._has_left:
                self.notes = flight.stream.notes if flight.stream else ()
                return
            number = flight.number + 1

    def _waits(self, flight: Flight) -> bool:
        """Wait until the run has begun; false where it does not."""
        with flight.condition:
            try:
                flight.condition.wait_for(
                    lambda: flight.attempt or flight.error or self._has_left
                )
            except BaseException:
                flight.leave(self)
                raise
            return flight.attempt is not None

    def _begin(self, flight: Flight) -> None:
        try:
            attempt = self._run(flight.number > 1)
        except BaseException as error:
            flight.failed(error)
            raise
        flight.started(attempt)

    def _farewell(self) -> Chunk:
        if self._said_so:
            raise StopIteration
        self._said_so = True
        flight = self.flight
        with flight.condition:
            flight.leave(self)
            deserted = None if flight.heard_by else flight.stream
            flight.closed = flight.closed or deserted is not None
        if deserted is not None:
            deserted.cancel()
        return Chunk(finish_reason="cancelled", usage=Usage())


class Heard:
    """What a request has heard so far, and how much of it a new run has yet to say again."""

    def __init__(self) -> None:
        self._pieces: list[Chunk] = []
        self._said = ("", "")  # reasoning and text
        self._error: Exception | None = None

    def again(self, error: BaseException) -> bool:
        """Begin anew after an error; false where what was heard cannot be told from the rest."""
        plain = all(
            one.index == 0 and not one.tool_calls and not one.logprobs for one in self._pieces
        )
        if not plain or not isinstance(error, Exception):
            return False
        self._said = (
            "".join(one.reasoning for one in self._pieces),
            "".join(one.text for one in self._pieces),
        )
        self._error = error
        return True

    def rest(self, chunk: Chunk) -> Chunk | None:
        """What of a chunk is new. Raises the error where a new run says something else."""
        if self._error is None or self._said == ("", ""):
            self._pieces.append(chunk)
            return chunk
        thought, text = (
            self._behind(piece, said)
            for piece, said in zip((chunk.reasoning, chunk.text), self._said, strict=True)
        )
        self._said = (self._said[0][len(chunk.reasoning) :], self._said[1][len(chunk.text) :])
        if chunk.finish_reason is None and chunk.usage is None and not (thought or text):
            return None
        if self._said != ("", ""):
            raise self._error
        new = replace(chunk, reasoning=thought, text=text)
        self._pieces.append(new)
        return new

    def _behind(self, piece: str, said: str) -> str:
        assert self._error is not None
        if piece[: len(said)] != said[: len(piece)]:
            raise self._error
        return piece[len(said) :]


class Flights:
    """The requests that are under way in one process, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A request that everybody dropped without an end is no reason for others to wait.
        self._under_way: WeakValueDictionary[str, Flight] = WeakValueDictionary()

    def enter(self, key: str, listener: Listener, number: int) -> Flight:
        """The run of that key that is under way, or a new one, which the listener leads."""
        with self._lock:
            flight = self._under_way.get(key) if number <= SHARED_RUNS else None
            if flight is not None:
                with flight.condition:
                    if not flight.closed:
                        flight.enter(listener)
                        return flight
            flight = Flight(key, number)
            flight.enter(listener)
            if number <= SHARED_RUNS:
                self._under_way[key] = flight
            return flight
