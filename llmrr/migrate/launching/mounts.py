"""Paths inside a container, as they are called outside of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.paths import exists, user_path

_OPTIONS: Final = ("mmproj", "lora")


def outside(model: Model, mounts: Mapping[str, str], folder: Path, findings: Findings) -> None:
    """Give a model its path on this machine, where the file lies there: relative ones start in
    ``folder``. What is not here keeps the path that the artefact has."""
    if model.source.startswith("file:"):
        path = model.source.removeprefix("file:")
        if there := _found(path, mounts, folder):
            model.source = f"file:{there}"
            findings.warnings = [
                one for one in findings.warnings
                if one.code != "foreign-path" or path not in one.message
            ]  # fmt: skip
    for name in _OPTIONS:
        value = model.options.get(name)
        if isinstance(value, str) and (there := _found(value, mounts, folder)):
            model.options[name] = there


def _found(path: str, mounts: Mapping[str, str], folder: Path) -> str | None:
    for inside, host in mounts.items():
        plain = inside.rstrip("/")
        if path.startswith(f"{plain}/"):
            there = host.rstrip("/") + path[len(plain) :]
            if exists(folder / user_path(there)):
                return there
    return None
