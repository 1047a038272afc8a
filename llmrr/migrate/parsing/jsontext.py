"""JSON, and what people write for it: comments, trailing commas, JSON5."""

import json
import re
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.parsing.shapes import checked

_LENIENT: Final = 2_000_000  # characters that are searched for comments
_JSON5: Final = 32_000  # characters; json5 takes a second for 80,000

# Each alternative consumes what it began, so that the time is linear whatever the text holds.
_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_COMMENT: Final = re.compile(rf"(?s)({_STRING})|//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?")
_COMMA: Final = re.compile(rf"(?s)({_STRING})|,(?=\s*+[\]}}])")
_TOKEN: Final = re.compile(rf"(?s)({_STRING})(\s*+:)?|[{{}}\[\]]")
_BEGINS: Final = re.compile(r"\s*(?://|/\*|[\[{]\s*(?:[\"'\]}\d{\[/]|[\w$]+\s*:|true|false|null))")


def load(text: str) -> Any:
    """The tree of a text; None for lines of JSON, and for what does not begin as JSON does. Raises
    ``DamagedFile``.

    >>> load('{"a": 1, // one\\n "b": [2,],}')
    {'a': 1, 'b': [2]}
    """
    try:
        return checked(json.loads(text))
    except json.JSONDecodeError as error:
        if _is_lines(text, error):
            return None
        return _lenient(text, error)
    except RecursionError:
        raise DamagedFile("nested too deeply", "") from None
    except ValueError:
        raise DamagedFile("a number has too many digits", "") from None


def _is_lines(text: str, error: json.JSONDecodeError) -> bool:
    """Whether every line is a document of its own, which are records and not settings."""
    return error.msg == "Extra data" and error.lineno > 1 and text[error.pos] in "[{"


def _lenient(text: str, error: json.JSONDecodeError) -> Any:
    if not _BEGINS.match(text):
        return None
    if len(text) > _LENIENT:
        raise _damaged(error)
    plain = _COMMA.sub(_kept, _COMMENT.sub(_kept, text))
    try:
        return checked(json.loads(plain, strict=False))
    except RecursionError:
        raise DamagedFile("nested too deeply", "") from None
    except json.JSONDecodeError as second:
        return _json5(plain, second)
    except ValueError:
        raise DamagedFile("a number has too many digits", "") from None


def _json5(text: str, error: json.JSONDecodeError) -> Any:
    import json5

    # Half-written: what else it may be does not matter.
    if len(text) > _JSON5 or text.rstrip()[-1:] not in ("}", "]", ";", ")"):
        raise _damaged(error)
    try:
        return checked(json5.loads(text))
    except (ValueError, RecursionError):
        raise _damaged(error) from None


def _kept(found: re.Match[str]) -> str:
    """A text stays, and the lines of a comment are still counted."""
    return found[1] or "\n" * found[0].count("\n") or " "


def _damaged(error: json.JSONDecodeError) -> DamagedFile:
    end = "it ends too early" if error.pos >= len(error.doc.rstrip()) else error.msg.lower()
    return DamagedFile(f"not JSON: {end} (line {error.lineno})", "")


def duplicates(text: str) -> list[tuple[str, int]]:
    """Keys that stand twice in one object, with the line of the second.

    >>> duplicates('{"a": 1,\\n"b": {"a": 2},\\n"a": 3}')
    [('a', 3)]
    """
    if len(text) > _LENIENT:
        return []
    text = _COMMENT.sub(_kept, text)
    found: list[tuple[str, int]] = []
    known: list[set[str]] = [set()]
    line, at = 1, 0
    for token in _TOKEN.finditer(text):
        if token[2] is not None:
            key = token[1][1:-1]
            if key in known[-1]:
                line, at = line + text.count("\n", at, token.start()), token.start()
                found.append((key, line))
            known[-1].add(key)
        elif token[0] in "{[":
            known.append(set())
        elif token[0] in "}]" and len(known) > 1:
            known.pop()
    return found
