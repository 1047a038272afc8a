"""What loading a model would come to, without loading it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from llmrr.errors import DoesNotFit
from llmrr.pool import deciding
from llmrr.pool.deciding import Held, MemoryUse, Rules

FRESH_S: Final = 1.0  # how long a reading of memory is good enough to let a model through


class Outlook:
    """Refusals as a pool would make them; ``read`` says how full memory is. A model that memory has
    room for is let through by a reading of a moment ago, and refused only by a new one."""

    def __init__(
        self, read: Callable[[int], MemoryUse | None], clock: Callable[[], float]
    ) -> None:
        self._read, self._clock = read, clock
        self._last: tuple[int, float, MemoryUse | None] = (-1, 0.0, None)

    def refusals(
        self, needs: Mapping[str, int], held: Sequence[Held], rules: Rules
    ) -> dict[str, DoesNotFit]:
        """Those that there is no room for, by name, and will not be once what runs has ended;
        ``needs`` are the bytes that they take."""
        known = sum(one.bytes for one in held)
        of, at, use = self._last
        if of != known or self._clock() - at > FRESH_S or _refused(needs, use, held, rules):
            use = self._look(known)
        out = _refused(needs, use, held, rules)
        return {
            name: deciding.refused(name, need or None, use, held, rules)
            for name, need in needs.items() if need in out
        }  # fmt: skip

    def _look(self, known: int) -> MemoryUse | None:
        use = self._read(known)
        self._last = (known, self._clock(), use)
        return use


def _refused(
    needs: Mapping[str, int], use: MemoryUse | None, held: Sequence[Held], rules: Rules
) -> set[int]:
    different = set(needs.values())
    return {need for need in different if deciding.plan(need, use, held, rules).refused}
