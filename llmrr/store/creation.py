"""Further names for weights that are there: an alias, or a model with a recipe of its own. Nothing
is copied."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from llmrr.errors import LlmrrError
from llmrr.store import records
from llmrr.store.records import Entry, StoredFile, check_label, split_label
from llmrr.types import Recipe

if TYPE_CHECKING:
    import sqlite3


def derive(
    connection: "sqlite3.Connection", base: Entry, label: str, recipe: Recipe, *, force: bool
) -> Entry:
    """Install ``base`` under another label, with what ``recipe`` states over its own. Raises
    ``LlmrrError`` for a label that is taken, unless ``force``, ``UsageError`` for one that cannot
    be."""
    name, tag = split_label(check_label(label))
    if records.get(connection, label) is not None and not force:
        raise LlmrrError(
            f'there is a model "{label}" already', f"--force replaces it; or: llmrr rm {label}"
        )
    combined = over(recipe, base.recipe)
    adapters = [path for path, _ in combined.options.get("lora", ())]
    known = {file.path for file in base.files}
    files = (*base.files, *(StoredFile.of(path) for path in adapters if path not in known))
    return records.add(
        connection,
        replace(
            base, name=name, tag=tag, recipe=combined, files=files, added=time.time(), used=None,
            is_made=True,
        ),
    )  # fmt: skip


def over(recipe: Recipe, below: Recipe) -> Recipe:
    """One recipe where it states something, else the other.

    >>> over(Recipe(system="a"), Recipe(system="b", options={"threads": 2})).options
    {'threads': 2}
    """
    return Recipe(
        system=recipe.system if recipe.system is not None else below.system,
        params=recipe.params.over(below.params),
        options={**below.options, **recipe.options},
        messages=recipe.messages or below.messages,
    )
