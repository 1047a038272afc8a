"""A text of Python as a tree."""

import ast
import re
import warnings
from pathlib import Path
from typing import Final

from llmrr.errors import DamagedFile
from llmrr.migrate.terms.code_keys import shown

# What notebooks allow beside Python: magics, shell commands, questions for help.
_SHOWN: Final = 80  # characters of a node
_MAGIC: Final = re.compile(r"^([ \t]*)(?:[!%]|(?:[\w.]+\?{1,2}|\?{1,2}[\w.]+)\s*$).*")
_ASSIGNED: Final = re.compile(r"^([ \t]*[\w, ]+=)[ \t]*[!%].*")


class Source:
    """A file of Python: its tree, and the text of each part of it. Raises ``DamagedFile``."""

    def __init__(self, text: str, path: Path) -> None:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        try:
            self.tree = tree_of(text)
        except (SyntaxError, ValueError) as first:
            text = _without_magic(text)
            try:
                self.tree = tree_of(text)
            except (SyntaxError, ValueError):
                line = getattr(first, "lineno", None)
                place = f"{path}, line {line}" if line else str(path)
                raise DamagedFile(
                    f"{place} is not Python 3", "correct this file, or leave it out"
                ) from None
        self._lines = text.encode(errors="replace").split(b"\n")

    def text(self, node: ast.expr) -> str:
        """The first line of a node as it stands in the file, at most 80 characters, without
        keys."""
        if node.lineno > len(self._lines):  # it does not stand in the file
            return shown(ast.unparse(node))[:_SHOWN]
        line, start = self._lines[node.lineno - 1], node.col_offset
        end = start + _SHOWN * 4
        if node.end_lineno == node.lineno and node.end_col_offset is not None:
            end = min(end, node.end_col_offset)
        return shown(line[start:end].decode(errors="replace"))[:_SHOWN]


def tree_of(text: str) -> ast.Module:
    """The tree of a text. Raises ``SyntaxError`` or ``ValueError``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes that Python will refuse one day
        return ast.parse(text)


def _without_magic(text: str) -> str:
    lines = (_ASSIGNED.sub(r"\1 ...", line) for line in text.split("\n"))
    return "\n".join(_MAGIC.sub(r"\1pass", line) for line in lines)
