"""What other tools already hold on this disk, found without copying anything and without reading
weights: one file per tool.
"""

from collections.abc import Mapping
from pathlib import Path

from llmrr import paths
from llmrr.errors import NotFound, UsageError, nearest
from llmrr.store.holders import folder, gpt4all, huggingface, lmstudio, localai, ollama
from llmrr.store.holders.base import Holder, Holding, is_folder

__all__ = ["HOLDERS", "Holder", "Holding", "find", "holdings"]

HOLDERS: Mapping[str, Holder] = {
    "ollama": ollama,
    "lmstudio": lmstudio,
    "gpt4all": gpt4all,
    "localai": localai,
    "huggingface": huggingface,
    "folder": folder,
}
_BY_NAME = {"ollama": ollama.find, "lmstudio": lmstudio.find}


def holdings(holder: str, root: Path | None = None) -> list[Holding]:
    """What a tool holds in ``root``, or in all the places where it would be on this machine; by
    name. Models that cannot be used are among them, with the reason.

    Raises ``UsageError`` for an unknown tool, ``NotFound`` for a folder that is none.
    """
    if holder not in HOLDERS:
        near = nearest(holder, HOLDERS)
        hint = f"did you mean {near}?" if near else f"the tools are {', '.join(HOLDERS)}"
        raise UsageError(f'"{holder}" is no tool whose models are known here', hint)
    places = HOLDERS[holder].roots() if root is None else (_given(root),)
    found = [one for place in places for one in HOLDERS[holder].holdings(place)]
    return sorted(found, key=lambda one: (one.name.lower(), one.source))


def find(source: str) -> Holding:
    """The model that ``ollama:NAME[:TAG]`` or ``lmstudio:PUBLISHER/REPO[/FILE]`` names.

    Raises ``NotFound`` with the nearest that exists, ``UsageError`` for several and for a source of
    another kind.
    """
    provider, _, name = source.partition(":")
    if provider not in _BY_NAME or not name:
        raise UsageError(f'"{source}" names no model of another tool', "as ollama:llama3.2")
    return _BY_NAME[provider](name)


def _given(root: Path) -> Path:
    path = paths.expanded(root)
    if is_folder(path):
        return path
    raise NotFound(f"there is no folder {path}", f"ls -ld {path}")
