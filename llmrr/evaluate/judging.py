"""Whether an answer is right. Pure, but for regular expressions, which are searched elsewhere.

What counts, by the way of matching:

``exact``     the same text; runs of white space count as one space
``contains``  the expected text somewhere, as whole words; letter case and white space do not count
``regex``     the pattern is found somewhere (Python's ``re``, dot not across lines)
``number``    the number that the answer comes to, within a tolerance
``choice``    the letter, or the text, of one of the choices
``json``      the first JSON value in the answer is equal; the order of keys does not count
"""

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, get_args

Match = Literal["exact", "contains", "regex", "number", "choice", "json"]
MATCHES: tuple[Match, ...] = get_args(Match)

Search = Callable[[str, str], bool]  # of a pattern in a text

RELATIVE = 1e-6  # of the expected number, where no tolerance is stated
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d+)?")
# Where an answer says that its result follows: GSM8K's mark, LaTeX's box, plain words.
_RESULT = re.compile(r"####|\\boxed\s*\{|\b(?:answer|result)\b\s*(?:is|:|=)", re.IGNORECASE)
_SAID = re.compile(
    r"\b(?:answer|choice|option)\b(?:\s+is|\s*[:=])?[\s:*(\[\"']*([A-Z])\b(?![\w'])", re.IGNORECASE
)
# A capital that stands alone, and is neither article nor pronoun.
_ALONE = re.compile(r"(?<![\w'])(?![AI]\s+(?!or\b|and\b|is\b)[a-z])([A-Z])(?![\w'])")
_MINUS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{FULLWIDTH COMMA}": ","})
_FENCE = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is right: any one of ``values``. ``tolerance`` is absolute, for ``number``; ``choices``
    are those to choose from; with ``subset`` an object may have more keys than are expected."""

    match: Match
    values: tuple[Any, ...]
    tolerance: float | None = None
    choices: tuple[str, ...] = ()
    subset: bool = False


def shown(expected: Expected) -> list[Any]:
    """What is right, for people: of choices the letter and the text.

    >>> shown(Expected("choice", (1,), choices=("cat", "dog")))
    ['B. dog']
    """
    if expected.match != "choice":
        return list(expected.values)
    return [f"{letter(at)}. {expected.choices[at]}" for at in expected.values]


def is_right(answer: str, expected: Expected, search: Search) -> bool:
    """Judge an answer, without its reasoning.

    >>> is_right("It is **Paris**.", Expected("contains", ("paris",)), lambda *_: False)
    True
    """
    if expected.match == "choice":
        return chosen(answer, expected.choices) in expected.values
    if expected.match == "json":
        found = json_value(answer)
        return any(same(one, value, expected.subset) for one in found for value in expected.values)
    return any(_is(answer, value, expected, search) for value in expected.values)


def _is(answer: str, value: Any, expected: Expected, search: Search) -> bool:
    if expected.match == "number":
        return _is_near(result(answer), float(value), expected.tolerance)
    if expected.match == "regex":
        return search(value, answer)
    if expected.match == "contains":
        return contains(answer, value)
    return " ".join(answer.split()) == " ".join(value.split())


# -- texts -------------------------------------------------------------------------------------


def contains(text: str, part: str) -> bool:
    """Whether ``part`` stands in ``text`` as whole words, as far as its script separates them.

    >>> contains("Nothing", "no"), contains("No, nothing.", "no")
    (False, True)
    >>> contains("答えは東京です", "東京")
    True
    """
    text, part = _plain(text), _plain(part)
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not (_joined(before, part[:1]) or _joined(part[-1:], after)):
            return True
        start = text.find(part, start + 1)
    return False


def _plain(text: str) -> str:
    """Without what does not count: letter case, kinds of white space and of the same letter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _joined(one: str, other: str) -> bool:
    """Whether two neighbours belong to one word; none do in a script that writes no spaces."""
    return one.isalnum() and other.isalnum() and not (_spaceless(one) or _spaceless(other))


def _spaceless(letter: str) -> bool:
    """Chinese, Japanese, Thai, Lao, Burmese, Khmer. (Korean has spaces, and endings.)"""
    wide = unicodedata.east_asian_width(letter) in ("W", "F")
    return wide or letter in _UNSPACED


_UNSPACED = frozenset(
    chr(code)
    for low, high in ((0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800))
    for code in range(low, high)
)


# -- numbers -----------------------------------------------------------------------------------


def numbers(text: str) -> list[float]:
    """The numbers of a text, with commas between thousands and a decimal point.

    >>> numbers("$1,234.50 and -3, then 4e2.")
    [1234.5, -3.0, 400.0]
    """
    text = text.translate(_MINUS)
    found = []
    for match in _NUMBER.finditer(text):
        if not any(letter.isdigit() for letter in match[0]):
            continue
        # What stands between two numbers, or joins a word to one, is no sign: 3-4, gpt-4.
        before = text[match.start() - 1 : match.start()] if match[0][0] in "+-" else ""
        word = match[0][1:] if before.isalnum() or before == ")" else match[0]
        found.append(float(word.replace(",", "")))
    return found


