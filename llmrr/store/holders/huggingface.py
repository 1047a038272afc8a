"""The cache of the Hugging Face hub, as its own client and whoever uses that fill it:
``models--OWNER--REPO/snapshots/COMMIT/`` with links into ``blobs/``, or copies where links cannot
be made. https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from llmrr import paths
from llmrr.errors import LlmrrError
from llmrr.store.holders.base import (
    Holding,
    existing,
    is_folder,
    listed,
    of_folder,
    of_ggufs,
    own_files,
    small_file,
    tree,
)
from llmrr.store.variants import Variant, quant_label

_PREFIX = "models--"


def roots() -> tuple[Path, ...]:
    """The cache of this user."""
    return existing(paths.hub_cache_dir())


def holdings(root: Path) -> Iterator[Holding]:
    """The models of a cache: of the commit that ``main`` means, or else of the newest, and those
    of other commits with these in their names. Datasets and spaces are passed over."""
    if is_folder(root / "hub"):
        root = root / "hub"
    for folder in listed(root).folders:
        if folder.name.startswith(_PREFIX):
            repo = folder.name.removeprefix(_PREFIX).replace("--", "/", 1)
            yield from of_repository(folder, repo)


def of_repository(folder: Path, repo: str) -> Iterator[Holding]:
    """The models of OWNER/REPO, whose part of the cache is ``folder``."""
    found = False
    snapshots = listed(folder / "snapshots").folders
    main = current(folder, snapshots)
    for snapshot in sorted(snapshots, key=lambda one: one != main):
        at = "" if snapshot == main else f"@{snapshot.name}"
        for holding in _snapshot(snapshot, repo, at):
            found = True
            yield replace(holding, revision=snapshot.name, digest=_digest(holding))
    blobs = listed(folder / "blobs")
    if not found and any(name.endswith(".incomplete") for name in blobs.sizes):
        source = f"huggingface:{repo}"
        problem = "its download is not complete"
        yield Holding("huggingface", repo, source, folder, problem=problem)


def _snapshot(folder: Path, repo: str, at: str) -> Iterator[Holding]:
    sizes = tree(folder, links=True)

    def called(variant: Variant) -> tuple[str, str]:
        labelled = variant.tag == quant_label(variant.files[0])
        what = f":{variant.tag}" if labelled else f"/{variant.files[0]}"
        return f"{repo}{what}{at}", f"huggingface:{repo}{what}{at}"

    yield from of_ggufs("huggingface", folder, sizes, called)
    name = f"{repo}{at}"
    if whole := of_folder("huggingface", folder, own_files(sizes), name, f"huggingface:{name}"):
        yield whole


def current(folder: Path, snapshots: tuple[Path, ...]) -> Path | None:
    """The snapshot that ``main`` means, or else the newest."""
    main = noted(folder, "main")
    named = next((one for one in snapshots if one.name == main), None)
    return named or max(snapshots, key=_changed, default=None)


def noted(folder: Path, revision: str) -> str:
    """The commit that the cache notes of a branch or tag; empty for none."""
    try:
        raw = small_file(folder.joinpath("refs", *revision.split("/")), 200)
    except LlmrrError:
        return ""
    return raw.decode(errors="replace").strip()


def digest(path: Path) -> str | None:
    """Of a large file the blob is called by its SHA-256, of a small one by another digest."""
    try:
        name = path.readlink().name
    except OSError:
        return None
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _digest(holding: Holding) -> str | None:
    """That of the file to open."""
    return digest(holding.path) if holding.path in holding.files[:1] else None
