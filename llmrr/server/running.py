"""An answer under way: in the queue, then computed on a thread of its own, and heard on the event
loop."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context

from llmrr.choosing.answering import Answer
from llmrr.errors import LlmrrError, Overloaded
from llmrr.server import ids
from llmrr.server.queueing import Places, Queue, Ticket
from llmrr.server.refusals import TooSlow
from llmrr.types import Chunk


class Running:
    """An answer under way. ``begin`` starts it, on a thread of ``executor``, when its turn has come
    (``queued``). Iterate what comes, as lists of chunks that came meanwhile, the last once it is
    ``recorded``; or take the ``whole``, of an answer that is ``held`` till its end, and so wakes
    the loop once. After ``timeout`` seconds, if any, it is stopped. ``done`` is a future that ends
    when nothing is held for it any more, and fails never."""

    def __init__(
        self, begin: Callable[[], Answer], executor: Executor,
        recorded: Callable[[Callable[[], None]], None], *, held: bool = False, timeout: float = 0,
    ) -> None:  # fmt: skip
        self.id = ids.new()
        self.answer: Answer | None = None
        self.error: BaseException | None = None  # what it failed with
        self.entered = time.monotonic()
        self.began: float | None = None  # when its turn had come
        self._begin, self._executor, self._held = begin, executor, held
        self._recorded, self._here = recorded, copy_context()  # of who asks
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Future[None] = self._loop.create_future()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._chunks: list[Chunk] = []
        self._ended = self._left = self._wakes = False
        self._why: LlmrrError | None = None
        self._lock = threading.Lock()
        self._ticket: Ticket | None = None
        self._place_of: Callable[[str], str] = str
        self._timer = self._loop.call_later(timeout, self._late, timeout) if timeout else None

    def queued(
        self, queue: Queue, places: Places, key: str, units: int, place_of: Callable[[str], str]
    ) -> None:
        """Take a place in the queue, which it leaves by itself; ``place_of`` says which gate a
        model is behind."""
        self._place_of = place_of
        self._ticket = queue.enter(places, key, units, self._launch)

    @property
    def ended(self) -> bool:
        """Will nothing more come?"""
        return self._ended

    async def first(self) -> None:
        """Wait until something has come. Raises what it failed with before that."""
        await self._heard
        if self.error is not None and not self._chunks:
            raise self.error

    async def whole(self) -> list[Chunk]:
        """All chunks, at the end of an answer that is held. Raises what it failed with."""
        await self._heard
        if self.error is not None:
            raise self.error
        return self._chunks

    async def __aiter__(self) -> AsyncIterator[list[Chunk]]:
        while True:
            await self._heard
            ended = self._ended  # before the chunks: those that come later wake anew
            if not ended:
                self._heard = self._loop.create_future()
            chunks, self._chunks = self._chunks, []
            if chunks:
                yield chunks
            if ended:
                if self.error is not None:
                    raise self.error
                return

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop it; its sequence is free within one step, its place in the queue at once. With the
        error that is ``why`` it fails. Twice is allowed."""
        with self._lock:
            self._left, self._why = True, self._why or why
            answer = self.answer
        if answer is not None:
            answer.cancel(why)
        elif self.began is None and not self.done.done():
            self.error, self._ended = self._why, True
            self._over()

    # -- on its thread -------------------------------------------------------------------------

    def _work(self) -> None:
        error: BaseException | None = None
        last: list[Chunk] = []
        try:
            if self._left:
                return
            answer = self._begin()
            with self._lock:
                self.answer = answer
                left = self._left
            if left:
                answer.cancel(self._why)
            if self._ticket is not None and len(self._ticket.places) > 1:
                self._loop.call_soon_threadsafe(self._decided, answer.model.name)
            try:
                for chunk in answer:
                    if self._why is not None and chunk.finish_reason == "cancelled":
                        continue  # how it ends is told by the error
                    if last or chunk.usage is not None:
                        last.append(chunk)
                        continue
                    self._chunks.append(chunk)
                    if not self._held:
                        self._wake()
            finally:
                answer.close()
        except BaseException as raised:
            error = raised
        finally:
            self._recorded(lambda: self._end(last, error))

    def _end(self, last: list[Chunk], error: BaseException | None) -> None:
        self._chunks += last
        self.error, self._ended = self._why or error, True
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._over)

    def _wake(self) -> None:
        if not self._wakes:
            self._wakes = True
            with suppress(RuntimeError):  # the loop has ended: nobody listens
                self._loop.call_soon_threadsafe(self._woken)

    # -- on the loop ---------------------------------------------------------------------------

    def _launch(self) -> None:
        self.began = time.monotonic()
        try:
            self._executor.submit(self._here.run, self._work)
        except RuntimeError:  # no thread is to be had, or the server ends
            said = "the server has no thread for another answer"
            self.error, self._ended = Overloaded(said, "ask again in a while"), True
            self._loop.call_soon(self._over)

    def _decided(self, model: str) -> None:
        if self._ticket is not None:
            self._ticket.narrow(self._place_of(model))

    def _woken(self) -> None:
        self._wakes = False
        if not self._heard.done():
            self._heard.set_result(None)

    def _late(self, timeout: float) -> None:
        """Whoever waits is told at once; what computes ends within a step, or once it is loaded."""
        error = too_slow(timeout)
        self.cancel(error)
        self.error, self._ended = self.error or error, True
        self._woken()

    def _over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with suppress(RuntimeError):  # the loop has ended
            self._woken()
            if not self.done.done():
                self.done.set_result(None)
        if self._ticket is not None:
            self._ticket.leave()


def too_slow(timeout: float) -> TooSlow:
    """The error for an answer that is not complete in time."""
    return TooSlow(
        f"there is no complete answer after {timeout:g} seconds",
        "ask for a shorter one, or have [serve] timeout allow more",
    )
