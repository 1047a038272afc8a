"""What a migration would do, as data: the same input gives the same bytes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llmrr.migrate.artefact import Notice


@dataclass(frozen=True, slots=True)
class Action:
    """One step of ``apply``.

    ``write-config``: the file ``path`` gets the text ``toml`` of the plan. ``register-model``: the
    model at ``source`` (of another tool, in place) is entered in the store as ``name``.
    ``import-cache``: the answers in ``path`` go to the cache or the history (``detail``:
    ``{"kind": …}``). Idempotent, each of them.
    """

    do: Literal["write-config", "register-model", "import-cache"]
    path: Path | None = None
    name: str | None = None
    source: str | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the check-list. ``done`` is True or False where the tool can tell, None where only
    a person can, until it is ticked."""

    id: str
    phase: str
    text: str
    done: bool | None
    how: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """``id`` is a digest of the rest. ``target`` is the file that is written, ``base`` the SHA-256
    of what it held when the plan was made (None: there was none); ``toml`` its whole new text;
    ``sources`` are the files that it came from with their SHA-256."""

    id: str
    target: Path
    base: str | None
    toml: str
    actions: tuple[Action, ...]
    warnings: tuple[Notice, ...]
    checklist: tuple[Item, ...]
    sources: tuple[tuple[Path, str | None], ...]
