"""The model that an adapter is for: its configuration says what its tensors are called in GGUF and
in which order their rows are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmrr import formats, paths
from llmrr.convert.gguf import architectures
from llmrr.convert.gguf.entry import Entry
from llmrr.convert.gguf.settings import Values
from llmrr.convert.lora.peft import Settings
from llmrr.errors import NotFound
from llmrr.formats import FolderFiles, gguf
from llmrr.formats.json_file import read_beside
from llmrr.store import cached
from llmrr.store.references import HubReference
from llmrr.types import Format

CONFIG: Final = "config.json"
REPOSITORY: Final = re.compile(r"[\w][\w.-]*(?:/[\w][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Base:
    """``place`` is a folder with config.json, and perhaps weights, or a GGUF file."""

    place: Path
    entry: Entry
    values: Values

    @property
    def is_gguf(self) -> bool:
        """Whether it can be loaded as it is."""
        return not self.place.is_dir()


def open_base(settings: Settings, stated: Path | None) -> Base:
    """The base at ``stated``, else the one that the adapter names, where it is on this machine.

    Raises ``NotFound``, whose hint names ``--base``, and ``Unsupported`` for an architecture that
    has no entry.
    """
    place = _stated(stated) if stated is not None else _named(settings)
    if not place.is_dir():
        return _of_gguf(place)
    raw = read_beside(FolderFiles(place, depth=0), CONFIG)
    where = f"{place / CONFIG}"
    return _described(place, architectures.find(raw, where), raw, where)


def _stated(path: Path) -> Path:
    if (path / CONFIG).is_file():
        return path
    if not paths.exists(path):
        raise NotFound(f"--base {path} is not there", f"ls -ld {path.parent}")
    if path.is_file() and formats.detect(path) is not Format.GGUF:
        return _stated(path.parent)
    found = None if path.is_dir() and not any(path.glob("*.gguf")) else formats.locate(path)
    if found is None or found.format is not Format.GGUF:
        raise NotFound(
            f"--base {path} has no {CONFIG} and is no GGUF file",
            "--base DIR with the folder of the model that the adapter is for",
        )
    return found.path


def _named(settings: Settings) -> Path:
    """Where the model lies that the adapter names: a folder, or what the cache of the hub has."""
    if name := settings.base:
        if (folder := paths.expanded(name)) and paths.exists(folder / CONFIG):
            return folder
        revision = settings.raw.get("revision")
        if REPOSITORY.fullmatch(name):
            pinned = revision if isinstance(revision, str) else None
            here = cached.snapshot(HubReference(name, revision=pinned))
            if here is not None and paths.exists(here / CONFIG):
                return here
    said = f"the model {name[:99]!r}, which" if name else "a model that it does not name;"
    raise NotFound(
        f"{settings.where} is for {said} is not on this machine with its {CONFIG}"
        if name else f"{settings.where} is for {said} its {CONFIG} is needed",
        "--base DIR with that model's folder; only its config.json is needed",
    )  # fmt: skip


def _of_gguf(path: Path) -> Base:
    from llmrr.convert.safetensors import rebuilt_config

    headers = gguf.read_parts(path)
    names = frozenset(one.name for header in headers for one in header.tensors)
    entry, raw = rebuilt_config.rebuild(headers[0], names)
    return _described(path, entry, raw, f"{path}")


def _described(place: Path, entry: Entry, raw: Mapping[str, Any], where: str) -> Base:
    return Base(place, entry, Values(raw, where, entry.defaults, entry.aliases))
