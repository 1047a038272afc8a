"""What was measured, several times each."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The same thing measured several times; at least once.

    >>> one = Spread((2.0, 4.0, 9.0))
    >>> one.mean, one.median, round(one.deviation, 3)
    (5.0, 4.0, 3.606)
    """

    samples: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return statistics.fmean(self.samples)

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.samples)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a sample (n - 1), as llama-bench has it; None for one alone."""
        return statistics.stdev(self.samples) if len(self.samples) > 1 else None


@dataclass(frozen=True, slots=True)
class Together:
    """So many sequences at once: the tokens a second of all of them, and the memory of that."""

    sequences: int
    tokens_per_s: Spread
    peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """One model. ``prefill`` and ``decode`` are in tokens a second.

    ``load_s`` is the time in which the engine opens the model in a new process, up to the first
    request. ``first_token_s`` runs from that request, of ``prompt_tokens`` through the chat
    template, to its first token. ``cold_load_s`` is the load before those that count, when the
    files may not have been in the system's cache. ``peak_bytes`` is the most main memory that the
    process of ``prefill`` and ``decode`` had resident, mapped weights among it, for a context of
    ``context_size`` tokens.
    """

    engine: str
    where: str | None
    threads: int | None
    context_size: int | None
    prefill: Spread
    decode: Spread
    first_token_s: Spread
    prompt_tokens: int
    load_s: Spread
    cold_load_s: float
    peak_bytes: int | None
    together: tuple[Together, ...] = ()