def result(answer: str) -> float | None:
    """The number that an answer comes to: the first one behind the last ``####``, ``\\boxed{`` or
    "answer is", else its last one.

    >>> result("3 apples and 4 make 7."), result("The answer is 7, in 2 steps."), result("none")
    (7.0, 7.0, None)
    """
    marks = list(_RESULT.finditer(answer))
    if marks and (found := numbers(answer[marks[-1].end() :])):
        return found[0]
    found = numbers(answer)
    return found[-1] if found else None


def _is_near(found: float | None, wanted: float, tolerance: float | None) -> bool:
    if found is None:
        return False
    if tolerance is None:
        return math.isclose(found, wanted, rel_tol=RELATIVE, abs_tol=1e-12)
    return abs(found - wanted) <= tolerance * (1 + 1e-12)  # 0.3 is within 0.1 of 0.2


# -- choices -----------------------------------------------------------------------------------


def letter(index: int) -> str:
    """The letter of a choice.

    >>> letter(0), letter(25)
    ('A', 'Z')
    """
    return chr(ord("A") + index)


def chosen(answer: str, choices: Sequence[str]) -> int | None:
    """Which choice an answer means: by a letter at its beginning or behind "answer is", by the text
    of a choice, or by the one letter that stands alone in it; None where that is not clear.

    >>> chosen("(b)", ["1", "2"]), chosen("The answer is B.", ["cat", "dog"])
    (1, 1)
    >>> chosen("It is a dog", ["cat", "dog"]), chosen("A or B", ["cat", "dog"])
    (1, None)
    """
    said = re.sub(r"[*_`$\\]|\bboxed\b", "", answer).strip()
    bare = said.strip(" \t\n.:;,!()[]{}\"'")
    for by in (_by_letter(bare), _by_text(bare, choices), _by_begin(said), _by_words(said)):
        if by is not None and by < len(choices):
            return by
    named = [at for at, choice in enumerate(choices) if contains(said, choice)]
    # A choice that is part of another one, which is named too, was not meant.
    meant = [
        at for at in named
        if not any(at != to and contains(choices[to], choices[at]) for to in named)
    ]  # fmt: skip
    if len(meant) == 1:
        return meant[0]
    alone = {_by_letter(one) for one in _ALONE.findall(said)} & set(range(len(choices)))
    return alone.pop() if len(alone) == 1 and not meant else None


def _by_letter(text: str) -> int | None:
    one = len(text) == 1 and text.isascii() and text.isalpha()
    return ord(text.upper()) - ord("A") if one else None


def _by_text(text: str, choices: Sequence[str]) -> int | None:
    plain = _plain(text)
    same = [at for at, choice in enumerate(choices) if _plain(choice).strip(" .") == plain]
    return same[0] if len(same) == 1 else None


def _by_begin(text: str) -> int | None:
    """``B. dog``, ``(b) dog``, ``B`` on a line of its own."""
    found = re.match(r"[(\[]?([A-Za-z])(?:[.):\]]|\s*(?:\n|$))", text)
    return _by_letter(found[1]) if found else None


def _by_words(text: str) -> int | None:
    found = [match for match in _SAID.finditer(text) if match[1].isupper()]
    return _by_letter(found[-1][1]) if found else None


# -- JSON --------------------------------------------------------------------------------------


MOST_STARTS = 500  # brackets of an answer at which JSON may begin


def json_value(text: str) -> list[Any]:
    """The JSON of an answer, in a list: the answer itself, or the first object or array in it, in
    code blocks first. Empty where there is none.

    >>> json_value('Sure: {"a": [1]} and so on'), json_value("7"), json_value("seven")
    ([{'a': [1]}], [7], [])
    """
    parts = (*_FENCE.findall(text), text)
    for part in parts:
        with suppress(ValueError, RecursionError):
            return [json.loads(part)]
    return next(filter(None, map(_composed, parts)), [])


def _composed(text: str) -> list[Any]:
    """The first object or array in a text."""
    decoder = json.JSONDecoder()
    for brace in islice(re.finditer(r"[{\[]", text), MOST_STARTS):
        with suppress(ValueError, RecursionError):
            return [decoder.raw_decode(text, brace.start())[0]]
    return []


def same(found: Any, wanted: Any, subset: bool = False) -> bool:
    """Whether two JSON values are equal: whatever the order of keys, 1 as 1.0, but true not as 1.
    With ``subset`` objects may have further keys, at every depth.

    >>> same({"b": 1.0, "a": [2]}, {"a": [2], "b": 1}), same(True, 1)
    (True, False)
    >>> same([{"a": 1, "b": 2}], [{"a": 1}], subset=True)
    True
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        there = wanted.keys() <= found.keys() if subset else wanted.keys() == found.keys()
        return there and all(same(found[key], wanted[key], subset) for key in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        pairs = zip(found, wanted, strict=False)
        return len(found) == len(wanted) and all(same(*pair, subset) for pair in pairs)
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return math.isclose(found, wanted, rel_tol=1e-9)
    return type(found) is type(wanted) and bool(found == wanted)
