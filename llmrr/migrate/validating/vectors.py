"""The embeddings of answers. One that is longer than the context is taken in parts: the mean
of their vectors, each weighted by its length, stands for all of it.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmrr.errors import ContextOverflow

if TYPE_CHECKING:
    from llmrr.router import Router

TOGETHER: Final = 32  # texts that get their vectors in one call
_SHORTEST: Final = 16  # characters: what does not fit then never does


def vectors(router: "Router", texts: Sequence[str], name: str) -> dict[str, list[float]]:
    """Of each text, by the model of that name. Raises what embedding does."""
    found: dict[str, list[float]] = {}
    for at in range(0, len(texts), TOGETHER):
        part = list(texts[at : at + TOGETHER])
        try:
            found |= zip(part, router.embed(part, model=name), strict=True)
        except ContextOverflow:
            found |= {one: _of_parts(router, one, name) for one in part}
    return found


def _of_parts(router: "Router", text: str, name: str) -> list[float]:
    try:
        return router.embed(text, model=name)
    except ContextOverflow:
        if len(text) < _SHORTEST:
            raise
    parts = halves(text)
    return mean([(_of_parts(router, one, name), len(one)) for one in parts])


def halves(text: str) -> list[str]:
    """The text in two, between words where there are any.

    >>> halves("some words and more"), halves("x" * 4)
    (['some words', 'and more'], ['xx', 'xx'])
    """
    middle = len(text) // 2
    at = text.find(" ", middle)
    at = at if at >= 0 else text.rfind(" ", 0, middle)
    found = [text[:at], text[at + 1 :]] if at > 0 else []
    if not all(one.strip() for one in found) or not found:
        found = [text[:middle], text[middle:]]
    return [one for one in found if one.strip()]


def mean(weighted: Sequence[tuple[Sequence[float], int]]) -> list[float]:
    """The mean of vectors with their weights, of length 1.

    >>> mean([([1.0, 0.0], 1), ([0.0, 1.0], 1)])
    [0.7071067811865475, 0.7071067811865475]
    """
    columns = zip(*(vector for vector, _ in weighted), strict=True)
    sums = [math.fsum(one * weight for one, (_, weight) in zip(column, weighted, strict=True))
            for column in columns]  # fmt: skip
    length = math.hypot(*sums) or 1.0
    return [one / length for one in sums]
