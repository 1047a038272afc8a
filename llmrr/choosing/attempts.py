"""What happens when a model fails: it is asked again, another one is, or another one goes on with
what has come so far.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, cast

from llmrr.catalogue import Resolved
from llmrr.engines.base import Stream
from llmrr.errors import (
    BadConfig,
    ConnectionFailed,
    ContextOverflow,
    LlmrrError,
    OverBudget,
    UsageError,
)
from llmrr.routing.chain import RetryRules, delay, may_wait
from llmrr.types import FinishReason, Message, Request, Usage

_FINAL = (UsageError, BadConfig)  # wrong with whichever model
_GO_ON = "Your answer broke off. Go on exactly where it ends, and repeat nothing."


class Lent(Protocol):
    """The right to use a model."""

    def release(self) -> None:
        """Give it back. Twice is allowed."""


class Attempt(NamedTuple):
    """A model that answers, in memory until ``lease`` is released. ``runs`` says why this engine,
    and what computes."""

    stream: Stream
    model: Resolved
    engine: str
    runs: str
    lease: Lent

    @property
    def cache(self) -> str | None:
        """Why nothing is run: ``exact``, or ``semantic`` with how alike the requests are."""
        found: str | None = getattr(self.stream, "cache", None)
        return found


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended; ``model`` is None where its name means none, ``stream`` where it did
    not begin."""

    name: str
    model: Resolved | None
    engine: str
    began: float
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    text: str | None = None
    error: BaseException | None = None
    stream: Stream | None = None


class Asks(Protocol):
    """What attempts need of the router. ``claim`` raises what forbids asking a model now;
    ``cost`` is in dollars, of all that was asked."""

    @property
    def cost(self) -> float | None: ...

    def claim(self, name: str) -> None: ...

    def resolve(self, name: str) -> Resolved: ...

    def start(self, model: Resolved, request: Request) -> Attempt: ...

    def record(self, ended: Ended) -> None: ...

    def warn(self, text: str) -> None: ...


