"""Keys that stand where no model takes one: they are kept out of every text, and told."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.migrate.artefact import Findings
from llmrr.migrate.terms import secrets
from llmrr.migrate.values import Call, Env, OneOf, Value

_DEEPEST: Final = 40
_MOST: Final = 100_000
_SCHEME: Final = re.compile(r"(?i)^(?:bearer|basic|token|api-?key)\s+(?=\S)")  # of a header


def withhold(value: Any, findings: Findings, line: int | None = None, *, at: str = "") -> bool:
    """Keep every literal key in a value out of what is said; whether there was one. With ``at``,
    the place in the file, each is told as ``secret-in-clear``; without, another will tell."""
    found = False
    for name, text in literals(value, at):
        findings.secrets.add(text)
        found = True
        if at:
            said = f"{name} holds a key in clear: it stays in that file"
            findings.warn("secret-in-clear", said, findings.line_of(text, line), name)
    return found


def literals(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """The keys in a value that stand there themselves, each with its place: by the name of their
    field first, then by how they look.

    >>> list(literals({"a": {"api_key": "0a1b2c"}, "apiKeys": ["${env.K}", "EMPTY", "x9y8z7"]}))
    [('a.api_key', '0a1b2c'), ('apiKeys', 'x9y8z7')]
    """
    waiting: list[tuple[str, bool, Any, int]] = [(at, secrets.is_secret_field(_last(at)), value, 0)]
    seen = 0
    while waiting and seen < _MOST:
        place, secret, one, depth = waiting.pop()
        seen += 1
        if isinstance(one, Mapping) and depth < _DEEPEST:
            waiting += reversed([
                (f"{place}.{key}".lstrip("."), secrets.is_secret_field(str(key)), inner, depth + 1)
                for key, inner in one.items()
            ])  # fmt: skip
        elif isinstance(one, list | tuple) and depth < _DEEPEST:
            waiting += reversed([(place, secret, inner, depth + 1) for inner in one])
        elif isinstance(one, Env | OneOf | Call) and depth < _DEEPEST:
            parts = _of_code(one, secret)
            waiting += reversed([(place, secret, inner, depth + 1) for inner in parts])
        elif isinstance(one, str) and _is_key(plain := _SCHEME.sub("", one.strip()), secret):
            yield place, plain


def _of_code(value: Env | OneOf | Call, secret: bool) -> Sequence[Value]:
    """What in code may be a value: the default of a variable, branches, and what is wrapped."""
    if isinstance(value, Env):
        return (value.default,)
    if isinstance(value, OneOf):
        return value.values
    return (*value.args, *value.fields.values()) if secret else ()


def _is_key(plain: str, by_field: bool) -> bool:
    """Whether a text is a key: in a field for one, or by how it looks as a whole."""
    if secrets.is_placeholder(plain) or secrets.reference(plain) is not None or "${" in plain:
        return False
    return by_field or (" " not in plain and "/" not in plain and secrets.looks_secret(plain))


def _last(place: str) -> str:
    return place.rpartition(".")[2]
