"""A sequence to be generated, as what computes it sees it."""

from collections.abc import Sequence


class Task:
    """One sequence to be generated; subclassed by whoever samples.

    ``known`` are its tokens, prompt and answer; the first ``done`` of them are computed. Reading a
    prompt and answering are the same operation: computing what is known and not done.
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        self.known = list(prompt)
        self.prompt_length = len(prompt)
        self.done = 0
        self.cached = 0  # prompt tokens that were not computed
        self.cancelled = False

    @property
    def answering(self) -> bool:
        """Is its prompt computed, and just the last token missing?"""
        return self.done == len(self.known) - 1 and len(self.known) > self.prompt_length

    def tell(self) -> None:
        """Pass on what was drawn. Called just before the next step is computed, so that whoever
        listens works while this thread computes, and not in its way."""
        raise NotImplementedError

    def finished(self, error: BaseException | None) -> None:
        """Its sequence is free again."""
        raise NotImplementedError


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many leading tokens two sequences share.

    >>> common_prefix([1, 2, 3], [1, 2, 4, 5])
    2
    """
    limit = min(len(one), len(other))
    low, step = 0, 32
    while low < limit and one[low : low + step] == other[low : low + step]:
        low, step = low + step, 2 * step
    low, high = min(low, limit), min(low + step, limit)
    while low < high:  # bisect on equal slices: comparing lists is fast, a Python loop is not
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
