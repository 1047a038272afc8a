"""The macros of llama-swap: ``${name}`` in a text, which may hold others. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

_LONGEST: Final = 100_000  # characters that macros may blow a text up to
_DEEPEST: Final = 20  # macros in macros
_MACRO: Final = re.compile(r"\$\{([\w.-]+)\}")


def expanded(text: str, macros: Mapping[str, Any]) -> str:
    """A text with its macros filled in; those that are not known stay.

    >>> expanded("${run} -c ${ctx} ${PORT}", {"run": "llama-server -m ${MODEL_ID}", "ctx": 8})
    'llama-server -m ${MODEL_ID} -c 8 ${PORT}'
    """
    for _ in range(_DEEPEST):
        size = len(text)
        for found in _MACRO.finditer(text):
            size += len(str(macros.get(found[1], "")))
        if size > _LONGEST:
            return text
        changed = _MACRO.sub(
            lambda found: str(macros[found[1]]) if found[1] in macros else found[0], text
        )
        if changed == text:
            break
        text = changed
    return text
