"""The neutral form between artefacts and ``llmrr.toml``: many artefacts as one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrr.migrate.artefact import Model, Notice, Template


@dataclass(frozen=True, slots=True)
class Setup:
    """``models`` and ``templates`` have unique names, ``chains`` are lists of names of models;
    ``settings`` are further keys of ``llmrr.toml`` by their dotted names; ``sources`` are the files
    it came from with their SHA-256 (None for a folder)."""

    models: tuple[Model, ...] = ()
    chains: tuple[tuple[str, ...], ...] = ()
    templates: tuple[Template, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()
    sources: tuple[tuple[Path, str | None], ...] = ()
