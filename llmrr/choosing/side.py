"""One side of a migration on its way to an answer, heard by one thread and driven by the same or by
another one."""

import threading
import time
from collections.abc import Callable, Sequence

from llmrr.catalogue import Resolved
from llmrr.choosing.answering import Answer
from llmrr.choosing.attempts import Asks, Attempt, Attempts, Ended
from llmrr.choosing.dispatch import Dispatch
from llmrr.errors import LlmrrError, TimedOut
from llmrr.pairs import Outcome
from llmrr.routing.sides import SidedDecision
from llmrr.types import Chunk, Request

_LONGEST_ERROR = 500  # characters of it are recorded


class Asked:
    """What a side asks goes through here: it is recorded, and told of, once it is known whether its
    answer is the one that is handed over."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._ended: list[tuple[Ended, bool]] = []
        self._told: list[str] = []
        self._made: list[Attempts] = []
        self.first: float | None = None  # when the first attempt began
        self.last: Ended | None = None
        self.cancelled = False
        self.is_left = False  # somebody else's answer is handed over
        self.aloud = False

    @property
    def cost(self) -> float | None:
        return self._dispatch.cost

    def claim(self, name: str) -> None:
        if self.cancelled:
            raise LlmrrError("it was stopped")
        self._dispatch.claim(name)

    def resolve(self, name: str) -> Resolved:
        return self._dispatch.resolve(name)

    def start(self, model: Resolved, request: Request) -> Attempt:
        return self._dispatch.start(model, request)

    def attempts_of(self, asks: Asks, names: Sequence[str], request: Request) -> Attempts:
        made = self._dispatch.attempts_of(asks, names, request)
        made.repeats = lambda: not self.is_left
        self._made.append(made)
        return made

    def record(self, ended: Ended) -> None:
        self.keep(ended, is_said=True)

    def keep(self, ended: Ended, *, is_said: bool) -> None:
        self.first = ended.began if self.first is None else self.first
        self.last = ended
        self._ended.append((ended, is_said))
        if self.is_left:
            self.flush(is_said=False)

    def warn(self, text: str) -> None:
        if self.aloud:
            self._dispatch.warn(text)
        else:
            self._told.append(text)

    def let_go(self) -> None:
        """Somebody else's answer is handed over: nothing is asked a second time. From any thread.
        """
        if not self.is_left:
            self.is_left = True
            for one in list(self._made):
                one.stop()

    def speak(self) -> None:
        """Tell what there was to tell, and from now on at once."""
        self.aloud = True
        while self._told:
            self._dispatch.warn(self._told.pop(0))

    def flush(self, *, is_said: bool) -> None:
        """Record what was asked; what is not ``is_said`` is no turn of the conversation."""
        while self._ended:
            ended, said = self._ended.pop(0)
            self._dispatch.keep(ended, is_said=is_said and said)

    def leave(self, *, is_said: bool) -> None:
        """``flush``, and nothing more is asked, if anything was."""
        self.flush(is_said=is_said)
        self._dispatch.finish()


class Side:
    """One side. ``begin`` starts its answer, and raises what forbids that; ``takes_memory`` where a
    model of this machine may have to be loaded for it."""

    def __init__(
        self,
        decision: SidedDecision,
        asked: Asked,
        begin: Callable[[Asked], Answer],
        *,
        takes_memory: bool = False,
    ) -> None:
        self.takes_memory = takes_memory
        self.name, self.decision, self.asked = decision.side, decision, asked
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.is_over = False
        self._late: TimedOut | None = None
        self._begin = begin
        self.is_driven = False  # by a thread of its own
        self._chunks: list[Chunk] = []
        self._waited = 0.0
        self._news = threading.Condition()

    def start(self) -> None:
        """Begin its answer, here; where that fails, it is over."""
        self._step(self._started)

    def drive(self) -> None:
        """Take in the whole answer, for others to hear. Raises nothing."""
        self.start()
        while not self.is_over:
            self._step(self._pulled)
        if self._late is not None and self._is_cut:
            self.error = self._late

    def fail(self, error: Exception) -> None:
        """It cannot be asked."""
        self.error, self.is_over = error, True

    def wait_begun(self) -> None:
        """Wait until it has begun, or has failed."""
        with self._news:
            self._news.wait_for(lambda: self.answer is not None or self.is_over)

    def hear(self, at: int) -> Chunk | None:
        """The chunk of that number; None after the last. Raises why there are no more."""
        if self.is_driven:
            with self._news:
                self._news.wait_for(lambda: len(self._chunks) > at or self.is_over)
        elif at >= len(self._chunks) and not self.is_over:
            self._step(self._pulled)
        if at < len(self._chunks):
            return self._chunks[at]
        if self.error is not None:
            raise self.error
        return None

    def hear_all(self) -> None:
        """Wait for its end. Raises why it failed."""
        while self.hear(len(self._chunks)) is not None:
            pass

    def cancel(self, why: LlmrrError | None = None) -> None:
        """Stop it, from any thread, if it is not over; see ``Answer.cancel``."""
        if self.is_over:
            return
        self.asked.cancelled = True
        if self.answer is not None:
            self.answer.cancel(why)

    def expire(self, seconds: float) -> None:
        """``cancel``, as it was not complete within so many seconds, and failed by that."""
        if not self.is_over:
            self._late = TimedOut(f"it was not complete within {seconds:g} s", "a longer timeout")
            self.cancel(self._late)

    def close(self) -> None:
        """Stop it, for the thread that hears it. Raises nothing."""
        self.cancel()
        if not self.is_driven and not self.is_over:
            if self.answer is not None:
                self.answer.close()
            self.is_over = True

    @property
    def failure(self) -> str:
        """Why it failed; empty where it did not."""
        if self.error is None:
            return ""
        said = getattr(self.error, "message", str(self.error))
        return f"{type(self.error).__name__}: {said}"[:_LONGEST_ERROR]

    @property
    def outcome(self) -> Outcome | None:
        """What came of it; None where it was stopped or is under way, or a flag left it nobody to
        ask."""
        is_left_out = not self.decision.asked and {
            one.kind for one in self.decision.rejected
        } == {"flag"}
        is_stopped = self.asked.cancelled and self._late is None
        if not self.is_over or is_stopped or is_left_out:
            return None
        last = self.asked.last
        named = last.name if last else next(iter(self.decision.asked), None)
        if self.error is not None:
            text = self._text or None
            return Outcome(False, named, None, self._waited, text, self.failure)
        assert self.answer is not None
        usage = self.answer.usage
        tokens = usage.completion_tokens if usage else None
        return Outcome(True, self.answer.model.name, tokens, self._latency, self._text)

    @property
    def _is_cut(self) -> bool:
        """Whether it ended before its answer was complete."""
        answer = self.answer
        return (
            self.error is not None or answer is None
            or answer.finish_reason in (None, "cancelled")
        )  # fmt: skip

    @property
    def _latency(self) -> float | None:
        """Seconds that an answer took, as whoever hears it at once would have found; None where the
        cache had it."""
        if self.answer is None or self.answer.cache is not None:
            return None
        usage = self.answer.usage
        last, first = self.asked.last, self.asked.first
        several = self.decision.strategy == "ensemble"
        if several or usage is None or last is None or first is None:
            return self._waited
        return max(0.0, last.began - first) + usage.load_s + usage.total_s

    @property
    def _text(self) -> str:
        """The answer, of several the first, with the calls of tools that it asks for."""
        first = [one for one in self._chunks if one.index == 0]
        calls = [f"\n{one.name}({one.arguments})" for chunk in first for one in chunk.tool_calls]
        return "".join([*(one.text for one in first), *calls]).lstrip("\n")

    def _started(self) -> None:
        self.answer = self._begin(self.asked)
        self.answer.in_pieces = True  # nobody knows here
        if self.asked.cancelled:
            self.answer.cancel()

    def _pulled(self) -> None:
        assert self.answer is not None
        try:
            chunk = next(self.answer)
        except StopIteration:
            self.is_over = True
            return
        self._chunks.append(chunk)
        self.is_over = chunk.usage is not None

    def _step(self, work: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            work()
        except BaseException as error:
            self.error, self.is_over = error, True
            if not isinstance(error, Exception):
                raise
        finally:
            self._waited += time.monotonic() - began
            with self._news:
                self._news.notify_all()
