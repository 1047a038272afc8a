"""How much of the prompts being read goes into a step beside the answers under way."""

from collections.abc import Sequence
from typing import Final

# Seconds that answers may pause for, so that a newcomer of usual length is read in one step.
STALL: Final = 0.5
# A step of answers costs every newcomer its time: so many times that goes into reading, for each
# newcomer, which keeps what they lose by it to a tenth.
PATIENCE: Final = 10
# With more answers than so many for each newcomer, those are spared longer pauses.
ANSWERS_PER_NEWCOMER: Final = 2
# Steps in a row that answers may be left out of while several are read: they go on together, and a
# step of many costs little more than one of few.
PAUSES: Final = 3
SLOW_S: Final = 0.01  # a token of a prompt that takes longer: such pauses would be too long
CRUMB: Final = 32  # fewer tokens of prompts than this say nothing of what one takes
_NEW: Final = 0.3  # what the last step weighs in the averages


class Pace:
    """What a step takes here, learned from those that were: a token that is read, and one of every
    answer. Both change with the machine's load and the length of what stands before."""

    def __init__(self) -> None:
        self._token_s: float | None = None
        self._answers_s = 0.0
        self._paused = 0  # steps that the answers have waited for

    def learn(self, seconds: float, read: int, answering: int) -> None:
        """Note a step that read so many tokens of prompts beside so many answers."""
        if read == 0:
            self._answers_s += _NEW * (seconds - self._answers_s) if self._answers_s else seconds
        elif read >= CRUMB:
            own = max(seconds - (self._answers_s if answering else 0.0), seconds / 2) / read
            before = own if self._token_s is None else self._token_s
            self._token_s = before + _NEW * (own - before)

    def pauses(self, reading: int, answering: int) -> bool:
        """Is the next step for the prompts alone? Asked once a step."""
        several = reading > 1 and ANSWERS_PER_NEWCOMER * reading >= answering > 0
        may = several and self._paused < PAUSES and (self._token_s or 0.0) < SLOW_S
        self._paused = self._paused + 1 if may else 0
        return self._paused > 0

    def budget(self, reading: int, answering: int, least: int, most: int) -> int:
        """How many tokens of prompts the next step reads, between ``least`` and ``most``."""
        if ANSWERS_PER_NEWCOMER * reading >= answering or not (self._token_s and self._answers_s):
            return most  # many of those who wait, wait for their first token
        seconds = max(STALL, PATIENCE * reading * self._answers_s)
        return max(least, min(most, int(seconds / self._token_s)))


def shares(remaining: Sequence[int], budget: int, most: int) -> list[int]:
    """How many tokens each prompt gets, the oldest first; ``most`` in all.

    The oldest has half of the budget for certain; the rest goes to whoever needs least, so that
    short prompts do not wait for a long one, nor a long one for ever for short ones. A quarter more
    is spent where that ends a prompt, and none is begun for less than half of the budget: a prompt
    in two parts, or beside others of other lengths, takes more passes of the model.

    >>> shares([300], 128, 512), shares([150], 128, 512)
    ([128], [150])
    >>> shares([110, 110, 110, 110, 110], 512, 512)
    [110, 110, 110, 110, 0]
    >>> shares([4000, 100, 100], 256, 512)
    [156, 100, 0]
    """
    given = [0] * len(remaining)
    given[0] = min(remaining[0], budget - budget // 2)
    left, room = budget - given[0], most - given[0]
    for place in sorted(range(len(remaining)), key=remaining.__getitem__):
        wanted = remaining[place] - given[place]
        if wanted > min(left + budget // 4, room):
            wanted = min(left, room)
            if wanted < budget // 2 and not given[place]:
                continue
        given[place] += max(0, wanted)
        left, room = left - max(0, wanted), room - max(0, wanted)
    return given
