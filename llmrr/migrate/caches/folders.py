"""Models that other tools keep in a folder: adopted where they lie."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmrr.errors import LlmrrError
from llmrr.migrate.caches import history

if TYPE_CHECKING:
    import sqlite3

    from llmrr.store.holders import Holding

_TOOLS = ("ollama", "huggingface", "lmstudio", "gpt4all", "localai")


class Model(NamedTuple):
    """A model of another tool: what it is called here, or ``problem``, why it is left."""

    name: str | None
    source: str
    path: Path
    bytes: int
    is_new: bool
    problem: str | None


def tool_of(folder: Path) -> str | None:
    """Whose models a folder holds: by how it is laid out, else because the tool keeps them there;
    None where that is not clear."""
    from llmrr.store import holders

    with os.scandir(folder) as entries:
        names = {one.name: one.is_dir() for one in entries}
    if found := by_layout([name for name, is_folder in names.items() if is_folder]):
        return found
    roots = {
        os.path.realpath(root): tool for tool in _TOOLS for root in holders.HOLDERS[tool].roots()
    }  # fmt: skip
    for place in (folder, folder / "models"):
        if known := roots.get(os.path.realpath(place)):
            return known
    endings = {Path(name).suffix.lower() for name, is_folder in names.items() if not is_folder}
    if ".gguf" not in endings:
        return None
    return "localai" if endings & {".yaml", ".yml"} else "folder"


def by_layout(names: Collection[str]) -> str | None:
    """Whose store has folders of these names, where they say it alone.

    >>> by_layout(["blobs", "manifests"]), by_layout(["models--a--b"]), by_layout(["src"])
    ('ollama', 'huggingface', None)
    """
    if {"manifests", "blobs"} <= {*names}:
        return "ollama"
    return "huggingface" if any(one.startswith("models--") for one in names) else None


def adopt(
    connection: "sqlite3.Connection", tool: str, folder: Path, import_id: str, *, dry_run: bool
) -> list[Model]:
    """Adopt the models of a folder; with ``dry_run`` only what would become of them."""
    from llmrr.store import holders

    found = holders.holdings(tool, folder)
    return [_adopted(connection, one, import_id, dry_run=dry_run) for one in found]


def _adopted(
    connection: "sqlite3.Connection", holding: "Holding", import_id: str, *, dry_run: bool
) -> Model:
    from llmrr.store import adoption, records

    try:
        entry = adoption.held(holding, "-")
        label = adoption.label_of(connection, holding)
        is_new = records.get(connection, label) is None
        if not dry_run:
            if is_new:  # noted first: a process may end between the two
                history.adopted(connection, label, holding.source, import_id)
            adoption.adopt(connection, holding, entry)
    except LlmrrError as error:
        said = holding.problem or error.message
        return Model(None, holding.source, holding.path, holding.bytes, False, said)
    return Model(label, holding.source, holding.path, holding.bytes, is_new, None)
