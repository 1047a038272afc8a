"""The requests that shell scripts send with curl. Nothing is run: a variable counts where the same
file states it once."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from llmrr.migrate.launching.shellscripts import assigned, filled
from llmrr.migrate.values import Call, Env, Prompt, Value

_CURL: Final = re.compile(r"(?m)(?<![\w./#-])curl(?=[ \t])")
_PART: Final = re.compile(
    r"(?P<blank>(?:[ \t]|\\\r?\n)+)|(?P<one>'[^']*')|\$?\"(?P<two>(?:\\.|[^\"\\])*)\""
    r"|(?P<plain>\\.|[^\s'\"\\;|&)]+)",
    re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\(?:([\"\\$`])|\r?\n)")
_BODIES: Final = ("-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json")
_HEADERS: Final = ("-H", "--header")
_HOLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_LONGEST: Final = 40_000  # characters of a command
_MOST: Final = 200  # requests of a script


def requests(text: str) -> Iterator[Call]:
    """What is sent with a body in JSON, as calls of a library would send it."""
    known = assigned(text)
    for count, match in enumerate(_CURL.finditer(text)):
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if count >= _MOST or line.lstrip().startswith("#"):
            continue
        words = [filled(one, known) for one in _words(text, match.end())]
        call = _call(words, text.count("\n", 0, match.start()) + 1)
        if call is not None:
            yield call


def _words(text: str, start: int) -> Iterator[str]:
    """The words of a command; what is quoted may go on over several lines."""
    word: str | None = None
    at, last = start, min(len(text), start + _LONGEST)
    while at < last and (match := _PART.match(text, at, last)):
        at = match.end()
        if match["blank"] is not None:
            if word is not None:
                yield word
            word = None
        elif match["one"] is not None:
            word = (word or "") + match["one"][1:-1]
        elif match["two"] is not None:
            word = (word or "") + _ESCAPED.sub(lambda one: one[1] or "", match["two"])
        else:
            word = (word or "") + match["plain"].removeprefix("\\")
    if word is not None:
        yield word


def _call(words: list[str], line: int) -> Call | None:
    address = next((one for one in words if re.match(r"https?://|\$\{?\w+\}?/", one)), None)
    body: Value = None
    headers: dict[str, Value] = {}
    for name, given in pairwise(words):
        if name in _BODIES:
            body = _body(given)
        elif name in _HEADERS:
            field, _, said = given.partition(":")
            headers[field.strip()] = _header(said.strip())
    if address is None or not isinstance(body, dict):
        return None
    url = Prompt(_holes(address), ()) if address.startswith("$") else address
    return Call("curl.post", (url,), {"json": body, "headers": headers}, line=line, text="curl")


def _body(text: str) -> Value:
    try:
        return _value(json.loads(text, strict=False))
    except (ValueError, RecursionError):
        return None


def _value(value: Value) -> Value:
    """With the variables of the shell as holes."""
    if isinstance(value, dict):
        return {name: _named(name, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_value(one) for one in value]
    if isinstance(value, str) and (holes := [a or b for a, b in _HOLE.findall(value)]):
        return Prompt(_holes(value.replace("{", "{{").replace("}", "}}")), tuple(holes))
    return value


def _named(name: str, value: Value) -> Value:
    found = _HOLE.fullmatch(value) if name == "model" and isinstance(value, str) else None
    return Env(found[1] or found[2]) if found else _value(value)


def _holes(text: str) -> str:
    return re.sub(r"\$(?:\{+(\w+)\}+|([A-Za-z_]\w*))", lambda one: f"{{{one[1] or one[2]}}}", text)


def _header(said: str) -> Value:
    found = _HOLE.fullmatch(said.removeprefix("Bearer").strip())
    return Env(found[1] or found[2]) if found else said
