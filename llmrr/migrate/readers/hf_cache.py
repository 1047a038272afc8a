"""The cache of the Hugging Face hub, as models: what ``main`` means of each repository."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.readers import gguf_folder, model_folder
from llmrr.store.holders import huggingface
from llmrr.store.holders.base import Holding, is_folder, listed
from llmrr.types import Format

_PREFIX: Final = "models--"


def artefact(real: Path, shown: Path) -> Artefact | None:
    """The models of a cache, or of one repository of it; None for another folder."""
    repositories = [*_repositories(real)]
    if not repositories:
        return None
    findings = Findings(shown, "hf-cache")
    for folder in repositories:
        _put(folder, real, shown, findings)
    return findings.artefact()


def _repositories(real: Path) -> Iterator[Path]:
    if real.name.startswith(_PREFIX) and is_folder(real / "snapshots"):
        yield real
        return
    try:
        with os.scandir(real) as entries:
            if not any(one.name.startswith(_PREFIX) for one in entries):
                return
    except OSError:
        return
    for folder in listed(real).folders:
        if folder.name.startswith(_PREFIX) and any(
            is_folder(folder / one) for one in ("snapshots", "blobs", "refs")
        ):
            yield folder


def _put(folder: Path, real: Path, shown: Path, findings: Findings) -> None:
    repo = folder.name.removeprefix(_PREFIX).replace("--", "/", 1)
    seen: set[str] = set()
    held = list(huggingface.of_repository(folder, repo))
    for one in held:
        _model(one, repo, seen, real, shown, findings)
    if not held:
        _nothing(folder, repo, findings)


def _model(
    held: Holding, repo: str, seen: set[str], real: Path, shown: Path, findings: Findings
) -> None:
    snapshot = held.path if held.format is not Format.GGUF else None
    if held.revision is None or (held.problem and not held.files):
        findings.warn("incomplete", f"{repo}: {held.problem}", at=repo)
        return
    file = _file(held)
    if file in seen:  # the same of an older commit
        return
    seen.add(file)
    config = model_folder.config_of(snapshot) if snapshot is not None else None
    role = model_folder.other_role(config, snapshot) if config else gguf_folder.role_of(held)
    if role is not None:
        findings.warn(role[0], f"{repo}: {role[1]}", at=repo)
        return
    model = findings.model(f"huggingface:{repo}", (file or repo).rpartition("/")[2])
    model.name = re.sub(r"\.gguf$", "", model.name)
    model.options["revision"] = held.revision
    if file:
        model.options["file"], model.format = file, "gguf"
    model.bytes = held.bytes or None
    model.weights = str(shown / held.path.relative_to(real))
    if held.format is Format.MLX:
        model.format, model.engine = "mlx", "mlx"
    if held.problem:
        findings.warn("incomplete", f"{repo}: {held.problem}", at=repo)
    if config is not None and snapshot is not None:
        model_folder.describe(model, snapshot, config, findings)


def _file(held: Holding) -> str:
    """The path of a GGUF file in its repository; empty for a folder."""
    parts = held.path.parts
    at = len(parts) - 1 - parts[::-1].index("snapshots") if "snapshots" in parts else 0
    return "/".join(parts[at + 2 :])


def _nothing(folder: Path, repo: str, findings: Findings) -> None:
    """Why a repository has no model here."""
    snapshots = listed(folder / "snapshots").folders
    current = huggingface.current(folder, snapshots)
    config = model_folder.config_of(current) if current else None
    role = model_folder.other_role(config, current) if config else None
    if role is not None:
        findings.warn(role[0], f"{repo}: {role[1]}", at=repo)
    elif current is not None and "model_index.json" in listed(current).sizes:
        findings.warn("other-role", f"{repo} makes images, or other things", at=repo)
    else:
        findings.warn("incomplete", f"{repo} has no weights in the cache", at=repo)
