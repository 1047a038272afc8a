"""The caches of several sequences as one, so that a step computes a token of each at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class State:
    """A sequence: a cache per layer, of mlx-lm, and how many tokens they hold."""

    caches: list[Any]
    length: int = 0


class Together:
    """Merged caches. They stay merged for as long as the same sequences go on."""

    def __init__(self) -> None:
        self._states: list[State] = []
        self._caches: list[Any] = []

    def of(self, states: Sequence[State]) -> list[Any]:
        """The merged caches of ``states``, in their order."""
        if list(states) != self._states:
            self.part()
            layers = zip(*(state.caches for state in states), strict=True)
            self._caches = [type(layer[0]).merge(list(layer)) for layer in layers]
            self._states = list(states)
        return self._caches

    def leave(self, state: State) -> None:
        """Give a sequence caches of its own, which may then be changed."""
        if state in self._states:
            self.part()

    def part(self) -> None:
        """Give all of them their own."""
        for place, state in enumerate(self._states):
            state.caches = [cache.extract(place) for cache in self._caches]
        self.clear()

    def clear(self) -> None:
        """Forget them: their states are of no use any more."""
        self._states, self._caches = [], []


def can_merge(caches: Sequence[Any]) -> bool:
    """Does every kind of these have a merged form that keeps the same tokens?"""
    return all(hasattr(type(one), "merge") and not getattr(one, "keep", 0) for one in caches)
