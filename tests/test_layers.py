"""The map of the package: imports point only up the list, lazy ones and those for types too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmrr

ROOT = Path(llmrr.__file__).parent

# A layer may import the earlier ones; what stands in one layer does not import each other. Files
# of one folder may. Reading a configuration is four steps, one part each.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "types", "paths"),
    ("prompts", "packing", "jsonflaws"),
    ("database", "journal", "hub", "similarity", "formats", "hardware", "kinds", "tomltext",
     "tomllayout", "envfile"),
    ("strategies", "flags", "keys", "tomledit"),
    ("sides",),
    ("settings",),
    ("environment", "tomlfile", "parameters", "trust", "guide"),
    ("config", "modelfile", "translating"),
    ("store", "engines", "routing", "stats", "pairs", "speeds", "live"),
    ("pool", "evaluate", "spending", "alerts", "summaries"),
    ("convert", "warm"),
    ("catalogue",),
    ("description", "inventory"),
    ("choosing",),
    ("router",),
    ("protocols", "cluster"),
    ("bench", "optimize", "doctor", "batch", "compat", "metrics", "monitor"),
    ("migrate", "server"),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ABOVE_ALL = {"__init__", "__main__"}
FOLDERS = {"database", "journal", "modelfile", "kinds", "settings", "tomlfile", "config", "formats",
           "engines", "hardware", "hub", "store", "routing", "evaluate", "convert", "catalogue",
           "choosing", "bench", "optimize", "batch", "pool", "warm", "migrate", "protocols",
           "server", "cli", "builtin"}  # fmt: skip


def part_of(file: Path, root: Path) -> str:
    """The part of the map that a file belongs to: its folder, or its own name."""
    first = file.relative_to(root).parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every module of ours that is imported, wherever that stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                base = [*package[: len(package) - node.level + 1], *base]
            names = [".".join([*base, alias.name]) for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            names = [str(node.args[0].value)] if called in ("import_module", "__import__") else []
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "llmrr")


def violations(root: Path) -> list[str]:
    """What in a package of our shape does not keep to the map."""
    found = []
    for file in sorted(root.rglob("*.py")):
        part = part_of(file, root)
        place = file.relative_to(root)
        if part not in LEVEL and part not in ABOVE_ALL | {"builtin"}:
            found.append(f"{place} is not on the map")
            continue
        package = ("llmrr", *place.parts[:-1])
        for line, name in imported(ast.parse(file.read_text()), package):
            target = [*name.split("."), ""][1]
            if reason := _refused(part, place, target):
                found.append(f"{place}:{line} imports {name}: {reason}")
    return found


def _refused(part: str, place: Path, target: str) -> str:
    if part in ABOVE_ALL or (part == target and part in FOLDERS):
        return ""
    if target == "__version__":  # a literal in the package's first file, for every reader
        return ""
    if part == "builtin":
        return "" if place.name == "recipe.py" else "builtin imports nothing of llmrr"
    if target not in LEVEL:
        return "not on the map"
    return "" if LEVEL[target] < LEVEL[part] else "only earlier layers"


def test_imports_point_only_up_the_map() -> None:
    assert violations(ROOT) == []


def test_folders_are_only_the_families() -> None:
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert found <= FOLDERS


@pytest.mark.parametrize(
    ("file", "source", "reason"),
    [
        ("errors.py", "from llmrr.types import Chunk", "only earlier layers"),
        ("config.py", "import llmrr.router", "only earlier layers"),
        ("formats/gguf.py", "from llmrr.hardware import fit", "only earlier layers"),
        ("stats.py", "def f():\n from llmrr import engines", "only earlier layers"),
        ("stats.py", "if TYPE_CHECKING:\n from .cli import app", "only earlier layers"),
        ("formats/gguf.py", "from ..router import Router", "only earlier layers"),
        ("router.py", "import importlib\nimportlib.import_module('llmrr.cli.app')", "earlier"),
        ("router.py", "from llmrr import builtin", "not on the map"),
        ("router.py", "import llmrr", "not on the map"),
        ("builtin/extra.py", "from llmrr import paths", "builtin imports nothing"),
        ("helpers.py", "import os", "is not on the map"),
    ],
)
def test_the_test_itself_sees(tmp_path: Path, file: str, source: str, reason: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source + "\n")
    found = violations(tmp_path)
    assert len(found) == bool(reason)
    assert reason in "".join(found)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("engines/a.py", "from llmrr.engines.base import Engine"),
        ("engines/a.py", "from .base import Engine"),
        ("cli/app.py", "from llmrr import __version__, config"),
        ("builtin/recipe.py", "from llmrr.formats import gguf"),
        ("__init__.py", "from llmrr.router import Router"),
        ("stats.py", "import sqlite3, llmrr.config"),
    ],
)
def test_what_the_map_allows(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source + "\n")
    assert violations(tmp_path) == []
