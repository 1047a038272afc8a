"""Values stay small enough to be walked: the same one can stand in another many times."""

from typing import Final

from llmrr.migrate.values import Call, Value

LARGEST: Final = 20_000  # values in one, each as often as it stands there
DEEPEST: Final = 60


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
        parts: list[Value]
        if isinstance(value, dict):
            parts = list(value.values())
        elif isinstance(value, list):
            parts = value
        elif isinstance(value, Call):
            parts = [*value.args, value.receiver]
        else:
            return 1, 0
        if (known := self._known.get(id(value))) is None:
            inner = [self._of(one) for one in parts]
            is_chain = isinstance(value, Call)
            known = (
                1 + sum(size for size, _ in inner),
                max((depth for _, depth in inner), default=0) + (not is_chain),
            )
            self._known[id(value)] = known
            self._kept.append(value)
        return known
