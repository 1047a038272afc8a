"""How large a context is made, and for how many sequences."""

from dataclasses import replace
from typing import Final

from llmrr import hardware
from llmrr.engines import prompting
from llmrr.engines.base import CONTEXT_AT_LEAST, Options
from llmrr.engines.llamacpp.context import Shape
from llmrr.engines.llamacpp.fitting import fit_of
from llmrr.hardware import Fit, Hardware
from llmrr.types import ModelInfo

ROOM_TO_ANSWER: Final = 2048  # tokens of context for an answer whose length is not limited
GRANULE: Final = 256  # llama.cpp pads the memory of a sequence to this


class Sizing:
    """The shapes of the contexts of a model, whose memory may be one that ``goes_back``."""

    def __init__(
        self, info: ModelInfo, options: Options, machine: Hardware, fit: Fit | None, *,
        threads: int, goes_back: bool,
    ) -> None:  # fmt: skip
        self._info, self._options, self._machine, self._fit = info, options, machine, fit
        self._threads = threads
        self._drafted = options.speculate if goes_back else 0

    @property
    def limit(self) -> int:
        """The largest context of one sequence, in tokens."""
        if self._options.context_size is not None:
            return self._options.context_size
        known = (self._info.context_length, self._fit.largest_context if self._fit else None)
        return min((size for size in known if size), default=self._options.at_least)

    def needed(self, prompt_tokens: int, max_tokens: int | None) -> int:
        """How large a context this prompt takes, in tokens. Raises ``ContextOverflow`` where it
        cannot fit at all."""
        limit, options = self.limit, self._options
        if prompt_tokens >= limit:
            raise prompting.overflow("prompt", prompt_tokens, limit, self._info.context_length)
        if options.context_size is not None:
            return limit
        answer = ROOM_TO_ANSWER if max_tokens is None else max_tokens
        several = options.most_slots if options.crowded else options.slots
        begin = max(CONTEXT_AT_LEAST, options.at_least // several)
        wanted = max(prompt_tokens + answer + 1, min(begin, options.at_least))
        return min(limit, rounded(wanted))

    def shape(self, size: int, *, flash: bool) -> Shape:
        """A context of this size for the sequences that there are at first."""
        options = self._options
        return Shape(size, options.slots, self._threads, flash, options.kv_type, self._drafted)

    def widened(self, shape: Shape) -> Shape:
        """With as many sequences as memory has room for now, of those that there may be."""
        slots = self._options.most_slots
        machine = hardware.probe() if slots > shape.slots else self._machine
        while slots > shape.slots:
            asked = replace(self._options, slots=slots, context_size=shape.size)
            fit = fit_of(self._info, machine, asked)
            if fit is not None and fit.fits:
                return replace(shape, slots=slots)
            slots //= 2
        return shape


def rounded(tokens: int) -> int:
    """As llama.cpp pads it.

    >>> rounded(1), rounded(256), rounded(257)
    (256, 256, 512)
    """
    return -(-tokens // GRANULE) * GRANULE
