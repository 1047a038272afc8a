"""What a name is that comes from another module of the same tree: read and evaluated as any other
file, never imported."""

import ast
import os
import re
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.parsing.decoding import decoded
from llmrr.migrate.values import Call, Env, OneOf, Prompt, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.evaluation import Evaluator

_LARGEST: Final = 60_000  # bytes of a module that is looked into
_UP: Final = 5  # folders above a file that its imports may start from
_MOST: Final = 40  # modules that one file is looked up in
_BUDGET: Final = 250_000  # bytes of them in all
_KEPT: Final = 12  # modules: their trees are large
_DEEPEST: Final = 2  # a module, and the one that it hands on a name of
_LIKELY: Final = re.compile(
    r"(?i)setting|conf(?:ig|\b)|const|client|prompt|openai|llm|gpt|(?:\b|_)env|default|param|secret"
    r"|_key|model_?(?:name|id)|template|instruction|system|\.[A-Z][A-Z_\d]+(?:\.|$)"
)
# Whose clients are taken along; all else that is made elsewhere is told of where it is made.
_CLIENTS: Final = frozenset({
    "openai", "groq", "together", "cerebras", "fireworks", "anthropic", "mistralai", "cohere",
    "google", "ollama",
})  # fmt: skip


class Modules:
    """The modules beside a file, below ``top``, as far as its imports name them."""

    def __init__(self, file: Path, top: Path, depth: int = 1) -> None:
        self._folder, self._top, self._depth = file.parent, top, depth
        self._files: dict[str, Path | None] = {}
        self._values: dict[tuple[str, str], Value] = {}
        self._budget = _BUDGET // self._depth

    def value(self, dotted: str, line: int, rest: str = "") -> Value:
        """What ``package.module.name`` is, with ``rest`` (``()``, ``().name``) after it; None where
        it is not known. ``line`` is where it is imported."""
        if not _is_likely(dotted, rest):
            return None
        key = dotted, rest
        if key not in self._values:
            self._values[key] = None
            found = self._found(dotted, rest)
            if isinstance(found, Call | OneOf):  # their lines are those of the other file
                found = replace(found, line=line)
            self._values[key] = found
        return self._values[key]

    def _found(self, dotted: str, rest: str) -> Value:
        for module, name in _split(dotted):
            file = self._file(module)
            if file is None:
                continue
            state = _state(file)
            if state is None or state[1] > self._budget:
                return None
            self._budget -= state[1]
            try:
                other = _evaluator(str(file), self._top, self._depth, state)
                return _taken(other, f"{name}{rest}") if other else None
            except (RecursionError, MemoryError):
                return None
        return None

    def _file(self, module: str) -> Path | None:
        if module not in self._files:
            full = len(self._files) >= _MOST
            self._files[module] = None if full else self._located(module)
        return self._files[module]

    def _located(self, module: str) -> Path | None:
        plain = module.lstrip(".")
        level = len(module) - len(plain)
        parts = [one for one in plain.split(".") if one]
        start = self._folder
        starts = [start, *start.parents[:_UP]] if not level else [[start, *start.parents][level - 1]
                  if level <= len(start.parents) else start]  # fmt: skip
        for folder in starts:
            if folder != self._top and not folder.is_relative_to(self._top):
                return None
            whole = folder.joinpath(*parts)
            for file in (whole.with_name(f"{whole.name}.py") if parts else None,
                         whole / "__init__.py"):  # fmt: skip
                if file is not None and _is_below(file, self._top):
                    return file
        return None


def is_client(call: Call) -> bool:
    """Whether a call makes a client of a provider's library."""
    root, _, name = call.callee.partition(".")
    return call.receiver is None and root in _CLIENTS and name[:1].isupper()


def _is_likely(dotted: str, rest: str) -> bool:
    """Whether it is worth to look into a module for a name: a constant, settings, a client, a
    prompt. An object of a class that is made elsewhere is none of these."""
    root, name = dotted.partition(".")[0], dotted.rpartition(".")[2]
    made = rest == "()" and any(one[:1].isupper() for one in dotted.split(".")[-2:])
    if root in sys.stdlib_module_names or made:
        return False
    return name.isupper() or _LIKELY.search(dotted) is not None


def _split(dotted: str) -> list[tuple[str, str]]:
    """The ways to read a dotted name as a module and what is in it, the longest module first."""
    plain = dotted.lstrip(".")
    dots = dotted[: len(dotted) - len(plain)]
    parts = plain.split(".")
    found = [(dots + ".".join(parts[:at]), ".".join(parts[at:]))
             for at in range(len(parts) - 1, 0, -1)]  # fmt: skip
    return [*found, (dots, plain)] if dots else found


def _taken(other: "Evaluator", text: str) -> Value:
    """What an expression gives at the end of a module, if that may be taken along."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    for one in ast.walk(node):
        if isinstance(one, ast.expr):
            one.lineno = one.end_lineno = 10**9
            one.col_offset = 0
    found = other.aside(node, other.walk.top)
    if isinstance(found, Call):
        return found if is_client(found) else None
    return found if _is_plain(found) else None


def _is_plain(value: Value) -> bool:
    if isinstance(value, OneOf):
        return bool(value.values) and all(map(_is_plain, value.values))
    if isinstance(value, Call | Unresolved):
        return False
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, str | int | float | Env | Prompt)


def _is_below(file: Path, top: Path) -> bool:
    """Whether it is a file that lies below a folder, links followed."""
    try:
        return file.is_file() and Path(os.path.realpath(file)).is_relative_to(top)
    except (OSError, ValueError):
        return False


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found.st_size <= _LARGEST else None


@lru_cache(maxsize=_KEPT)
def _evaluator(
    path: str, top: Path, depth: int, state: tuple[int, int]
) -> "Evaluator | None":
    """The evaluated file; many files of one tree import the same one."""
    from llmrr.migrate.python.evaluation import Evaluator
    from llmrr.migrate.python.syntax import Source

    file = Path(path)
    try:
        text = decoded(file.read_bytes())
        source = Source(text, file) if text is not None else None
    except (OSError, DamagedFile, RecursionError, MemoryError):
        return None
    if source is None:
        return None
    try:
        modules = Modules(file, top, depth + 1) if depth < _DEEPEST else None
        return Evaluator(source, file, modules)
    except (RecursionError, MemoryError):
        return None
