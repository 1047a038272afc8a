"""Whether a model of the hub is here already: installed, or in the hub's cache all the same."""

from pathlib import Path

from llmrr import hub, paths
from llmrr.store.holders import Holding, huggingface
from llmrr.store.holders.base import descend, listed, tree
from llmrr.store.references import HubReference, hub_reference


def is_of(origin: str, wanted: HubReference) -> bool:
    """Whether what came from ``origin`` is what a reference asks for.

    >>> is_of("huggingface:o/r:Q4_K_M", HubReference("O/r", tag="q4_k_m"))
    True
    >>> is_of("huggingface:o/r:Q4_K_M@v1", HubReference("o/r"))
    False
    """
    found = hub_reference(origin) if origin.startswith("huggingface:") else None
    if found is None or found.repo.lower() != wanted.repo.lower():
        return False
    if found.revision != wanted.revision:
        return False
    if wanted.file is not None:
        return found.file == wanted.file
    return wanted.tag is None or (found.tag or "").lower() == wanted.tag.lower()


def find(wanted: HubReference) -> Holding | None:
    """The model in the hub's cache, whoever put it there; None where it is not, or not whole."""
    folder = _folder(wanted)
    if folder is None:
        return None
    for holding in huggingface.of_repository(folder, wanted.repo):
        if holding.problem is None and _is(holding, wanted, folder):
            return holding
    return None


def repository(wanted: HubReference) -> hub.Repository | None:
    """What the cache has of a repository, as if the hub had said it; None for nothing."""
    folder = _folder(wanted)
    if folder is None:
        return None
    commit = _commit(folder, wanted.revision)
    snapshot = folder / "snapshots" / commit
    sizes = tree(snapshot, links=True) if commit else {}
    files = tuple(
        hub.RemoteFile(name, size, huggingface.digest(snapshot / name))
        for name, size in sizes.items() if size is not None
    )  # fmt: skip
    if not files:
        return None
    name = folder.name.removeprefix("models--").replace("--", "/", 1)
    return hub.Repository(name, wanted.revision or "main", commit, files)


def snapshot(wanted: HubReference) -> Path | None:
    """The folder in the cache with what is there of a repository, be it not whole."""
    folder = _folder(wanted)
    commit = _commit(folder, wanted.revision) if folder else ""
    return folder / "snapshots" / commit if folder and commit else None


def _folder(wanted: HubReference) -> Path | None:
    """The part of the cache for a repository, in capitals or not."""
    root = paths.hub_cache_dir()
    return descend(root, [paths.hub_folder(root, wanted.repo).name])


def _is(holding: Holding, wanted: HubReference, folder: Path) -> bool:
    """By its own name; by a file of it; or by the commit that a revision stands for."""
    pinned = wanted
    if wanted.revision is not None:
        if holding.revision != _commit(folder, wanted.revision):
            return False
        pinned = wanted._replace(revision=None)
    named = holding.source.partition("@")[0] if wanted.revision else holding.source
    if wanted.file is not None:
        return any(path.as_posix().endswith(f"/{wanted.file}") for path in holding.files)
    return is_of(named, pinned)


def _commit(folder: Path, revision: str | None) -> str:
    """The commit of a revision: what the cache notes of a branch or tag, or itself; of none
    that of main, or else the newest. Empty for what is not there."""
    snapshots = listed(folder / "snapshots").folders
    if revision is None:
        current = huggingface.current(folder, snapshots)
        return current.name if current else ""
    commit = huggingface.noted(folder, revision) or revision
    return commit if any(one.name == commit for one in snapshots) else ""
