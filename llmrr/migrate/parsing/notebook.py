"""The code of a Jupyter notebook, which is JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.errors import DamagedFile

if TYPE_CHECKING:
    from llmrr.migrate.values import Code

# Cells in another language; the rest of "%%" only watches what the cell does.
_WATCHES: Final = re.compile(r"%%(?:time|timeit|capture|prun|memit|mprun|debug)\b")
_JAVASCRIPT: Final = re.compile(r"(?i)javascript|typescript|deno")
_MAGIC: Final = re.compile(r"(?m)^([ \t]*)[%!?].*$")


def evaluated(
    text: str, path: Path, near: tuple[Path, Path] | None = None
) -> "Code | None":
    """The calls and names of the code cells, which are one file, with its lines counted through.
    Raises ``DamagedFile``."""
    try:
        book = json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedFile(f"{path} is not a notebook", "") from None
    cells = list(code_cells(book))
    if not cells:
        return None
    spoken = _language(book)
    if _JAVASCRIPT.search(spoken):
        from llmrr.migrate import javascript

        return javascript.evaluate("\n".join(cells), path, "typescript")
    if "python" not in spoken.lower():
        return None
    from llmrr.migrate import python

    try:
        return python.evaluate("\n".join(cells), path, near)
    except DamagedFile:
        # One cell that is no Python: the lines of the others stay what they are.
        return python.evaluate("\n".join(_compiled(one) for one in cells), path, near)


def code_cells(book: Any) -> Iterator[str]:
    """The sources of the code cells of a notebook, of versions 3 and 4, without lines of magic.

    >>> list(code_cells({"cells": [{"cell_type": "code", "source": ["!pip x\\n", "a = 1"]}]}))
    ['pass\\na = 1']
    """
    yield from map(_without_magic, _sources(book))


def sources(text: str) -> str:
    """The code cells of a notebook as they stand, in the lines of what is evaluated; "" for what is
    none."""
    try:
        return "\n".join(_sources(json.loads(text)))
    except (ValueError, RecursionError):
        return ""


def _sources(book: Any) -> Iterator[str]:
    if not isinstance(book, dict):
        return
    sheets = book.get("worksheets")
    parts = sheets if isinstance(sheets, list) else [book]
    for part in parts:
        cells = part.get("cells") if isinstance(part, dict) else None
        for cell in cells if isinstance(cells, list) else ():
            if not isinstance(cell, dict) or cell.get("cell_type") != "code":
                continue
            source = cell.get("source", cell.get("input"))
            if isinstance(source, list):
                source = "".join(one for one in source if isinstance(one, str))
            if isinstance(source, str):
                yield source


def _without_magic(source: str) -> str:
    if source.startswith("%%") and not _WATCHES.match(source):
        return "\n" * source.count("\n")
    return _MAGIC.sub(r"\1pass", source)


def _language(book: Any) -> str:
    meta = book.get("metadata")
    found: list[str] = []
    for table in ("language_info", "kernelspec"):
        facts = meta.get(table) if isinstance(meta, dict) else None
        for key in ("name", "language"):
            if isinstance(facts, dict) and isinstance(facts.get(key), str):
                found.append(facts[key])
    return " ".join(found) or "python"


def _compiled(source: str) -> str:
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
        return source
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "\n" * source.count("\n")
