"""What the server counts of its requests and answers. For the event loop: nothing is locked."""

import time
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final

from llmrr.errors import LlmrrError

if TYPE_CHECKING:
    from llmrr.server.running import Running

# Upper bounds in seconds: from an answer that was kept to one of a slow machine.
BOUNDS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip


class Histogram:
    """How many values were at most as large as each of ``BOUNDS``."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts, self.sum = [0] * (len(BOUNDS) + 1), 0.0

    def add(self, value: float) -> None:
        """Count one more."""
        self.counts[bisect_left(BOUNDS, value)] += 1
        self.sum += value


class Metrics:
    """The counts since the server began."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()  # by path, model and status
        self.tokens: Counter[tuple[str, str]] = Counter()  # by model and kind
        self.answers: Counter[tuple[str, str]] = Counter()  # by model and how they ended
        self.cache_hits: Counter[tuple[str, str]] = Counter()  # by model and kind
        self.request_s: dict[str, Histogram] = {}  # by path
        self.queue_s: dict[str, Histogram] = {}  # these by model
        self.first_token_s: dict[str, Histogram] = {}
        self.answer_s: dict[str, Histogram] = {}

    def request(self, path: str, model: str, status: int, seconds: float) -> None:
        """A request has ended."""
        self.requests[path, model, status] += 1
        _add(self.request_s, path, seconds)

    def answer(self, running: "Running") -> None:
        """An answer has ended, or has never begun."""
        answer, now = running.answer, time.monotonic()
        model = answer.model.name if answer else ""
        self.answers[model, _outcome(running)] += 1
        waited = (running.began or now) - running.entered
        _add(self.queue_s, model, waited)
        if answer is None:
            return
        if answer.cache is not None:
            self.cache_hits[model, answer.cache.partition(" ")[0]] += 1
        if (usage := answer.usage) is None:
            return
        counted = answer.cache is None
        self.tokens[model, "prompt"] += usage.prompt_tokens * counted
        self.tokens[model, "cached"] += usage.cached_tokens * counted
        self.tokens[model, "generated"] += usage.completion_tokens * counted
        if usage.first_token_s is not None and counted:
            _add(self.first_token_s, model, waited + usage.load_s + usage.first_token_s)
        _add(self.answer_s, model, now - running.entered)


def _outcome(running: "Running") -> str:
    """How an answer ended: as its last choice says, or what it failed with."""
    if (error := running.error) is not None:
        return error.type if isinstance(error, LlmrrError) else "bug"
    return (running.answer and running.answer.finish_reason) or "cancelled"


def _add(found: dict[str, Histogram], key: str, value: float) -> None:
    histogram = found.get(key)
    if histogram is None:
        histogram = found[key] = Histogram()
    histogram.add(value)
