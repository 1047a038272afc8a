"""What a file imports of other files that are scanned with it: their constants and settings.

Only plain values count: what another file makes is told where that is read. A file is looked for
where Python would find it when the program is started in a folder above; nothing outside of the
folder that is scanned is read, and nothing is imported.
"""

import ast
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.values import Env, Prompt, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.evaluation import Evaluator

_LARGEST: Final = 200_000  # bytes of a file that is looked into
_MOST: Final = 200  # files that are kept
_DEEPEST: Final = 3  # imports of imports
_END: Final = 10_000_000  # a line behind all others


@dataclass(slots=True)
class Scanned:
    """The files below ``root``, each evaluated once."""

    root: str
    depth: int = 0
    files: "dict[str, Evaluator | None]" = field(default_factory=dict)
    names: dict[str, frozenset[str]] = field(default_factory=dict)

    def holds(self, folder: str, name: str) -> bool:
        """Whether something of this name lies in a folder."""
        if folder not in self.names:
            try:
                self.names[folder] = frozenset(one.name for one in os.scandir(folder))
            except OSError:
                self.names[folder] = frozenset()
        return name in self.names[folder]

    def is_below(self, path: str) -> bool:
        """Whether a path lies in what is scanned, links followed."""
        return Path(os.path.realpath(path)).is_relative_to(self.root)

    def evaluator(self, path: str) -> "Evaluator | None":
        """A file, evaluated when something of it is asked for; None for what cannot be."""
        if path not in self.files and len(self.files) < _MOST:
            self.files[path] = None  # while it is read
            self.files[path] = self._evaluated(path)
        return self.files.get(path)

    def _evaluated(self, path: str) -> "Evaluator | None":
        from llmrr.migrate.parsing.decoding import decoded
        from llmrr.migrate.python.evaluation import Evaluator
        from llmrr.migrate.python.syntax import Source
        from llmrr.migrate.reading import read

        try:
            content = read(path)
            text = decoded(content.data) if content.size <= _LARGEST else None
            if text is None:
                return None
            at = Path(path)
            return Evaluator(Source(text, at), at, Modules(self, str(at.parent)))
        except (OSError, DamagedFile, RecursionError, MemoryError):
            return None


@dataclass(slots=True)
class Modules:
    """The modules that a file in ``folder`` may import of those that are scanned."""

    scanned: Scanned
    folder: str
    _known: dict[str, Value] = field(default_factory=dict)
    _nodes: list[ast.expr] = field(default_factory=list)  # values are kept by the id of the node

    def value(self, dotted: str) -> Value:
        """What a dotted name of an import stands for; None where that is nothing plain."""
        if dotted not in self._known:
            self._known[dotted] = None  # while it is evaluated
            if self.scanned.depth < _DEEPEST:
                self.scanned.depth += 1
                try:
                    self._known[dotted] = self._value(dotted)
                finally:
                    self.scanned.depth -= 1
        return self._known[dotted]

    def _value(self, dotted: str) -> Value:
        up = len(dotted) - len(dotted.lstrip("."))
        parts = dotted[up:].split(".")
        found = next((one for start in self._starts(up) if (one := self._file(start, parts))), None)
        if found is None or found[1] == len(parts):
            return None
        evaluator = self.scanned.evaluator(found[0])
        if evaluator is None:
            return None
        node = ast.parse(".".join(parts[found[1] :]), mode="eval").body
        ast.increment_lineno(node, _END)
        self._nodes.append(node)
        value = evaluator.value(node, evaluator.walk.top)
        return value if _is_plain(value) else None

    def _starts(self, up: int) -> list[str]:
        """The folders in which a module may lie, the nearest first."""
        folder = Path(self.folder)
        if up:
            folders = [folder, *folder.parents]
            folders = folders[up - 1 : up]
        else:
            folders = [folder, *folder.parents]
        return [str(one) for one in folders if one.is_relative_to(self.scanned.root)]

    def _file(self, start: str, parts: list[str]) -> tuple[str, int] | None:
        """The file of a module, and how many parts of the name it takes."""
        at = start
        for count, part in enumerate(parts):
            if self.scanned.holds(at, f"{part}.py"):
                return self._inside(f"{at}/{part}.py", count + 1)
            if self.scanned.holds(at, "__init__.py") and not self.scanned.holds(at, part) and count:
                return self._inside(f"{at}/__init__.py", count)
            if not self.scanned.holds(at, part):
                return None
            at = f"{at}/{part}"
        return None

    def _inside(self, path: str, count: int) -> tuple[str, int] | None:
        return (path, count) if self.scanned.is_below(path) else None


def _is_plain(value: Value) -> bool:
    """Whether a value means the same in another file: a path beside the file would not."""
    if isinstance(value, list | dict):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    if isinstance(value, Env):
        return _is_plain(value.default)
    if isinstance(value, str):
        return not value.startswith(("./", "../"))
    return value is None or isinstance(value, int | float | Prompt)
