"""An answer that comes from elsewhere: read on a thread of its own, heard on any other."""

import queue
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

from llmrr.engines.remote import estimates, retry
from llmrr.engines.remote.client import Exchange
from llmrr.engines.remote.deadlines import Deadlines
from llmrr.engines.remote.dialect import Reader
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party
from llmrr.types import Chunk, Endpoint, FinishReason, Request, Usage

Opens = Callable[[Exchange, Deadlines], Generator[Event, None, None]]


class RemoteStream:
    """The chunks of one request. Iterate it, or be pushed through ``on_chunk``.

    ``opens`` sends the request and gives the events of its answer; ``reader`` makes a fresh reader
    of them for each attempt.
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
    ) -> None:
        self._endpoint, self._request, self._party = endpoint, request, party
        self._opens, self._new_reader = opens, reader
        self._reader = reader()
        self._exchange = Exchange()
        self._deadlines = Deadlines(endpoint)
        self._queue: queue.SimpleQueue[Chunk | BaseException | None] = queue.SimpleQueue()
        self._push, self._pushes = on_chunk or self._queue.put, on_chunk is not None
        self._cancelled = threading.Event()
        self._started = time.perf_counter()
        self._first: float | None = None
        self._said = 0  # bytes of the answer, for an estimate
        self._last: list[Chunk] = []  # of an answer that was cancelled, still to be heard
        self._ended = self._told = False
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="llmrr-remote", daemon=True).start()

    def __iter__(self) -> "RemoteStream":
        return self

    def __next__(self) -> Chunk:
        if self._last:
            return self._last.pop(0)
        if self._ended:
            raise StopIteration
        item = self._queue.get()
        if isinstance(item, Chunk):
            return item
        self._ended = True
        if item is not None:
            raise item
        if self._cancelled.is_set() and not self._pushes:
            self._last = self._closing()
        return self.__next__()

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; has something come that ``next`` will give at once?"""
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

    # -- on its own thread ---------------------------------------------------------------------

    def _run(self) -> None:
        try:
            retry.run(
                self._attempt, self._endpoint.max_retries, self._deadlines,
                wait=self._cancelled.wait, may=lambda: self._first is None,
            )  # fmt: skip
        except BaseException as error:
            if self._cancelled.is_set():
                self._close()
            else:
                self._queue.put(error)
            return
        self._close()

    def _attempt(self) -> None:
        if self._cancelled.is_set():
            return
        self._deadlines.begin()
        self._reader = reader = self._new_reader()
        with closing(self._opens(self._exchange, self._deadlines)) as events:
            for event in events:
                for chunk in reader.read(event):
                    if self._cancelled.is_set():
                        return
                    self._emit(chunk)
        if not self._cancelled.is_set():
            reader.end()

    def _emit(self, chunk: Chunk) -> None:
        self._deadlines.progressed()
        if self._first is None:
            self._first = time.perf_counter()
        self._said += len(chunk.text.encode()) + len(chunk.reasoning.encode())
        self._said += sum(len(one.arguments.encode()) for one in chunk.tool_calls)
        self._push(chunk)

    def _close(self) -> None:
        """Hand over the end, where nobody else does."""
        if self._cancelled.is_set() and not self._pushes:
            return
        try:
            for chunk in self._closing():
                self._push(chunk)
        except BaseException as error:  # a listener's own
            self._queue.put(error)
        self._queue.put(None)

    def _closing(self) -> list[Chunk]:
        """The last chunk of each choice, the last of all with what it took; once."""
        with self._lock:
            if self._told:
                return []
            self._told = True
        reasons: dict[int, FinishReason] = dict(self._reader.reasons)
        cancelled = self._cancelled.is_set()
        chunks = [
            Chunk(index, finish_reason="cancelled" if cancelled else reasons.get(index, "stop"))
            for index in range(self._reader.choices)
        ]
        chunks[-1] = replace(chunks[-1], usage=self._usage())
        return chunks

    def _usage(self) -> Usage:
        now = time.perf_counter()
        counts = self._reader.counts
        if counts is None:
            prompt, cached = estimates.prompt_tokens(self._request), 0
            generated = -(-self._said // estimates.BYTES_PER_TOKEN)
        else:
            prompt, generated, cached = counts
        decoding = 0.0 if self._first is None else now - self._first
        return Usage(
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=generated,
            estimated=counts is None,
            first_token_s=None if self._first is None else self._first - self._started,
            total_s=now - self._started,
            tokens_per_s=(generated - 1) / decoding if generated > 1 and decoding > 0 else None,
        )
