"""Why a text is no JSON, in words that are not Python's."""

import json
from typing import Final

# What Python's messages begin with; newer versions word some of them anew.
_WORDS: Final = (
    ("Expecting value", "a value is missing"),
    ("Expecting property name", "a name in double quotes is missing"),
    ("Expecting ':'", "a colon is missing"),
    ("Expecting ','", "a comma is missing"),
    ("Illegal trailing comma", "a comma is too many"),
    ("Extra data", "something follows the end"),
    ("Unterminated string", "the text that begins there has no end"),
    ("Invalid control character", "a control character stands in a text"),
    ("Invalid \\", "what follows the backslash is no escape"),
    ("Unexpected UTF-8 BOM", "it begins with a byte order mark"),
)


def flaw(error: ValueError | RecursionError) -> str:
    """What ``json.loads`` did not like.

    >>> def of(text):
    ...     try:
    ...         json.loads(text)
    ...     except (ValueError, RecursionError) as error:
    ...         return flaw(error)
    >>> of('{"a": }'), of(b'"' + bytes([255]) + b'"')
    ('column 7: a value is missing', 'byte 2 is not UTF-8')
    >>> of("[" * 10**5), of("1" * 5000)
    ('it is nested too deeply', 'a number has too many digits')
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not {error.encoding.upper()}"
    if isinstance(error, json.JSONDecodeError):
        found = (words for begin, words in _WORDS if error.msg.startswith(begin))
        said = next(found, "no JSON goes on so")
        line = f"line {error.lineno}, " if "\n" in error.doc else ""
        return f"{line}column {error.colno}: {said}"
    return "a number has too many digits"
