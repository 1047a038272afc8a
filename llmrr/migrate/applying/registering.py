"""A model of another tool's store, entered in ours where it lies, and taken out again."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.errors import LlmrrError, NotFound
from llmrr.migrate.planning import Action

if TYPE_CHECKING:
    import sqlite3

    from llmrr.store.holders import Holding


def expected(connection: "sqlite3.Connection", action: Action) -> dict[str, Any]:
    """What the way back needs: under which name it will be entered, and whether that is there.
    Raises ``LlmrrError`` where the model is gone."""
    from llmrr.store import adoption, records

    label = adoption.label_of(connection, _holding(action))
    return {"label": label, "was_there": records.get(connection, label) is not None}


def is_to_be_entered(connection: "sqlite3.Connection", action: Action) -> bool:
    """Whether it is there to be entered, and is not in our store."""
    try:
        return not expected(connection, action)["was_there"]
    except LlmrrError:
        return False


def register(connection: "sqlite3.Connection", action: Action) -> None:
    """Enter it; again is the same. Raises ``LlmrrError`` for one that cannot be used."""
    from llmrr.store import adoption

    holding = _holding(action)
    label = adoption.label_of(connection, holding)
    adoption.adopt(connection, holding, adoption.held(holding, label))


def forget(connection: "sqlite3.Connection", action: Action, undo: Mapping[str, Any]) -> None:
    """Take it out, if it was not there before, and is still the same."""
    from llmrr.store import records

    if undo.get("was_there", True):
        return
    entry = records.get(connection, str(undo["label"]))
    if entry is not None and entry.origin == action.source and not entry.is_made:
        records.remove(connection, entry)


def _holding(action: Action) -> "Holding":
    from llmrr.store import holders

    assert action.detail is not None
    path = action.path or Path()
    try:
        found = holders.holdings(action.detail["holder"], path)
    except LlmrrError as error:
        raise NotFound(f"{action.source} is not there any more: {error.message}") from error
    for one in found:
        if one.source == action.source:
            return one
    raise NotFound(f"{action.source} is not in {path} any more")