@dataclass(slots=True)
class Attempts:
    """The models that are asked in turn, until one answers. ``contexts`` are the tokens that each
    can hold, where known; ``limits`` how often each is asked, where that is stated in place of what
    ``rules`` say; ``resumes`` names those whose broken answers another one goes on with;
    ``deadline`` is by ``time.monotonic``."""

    asks: Asks
    request: Request
    names: Sequence[str]
    rules: RetryRules
    seed: int = 0
    deadline: float | None = None
    contexts: Mapping[str, int | None] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    resumes: frozenset[str] = frozenset()
    repeats: Callable[[], bool] = lambda: True  # whether a model may be asked again
    is_away: Callable[[str], bool] = lambda name: False  # whether nobody is there to be asked
    at: int = 0
    tried: int = 0
    began: float = 0.0
    current: Attempt | None = None
    found: Resolved | None = None
    asked: Request = field(init=False)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.asked = self.request

    @property
    def name(self) -> str:
        """The model that is asked."""
        return self.names[self.at]

    @property
    def _label(self) -> str:
        return self.found.name if self.found else self.name or "the default model"

    def begin(self) -> Attempt:
        """The first that starts to answer. Raises what the last one failed with."""
        while True:
            self.began, self.current, self.found = time.time(), None, None
            try:
                self.asks.claim(self.name)
            except LlmrrError as error:
                self._next(error)
                continue
            self.tried += 1
            try:
                self.found = self.asks.resolve(self.name)
                self.current = self.asks.start(self.found, self.request)
                return self.current
            except OverBudget as error:  # it was not asked
                self._next(error)
            except (LlmrrError, KeyboardInterrupt) as error:
                self.after(error)

    def after(
        self, error: BaseException, text: str = "", tokens: int = 0, *, is_guess: bool = False
    ) -> None:
        """Record that the attempt failed after ``text`` of that many ``tokens``, and go to the next
        one: the same model again, after a while, or another one. Raises the error where there is
        none."""
        resumed = bool(text) and self.can_resume()
        self.ended(error=error, text="" if resumed else text or None)
        if not isinstance(error, LlmrrError) or isinstance(error, _FINAL):
            raise error
        if text and not resumed:
            raise error
        if not text and self._again(error):
            return
        count = f"about {tokens}" if is_guess else str(tokens)
        self._next(error, f"goes on after {count} tokens" if text else "is asked")
        if text:
            self._resume(text, tokens)

    def ended(
        self,
        *,
        usage: Usage | None = None,
        finish_reason: FinishReason | None = None,
        text: str | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Record how the attempt ended."""
        current = self.current
        engine, stream = (current.engine, current.stream) if current else ("", None)
        usage = usage or cast("Usage | None", getattr(error, "usage", None))
        if isinstance(error, LlmrrError):
            error.model = self.found.name if self.found else self.name
        if current is not None:
            current.lease.release()
        self.asks.record(
            Ended(
                self.name, self.found, engine, self.began, usage, finish_reason, text, error, stream
            )
        )

    def _again(self, error: LlmrrError) -> bool:
        """Wait to ask the same model again, if that may help."""
        if not error.transient or self.tried >= self.limits.get(self.name, self.rules.attempts):
            return False
        if not self.repeats():
            return False
        if self.is_away(self.name) and self._other(error) is not None:
            return False
        asked: float | None = getattr(error, "retry_after", None)
        seconds = delay(self.rules, self.tried, self.seed, asked)
        left = None if self.deadline is None else self.deadline - time.monotonic()
        took = time.time() - self.began
        others = self._other(error) is not None
        if not may_wait(self.rules, seconds, left, took, others=lambda: others):
            return False
        self.asks.warn(f"{_what(self._label, error)}: it is asked again in {seconds:.1f} s")
        self.pause(seconds)
        return self.repeats()

    def stop(self) -> None:
        """Wait no longer, from any thread."""
        self._stopped.set()

    def pause(self, seconds: float) -> None:
        """Wait, until it is stopped."""
        self._stopped.wait(seconds)

    def _next(self, error: LlmrrError, what: str = "is asked") -> None:
        other = self._other(error)
        late = self.deadline is not None and time.monotonic() >= self.deadline
        if other is None or late:
            raise self._named(error)
        self.asks.warn(f"{_what(self._label, error)}: {self.names[other]} {what}")
        self.at, self.tried = other, 0

    def _named(self, error: LlmrrError) -> LlmrrError:
        """An error for whoever asked: one of a connection tells the provider's name of a model."""
        is_told = error.message.partition(" ")[0].rstrip(":") == self._label
        if isinstance(error, ConnectionFailed) and not is_told:
            error.add(self._label)
        return error

    def _other(self, error: LlmrrError) -> int | None:
        """The next model; after an overflow, the next that may have more room."""
        for at in range(self.at + 1, len(self.names)):
            room = self.contexts.get(self.names[at])
            had = self.contexts.get(self.name)
            if not isinstance(error, ContextOverflow) or room is None or had is None or room > had:
                return at
        return None

    def can_resume(self) -> bool:
        """Whether another model may go on with what this one has begun."""
        sampling = self.request.sampling
        formal = sampling.schema is not None or sampling.grammar is not None
        return self.name in self.resumes and self.request.n == 1 and not formal

    def _resume(self, text: str, tokens: int) -> None:
        request = self.asked
        limit = request.sampling.max_tokens
        if limit is not None:
            left = replace(request.sampling, max_tokens=max(1, limit - tokens))
            request = replace(request, sampling=left)
        self.request = replace(request, begun=request.begun + text)


def without_begun(request: Request) -> Request:
    """The request for a model that cannot be given the beginning of its answer: it is told to go
    on."""
    if not request.begun:
        return request
    if request.prompt is not None:
        return replace(request, prompt=request.prompt + request.begun, begun="")
    turns = (Message("assistant", request.begun), Message("user", _GO_ON))
    return replace(request, messages=(*request.messages, *turns), begun="")


def _what(name: str, error: LlmrrError) -> str:
    said = error.message if len(error.message) <= 200 else error.message[:199] + "…"
    return f"{name} failed ({type(error).__name__}: {said})"
