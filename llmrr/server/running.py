"""An answer under way: computed on a thread of its own, heard on the event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import suppress

from llmrr.choosing.answering import Answer
from llmrr.types import Chunk


class Running:
    """An answer under way. ``begin`` starts it, on a thread of ``executor``. Iterate what comes, as
    lists of chunks that came meanwhile; or take the ``whole``, of an answer that is ``held`` till
    its end, and so wakes the loop once. ``done`` is a future that ends with it, and fails never."""

    def __init__(
        self, begin: Callable[[], Answer], executor: Executor, *, held: bool = False
    ) -> None:
        self.answer: Answer | None = None
        self._begin, self._held = begin, held
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Future[None] = self._loop.create_future()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._chunks: list[Chunk] = []
        self._error: BaseException | None = None
        self._ended = self._left = self._wakes = False
        self._lock = threading.Lock()
        executor.submit(self._work)

    async def first(self) -> None:
        """Wait until something has come. Raises what it failed with before that."""
        await self._heard
        if self._error is not None and not self._chunks:
            raise self._error

    async def whole(self) -> list[Chunk]:
        """All chunks, at its end. Raises what it failed with."""
        await self.done
        if self._error is not None:
            raise self._error
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
                if self._error is not None:
                    raise self._error
                return

    def cancel(self) -> None:
        """Stop it; its sequence is free within one step. Twice is allowed."""
        with self._lock:
            self._left = True
            answer = self.answer
        if answer is not None:
            answer.cancel()

    # -- on its thread -------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            if self._left:
                return
            answer = self._begin()
            with self._lock:
                self.answer = answer
                left = self._left
            if left:
                answer.cancel()
            try:
                for chunk in answer:
                    self._chunks.append(chunk)
                    if not self._held:
                        self._wake()
            finally:
                answer.close()
        except BaseException as error:
            self._error = error
        finally:
            self._ended, self._wakes = True, False
            self._wake()

    def _wake(self) -> None:
        if not self._wakes:
            self._wakes = True
            with suppress(RuntimeError):  # the loop has ended: nobody listens
                self._loop.call_soon_threadsafe(self._woken)

    # -- on the loop ---------------------------------------------------------------------------

    def _woken(self) -> None:
        self._wakes = False
        for future in (self._heard, self.done) if self._ended else (self._heard,):
            if not future.done():
                future.set_result(None)
