"""A scripted engine: it says what a test tells it to, and records what it was asked."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.engines.base import Options, Text
from llmrr.types import (
    CallPiece,
    Chunk,
    Feature,
    FinishReason,
    Format,
    ModelFiles,
    ModelInfo,
    Request,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Reply:
    """What is said to one request. A ``BaseException`` among the pieces is raised at its place;
    ``("reasoning", TEXT)`` is thought instead of said, a ``ToolCall`` called, a ``CallPiece`` told
    of one."""

    pieces: tuple[Any, ...]
    finish_reason: FinishReason = "stop"
    notes: tuple[str, ...] = ()
    context_size: int | None = 4096


def reply(*pieces: Any, **named: Any) -> Reply:
    return Reply(pieces, **named)


@dataclass
class FakeStream(Iterator[Chunk]):
    """A reply under way."""

    said: Reply
    steps: list[Chunk | BaseException] = field(default_factory=list)
    cancelled: bool = False
    progress: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.notes, self.context_size = self.said.notes, self.said.context_size
        for piece in self.said.pieces:
            if isinstance(piece, BaseException):
                self.steps.append(piece)
            elif isinstance(piece, ToolCall):
                self.steps.append(Chunk(tool_calls=(piece,)))
            elif isinstance(piece, CallPiece):
                self.steps.append(Chunk(call_pieces=(piece,)))
            elif isinstance(piece, tuple):
                self.steps.append(Chunk(reasoning=piece[1]))
            else:
                self.steps.append(Chunk(text=piece, tokens=(1,)))
        self.steps.append(self.last(self.said.finish_reason))

    def last(self, reason: FinishReason) -> Chunk:
        usage = Usage(7, 3, 5, load_s=0.5, first_token_s=0.25, total_s=1.5, tokens_per_s=4.0)
        return Chunk(finish_reason=reason, usage=usage)

    def __next__(self) -> Chunk:
        if not self.steps:
            raise StopIteration
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    def ready(self, timeout: float) -> bool:
        return True

    def cancel(self) -> None:
        self.cancelled = True
        if self.steps:
            self.steps = [self.last("cancelled")]


class Endless(FakeStream):
    """A reply that goes on until it is stopped."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stopped = threading.Event()

    def __next__(self) -> Chunk:
        if not self.stopped.wait(0.01):
            return Chunk(text="word ", tokens=(1,))
        return super().__next__()

    def cancel(self) -> None:
        super().cancel()
        self.stopped.set()


class FakeModel:
    """Answers with the engine's replies in turn."""

    def __init__(self, engine: "FakeEngine", place: ModelFiles, options: Options) -> None:
        self.engine, self.place, self.options = engine, place, options
        self.info = ModelInfo(Format.GGUF, "llama", embedding_length=2)
        self.closed, self.where, self.threads = False, None, 3

    def generate(
        self, request: Request, on_chunk: Callable[[Chunk], None] | None = None
    ) -> FakeStream:
        self.engine.requests.append(request)
        self.engine.asked.append(self)
        own = self.engine.replies_of.get(self.place.path.stem)
        said = (self.engine.replies if own is None else own).pop(0)
        if isinstance(said, BaseException):
            raise said
        stream = FakeStream(said if isinstance(said, Reply) else reply(said))
        self.engine.streams.append(stream)
        return stream

    def embed(self, texts: Sequence[Text]) -> list[list[float]]:
        self.engine.texts.extend(texts)
        return [[float(len(text)), 0.5] for text in texts]

    def tokenize(self, text: str) -> list[int]:
        return list(text.encode())

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        return [bytes([token % 256]) for token in tokens]

    def prompt_tokens(self, request: Request) -> list[int]:
        return [token for one in request.messages for token in self.tokenize(one.content)]

    def logits(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


class FakeEngine:
    """Takes any GGUF file for a model. ``requests``, ``loads`` and ``texts`` are what it got,
    ``asked`` the models that the requests went to; ``replies_of`` are those of a file by its name.
    """

    name = "fake"
    formats = frozenset({Format.GGUF})
    can = frozenset(Feature)
    optional = False

    def __init__(self, replies: Sequence[str | Reply | BaseException] = ()) -> None:
        self.replies = list(replies)
        self.replies_of: dict[str, list[str | Reply | BaseException]] = {}
        self.requests: list[Request] = []
        self.asked: list[FakeModel] = []
        self.loads: list[tuple[Path, Options]] = []
        self.streams: list[FakeStream] = []
        self.texts: list[Text] = []

    def missing(self) -> str | None:
        return None

    def measure(self, place: ModelFiles, options: Options) -> dict[str, int]:
        return {"kv": 3, "output": 2, "compute": 1}

    def load(self, place: ModelFiles, options: Options) -> FakeModel:
        self.loads.append((place.path, options))
        return FakeModel(self, place, options)
