"""What texts have in common: prompts and errors without what differs from one to the next."""

import re
from typing import Final

LONGEST_READ: Final = 200  # characters of a prompt that its shape is made of
SHAPE_WORDS: Final = 6
_LONG_WORD: Final = 24
_DOTS: Final = "…"

_QUOTE = "[\"'`“«]"  # without one nothing is quoted
_TELLING = r"[\d/@:\[]"  # without one of these nothing else varies
# Patterns are texts: compiled when first used, not at every start. The first that matches counts.
# None of them looks at a long word again from each of its letters.
_QUOTED = r'"[^"\n]*"?|`[^`\n]*`?|“[^”\n]*”?|«[^»\n]*»?|' + r"(?<!\w)'[^'\n]*'(?!\w)"
_ADDRESS = (
    r"(?<![\w.+-])(?:[a-z][a-z0-9+.-]*://[^\s)\]>,;\"']*[^\s)\]>,;\"':.]|"
    r"[\w.+-]+@[\w-]+\.[\w.-]+|(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|[\w.-]+:\d{2,5}\b)|"
    r"\[[0-9a-f:]{2,}\](?::\d+)?"
)
_PATH = r"(?<![\w/])(?:~|\.{1,2})?/[^\s,;:)\]]+"
_NUMBER = r"\d+(?:[.,:]\d+)*"
_WORD = rf"(?<![\w-]){_NUMBER}(?![\w-])|(?<![\w-])(?=[a-z_-]*\d)[\w-]+"
_VARYING = (
    rf"(?i)(?P<quoted>{_QUOTED})|(?P<address>{_ADDRESS})|(?P<path>{_PATH})|(?P<word>{_WORD})"
)
_MASKS: Final = {"quoted": f'"{_DOTS}"', "address": "<address>", "path": "<path>"}


def error_pattern(error: str, *names: str) -> str:
    """An error without numbers, ids, addresses, paths, quoted texts and the ``names`` of a model.

    >>> error_pattern('TimedOut: far said nothing for 31.5 s (http://127.0.0.1:8080/v1)', "far")
    'TimedOut: "…" said nothing for # s (<address>)'
    >>> error_pattern("EngineFailed: request 5f0c91d2 of '/m/a.gguf' failed: can't map 3 pages")
    'EngineFailed: request <id> of "…" failed: can\\'t map # pages'
    """
    for name in names:
        if name:
            error = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", '"-"', error)
    return re.sub(_VARYING, _mask, " ".join(error.split()))


def shape(prompt: str) -> str:
    """How a prompt begins: its first words without numbers, quoted texts, addresses and long words.

    >>> shape("Summarise the 3 points of\\n'The Castle' in at most 40 words")
    'summarise the # points of "…" …'
    >>> shape("Translate: " + "x" * 30), shape("  "), shape("日本の首都はどこですか" * 3)
    ('translate: …', '', '日本の首都はどこ…')
    """
    text = prompt[:LONGEST_READ].casefold()
    if re.search(_QUOTE, text):
        text = re.sub(_QUOTED, _MASKS["quoted"], text)
    words = text.split(None, SHAPE_WORDS)
    cut = len(words) > SHAPE_WORDS or len(prompt) > LONGEST_READ
    kept = [word if word.isalpha() else _masked(word) for word in words[:SHAPE_WORDS]]
    kept = [_short(word) for word in kept]
    return " ".join([*kept, _DOTS] if cut and kept[-1:] != [_DOTS] else kept)


def _masked(word: str) -> str:
    # Looking first is faster: there are as many words as there are runs, and more.
    return re.sub(_VARYING, _mask, word) if re.search(_TELLING, word) else word


def _short(word: str) -> str:
    """A word, if it is none that is too long to be one; of a script without spaces its beginning.
    """
    if len(word) <= _LONG_WORD:
        return word
    return _DOTS if word.isascii() else word[:8] + _DOTS


def _mask(match: "re.Match[str]") -> str:
    word = match["word"]
    if word is None:
        return _MASKS[match.lastgroup or ""]
    digits = sum(map(str.isdecimal, word))
    is_id = digits > 1 and any(map(str.isalpha, word))
    return "<id>" if is_id else re.sub(_NUMBER, "#", word)
