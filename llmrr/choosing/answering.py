"""An answer under way."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from llmrr.catalogue import Resolved
from llmrr.choosing.attempts import Attempt, Attempts
from llmrr.engines.remote.estimates import BYTES_PER_TOKEN
from llmrr.errors import LlmrrError
from llmrr.routing import Decision
from llmrr.types import Chunk, FinishReason, Usage

Progress = Callable[[int, int], None]

_PROGRESS_EVERY = 0.1  # seconds


class Answer(Iterator[Chunk]):
    """An answer under way: iterate its chunks. It is recorded when it ends, however it ends.
    ``decision`` is None where the model was named. ``held`` is to be set where nobody sees it
    before its end: one that breaks off is then asked anew; ``in_pieces`` where calls of tools are
    shown before theirs: one that breaks off in such a call is not."""

    held = in_pieces = False
    _called = False  # a call was shown, or a piece of one
    _tokens = 0  # those that were counted
    _uncounted = 0  # bytes of the rest: a provider names no tokens

    def __init__(
        self,
        attempts: Attempts,
        progress: Callable[[int, int], None] | None = None,
        decision: Decision | None = None,
    ) -> None:
        self.decision = decision
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None
        self.text = ""
        self._attempts, self._progress = attempts, progress
        self._current = attempts.begin()
        self._ended = False
        self._parts: list[str] = []
        self._said = self._watched = self._cancelled = False
        self._why: LlmrrError | None = None
        self._heard: deque[Chunk] | None = None  # of one that is held

    @property
    def attempt(self) -> Attempt:
        """The attempt that is under way, or was the last."""
        return self._current

    @property
    def model(self) -> Resolved:
        """The one that answers."""
        return self._current.model

    @property
    def engine(self) -> str:
        """What runs it."""
        return self._current.engine

    @property
    def runs(self) -> str:
        """Why this engine, and what computes."""
        return self._current.runs

    @property
    def cache(self) -> str | None:
        """Why nothing is run: ``exact`` where the answer was kept or is that of the same request
        under way, ``semantic 0.97`` where it is that to a message so much alike."""
        return self._current.cache

    @property
    def cost(self) -> float | None:
        """Dollars of all that was asked for it, once it has ended; None where no price is known."""
        return self._attempts.asks.cost

    @property
    def tokens(self) -> int:
        """Tokens that have come so far; guessed of what a provider does not count."""
        return self._tokens + -(-self._uncounted // BYTES_PER_TOKEN)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, as far as they are known by now; 0 before."""
        return self.usage.prompt_tokens if self.usage else self._current.stream.progress[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it was asked."""
        return self._current.stream.notes

    @property
    def context_size(self) -> int | None:
        """Tokens of context that the engine took for it."""
        return self._current.stream.context_size

    def __next__(self) -> Chunk:
        if not self.held:
            return self._next()
        if self._heard is None:
            self._heard = deque()
            with suppress(StopIteration):
                while True:
                    self._heard.append(self._next())
        if not self._heard:
            raise StopIteration
        return self._heard.popleft()

    def _next(self) -> Chunk:
        while True:
            try:
                if self._progress is not None and not self._watched:
                    self._watch(self._progress)
                chunk = next(self._current.stream)
            except StopIteration:
                self._end(None)
                raise
            except KeyboardInterrupt:
                self.close()
                raise
            except BaseException as error:
                self._current.stream.cancel()
                self._go_on(error)
                continue
            self._note(chunk)
            if chunk.usage is not None:
                self._end(None)
            return chunk

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop it, from any thread; what has come remains. With the error that is ``why`` it is
        recorded as failed."""
        self._cancelled, self._why = True, self._why or why
        self._attempts.stop()
        self._current.stream.cancel()

    def close(self) -> None:
        """Stop it if it still runs, and record it. For the thread that iterates; never raises."""
        if self._ended:
            return
        self.cancel()
        try:
            for rest in self._current.stream:  # it ends within a step, and says what it took
                self._note(rest)
        except Exception as error:
            self._end(error)
        self._end(None)

    def facts(self) -> dict[str, Any] | None:
        """The decision as ``route --json`` has it, with the model that answered in the end."""
        if self.decision is None:
            return None
        return {**self.decision.facts(), "answered": self.model.name}

    def _go_on(self, error: BaseException) -> None:
        """Another attempt. Raises the error where there is none."""
        if self._ended:  # what comes after the last word changes nothing
            raise error
        if self.held and not self._cancelled and (self._called or not self._attempts.can_resume()):
            self._start_over()
        text = "".join(self._parts)
        # Thoughts were shown, or calls: nobody can go on with them.
        if self._cancelled or self._called or (self._said and not text):
            self._end(error)
            raise error
        try:
            self._attempts.after(error, text, self.tokens, is_guess=self._uncounted > 0)
            if self._cancelled:  # while it was waited
                raise error
            self._current = self._attempts.begin()
        except BaseException:
            self._ended = True
            self.text = text
            raise
        if self._cancelled:  # while it began
            self._current.stream.cancel()
        self._watched = self._said
        if not self._said:
            self._tokens = self._uncounted = 0

    def _start_over(self) -> None:
        """Nobody has seen what has come: it counts for nothing."""
        self._parts.clear()
        self._said = self._called = False
        self.finish_reason = None
        if self._heard is not None:
            self._heard.clear()

    def _note(self, chunk: Chunk) -> None:
        if chunk.index == 0:
            self._parts.append(chunk.text)
            self.finish_reason = chunk.finish_reason or self.finish_reason
        self._watched = True
        called = chunk.tool_calls or (self.in_pieces and chunk.call_pieces)
        self._called = self._called or bool(called)
        self._said = self._said or bool(chunk.text or chunk.reasoning or called)
        if counted := len(chunk.tokens or chunk.logprobs):
            self._tokens += counted
        elif chunk.text or chunk.reasoning:
            self._uncounted += len(chunk.text.encode()) + len(chunk.reasoning.encode())
        self.usage = chunk.usage or self.usage

    def _watch(self, progress: Callable[[int, int], None]) -> None:
        while not self._current.stream.ready(_PROGRESS_EVERY):
            progress(*self._current.stream.progress)

    def _end(self, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        self.text = "".join(self._parts)
        error = self._why or error
        reason = None if self._why else self.finish_reason
        self._attempts.ended(
            usage=self.usage, finish_reason=reason, text=self.text, error=error
        )
