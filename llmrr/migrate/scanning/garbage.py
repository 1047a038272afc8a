"""When the garbage of a scan is collected.

Parsed files are trees of many small objects that hold each other. Left alone, the collector looks
through each tree again and again while it grows, which takes a third of a scan; here it looks once
per so many bytes of files.
"""

import gc
from types import TracebackType
from typing import Final

_MANY: Final = 1_500_000  # bytes of parsed files, of which the trees are some 100 MB


class Uncollected:
    """A time without the collector of garbage, but where ``parsed`` runs it."""

    def __enter__(self) -> "Uncollected":
        self._was, self._waiting = gc.isenabled(), 0
        gc.disable()
        return self

    def parsed(self, size: int) -> None:
        """So many bytes were parsed, and their tree is no longer needed."""
        self._waiting += size
        if self._was and self._waiting > _MANY:
            self._waiting = 0
            gc.collect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        where: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._was:
            gc.enable()
