"""Properties of Java: ``a.b.c = value``, as the tables that the dots stand for."""

import re
from typing import Any, Final

_LINE: Final = re.compile(r"\s*([\w.\[\]-]+)\s*[=:]\s*(.*?)\s*")
_MOST: Final = 20_000  # lines
_DEEPEST: Final = 30  # parts of a name


def load(text: str) -> dict[str, Any]:
    """The tree of a text; a name that has a value and parts keeps its parts.

    >>> load("# c\\na.b-c=1\\na.d : x = y\\n!no")
    {'a': {'b-c': '1', 'd': 'x = y'}}
    """
    found: dict[str, Any] = {}
    whole = re.sub(r"\\\r?\n[ \t]*", "", text)
    for line in whole.splitlines()[:_MOST]:
        match = None if line.lstrip().startswith(("#", "!")) else _LINE.fullmatch(line)
        parts = match[1].split(".") if match else []
        if match is None or len(parts) > _DEEPEST:
            continue
        table = found
        for part in parts[:-1]:
            inner = table.get(part)
            if not isinstance(inner, dict):
                inner = table[part] = {}
            table = inner
        if not isinstance(table.get(parts[-1]), dict):
            table[parts[-1]] = match[2]
    return found
