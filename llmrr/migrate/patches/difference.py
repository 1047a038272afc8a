"""The lines in which a file differs, as ``git apply`` and ``patch`` read them, without any key."""

import difflib
import re
from collections.abc import Collection
from typing import Final

from llmrr.migrate.terms import code_keys, secrets
from llmrr.migrate.terms.withheld import literals
from llmrr.migrate.values import Code

_CONTEXT: Final = (3, 2, 1)  # lines around a change; git needs one
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")


def keys_of(text: str, code: Code) -> set[str]:
    """The keys that stand in a file of code."""
    found = {key for _, _, key in code_keys.assigned(text)} | set(code_keys.given(text))
    for call in code.calls:
        found |= {key for _, key in literals([list(call.args), dict(call.fields)])}
    return found | {key for _, key in literals(dict(code.names))}


def difference(path: str, before: str, after: str, keys: Collection[str]) -> str | None:
    """The text of the difference; "" where there is none, and None where it would show a key."""
    old, new = _LINES.findall(before), _LINES.findall(after)
    for context in _CONTEXT:
        lines = list(difflib.unified_diff(old, new, _name("a", path), _name("b", path), n=context))
        if not any(_has_key(line, keys) for line in lines):
            return "".join(map(_ended, lines))
    return None


def _has_key(line: str, keys: Collection[str]) -> bool:
    return secrets.masked(line) != line or any(len(one) > 3 and one in line for one in keys)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _name(side: str, path: str) -> str:
    """A path as git reads it: what follows a tab is no part of it."""
    return f"{side}/{path}\t" if " " in path else f"{side}/{path}"
