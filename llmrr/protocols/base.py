"""What the protocols share: what is asked, and how an answer is written down."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from llmrr.errors import (
    AuthenticationFailed,
    BreakerOpen,
    BrokenStream,
    ContentRefused,
    ContextOverflow,
    DamagedFile,
    DoesNotFit,
    LlmrrError,
    NotFound,
    OverBudget,
    Overloaded,
    RateLimited,
    RequestRefused,
    TimedOut,
    Unreachable,
    Unsupported,
    UsageError,
)
from llmrr.types import Chunk, FinishReason, Request, TokenLogprob, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a client means it. ``model`` is the name that it sent; ``stream`` whether the
    answer is to come in pieces, ``usage`` whether those end with what it took; ``options`` is how
    the model is to be loaded, ``choice`` has what else ``Router.run`` takes; ``body`` is what was
    sent, for what the answer repeats. ``others`` are asked besides, their choices follow.
    ``left_out`` are the words for what of it nobody here does, and an answer can do without."""

    request: Request
    model: str | None = None
    stream: bool = False
    usage: bool = False
    options: Mapping[str, object] = field(default_factory=dict)
    choice: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Request, ...] = ()
    left_out: tuple[str, ...] = ()


class Answered(NamedTuple):
    """Who answers: the name under which the client asked, the model that was taken, and the
    ``decision`` as ``llmrr route --json`` has it. ``prompt_tokens`` are how many tokens the prompt
    has, where that is known before the answer ends; ``cache`` says why nothing is run. ``entered``
    is when it was asked, by ``time.monotonic``; ``left_out`` is that of ``Asked``."""

    id: str
    created: int
    model: str
    answered: str = ""
    decision: Mapping[str, Any] | None = None
    prompt_tokens: int = 0
    cache: str | None = None
    entered: float = 0.0
    left_out: tuple[str, ...] = ()


class Event(NamedTuple):
    """A piece of a streamed answer: JSON, under a name where the protocol has such. ``data`` may be
    a text that is sent as it is."""

    data: Mapping[str, Any] | str
    name: str | None = None


class Writer(Protocol):
    """Writes one answer down in a protocol; of a stream ``begin``, a ``piece`` for each chunk, and
    ``end``, or ``failed`` in its place."""

    def begin(self) -> Iterable[Event]: ...

    def piece(self, chunk: Chunk) -> Iterable[Event]: ...

    def end(self) -> Iterable[Event]: ...

    def failed(self, error: BaseException) -> Iterable[Event]: ...

    def whole(self, chunks: Sequence[Chunk]) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class Choice:
    """One complete choice of an answer."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    stop: str | None = None


def choices(chunks: Iterable[Chunk]) -> list[Choice]:
    """The choices that chunks make up, by their index.

    >>> [one.text for one in choices([Chunk(1, "b"), Chunk(0, "a"), Chunk(1, "c")])]
    ['a', 'bc']
    """
    found: dict[int, Choice] = {}
    for chunk in chunks:
        one = found.setdefault(chunk.index, Choice())
        one.text += chunk.text
        one.reasoning += chunk.reasoning
        one.tool_calls += chunk.tool_calls
        one.logprobs += chunk.logprobs
        one.finish_reason = chunk.finish_reason or one.finish_reason
        one.stop = chunk.stop or one.stop
    return [found[index] for index in sorted(found)]


def likely(token: TokenLogprob, told: Callable[[bytes, float], dict[str, Any]]) -> dict[str, Any]:
    """A token with its alternatives, each as it is ``told``."""
    own, *others = token.octets
    tops = zip(others, token.top, strict=True)
    top = [told(spelled, logprob) for spelled, (_, logprob) in tops]
    return {**told(own, token.logprob), "top_logprobs": top}


def usage_of(chunks: Iterable[Chunk]) -> Usage:
    """What an answer took: its last word on it."""
    found = [one.usage for one in chunks if one.usage is not None]
    return found[-1] if found else Usage()


_STATUS: tuple[tuple[type[LlmrrError], int], ...] = (
    (NotFound, 404),
    (ContextOverflow, 400),
    (OverBudget, 429),
    (DoesNotFit, 503),
    (BreakerOpen, 503),
    (BrokenStream, 502),
    (UsageError, 400),
    (DamagedFile, 500),
    (Unsupported, 400),
    (RequestRefused, 400),
    (ContentRefused, 400),
    (RateLimited, 429),
    (TimedOut, 504),
    (Overloaded, 503),
    (AuthenticationFailed, 502),
    (Unreachable, 502),
)


def status_of(error: BaseException) -> int:
    """The HTTP status for an error. What is wrong with the request is a 4xx; what a model cannot
    do is a 400. A file of it that is gone or damaged is no fault of who asks; what a provider
    failed with is told apart from a failure here.

    >>> status_of(UsageError("no")), status_of(Unreachable("away")), status_of(KeyError())
    (400, 502, 500)
    """
    status: int | None = getattr(error, "status", None)
    if status is not None:
        return status
    if isinstance(error, NotFound) and error.is_file:
        return 500
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def message_of(error: BaseException) -> str:
    """What is told of an error: what went wrong, and what mends it. Of a bug nothing: its text may
    hold anything."""
    if not isinstance(error, LlmrrError):
        return "the server failed: its log says more"
    return f"{error.message}: {error.hint}" if error.hint else error.message
