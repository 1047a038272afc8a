"""Trying again what may pass."""

from collections.abc import Callable
from typing import Final, TypeVar

from llmrr.engines.remote.deadlines import Deadlines
from llmrr.errors import LlmrrError

T = TypeVar("T")

# Seconds before what may pass is tried again, where the provider says nothing; then twice as long.
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0


def run(
    attempt: Callable[[], T],
    retries: int,
    deadlines: Deadlines,
    *,
    wait: Callable[[float], object],
    may: Callable[[], bool] = lambda: True,
) -> T:
    """What ``attempt`` returns, tried again up to ``retries`` times while ``may`` says so. A pause
    that the provider asks for is kept; one that is longer than what is left of the whole time is
    not begun. Raises what the last attempt did."""
    pause = FIRST_WAIT
    while True:
        try:
            return attempt()
        except LlmrrError as error:
            after = getattr(error, "retry_after", None)
            wanted = min(pause, LONGEST_WAIT) if after is None else after
            room = deadlines.total_left()
            if not error.transient or retries == 0 or not may():
                raise
            if room is not None and wanted >= room:
                raise
            wait(wanted)
            pause, retries = pause * 2, retries - 1
