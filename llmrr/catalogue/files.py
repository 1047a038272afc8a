"""The files of a model: what is opened, whether they are there, and what other tools hold."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import formats
from llmrr.catalogue.resolved import Resolved
from llmrr.errors import LlmrrError, NotFound, Unsupported
from llmrr.types import ModelFiles

if TYPE_CHECKING:
    from llmrr.store.holders import Holding
    from llmrr.store.records import Entry


def place(resolved: Resolved) -> ModelFiles:
    """What to open. Raises what ``formats.locate`` does, and ``Unsupported`` for a remote one."""
    require_files(resolved)
    if resolved.format is not None:
        return ModelFiles(resolved.path, resolved.format)
    return formats.locate(resolved.path)


def require_files(resolved: Resolved) -> None:
    """Raise ``Unsupported`` for a model that runs elsewhere, ``NotFound`` for one that Ollama may
    have elsewhere."""
    endpoint = resolved.endpoint
    if endpoint is not None and endpoint.provider == "ollama":
        found = holding(endpoint.source)  # raises NotFound with the nearest
        why = (found and found.problem) or "Ollama's server is asked for it"
        raise NotFound(f"{resolved.name}: {why}", f"ollama pull {shlex.quote(endpoint.model)}")
    if endpoint is not None:
        raise Unsupported(
            f"{resolved.name} runs at {endpoint.provider}: nothing of it is on this machine",
            f'llmrr run -m {shlex.quote(resolved.name)} "…" asks it',
        )


def present(entry: "Entry") -> "Entry":
    """The entry, if its files are there. Raises ``NotFound``."""
    for file in entry.files:
        try:
            file.path.stat()
        except PermissionError as exc:
            raise NotFound(
                f"{file.path} of {entry.label} cannot be read: {exc.strerror}",
                f"ls -l {file.path}", is_file=True,
            ) from exc
        except OSError as exc:
            hint = f"llmrr rm {entry.label}"
            if entry.provider == "huggingface":
                hint = f"llmrr pull {entry.origin}, or {hint}"
            said = f"the files of {entry.label} are gone: {file.path}"
            raise NotFound(said, hint, is_file=True) from exc
    return entry


def changed(path: Path) -> float:
    """When a model's files last changed, in epoch seconds."""
    inside = path.iterdir() if path.is_dir() else (path,)
    return max((one.stat().st_mtime for one in inside if one.is_file()), default=0.0)


def holding(source: str) -> "Holding | None":
    """What another tool holds under a source of it; None for a source of another kind."""
    if not source.startswith(("ollama:", "lmstudio:")):
        return None
    from llmrr.store import holders

    return holders.find(source)


def cached(source: str) -> "Holding | None":
    """What the cache of the hub has under a source of it."""
    from llmrr.store import cached
    from llmrr.store.references import hub_reference

    reference = hub_reference(source) if source.startswith("huggingface:") else None
    return cached.find(reference) if reference else None


def is_held(source: str) -> bool:
    try:
        found = holding(source)
        return found is not None and found.problem is None
    except LlmrrError:
        return False
