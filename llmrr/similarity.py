"""How alike two answers are: by their words, and by the angle between their embeddings.

What makes no difference between answers is taken away first: case, spaces, punctuation, the form of
a character (NFKC). What remains are words; scripts that put no spaces between words are taken by
character, and a symbol, as of mathematics or an emoji, stands for itself. The sign and the point of
a number, and what stands between two numbers, are a part of what is said.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from operator import mul

# Han, kana, bopomofo, Thai, Lao, Myanmar, Khmer: written without spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x312F),
    (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)  # fmt: skip
_POINT = "\ue000"  # stands for the point of a number: private use, so no text means anything by it
# Characters that are symbols of mathematics, and no punctuation: minus, times, divided by.
_MINUS, _TIMES, _DIVIDED = "\u2212", "\u00d7", "\u00f7"
_OPERATORS = (
    (rf"(?<!\w)[-{_MINUS}](?=[.,]?\d)|(?<=\d)\s*[-{_MINUS}]\s*(?=\d)", _MINUS),
    (r"(?<=\d)\s*\*\s*(?=\d)", _TIMES),
    (r"(?<=\d)\s*/\s*(?=\d)", _DIVIDED),
)
_LONGEST = 1 << 15  # words; two such texts take about a tenth of a second


def words(text: str) -> list[str]:
    """What two answers are compared by.

    >>> words("The **capital** isn't “Lyon”!"), words("-1,000.5 °C")  # noqa: RUF002
    (['the', 'capital', 'isnt', 'lyon'], ['\u2212', '1000\ue0005', '°', 'c'])
    >>> words("首都は東京。"), words("हिन्दी है")
    (['首', '都', 'は', '東', '京'], ['हिन्दी', 'है'])
    """
    plain = unicodedata.normalize("NFKC", text.replace(_POINT, " ")).casefold()
    for pattern, sign in _OPERATORS:
        plain = re.sub(pattern, f" {sign} ", plain)
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", plain)
    plain = re.sub(r"(?<=\d)\.(?=\d)", _POINT, plain)
    return plain.translate({ord(one): _part(one) for one in set(plain)}).split()


def is_same(one: str, other: str) -> bool:
    """Whether two answers have the same words in the same order.

    >>> is_same("Paris.", " **paris**"), is_same("5", "-5")
    (True, False)
    """
    return words(one) == words(other)


def overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """The F1 of the words of two answers: twice what they share, over all that they have.

    >>> overlap(["a", "b", "b"], ["b", "c", "b"])
    0.6666666666666666
    """
    if not (one or other):
        return 1.0
    shared = (Counter(one) & Counter(other)).total()
    return 2.0 * shared / (len(one) + len(other))


def jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    """Of the different words of two answers the share that both have.

    >>> jaccard(["a", "b", "b"], ["b", "c"])
    0.3333333333333333
    """
    both = set(one) | set(other)
    return len(set(one) & set(other)) / len(both) if both else 1.0


def in_order(one: Sequence[str], other: Sequence[str]) -> float:
    """Twice the longest common subsequence of the words, over all words. Of texts of more than
    32,768 words the pairs of neighbours that they share, which takes linear time.

    >>> in_order(["a", "b", "c"], ["c", "b", "a"])
    0.3333333333333333
    """
    if not (one or other):
        return 1.0
    if max(len(one), len(other)) > _LONGEST:
        return overlap(_neighbours(one), _neighbours(other))
    return 2.0 * _common(one, other) / (len(one) + len(other))


def similarity(one: str, other: str) -> float:
    """How alike two answers are, 0 to 1, where no embedding model is at hand: the mean of the words
    that they share (``overlap``) and of those that they share in order (``in_order``).

    1 for the same words in the same order, 0 where there is no word in common; one order of the two
    gives what the other does. Of another wording it sees only the words that are the same.

    >>> similarity("It is Paris.", "it is paris"), similarity("Rome", "Paris"), similarity("", "x")
    (1.0, 0.0, 0.0)
    >>> round(similarity("The capital is Paris.", "Paris is the capital."), 3)
    0.75
    """
    some, others = words(one), words(other)
    if some == others:
        return 1.0
    shared = overlap(some, others)
    return (shared + in_order(some, others)) / 2.0 if shared else 0.0


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors, -1 to 1; 0 where one of them has no length.
    ``ValueError`` for vectors of different sizes.

    >>> cosine([1.0, 0.0], [3.0, 0.0]), cosine([1.0, 0.0], [0.0, 2.0])
    (1.0, 0.0)
    """
    if len(one) != len(other):
        raise ValueError(f"vectors of {len(one)} and of {len(other)} numbers have no angle")
    lengths = math.hypot(*one) * math.hypot(*other)
    if not lengths:
        return 0.0
    return max(-1.0, min(1.0, math.fsum(map(mul, one, other)) / lengths))


def _part(letter: str) -> str | None:
    """What a character becomes: itself, a word of its own, a space, or nothing."""
    kind = unicodedata.category(letter)
    if letter == _POINT:
        return letter
    if letter in "'\u2019" or kind == "Cf":
        return None
    if letter == "%" or kind[0] == "S":
        return f" {letter} "
    if kind[0] not in "LMN":
        return " "
    is_alone = any(low <= ord(letter) <= high for low, high in _UNSPACED)
    return f" {letter} " if is_alone else letter


def _neighbours(found: Sequence[str]) -> list[str]:
    return [f"{one} {other}" for one, other in pairwise(found)]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, with one bit per word: Hyyrö, "Bit-parallel
    LCS-length computation revisited" (2004)."""
    if len(one) > len(other):
        one, other = other, one
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(one)) - 1
    row = full
    for word in other:
        if matches := row & places.get(word, 0):
            row = (row + matches | row - matches) & full
    return len(one) - row.bit_count()
