"""An answer under way: computed on a thread of its own, heard on the event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import suppress

from llmrr.choosing.answering import Answer
from llmrr.types import Chunk


class Running:
    """An answer under way. ``begin`` starts it, on a thread of ``executor``; iterate what comes, as
    lists of chunks that came meanwhile."""

    def __init__(self, begin: Callable[[], Answer], executor: Executor) -> None:
        self.answer: Answer | None = None
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._chunks: list[Chunk] = []
        self._error: BaseException | None = None
        self._ended = self._left = self._wakes = False
        self._lock = threading.Lock()
        self.done = self._loop.run_in_executor(executor, self._work)

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
                    self._wake()
            finally:
                answer.close()
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            self._wakes = False
            self._wake()

    def _wake(self) -> None:
        if not self._wakes:
            self._wakes = True
            with suppress(RuntimeError):  # the loop has ended: nobody listens
                self._loop.call_soon_threadsafe(self._woken)

    # -- on the loop ---------------------------------------------------------------------------

    def _woken(self) -> None:
        self._wakes = False
        self._came.set()
