"""What a label, a source or a path means, and what a word may be."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import formats, paths
from llmrr.catalogue.files import holding, is_held, present
from llmrr.catalogue.resolved import (
    BUILTIN,
    Resolved,
    builtin,
    of_entry,
    of_file,
    of_holding,
    served,
)
from llmrr.catalogue.stored import Stored
from llmrr.errors import LlmrrError, NotFound, NotInstalled
from llmrr.kinds import LOCAL_PROVIDERS, split_source
from llmrr.types import Endpoint

if TYPE_CHECKING:
    from llmrr.store.references import HubReference
    from llmrr.store.shortnames import ShortName

_PATHS = ("./", "../", "~/")  # what begins so can be nothing else


def meaning(name: str, stored: Stored, near: Callable[[str], str]) -> Resolved:
    """The model that a label, a source or a path means. ``near`` says what a name that means none
    was to be. Raises what ``Catalogue.resolve`` does."""
    if name == BUILTIN:
        return builtin()
    if found := stored.matching(name):
        whole = [entry for entry in found if not entry.is_missing]
        return of_entry(present((whole or found)[0]))
    provider, rest = _split(name) or (None, name)
    if provider is not None and provider not in LOCAL_PROVIDERS:
        endpoint = Endpoint(provider, rest)
        return Resolved(endpoint.source, endpoint.source, Path(), endpoint=endpoint)
    path = paths.expanded(rest)
    if provider == "file" or (provider in (None, "huggingface") and paths.exists(path)):
        return of_file(path)
    if provider == "builtin":
        raise NotFound(f'there is no model "{name}"', f"llmrr run -m {BUILTIN}")
    from llmrr.store.references import hub_reference

    if reference := hub_reference(name):
        return _from_hub(reference, name, stored)
    if provider == "ollama" and not is_held(name):  # its server may have it elsewhere
        return served(rest)
    if held := holding(name):
        if held.problem:
            raise NotFound(f"{name}: {held.problem}", "llmrr list --all", is_file=True)
        return of_holding(held)
    if short := _short_name(name):
        ollama = f"ollama:{name}"
        there = is_held(ollama)
        raise NotInstalled(
            f"{name} is not installed; on the hub it is {short.reference.repo}"
            + (", and Ollama has it here" if there else ""),
            f"llmrr run -m {ollama}, or llmrr pull {name}" if there else f"llmrr pull {name}",
            reference=name,
        )
    raise NotFound(f'there is no model "{name}"{_refused(name)}', near(name))


def _from_hub(reference: "HubReference", name: str, stored: Stored) -> Resolved:
    """A model of the hub: one that was pulled, or that lies in the hub's cache all the same."""
    from llmrr.store import cached

    entries = [
        one for one in stored.latest_first()
        if cached.is_of(one.origin, reference) and not one.is_made
    ]  # fmt: skip
    if entries:
        return of_entry(present(entries[0]))
    if held := cached.find(reference):
        return of_holding(held)
    raise NotInstalled(
        f"{reference.source} is not on this machine",
        f"llmrr pull {shlex.quote(name)}",
        reference=name,
    )


def may_be(word: str, stored: Stored) -> bool:
    """Whether a word is a path, a source, a label, a model's file or a short name of one."""
    if word.startswith(_PATHS) or _is_source(word) or stored.matching(word):
        return True
    return _is_model_file(paths.expanded(word)) or _short_name(word) is not None


def _short_name(word: str) -> "ShortName | None":
    from llmrr.store.shortnames import short_name

    # Without a digit or a tag it may as well be the first word of a prompt.
    return short_name(word) if any(one.isdigit() or one == ":" for one in word) else None


def _is_source(word: str) -> bool:
    """Whether a word is a source by its prefix."""
    found = _split(word)
    return found is not None and found[1] != word


def _refused(name: str) -> str:
    """Why a name with a prefix is no source."""
    try:
        split_source(name)
    except ValueError as error:
        return f": {error}" if ":" in name else ""
    return ""


def _split(name: str) -> tuple[str, str] | None:
    """Provider and rest of a source; None for what is none."""
    try:
        return split_source(name)
    except ValueError:
        return None


def _is_model_file(path: Path) -> bool:
    """A file or folder that exists and holds a model, by its content."""
    if not paths.exists(path):
        return False
    try:
        formats.locate(path)
    except LlmrrError:
        return False
    return True
