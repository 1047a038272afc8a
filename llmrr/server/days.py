"""What the owners of keys have used of their day's tokens, in the database: a restart does not
forget it, and the servers of one user count together."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from llmrr import database
from llmrr.router import Router
from llmrr.server.callers import DAY_S, Caller

if TYPE_CHECKING:
    import sqlite3

_LOSS: Final = "what keys have used today is not kept"
Taken = Mapping[str, tuple[float, int]]  # by the name of a key: tokens a day, and those to be added


class Days:
    """Keeps them. What is not said otherwise is for the event loop."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._callers: dict[str, Caller] = {}
        self._saving: asyncio.Future[dict[str, float] | None] | None = None

    def begin(self, caller: Caller) -> None:
        """Have the owner of a key go on where its day was left. On any thread."""
        if caller.daily is not None:
            self._callers[caller.name] = caller
            self._told(self._save({caller.name: (caller.daily, 0)}))

    def tick(self) -> None:
        """Once a second: write down what was used since, beside the loop."""
        if self._saving is None and (taken := self._take()):
            loop = asyncio.get_running_loop()
            self._saving = loop.run_in_executor(None, self._save, taken)
            self._saving.add_done_callback(lambda done: self._saved(taken, done))

    def close(self) -> None:
        """Write down the rest. On any thread, when nobody asks any more."""
        if taken := self._take():
            self._save(taken)

    def _take(self) -> dict[str, tuple[float, int]]:
        return {
            name: (one.daily, one.untold()) for name, one in self._callers.items()
            if one.daily is not None and one.has_untold
        }  # fmt: skip

    def _saved(
        self, taken: Taken, done: "asyncio.Future[dict[str, float] | None]"
    ) -> None:
        self._saving = None
        found = None if done.cancelled() or done.exception() else done.result()
        if found is None:  # the next time
            for name, (_, tokens) in taken.items():
                self._callers[name].keep(tokens)
        self._told(found)

    def _told(self, used: Mapping[str, float] | None) -> None:
        for name, tokens in (used or {}).items():
            self._callers[name].has_used(tokens)

    def _save(self, taken: Taken) -> dict[str, float] | None:
        """Add what was taken; what they have used by now, or None where that is not known."""
        now = time.time()

        def save(connection: "sqlite3.Connection") -> dict[str, float]:
            used = {}
            with database.transaction(connection):
                for name, (daily, tokens) in taken.items():
                    key = f"serve.day.{name}"
                    used[name] = _left_over(database.recall(connection, key), daily, now) + tokens
                    if tokens:
                        database.remember(connection, key, f"{used[name]} {now}")
            return used

        return self._router.with_database(save, _LOSS)


def _left_over(kept: str | None, daily: float, now: float) -> float:
    """What of the tokens that were used still counts: a day's come back in the course of a day.

    >>> _left_over("600 0", 1000, DAY_S / 2), _left_over("600 0", 1000, DAY_S)
    (100.0, 0.0)
    """
    with suppress(ValueError):
        used, at = map(float, (kept or "").split())
        return max(0.0, used - max(0.0, now - at) * daily / DAY_S)
    return 0.0
