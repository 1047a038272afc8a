"""Values stay small enough to be walked: the same one can stand in another many times."""

from typing import Final

from llmrr.migrate.values import Call, Value

LARGEST: Final = 20_000  # values in one, each as often as it stands there
DEEPEST: Final = 150  # values within each other, and calls on what calls gave


class Measures:
    """Sizes of values by their identity; what was measured is kept alive, or that would be reused.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._kept: list[Value] = []

    def fits(self, value: Value) -> bool:
        """Whether a value is small enough. Its parts were measured before."""
        size, depth = self._of(value)
        return size <= LARGEST and depth <= DEEPEST

    def _of(self, value: Value) -> tuple[int, int]:
        if not isinstance(value, dict | list | Call):
            return 1, 0
        if (known := self._known.get(id(value))) is None:
            known = self._known[id(value)] = self._measured(value)
            self._kept.append(value)
        return known

    def _measured(self, value: dict[str, Value] | list[Value] | Call) -> tuple[int, int]:
        if isinstance(value, Call):
            parts = [self._of(one) for one in (*value.args, value.receiver)]
        else:
            inner = value.values() if isinstance(value, dict) else value
            parts = [self._of(one) for one in inner]
        return 1 + sum(size for size, _ in parts), 1 + max((depth for _, depth in parts), default=0)
