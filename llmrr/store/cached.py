"""Whether a model of the hub is here already: installed, or in the hub's cache all the same."""

from llmrr import paths
from llmrr.store.holders import Holding, huggingface
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
    folder = paths.hub_cache_dir() / "--".join(["models", *wanted.repo.split("/")])
    if not folder.is_dir():
        return None
    for holding in huggingface.of_repository(folder, wanted.repo):
        if holding.problem is None and _is(holding, wanted):
            return holding
    return None


def _is(holding: Holding, wanted: HubReference) -> bool:
    """By its own name; by a file of it; or by the commit that a revision stands for."""
    pinned = wanted
    if wanted.revision is not None:
        if holding.revision != _commit(holding, wanted):
            return False
        pinned = wanted._replace(revision=None)
    named = holding.source.partition("@")[0] if wanted.revision else holding.source
    if wanted.file is not None:
        return any(path.as_posix().endswith(f"/{wanted.file}") for path in holding.files)
    return is_of(named, pinned)


def _commit(holding: Holding, wanted: HubReference) -> str | None:
    """The commit of a revision: itself, or what the cache notes of a branch or tag."""
    folder = paths.hub_cache_dir() / "--".join(["models", *wanted.repo.split("/")])
    revision = wanted.revision or "main"
    ref = folder.joinpath("refs", *revision.split("/"))
    try:
        return ref.read_text().strip()
    except OSError:
        return revision
