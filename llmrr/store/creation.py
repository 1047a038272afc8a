"""Further names for weights that are there: an alias, or a model with a recipe of its own. Nothing
is copied."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr.errors import LlmrrError, NotFound
from llmrr.formats import companions
from llmrr.store import locks, records
from llmrr.store.records import Entry, StoredFile, check_label, split_label
from llmrr.types import Recipe

if TYPE_CHECKING:
    import sqlite3


def derive(
    connection: "sqlite3.Connection",
    base: Entry,
    label: str,
    recipe: Recipe,
    *,
    projector: Path | None = None,
    force: bool,
) -> Entry:
    """Install ``base`` under another label, with what ``recipe`` states over its own, and with an
    image encoder. Raises ``LlmrrError`` for a label that is taken, unless ``force``, ``UsageError``
    for one that cannot be, ``NotFound`` and ``Unsupported`` for an adapter that is none."""
    name, tag = split_label(check_label(label))
    combined = over(recipe, base.recipe)
    for path, _ in recipe.options.get("lora", ()):
        companions.require(path, "adapter")
    if projector is not None:
        companions.require(projector, "mmproj")
    known = {file.path for file in base.files}
    adapters = [path for path, _ in combined.options.get("lora", ())]
    more = dict.fromkeys(path for path in (*adapters, projector) if path and path not in known)
    made = replace(
        base, name=name, tag=tag, recipe=combined, added=time.time(), used=None, is_made=True,
        files=(*base.files, *map(StoredFile.of, more)),
    )  # fmt: skip
    with locks.settling():
        if records.get(connection, label) is not None and not force:
            raise LlmrrError(
                f'there is a model "{label}" already', f"--force replaces it; or: llmrr rm {label}"
            )
        if made.is_missing:  # removed in the meantime
            raise NotFound(f"the files of {base.label} are gone", "llmrr list")
        return records.add(connection, made)


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
        template=recipe.template if recipe.template is not None else below.template,
        license=recipe.license if recipe.license is not None else below.license,
    )
