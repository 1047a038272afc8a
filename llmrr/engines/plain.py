"""Which chat templates are so plain that rendering them cannot take much memory or time.

They show parts of what they are given, one after the other, and keep nothing that has grown: there
are conditions, loops over what is there, names for a part of something, and expressions that put a
few values together. No step of these then works on more than ``OPERANDS`` times what was given,
and minijinja counts the steps (``FUEL``).
"""

import re
from functools import lru_cache

FUEL = 4_000
OPERANDS = 16  # in one expression
LONGEST = 6_000  # characters of a template: minijinja's parser recurses, and this fits any stack
LARGEST = 100_000  # characters of the conversation

_TAG = re.compile(r"\{\{[-+]?(?P<shown>.*?)[-+]?\}\}|\{%[-+]?(?P<done>.*?)[-+]?%\}", re.DOTALL)
_TEXT = re.compile(r"'(?:[^'\\]|\\[nrt'\"\\])*'|\"(?:[^\"\\]|\\[nrt'\"\\])*\"")
_STATEMENT = re.compile(
    r"\s*(?:(?P<alone>else|endif|endfor)|(?:if|elif)\s(?P<asked>.*)"
    r"|for\s+\w+\s+in\s(?P<part>.*)|set\s+\w+\s*=(?P<named>.*))\s*",
    re.DOTALL,
)
_ALTERNATES = re.compile(r"\bloop\.index0? ?% ?2\b")
_WORDS = re.compile(r"[\w\s.,:|~+()\[\]<>=!-]*")
_OPERATOR = re.compile(r"[~+,(\[|]|\b(?:and|or|in|else)\b")
_FILTER = re.compile(r"\|\s*(\w*)")
_FILTERS = frozenset({"trim", "lower", "upper", "length", "first", "last", "default", "d"})
# What stands before an opening parenthesis: nothing that is called, or one of these.
_CALL = re.compile(r"([\w.\])]*)\s*\(")
_CALLED = re.compile(
    r"|if|elif|and|or|not|in|else|raise_exception|default|d"
    r"|[\w.\])]*\.(?:strip|lstrip|rstrip|startswith|endswith)"
)
_PART = re.compile(r"[\w\s.:\[\]-]*")  # of what is there: nothing is put together


@lru_cache(16)
def is_plain(text: str) -> bool:
    """May this template be rendered in the user's process?

    >>> is_plain("{% for m in messages %}{{ '<' + m.role + '>' + m.content | trim }}{% endfor %}")
    True
    >>> is_plain("{% set n = namespace(x='a') %}{% for m in messages %}{% set n.x = n.x ~ n.x %}…")
    False
    """
    if len(text) > LONGEST:
        return False
    end = 0
    for tag in _TAG.finditer(text):
        if _opens(text[end : tag.start()]) or not _is_plain_tag(tag):
            return False
        end = tag.end()
    return not _opens(text[end:])


def _opens(between: str) -> bool:
    """Does a comment begin here, or a tag that does not end?"""
    return "{{" in between or "{%" in between or "{#" in between


def _is_plain_tag(tag: re.Match[str]) -> bool:
    if tag["shown"] is not None:
        return _is_plain_expression(tag["shown"])
    statement = _STATEMENT.fullmatch(tag["done"])
    if statement is None:
        return False
    if (asked := statement["asked"]) is not None:
        return _is_plain_expression(asked)
    # No text contains the end of its tag: a quote would be left over, and no part has quotes.
    part = _TEXT.sub("0", statement["part"] or statement["named"] or "")
    return bool(_PART.fullmatch(part))


def _is_plain_expression(written: str) -> bool:
    words = _ALTERNATES.sub("0", _TEXT.sub(" 0 ", written))
    return (
        bool(_WORDS.fullmatch(words))
        and len(_OPERATOR.findall(words)) < OPERANDS
        and words.count("(") == words.count(")")
        and words.count("[") == words.count("]")
        and _FILTERS.issuperset(_FILTER.findall(words))
        and all(_CALLED.fullmatch(called) for called in _CALL.findall(words))
    )
