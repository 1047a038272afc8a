"""An answer under way: the chunks of one request, written by its sequences (choices)."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from llmrr.types import Chunk, Usage


class Writes(Protocol):
    """A sequence, as its stream sees it; ``done`` of its tokens are computed, ``cached`` were not.
    """

    prompt_length: int
    done: int
    cached: int

    @property
    def generated(self) -> int:
        """Tokens of the answer so far."""

    @property
    def thought(self) -> int:
        """How many of these were thought."""


class Runs(Protocol):
    """What computes sequences. Its methods may be called from any thread."""

    def submit(self, tasks: Sequence[Any]) -> None:
        """Begin as soon as there is room."""

    def cancel(self, tasks: Sequence[Any]) -> None:
        """End them within one step."""

    @property
    def context_size(self) -> int | None:
        """Tokens per sequence, once that is known."""


class AnswerStream:
    """The chunks of one request. Iterate it, or be pushed through ``on_chunk``."""

    def __init__(
        self,
        runs: Runs,
        on_chunk: Callable[[Chunk], None] | None,
        load_seconds: float,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.notes = notes
        self._runs = runs
        self._queue: queue.SimpleQueue[Chunk | BaseException | None] = queue.SimpleQueue()
        self._push = on_chunk or self._queue.put
        # What ``ready`` has taken out for ``next``; None of the queue is the end.
        self._come: tuple[Chunk | BaseException | None] | None = None
        self._tasks: tuple[Writes, ...] = ()
        self._open = 0
        self._lock = threading.Lock()
        self._started = time.perf_counter()
        self._first: float | None = None
        self._load_seconds = load_seconds
        self._ended = False

    def start(self, tasks: Sequence[Writes]) -> None:
        """Submit the sequences that write here."""
        self._tasks, self._open = tuple(tasks), len(tasks)
        self._runs.submit(self._tasks)

    def __iter__(self) -> "AnswerStream":
        return self

    def __next__(self) -> Chunk:
        if self._ended:
            raise StopIteration
        item, self._come = self._come or (self._queue.get(),), None
        if isinstance(item[0], Chunk):
            return item[0]
        self._ended = True
        if item[0] is None:
            raise StopIteration
        raise item[0]

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; has something come that ``next`` will give at once?"""
        if self._come is None and not self._ended:
            try:
                self._come = (self._queue.get(timeout=max(0.0, timeout)),)
            except queue.Empty:
                return False
        return True

    @property
    def progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are computed, and how many it has."""
        task = self._tasks[0]
        return min(task.done, task.prompt_length), task.prompt_length

    @property
    def context_size(self) -> int | None:
        """Tokens of context per sequence, once it runs."""
        return self._runs.context_size

    def cancel(self) -> None:
        """Stop every choice, from any thread; their sequences are free within one step."""
        self._runs.cancel(self._tasks)

    # -- called by its choices, on the thread that computes ------------------------------------

    def begun(self) -> None:
        """A choice drew its first token."""
        if self._first is None:
            self._first = time.perf_counter()

    def emit(self, chunk: Chunk) -> None:
        """Hand a chunk over. A listener that fails ends its own answer and no other."""
        try:
            self._push(chunk)
        except BaseException as error:
            self._push = self._queue.put
            self._queue.put(error)
            self.cancel()

    def end(self, last: Chunk, error: BaseException | None) -> None:
        """A choice is complete; with the last of them, or at an error, the answer is."""
        with self._lock:
            self._open -= 1
            closing = self._open == 0
        if error is not None:
            self._queue.put(error)
            return
        self.emit(replace(last, usage=self._usage()) if closing else last)
        if closing:
            self._queue.put(None)

    def _usage(self) -> Usage:
        now = time.perf_counter()
        generated = sum(task.generated for task in self._tasks)
        first = None if self._first is None else self._first - self._started
        decoding = 0.0 if self._first is None else now - self._first
        return Usage(
            prompt_tokens=self._tasks[0].prompt_length,
            cached_tokens=self._tasks[0].cached,
            completion_tokens=generated,
            load_s=self._load_seconds,
            first_token_s=first,
            total_s=now - self._started,
            tokens_per_s=(generated - 1) / decoding if generated > 1 and decoding > 0 else None,
            thought_tokens=sum(task.thought for task in self._tasks),
        )
