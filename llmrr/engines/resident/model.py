"""A model in another process, as any that is loaded: each connection is a lease of it, and carries
one request at a time."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from llmrr import packing
from llmrr.engines.base import Model, Stream, Text
from llmrr.engines.chunks import Kept
from llmrr.engines.later import Later
from llmrr.engines.resident import talking
from llmrr.engines.resident.talking import Connection, Facts, Lost
from llmrr.errors import BrokenStream
from llmrr.types import Chunk, ModelInfo, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


class Leased(NamedTuple):
    """A connection over which a model is held, and what is told of the model."""

    connection: Connection
    facts: Facts


class ResidentModel:
    """A model that another process holds for this one. ``again`` leases it once more, None where
    that is over; ``otherwise`` loads it here, which happens when that process has ended."""

    def __init__(
        self,
        leased: Leased,
        again: Callable[[], Leased | None],
        otherwise: Callable[[], Model],
    ) -> None:
        self._facts, self._again, self._otherwise = leased.facts, again, otherwise
        self._idle, self._lock = [leased.connection], threading.Lock()
        self._own: Model | None = None
        self._closed = False

    @cached_property
    def info(self) -> ModelInfo:
        """What its files say about it."""
        return packing.info(self._facts["info"])

    @property
    def where(self) -> str | None:
        """What computes, and in which process."""
        if self._own is not None:
            return self._own.where
        on, process = self._facts["where"], self._facts["pid"]
        return "; ".join(filter(None, (on, f"loaded already, in process {process}")))

    @property
    def threads(self) -> int | None:
        """How many threads compute on the CPU, where that is known."""
        threads: int | None = self._facts["threads"]
        return threads if self._own is None else self._own.threads

    def generate(
        self, request: Request, on_chunk: Callable[[Chunk], None] | None = None
    ) -> Stream:
        """Start answering; with ``on_chunk`` another thread pushes what comes."""
        stream: Stream = self._with(
            lambda connection: ResidentStream(self, connection, request),
            lambda model: model.generate(request),
        )
        return stream if on_chunk is None else Pushed(stream, on_chunk)

    def embed(self, texts: Sequence[Text]) -> list[list[float]]:
        """One vector per text."""
        return self._with(
            lambda connection: self._asked(connection, {"op": "embed", "texts": list(texts)}),
            lambda model: model.embed(texts),
        )

    def tokenize(self, text: str) -> list[int] | None:
        """The text's token ids."""
        found: list[int] | None = self._with(
            lambda connection: self._asked(connection, {"op": "tokenize", "text": text}),
            lambda model: model.tokenize(text),
        )
        return found

    def pieces(self, tokens: Sequence[int]) -> list[bytes] | None:
        """The bytes that token ids stand for."""
        found: list[str | bytes] | None = self._with(
            lambda connection: self._asked(connection, {"op": "pieces", "tokens": list(tokens)}),
            lambda model: model.pieces(tokens),
        )
        return None if found is None else [packing.octets(one) for one in found]

    def prompt_tokens(self, request: Request) -> list[int] | None:
        """The token ids that the model is given for a request."""
        message = {"op": "prompt_tokens", "request": packing.facts(request)}
        found: list[int] | None = self._with(
            lambda connection: self._asked(connection, message),
            lambda model: model.prompt_tokens(request),
        )
        return found

    def logits(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        """The logits after each token, from the model loaded here: they are too many to be told."""
        return self.own().logits(tokens)

    def own(self) -> Model:
        """The model, loaded in this process."""
        with self._lock:
            if self._own is None:
                self._own = self._otherwise()
            return self._own

    def give_back(self, connection: Connection) -> None:
        """A request over it has ended."""
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Hold it no longer. Twice is allowed."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            own, self._own = self._own, None
        for connection in idle:
            connection.close()
        if own is not None:
            own.close()

    # -- inside --------------------------------------------------------------------------------

    def _with(self, there: Callable[[Connection], T], here: Callable[[Model], T]) -> T:
        """Ask there; where that process has ended, have it done here."""
        try:
            if self._own is None and (connection := self._connection()):
                return there(connection)
        except (Lost, OSError):
            pass
        return here(self.own())

    def _connection(self) -> Connection | None:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        leased = self._again()
        return None if leased is None else leased.connection

    def _asked(self, connection: Connection, message: Facts) -> Any:
        """What it answers. Raises ``Lost`` and what it was told."""
        connection.send(message)
        answer = connection.receive()
        self.give_back(connection)
        if "error" in answer:
            raise talking.error_of(answer["error"])
        return answer["done"]


class ResidentStream(Iterator[Chunk]):
    """An answer under way in another process. Where that ends before the first word, the model is
    loaded here and asked again."""

    def __init__(self, model: ResidentModel, connection: Connection, request: Request) -> None:
        self._model, self._connection, self._request = model, connection, request
        self._sending = threading.Lock()
        self._next: Facts | None = None  # what has come, and was not asked for yet
        self._inner: Stream | None = None
        self._said = self._ended = self._cancelled = False
        self._progress, self._context = (0, 0), None
        connection.send({"op": "generate", "request": packing.facts(request)})
        answer = connection.receive()
        if "error" in answer:
            model.give_back(connection)
            raise talking.error_of(answer["error"])
        self.notes: tuple[str, ...] = tuple(answer["begun"])

    def __next__(self) -> Chunk:
        if self._inner is None and not self._ended:
            self._await(None)
        if self._inner is not None:
            return next(self._inner)
        if self._ended:
            raise StopIteration
        message, self._next = self._next, None
        assert message is not None
        if "chunk" in message:
            self._said = True
            return packing.chunk(message["chunk"])
        self._end()
        if "error" in message:
            raise talking.error_of(message["error"])
        raise StopIteration

    @property
    def progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are computed, and how many it has."""
        return self._progress if self._inner is None else self._inner.progress

    @property
    def context_size(self) -> int | None:
        """Tokens of context per sequence, once it runs."""
        return self._context if self._inner is None else self._inner.context_size

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; will ``next`` return at once?"""
        if self._inner is None and not self._ended and not self._await(timeout):
            return False
        return True if self._inner is None else self._inner.ready(timeout)

    def cancel(self) -> None:
        """Stop it, from any thread. Twice is allowed."""
        self._cancelled = True
        if self._inner is not None:
            return self._inner.cancel()
        with self._sending:
            if not self._ended:
                with suppress(Lost):  # whoever iterates finds out
                    self._connection.send({"op": "cancel"})

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):  # nobody listens to the rest
            self._connection.close()

    # -- inside --------------------------------------------------------------------------------

    def _await(self, timeout: float | None) -> bool:
        """Wait for what ``next`` is to give; False where it has not come by then."""
        until = None if timeout is None else time.monotonic() + timeout
        while self._next is None:
            left = None if until is None else max(0.0, until - time.monotonic())
            try:
                message = self._connection.receive(left)
            except TimeoutError:
                return False
            except Lost:
                self._broken()
                return True
            if "context" in message:
                self._context = message["context"]
            if "progress" in message:
                self._progress = tuple(message["progress"])
            else:
                self._next = message
        return True

    def _broken(self) -> None:
        """The process has ended. Raises ``BrokenStream`` where a part of the answer is known."""
        self._end(lost=True)
        if self._said or self._cancelled:
            raise BrokenStream(
                "the process that held the model ended while it answered",
                "ask again: without that process the model is loaded anew",
            )
        self._inner = self._model.own().generate(self._request)
        self.notes = self._inner.notes

    def _end(self, *, lost: bool = False) -> None:
        with self._sending:
            self._ended = True
        if lost:
            self._connection.close()
        else:
            self._model.give_back(self._connection)


class Pushed(Kept):
    """An answer that a thread of its own hands to ``on_chunk``. Iterating waits for its end, and
    raises what went wrong. A listener that fails ends its own answer."""

    def __init__(self, stream: Stream, on_chunk: Callable[[Chunk], None]) -> None:
        super().__init__(stream, None)
        self._on_chunk = on_chunk
        self._end = Later(self._run).start()

    def __next__(self) -> Chunk:
        self._end.result()
        raise StopIteration

    def _run(self) -> None:
        try:
            for chunk in self._stream:
                self._on_chunk(chunk)
        except BaseException:
            self._stream.cancel()
            raise
