"""Trying again what may pass."""

from collections.abc import Callable
from typing import Final, TypeVar

from llmrr.engines.remote.deadlines import Deadlines
from llmrr.errors import LlmrrError

T = TypeVar("T")

# Seconds before what may pass is tried again, where the provider says nothing; then twice as long.
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0


class Pauses:
    """How long to wait before each further attempt of up to ``retries``. A pause that the provider
    asks for is kept; one that is longer than what is left of the whole time is not begun."""

    def __init__(self, retries: int, deadlines: Deadlines) -> None:
        self._left, self._deadlines, self._next = retries, deadlines, FIRST_WAIT

    def after(self, error: LlmrrError) -> float:
        """Seconds to wait after an error. Raises it where nothing is tried again."""
        asked: float | None = getattr(error, "retry_after", None)
        seconds = min(self._next, LONGEST_WAIT) if asked is None else asked
        room = self._deadlines.total_left()
        if not error.transient or self._left == 0 or (room is not None and seconds >= room):
            raise error
        self._next, self._left = self._next * 2, self._left - 1
        return seconds


def run(
    attempt: Callable[[], T],
    retries: int,
    deadlines: Deadlines,
    *,
    wait: Callable[[float], object],
) -> T:
    """What ``attempt`` returns, tried again up to ``retries`` times. Raises what the last attempt
    did."""
    pauses = Pauses(retries, deadlines)
    while True:
        try:
            return attempt()
        except LlmrrError as error:
            wait(pauses.after(error))
