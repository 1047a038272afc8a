"""One ``llmrr.toml``, read and held against the table of settings. Nothing is raised for what it
says: every problem is listed, with its line, and the caller decides."""

from collections.abc import Mapping
from pathlib import Path

from llmrr.tomlfile.chains import WEIGHTS, check_chains, strangers
from llmrr.tomlfile.models import models_of
from llmrr.tomlfile.named import budgets_of, flags_of, keys_of, templates_of
from llmrr.tomlfile.reader import Reader, in_line, line_of
from llmrr.tomlfile.stated import ConfiguredModel, KeyRules, Problem, Template, TomlFile, render

__all__ = [
    "WEIGHTS", "ConfiguredModel", "KeyRules", "Problem", "Template", "TomlFile", "in_line",
    "line_of", "read", "read_table", "render", "strangers",
]  # fmt: skip


def read(path: Path, content: bytes | None = None) -> TomlFile:
    """Read ``path`` (or ``content`` in its stead; relative paths still start beside ``path``)."""
    reader = Reader(path, path.parent)
    return _read(reader, reader.table(content))


def read_table(table: Mapping[str, object], label: str, folder: Path) -> TomlFile:
    """What a program states in place of a file: a table as TOML would give it. ``label`` is what
    errors call it; relative paths start at ``folder``."""
    from copy import deepcopy

    return _read(Reader(Path(label), folder, is_file=False), deepcopy(dict(table)))


def _read(reader: Reader, table: dict[str, object]) -> TomlFile:
    models = models_of(reader, table.pop("models", None))
    templates = templates_of(reader, table.pop("templates", {}))
    found = flags_of(reader, table.pop("flags", {}), models)
    budgets = budgets_of(reader, table.get("budgets"), models)
    keys = keys_of(reader, table.get("serve"))
    reader.plain(table, ())
    check_chains(reader, models)
    problems = sorted(reader.problems, key=lambda problem: problem.line or 0)
    return TomlFile(
        reader.path, reader.values, models, templates, tuple(problems), tuple(reader.notes), found,
        budgets, keys,
    )
