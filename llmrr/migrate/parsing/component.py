"""The scripts of a component: Vue's, Svelte's, or Astro's, which begins with one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmrr.migrate.values import Code

_OPENED: Final = re.compile(r"(?i)<script\b([^<>]*)>")
_CLOSED: Final = re.compile(r"(?i)</script\s*>")
_ELEMENTS: Final = re.compile(r"(?i)\blang\s*=\s*[\"']?[jt]sx")
_FRONT: Final = re.compile(r"\s*---[ \t]*\r?\n")
_END: Final = re.compile(r"(?m)^[ \t]*---[ \t]*\r?$")


def evaluated(
    text: str, path: Path, near: tuple[Path, Path] | None = None
) -> "Code | None":
    """The calls and names of all its scripts, which are one file; None where it has none. Raises
    ``DamagedFile``."""
    from llmrr.migrate import javascript

    found = scripts(text, path)
    return javascript.evaluate(found[0], path, found[1], near) if found else None


def scripts(text: str, path: Path) -> tuple[str, str] | None:
    """The text of all its scripts, each byte where it was, with blanks for the rest; and the
    dialect that they are in. None where it has none."""
    found = list(_scripts(text, is_astro=path.suffix.lower() == ".astro"))
    if not found:
        return None
    pieces, at = [], 0
    for start, end, _ in found:
        pieces += [_blank(text[at:start]), text[start:end]]
        at = end
    has_elements = any(_ELEMENTS.search(attributes) for _, _, attributes in found)
    return "".join(pieces), "tsx" if has_elements else "typescript"


def _blank(text: str) -> str:
    return re.sub(rb"[^\r\n]", b" ", text.encode("utf-8", "replace")).decode()


def _scripts(text: str, *, is_astro: bool) -> Iterator[tuple[int, int, str]]:
    """Where each script begins and ends, with the attributes of its element."""
    at = 0
    front = _FRONT.match(text) if is_astro else None
    if front and (end := _END.search(text, front.end())):
        yield front.end(), end.start(), ""
        at = end.end()
    while (opened := _OPENED.search(text, at)) and (
        closed := _CLOSED.search(text, opened.end())
    ):
        yield opened.end(), closed.start(), opened[1]
        at = closed.end()
