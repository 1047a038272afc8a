"""What this process spends that the database does not know: what is under way, and what could not
be recorded. While the database cannot be read, what was read of it last counts, with what was
recorded since.
"""

import threading
from collections.abc import Mapping
from weakref import WeakSet

from llmrr.routing.budgets import NOTHING, Spent

_Sums = dict[tuple[str, str], tuple[float, int]]  # dollars and tokens, by day and model


class Reserved:
    """What a request under way may take; it counts until it is let go, or forgotten. ``asked`` are
    the tokens that its prompt was taken to have."""

    __slots__ = ("__weakref__", "asked", "cost", "model", "tokens")

    def __init__(self, model: str, cost: float, tokens: float, asked: int = 0) -> None:
        self.model, self.cost, self.tokens, self.asked = model, cost, tokens, asked


class Purse:
    """Safe to use from several threads. ``reserving`` is held from looking at what is left to
    taking of it."""

    def __init__(self) -> None:
        self.reserving = threading.Lock()
        self._lock = threading.Lock()  # never held while the database is waited for
        self._under_way = WeakSet[Reserved]()
        self._read: tuple[str, dict[str, Spent]] = ("", {})
        self._since: _Sums = {}  # recorded after that
        self._unrecorded: _Sums = {}
        self._more: dict[str, int] = {}

    def under_way(self) -> dict[str, Spent]:
        """What is reserved, by model."""
        found: dict[str, Spent] = {}
        with self._lock:
            held = list(self._under_way)
        for one in held:
            _grow(found, one.model, one.cost, one.tokens)
        return found

    def reserve(self, reserved: Reserved) -> None:
        """Count it."""
        with self._lock:
            self._under_way.add(reserved)

    def release(self, reserved: Reserved, prompt_tokens: int = 0) -> None:
        """Count it no more; its model counted so many tokens of prompt, if any."""
        with self._lock:
            self._under_way.discard(reserved)
            if prompt_tokens:
                more = max(0, prompt_tokens - reserved.asked)
                self._more[reserved.model] = min(more, self._more.get(reserved.model, more))

    def least_more(self, model: str) -> int:
        """The tokens that every prompt had more than it was taken to have, by this model's count:
        its template, for one."""
        return self._more.get(model, 0)

    def add(self, day: str, model: str, cost: float, tokens: int, *, is_recorded: bool) -> None:
        """A run has ended."""
        with self._lock:
            sums = self._since if is_recorded else self._unrecorded
            before, tokens_before = sums.get((day, model), (0.0, 0))
            sums[day, model] = (before + cost, tokens_before + tokens)

    def spent(self, today: str, read: Mapping[str, Spent] | None) -> dict[str, Spent]:
        """What was spent up to ``today`` of its month, by model; ``read`` is what the database
        says, None where it cannot be used."""
        with self._lock:
            if read is not None:
                self._read, self._since = (today, dict(read)), {}
            day, found = self._read[0], dict(self._read[1])
            if day != today:
                found = {
                    name: Spent(month=one.month, tokens_month=one.tokens_month)
                    for name, one in found.items() if day[:7] == today[:7]
                }  # fmt: skip
            for sums in (self._since, self._unrecorded):
                for (at, model), (cost, tokens) in sums.items():
                    if at[:7] == today[:7]:
                        _grow(found, model, cost, tokens, is_today=at == today)
        return found


def in_all(by_model: Mapping[str, Spent]) -> Spent:
    """The sum.

    >>> in_all({"a": Spent(1.0, 2.0, 3, 4), "b": Spent(1.0, 1.0, 1, 1)})
    Spent(today=2.0, month=3.0, tokens_today=4, tokens_month=5)
    """
    return Spent(*map(sum, zip(*by_model.values(), strict=True))) if by_model else NOTHING


def _grow(
    found: dict[str, Spent], model: str, cost: float, tokens: float, *, is_today: bool = True
) -> None:
    before = found.get(model, NOTHING)
    today = (before.today + cost, before.tokens_today + tokens)
    if not is_today:
        today = (before.today, before.tokens_today)
    found[model] = Spent(today[0], before.month + cost, today[1], before.tokens_month + tokens)
