"""A run that may be shared, as one of the requests hears it that it answers."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from llmrr.choosing.attempts import Attempt
from llmrr.choosing.flights import Flight, Flights
from llmrr.types import Chunk, Usage


class Listener(Iterator[Chunk]):
    """A flight as one request hears it: the stream of an answer under way. ``run`` begins a run,
    told whether this is not the first; ``about`` is what it knows of the request."""

    def __init__(
        self, flights: Flights, key: str, run: Callable[[bool], Attempt], about: object = None
    ) -> None:
        self._flights, self._key, self._run, self._about = flights, key, run, about
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
            self.flight, is_new = self._flights.enter(self._key, self, number, self._about)
            flight = self.flight
            if is_new:
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
            one.index == 0 and not (one.tool_calls or one.call_pieces or one.logprobs)
            for one in self._pieces
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
