"""What a name is that comes from another file of the same tree: its exported constants. The file is
read and evaluated as any other, never run, and what it imports itself is not looked into."""

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from llmrr.errors import DamagedFile
from llmrr.migrate.parsing.decoding import decoded
from llmrr.migrate.values import Env, Prompt, Value

_LARGEST: Final = 200_000  # bytes of a file that is looked into
_MOST: Final = 40  # files that one file is looked up in
_BUDGET: Final = 400_000  # bytes of them in all
_UP: Final = 8  # folders above a file that "@/" may stand for
_ROOTS: Final = ("@/", "~/", "src/")
_DIALECTS: Final = {
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
}  # fmt: skip
_DATA: Final = ".json"


class Siblings:
    """The files beside a file, below ``top``, as far as its imports name them."""

    def __init__(self, file: Path, top: Path) -> None:
        self._file, self._top = file, top
        self._files: dict[str, Path | None] = {}
        self._budget = _BUDGET

    def value(self, dotted: str) -> Value:
        """What ``./module.name.member`` is; None where it is not known."""
        if not dotted.startswith((".", *_ROOTS)):
            return None
        for module, names in _split(dotted):
            file = self._located(module)
            if file is not None:
                return _inside(self._exports(file), names)
        return None

    def _exports(self, file: Path) -> Mapping[str, Value]:
        try:
            found = file.stat()
        except OSError:
            return {}
        if found.st_size > min(_LARGEST, self._budget):
            return {}
        self._budget -= found.st_size
        return _evaluated(str(file), found.st_mtime_ns, found.st_size)

    def _located(self, module: str) -> Path | None:
        if module not in self._files:
            places = self._places(module) if len(self._files) < _MOST else ()
            self._files[module] = next((one for one in places if self._is_below(one)), None)
        return self._files[module]

    def _places(self, module: str) -> Iterator[Path]:
        folder = self._file.parent
        wholes = [folder / module]
        if root := next((one for one in _ROOTS if module.startswith(one)), None):
            rest = module if root == "src/" else module[len(root) :]
            above = [folder, *folder.parents][:_UP]
            wholes = [one / inner / rest for one in above for inner in ("", "src")]
        for whole in wholes:
            if whole.suffix in (*_DIALECTS, _DATA):
                yield whole
            if whole.suffix in (".js", ".mjs", ".cjs", ".jsx"):  # as TypeScript names its own
                yield whole.with_suffix(whole.suffix.replace("js", "ts"))
                yield whole.with_suffix(".ts")
            yield from (whole.with_name(f"{whole.name}{one}") for one in (*_DIALECTS, _DATA))
            yield from (whole / f"index{one}" for one in _DIALECTS)

    def _is_below(self, file: Path) -> bool:
        """Whether it is a file that lies below the folder that is looked at, links followed."""
        try:
            real = Path(os.path.realpath(file))
            return file.is_file() and real != self._file and real.is_relative_to(self._top)
        except (OSError, ValueError):
            return False


def _split(dotted: str) -> Iterator[tuple[str, list[str]]]:
    """The ways to read a dotted name as a module and what is in it, the longest module first.

    >>> list(_split("./a.js.b"))
    [('./a.js.b', []), ('./a.js', ['b']), ('./a', ['js', 'b'])]
    """
    head, slash, last = dotted.rpartition("/")
    parts = last.split(".")
    for end in range(len(parts), 0, -1):
        yield f"{head}{slash}{'.'.join(parts[:end])}", parts[end:]


def _inside(exports: Mapping[str, Value], names: list[str]) -> Value:
    """What lies in the exports of a file; ``require`` gives what ``module.exports`` is."""
    found: Value = dict(exports)
    if not names or (names[0] not in exports and isinstance(exports.get("default"), dict)):
        found = exports.get("default", found)
    for name in names:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found if _is_plain(found) else None


def _is_plain(value: Value) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return value is None or isinstance(value, str | int | float | Env | Prompt)


@lru_cache(maxsize=64)
def _evaluated(path: str, changed: int, size: int) -> Mapping[str, Value]:
    """What a file exports; many files of one tree import the same one."""
    from llmrr.migrate import javascript
    from llmrr.migrate.parsing import jsontext

    file = Path(path)
    try:
        text = decoded(file.read_bytes())
        if text is None:
            return {}
        if file.suffix == _DATA:
            return {"default": jsontext.load(text)}
        return javascript.evaluate(text, file, _DIALECTS[file.suffix]).exports
    except (OSError, DamagedFile, RecursionError, MemoryError):
        return {}
