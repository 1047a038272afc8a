"""Literals of JavaScript as values, and values as the texts that JavaScript makes of them."""

import math
import re
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,8})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|.))", re.DOTALL
)
_LETTERS: Final = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0",
    "\n": "", "\r\n": "", "\r": "", "\u2028": "", "\u2029": "",
}  # fmt: skip
_WHOLE: Final = re.compile(r"[+-]?\d{1,30}")
_DECIMAL: Final = re.compile(
    r"[+-]?(?:\d{1,30}\.?\d{0,30}|\.\d{1,30})(?:[eE][+-]?\d{1,3})?"
)


def unescaped(text: str) -> str:
    """What stands between quotes.

    >>> unescaped(r"a\\n\\x41\\u{1F600}\\'")
    "a\\nA😀'"
    """
    if "\\" not in text:
        return text
    return _paired(_ESCAPE.sub(_letter, text))


def _letter(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is None:
        return _LETTERS.get(found[4], found[4])
    return chr(min(int(code, 16), 0x10FFFF))


def _paired(text: str) -> str:
    """Halves of characters as whole ones; a lonely half is replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def number(text: str) -> int | float | None:
    """A number as it is written, or None.

    >>> number("4_096"), number("0x10"), number("1e-5"), number("2n"), number("017"), number(".5")
    (4096, 16, 1e-05, 2, 15, 0.5)
    """
    plain = text.replace("_", "").lower()
    if len(plain) > 40:
        return None
    try:
        if re.fullmatch(r"0\d+", plain):
            return int(plain, 8) if re.fullmatch(r"[0-7]+", plain) else int(plain)
        if re.fullmatch(r"0[xob][0-9a-f]+n?", plain):
            return int(plain.removesuffix("n") if plain[1] != "x" else plain.rstrip("n"), 0)
        if re.fullmatch(r"\d+n?", plain):
            return int(plain.removesuffix("n"))
        found = float(plain)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def read_number(text: str, *, whole: bool, prefix: bool) -> int | float | None:
    """What ``Number``, ``parseInt`` or ``parseFloat`` makes of a text, None for no number.

    >>> read_number("12px", whole=True, prefix=True), read_number("0.7", whole=False, prefix=False)
    (12, 0.7)
    >>> read_number("12px", whole=False, prefix=False) is None
    True
    """
    pattern = _WHOLE if whole else _DECIMAL
    match = (pattern.match if prefix else pattern.fullmatch)(text.strip())
    if not match:
        return None
    return whole_number(float(match[0]))


def whole_number(found: int | float) -> int | float | None:
    """A number, as a whole one where it is; None for what is none.

    >>> whole_number(2.0), whole_number(0.5), whole_number(float("inf")) is None
    (2, 0.5, True)
    """
    if isinstance(found, int):
        return found
    if not math.isfinite(found):
        return None
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def written(value: object) -> str:
    """A plain value as ``String(value)`` writes it.

    >>> written(True), written(None), written(2.0), written(0.5), written("a")
    ('true', 'null', '2', '0.5', 'a')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float):
        return str(whole_number(value))
    return str(value)
