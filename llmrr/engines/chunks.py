"""Answers under way, seen through something else."""

import time
from collections.abc import Iterator
from dataclasses import replace

from llmrr.engines.base import Stream
from llmrr.errors import LlmrrError
from llmrr.types import Chunk


class Kept(Iterator[Chunk]):
    """An answer that keeps alive whatever it needs, as long as it is held and has not ended."""

    def __init__(self, stream: Stream, kept: object) -> None:
        self._stream, self._kept = stream, kept
        self.notes = stream.notes

    def __next__(self) -> Chunk:
        try:
            chunk = next(self._stream)
        except KeyboardInterrupt:  # of who waits, and no end of the answer
            raise
        except BaseException:
            self._kept = None
            raise
        if chunk.usage is not None:  # the last of all
            self._kept = None
        return chunk

    @property
    def progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are computed, and how many it has."""
        return self._stream.progress

    @property
    def context_size(self) -> int | None:
        """Tokens of context per sequence, once it runs."""
        return self._stream.context_size

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; will ``next`` return at once?"""
        return self._stream.ready(timeout)

    def cancel(self) -> None:
        """Stop it, from any thread. Twice is allowed."""
        self._stream.cancel()


class Joined(Kept):
    """An answer in chunks of ``size`` tokens each, but for the last one of each choice, and where
    words turn into thoughts. An error comes after what was said before it."""

    def __init__(self, stream: Stream, size: int) -> None:
        super().__init__(stream, None)
        self._size = size
        self._pending: dict[int, tuple[Chunk, int]] = {}  # by choice, with their tokens
        self._out: list[Chunk] = []
        self._end: BaseException | None = None

    def __next__(self) -> Chunk:
        while not self._out and self._end is None:
            self._pull()
        if self._out:
            return self._out.pop(0)
        assert self._end is not None
        raise self._end

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; will ``next`` return at once?"""
        deadline = time.monotonic() + timeout
        while not self._out and self._end is None:
            if not self._stream.ready(max(0.0, deadline - time.monotonic())):
                return False
            self._pull()
        return True

    def _pull(self) -> None:
        try:
            chunk = next(self._stream)
        except KeyboardInterrupt:  # of who waits, and no end of the answer
            raise
        except BaseException as error:
            self._flush()
            self._end = error
            return
        before, count = self._pending.pop(chunk.index, (None, 0))
        if before is not None and _turns(before, chunk):
            self._out.append(before)
            before, count = None, 0
        whole = chunk if before is None else _sum(before, chunk)
        count += _tokens(chunk)
        if whole.usage is not None:  # the last of all
            self._flush()
        if whole.finish_reason is not None or whole.usage is not None or count >= self._size:
            self._out.append(whole)
        else:
            self._pending[chunk.index] = whole, count

    def _flush(self) -> None:
        self._out += [chunk for chunk, _ in self._pending.values()]
        self._pending.clear()


def joined(stream: Stream, size: int) -> Stream:
    """The same answer in chunks of ``size`` tokens."""
    return stream if size <= 1 else Joined(stream, size)


def merged(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same with the words of a choice that follow each other in one. An error comes after what
    was said before it.

    >>> [one.text for one in merged(iter([Chunk(0, "a"), Chunk(0, "b"), Chunk(1, "c")]))]
    ['ab', 'c']
    """
    index, words = 0, list[str]()
    try:
        for chunk in chunks:
            is_more = chunk.text and not (
                chunk.reasoning or chunk.tokens or chunk.logprobs or chunk.tool_calls
                or chunk.call_pieces or chunk.finish_reason or chunk.usage or chunk.stop
            )  # fmt: skip
            if words and not (is_more and chunk.index == index):
                yield Chunk(index, "".join(words))
                words.clear()
            if is_more:
                index = chunk.index
                words.append(chunk.text)
            else:
                yield chunk
    except LlmrrError:
        if words:
            yield Chunk(index, "".join(words))
        raise
    if words:
        yield Chunk(index, "".join(words))


def _turns(before: Chunk, after: Chunk) -> bool:
    """Would joining the two change the order of what is said? Thoughts come first in a chunk, then
    words, then calls."""
    called = bool(before.tool_calls or before.call_pieces)
    spoken = bool(before.text) or called
    return (spoken and bool(after.reasoning)) or (called and bool(after.text))


def _tokens(chunk: Chunk) -> int:
    """How many it has; a provider names none, and says about one at a time."""
    said = bool(chunk.text or chunk.reasoning or chunk.call_pieces)
    return max(len(chunk.tokens), len(chunk.logprobs), int(said))


def _sum(before: Chunk, after: Chunk) -> Chunk:
    return replace(
        after,
        text=before.text + after.text,
        reasoning=before.reasoning + after.reasoning,
        tokens=before.tokens + after.tokens,
        logprobs=before.logprobs + after.logprobs,
        tool_calls=before.tool_calls + after.tool_calls,
        call_pieces=before.call_pieces + after.call_pieces,
    )
