"""An answer that comes from elsewhere: read on a thread of its own and heard on any other, or read
by who hears it, which spares two switches of threads for every piece.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from llmrr.engines.chunks import merged
from llmrr.engines.remote import estimates, retry, starter
from llmrr.engines.remote.deadlines import Deadlines
from llmrr.engines.remote.dialect import Reader
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.exchange import Exchange
from llmrr.engines.remote.faults import Party
from llmrr.errors import LlmrrError
from llmrr.types import Chunk, Endpoint, FinishReason, Request, Usage

Opens = Callable[[Exchange, Deadlines], Generator[list[Event], None, None]]


class RemoteStream:
    """The chunks of one request. Iterate it, or be pushed through ``on_chunk``.

    ``opens`` sends the request and gives the events of its answer; ``reader`` makes a fresh reader
    of them for each attempt. ``reached`` says that the service was, a moment ago: then who asks for
    the first piece at once reads the answer; else nobody could break off while it connects.
    """

    notes: tuple[str, ...] = ()
    context_size: int | None = None
    progress = (0, 0)

    def __init__(
        self,
        endpoint: Endpoint,
        request: Request,
        party: Party,
        opens: Opens,
        reader: Callable[[], Reader],
        on_chunk: Callable[[Chunk], None] | None,
        reached: bool = False,
    ) -> None:
        self._endpoint, self._request, self._party = endpoint, request, party
        self._opens, self._new_reader = opens, reader
        self._reader = reader()
        self._exchange = Exchange()
        self._deadlines = Deadlines(endpoint, request.deadline)
        self._queue: queue.SimpleQueue[Chunk | BaseException | None] = queue.SimpleQueue()
        self._push, self._pushes = on_chunk or self._queue.put, on_chunk is not None
        self._cancelled = threading.Event()
        self._started = time.perf_counter()
        self._first: float | None = None
        self._held = 0.0  # seconds that who listens took, and not the provider
        self._said = 0  # bytes of the answer, for an estimate
        self._pieced: set[tuple[int, str]] = set()  # calls that come in pieces, by choice
        self._last: list[Chunk] = []  # of an answer that was cancelled, still to be heard
        self._ended = self._told = False
        self._lock = threading.Lock()
        self._chunks: Generator[Chunk, None, None] | None = None  # read by who listens
        self._begun = False
        if reached and not self._pushes:
            starter.soon(self.start)
        else:
            self.start()

    def __iter__(self) -> "RemoteStream":
        return self

    def __next__(self) -> Chunk:
        if self._last:
            return self._last.pop(0)
        if self._ended:
            raise StopIteration
        item = self._item()
        if isinstance(item, Chunk):
            return item
        self._ended = True
        if item is not None:
            raise item
        if self._cancelled.is_set() and not self._pushes:
            self._last = self._closing()
        return self.__next__()

    def start(self) -> None:
        """Read it on a thread of its own, unless somebody reads it already."""
        if not self._begins():
            return
        try:
            self._listen(self._read())
        except RuntimeError as error:  # there are no more threads
            self._queue.put(error)

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; has something come that ``next`` will give at once?"""
        self.start()
        if self._chunks is not None and not self._ended:
            chunks, self._chunks = self._chunks, None
            self._listen(chunks)
        deadline = time.monotonic() + timeout
        while self._queue.empty() and not self._ended:
            if (left := deadline - time.monotonic()) <= 0:
                return False
            time.sleep(min(0.005, left))
        return True

    def cancel(self) -> None:
        """Stop it, from any thread: the connection is closed. Twice is allowed."""
        if self._cancelled.is_set():
            return
        self._cancelled.set()
        self._exchange.close()
        if not self._pushes:
            self._queue.put(None)  # whoever listens need not wait for the connection

    # -- inside --------------------------------------------------------------------------------

    def _begins(self) -> bool:
        """Whether it falls to the caller to read it."""
        with self._lock:
            begins, self._begun = not self._begun, True
        return begins

    def _item(self) -> Chunk | BaseException | None:
        """The next piece, None at the end, or what went wrong."""
        if self._chunks is None and self._begins():
            self._chunks = self._read()
        if self._chunks is None:
            return self._queue.get()
        try:
            return next(self._chunks, None)
        except Exception as error:
            return error

    def _listen(self, chunks: Generator[Chunk, None, None]) -> None:
        threading.Thread(
            target=self._run, args=(chunks,), name="llmrr-remote", daemon=True
        ).start()

    def _run(self, chunks: Generator[Chunk, None, None]) -> None:
        """What its own thread does."""
        try:
            for chunk in chunks:
                self._push(chunk)
        except BaseException as error:
            with closing(chunks):  # it may be a listener's own
                self._queue.put(error)
        if self._pushes or not self._cancelled.is_set():
            self._queue.put(None)

    def _read(self) -> Generator[Chunk, None, None]:
        """All pieces, the last ones too. Once it is cancelled, nothing that goes wrong matters."""
        try:
            yield from self._tried()
        except Exception as error:
            if not self._cancelled.is_set():
                if isinstance(error, LlmrrError) and self._first is not None:
                    error.usage = self._usage()
                raise
        if self._pushes or not self._cancelled.is_set() or self._chunks is not None:
            yield from self._closing()

    def _tried(self) -> Generator[Chunk, None, None]:
        pauses = retry.Pauses(self._endpoint.max_retries, self._deadlines)
        while not self._cancelled.is_set():
            try:
                yield from self._attempt()
                return
            except LlmrrError as error:
                if self._first is not None:
                    raise
                self._cancelled.wait(pauses.after(error))

    def _attempt(self) -> Generator[Chunk, None, None]:
        self._deadlines.begin()
        self._reader = reader = self._new_reader()
        with closing(self._opens(self._exchange, self._deadlines)) as events:
            for came in events:
                for chunk in self._chunks_of(reader, came):
                    if self._cancelled.is_set():
                        return
                    given = self._note(chunk)
                    yield chunk
                    self._held += time.perf_counter() - given
                    self._deadlines.heard()
        if not self._cancelled.is_set():
            reader.end()

    def _chunks_of(self, reader: Reader, came: list[Event]) -> Iterator[Chunk]:
        chunks = (chunk for event in came for chunk in reader.read(event))
        return merged(chunks) if self._request.whole and len(came) > 1 else chunks

    def _note(self, chunk: Chunk) -> float:
        """Count it; when it came."""
        self._deadlines.progressed()
        now = time.perf_counter()
        if self._first is None:
            self._first = now
        self._said += len(chunk.text.encode()) + len(chunk.reasoning.encode())
        for piece in chunk.call_pieces:
            self._pieced.add((chunk.index, piece.id))
            self._said += len(piece.arguments.encode())
        for one in chunk.tool_calls:
            if (chunk.index, one.id) not in self._pieced:
                self._said += len(one.arguments.encode())
        return now

    def _closing(self) -> list[Chunk]:
        """The last chunk of each choice, the last of all with what it took; once."""
        with self._lock:
            if self._told:
                return []
            self._told = True
        reasons: dict[int, FinishReason] = dict(self._reader.reasons)
        cancelled = self._cancelled.is_set()
        last = self._reader.choices - 1
        return [
            Chunk(
                index, stop=self._reader.stops.get(index),
                finish_reason="cancelled" if cancelled else reasons.get(index, "stop"),
                usage=self._usage() if index == last else None,
            )
            for index in range(self._reader.choices)
        ]  # fmt: skip

    def _usage(self) -> Usage:
        now = time.perf_counter() - self._held
        counts = self._reader.counts
        guessed = -(-self._said // estimates.BYTES_PER_TOKEN)
        is_whole = len(self._reader.reasons) >= self._reader.choices
        if is_guess := counts is None or not counts.are_counts:
            prompt, generated, cached = estimates.prompt_tokens(self._request), guessed, 0
            thought = None
        else:
            prompt, generated, cached = map(int, counts[:3])
            thought = counts.thought
        if not is_whole and generated < guessed:  # counted before it broke off
            generated, is_guess = guessed, True
        decoding = 0.0 if self._first is None else now - self._first
        return Usage(
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=generated,
            estimated=is_guess,
            first_token_s=None if self._first is None else self._first - self._started,
            total_s=now - self._started,
            tokens_per_s=(generated - 1) / decoding if generated > 1 and decoding > 0 else None,
            thought_tokens=None if thought is None else int(thought),
        )
