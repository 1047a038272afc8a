"""An answer under way: in the queue, then computed on a thread of its own, and heard on the event
loop."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import suppress

from llmrr.choosing.answering import Answer
from llmrr.errors import LlmrrError
from llmrr.server.queueing import Places, Queue, Ticket
from llmrr.server.refusals import TooSlow
from llmrr.types import Chunk


class Running:
    """An answer under way. ``begin`` starts it, on a thread of ``executor``, once it has been
    ``queued``; iterate what comes, as lists of chunks that came meanwhile. ``done`` is set when
    nothing is held for it any more; after ``timeout`` seconds it is stopped."""

    def __init__(
        self, begin: Callable[[], Answer], executor: Executor, timeout: float | None = None
    ) -> None:
        self.answer: Answer | None = None
        self.entered, self.first_at = time.monotonic(), 0.0
        self.began_at: float | None = None
        self._begin, self._executor = begin, executor
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._came = asyncio.Event()
        self._chunks: list[Chunk] = []
        self._error: BaseException | None = None
        self._ended = self._left = self._wakes = False
        self._why: LlmrrError | None = None
        self._lock = threading.Lock()
        self._ticket: Ticket | None = None
        self._place_of: Callable[[str], str] = str
        self._timer = timeout and self._loop.call_later(timeout, self._late, timeout)

    @property
    def error(self) -> BaseException | None:
        """What it failed with."""
        return self._error

    def queued(
        self, queue: Queue, places: Places, key: str, units: int, place_of: Callable[[str], str]
    ) -> None:
        """Take a place in the queue, which it leaves by itself; ``place_of`` says which gate a
        model is behind."""
        self._place_of = place_of
        self._ticket = queue.enter(places, key, units, self._launch)

    async def first(self) -> None:
        """Wait until something has come. Raises what it failed with before that."""
        await self._came.wait()
        if self._error is not None and not self._chunks:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[list[Chunk]]:
        while True:
            await self._came.wait()
            self._came.clear()
            ended = self._ended  # before the chunks: those that come later come with their own wake
            chunks, self._chunks = self._chunks, []
            if chunks:
                yield chunks
            if ended:
                self._came.set()
                if self._error is not None:
                    raise self._error
                return

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop it; its sequence is free within one step, and its place in the queue at once. With
        the error that is ``why`` it fails. Twice is allowed."""
        with self._lock:
            self._left, self._why = True, self._why or why
            answer = self.answer
        if answer is not None:
            answer.cancel(why)
        elif self.began_at is None and not self.done.done():
            self._error = self._why
            self._ended = True
            self._finished()

    # -- on its thread -------------------------------------------------------------------------

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            if self._left:
                return
            answer = self._begin()
            with self._lock:
                self.answer = answer
                left = self._left
            if left:
                answer.cancel(self._why)
            try:
                for chunk in answer:
                    self._chunks.append(chunk)
                    self._wake()
            finally:
                answer.close()
        except BaseException as raised:
            error = raised
        finally:
            self._error = self._why or error
            self._ended = True
            with suppress(RuntimeError):  # the loop has ended: nobody listens
                self._loop.call_soon_threadsafe(self._finished)

    def _wake(self) -> None:
        if not self._wakes:
            self._wakes = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._woken)

    # -- on the loop ---------------------------------------------------------------------------

    def _launch(self) -> None:
        self.began_at = time.monotonic()
        self._executor.submit(self._work)

    def _woken(self) -> None:
        self._wakes = False
        if not self.first_at:
            self.first_at = time.monotonic()
            if self._ticket is not None and self.answer is not None:
                self._ticket.narrow(self._place_of(self.answer.model.name))
        self._came.set()

    def _late(self, timeout: float) -> None:
        """Whoever waits is told at once; what computes ends within a step, or once it is loaded."""
        error = TooSlow(f"no complete answer within {timeout:g} seconds", "--timeout SECONDS")
        self.cancel(error)
        self._error, self._ended = self._error or error, True
        self._came.set()

    def _finished(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._ticket is not None:
            self._ticket.leave()
        self._came.set()
        if not self.done.done():
            with suppress(RuntimeError):
                self.done.set_result(None)
