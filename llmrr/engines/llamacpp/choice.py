"""An answer under way: its stream, and the sequences (choices) that write to it."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmrr.engines.llamacpp.api import Vocab
from llmrr.engines.llamacpp.batching import Batching
from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.sampler import Sampler, top_logprobs
from llmrr.engines.llamacpp.task import Task
from llmrr.engines.templates import Prompt
from llmrr.engines.text import TextAssembler
from llmrr.types import Chunk, FinishReason, Sampling, TokenLogprob, Usage

if TYPE_CHECKING:
    from llmrr.engines.constrain import Constraint


class LlamaStream:
    """The chunks of one request. Iterate it, or be pushed through ``on_chunk``."""

    def __init__(
        self,
        batching: Batching,
        on_chunk: Callable[[Chunk], None] | None,
        load_seconds: float,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.notes = notes
        self._batching = batching
        self._queue: queue.SimpleQueue[Chunk | BaseException | None] = queue.SimpleQueue()
        self._push = on_chunk or self._queue.put
        self._tasks: tuple[Choice, ...] = ()
        self._open = 0
        self._lock = threading.Lock()
        self._started = time.perf_counter()
        self._first: float | None = None
        self._load_seconds = load_seconds
        self._ended = False

    def start(self, tasks: Sequence["Choice"]) -> None:
        """Submit the sequences that write here."""
        self._tasks, self._open = tuple(tasks), len(tasks)
        self._batching.submit(self._tasks)

    def __iter__(self) -> "LlamaStream":
        return self

    def __next__(self) -> Chunk:
        if self._ended:
            raise StopIteration
        item = self._queue.get()
        if isinstance(item, Chunk):
            return item
        self._ended = True
        if item is None:
            raise StopIteration
        raise item

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; has something come that ``next`` will give at once?"""
        deadline = time.monotonic() + timeout
        while self._queue.empty() and not self._ended:
            if (left := deadline - time.monotonic()) <= 0:
                return False
            time.sleep(min(0.005, left))
        return True

    @property
    def progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are computed, and how many it has."""
        task = self._tasks[0]
        return min(task.done, task.prompt_length), task.prompt_length

    @property
    def context_size(self) -> int | None:
        """Tokens of context per sequence, once it runs."""
        return self._batching.context_size

    def cancel(self) -> None:
        """Stop every choice, from any thread; their sequences are free within one step."""
        self._batching.cancel(self._tasks)

    # -- called by its choices, on the thread that decodes -------------------------------------

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
        )


class Choice(Task):
    """One sequence of a request: draws its tokens and makes text of them."""

    def __init__(
        self,
        stream: LlamaStream,
        index: int,
        tokens: Sequence[int],
        shape: Shape,
        sampling: Sampling,
        vocab: Vocab,
        prompt: Prompt,
        constraint: "Constraint | None",
    ) -> None:
        super().__init__(tokens, shape)
        self._stream, self._index = stream, index
        self._sampling, self._vocab, self._markers = sampling, vocab, prompt.markers
        self._sampler = Sampler(sampling, vocab, tokens, index)
        self._mask = constraint.new() if constraint else None
        self._text = TextAssembler(sampling.stop or (), prompt.markers, prompt.opened)
        self._answer = self._reasoning = ""  # what is not yet told
        self._kinds: dict[int, tuple[bytes, bool]] = {}
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish: FinishReason = "cancelled"
        self.generated = 0

    def sampled(self, context: Context) -> int | None:
        """Draw a token and make text of it; None when the answer ends with it."""
        token = self._draw(context)
        if self.generated == 0:
            self._stream.begun()
        piece, ends = self._kind(token)
        if ends and not self._sampling.ignore_eos:
            self._finish = "stop"
            return None
        self.generated += 1
        self._tokens.append(token)
        text, reasoning, stopped = self._text.push(piece)
        self._answer += text
        self._reasoning += reasoning
        if stopped or (self._mask is not None and self._mask.finished):
            self._finish = "stop"
        elif self.generated == self._sampling.max_tokens or len(self.known) + 1 >= context.size:
            self._finish = "length"
        else:
            return token
        return None

    def tell(self) -> None:
        """Emit what there is to say."""
        if self._answer or self._reasoning:
            self._stream.emit(self._chunk())

    def finished(self, error: BaseException | None) -> None:
        """Its sequence is free: say the rest, and why it ended."""
        self._sampler.close()
        text, reasoning, _ = self._text.finish()
        self._answer += text
        self._reasoning += reasoning
        self._stream.end(self._chunk(self._finish), error)

    def _draw(self, context: Context) -> int:
        wanted = self._sampling.logprobs
        # A grammar is for the answer: reasoning that comes before it is free.
        mask = None if self._mask is None or self._text.reasoning else self._mask
        logits = context.logits(self.row) if wanted is not None or mask is not None else 0
        measured = None
        if wanted is not None:
            measured = top_logprobs(logits, self._vocab.size, wanted)
        if mask is not None:
            mask.apply(logits, self._vocab.size)
        token = self._sampler.sample(context.pointer, self.row)
        if mask is not None:
            mask.accept(token)
        if measured is not None:
            self._logprobs.append(self._named(token, *measured))
        return token

    def _kind(self, token: int) -> tuple[bytes, bool]:
        """A token's bytes, and whether it ends a turn; a control token is silent unless it is part
        of a reasoning marker."""
        known = self._kinds.get(token)
        if known is None:
            piece = self._vocab.piece(token)
            if self._vocab.is_control(token) and not self._needed(piece):
                piece = b""
            known = self._kinds[token] = piece, self._vocab.is_end(token)
        return known

    def _needed(self, piece: bytes) -> bool:
        return self._markers.needs(piece.decode(errors="replace"))

    def _chunk(self, finish: FinishReason | None = None) -> Chunk:
        tokens, self._tokens = tuple(self._tokens), []
        logprobs, self._logprobs = tuple(self._logprobs), []
        text, self._answer = self._answer, ""
        reasoning, self._reasoning = self._reasoning, ""
        return Chunk(self._index, text, reasoning, tokens, logprobs, finish)

    def _named(
        self, token: int, logprob: Callable[[int], float], top: list[tuple[int, float]]
    ) -> TokenLogprob:
        def name(token: int) -> str:
            return self._vocab.piece(token).decode(errors="replace")

        best = tuple((name(other), value) for other, value in top)
        return TokenLogprob(name(token), logprob(token), best)
