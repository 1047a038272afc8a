"""Which of several answers is taken: the one that most agree on, or the one nearest to all others.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Vote(NamedTuple):
    """The place of the answer that is taken, and why."""

    at: int
    why: str


def plain(text: str) -> str:
    """An answer without what makes no difference: case, spaces, punctuation at its ends.

    >>> plain("  Paris. "), plain("**paris**")
    ('paris', 'paris')
    """
    return re.sub(r"\s+", " ", text).strip(" \t\n.,;:!?\"'*_`()").casefold()


def majority(answers: Sequence[str]) -> Vote:
    """The answer that most give; where no two are the same, the one that shares most words with the
    others. Of equals the first.

    >>> majority(["Rome", "Paris.", "paris"])
    Vote(at=1, why='2 of 3 agree')
    >>> majority(["a b c", "x y", "a b d"]).at
    0
    """
    if len(answers) == 1:
        return Vote(0, "the only answer")
    plains = [plain(text) for text in answers]
    counts = [plains.count(text) for text in plains]
    most = max(counts)
    if most > 1:
        return Vote(counts.index(most), f"{most} of {len(answers)} agree")
    words = [frozenset(re.findall(r"\w+", text)) for text in plains]
    nearness = [sum(_shared(one, other) for other in words) for one in words]
    return Vote(nearness.index(max(nearness)), "no two agree: the nearest to the others")


def judged(reply: str, count: int) -> int | None:
    """The place that a judge names, counted from 1 in its reply; None where it names none.

    >>> judged("Answer 2 is best.", 3), judged("none", 3), judged("7", 3)
    (1, None, None)
    """
    found = re.search(r"\d+", reply)
    place = int(found[0]) if found and len(found[0]) < 9 else 0
    return place - 1 if 1 <= place <= count else None


def question(asked: str, answers: Sequence[str]) -> str:
    """What a judge is asked."""
    listed = "\n\n".join(f"Answer {at}:\n{text}" for at, text in enumerate(answers, 1))
    return (
        f"Question:\n{asked}\n\n{listed}\n\n"
        f"Which answer is the best? Reply with its number, 1 to {len(answers)}, and nothing else."
    )


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    both = len(one | other)
    return len(one & other) / both if both else 1.0
