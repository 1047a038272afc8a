"""The models that can be named here, a line each: what ``llmrr list`` prints. No weight is read."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import formats, paths
from llmrr.catalogue import BUILTIN, Catalogue
from llmrr.config import Config, ConfiguredModel
from llmrr.errors import LlmrrError

if TYPE_CHECKING:
    from llmrr.store.records import Entry


@dataclass(frozen=True, slots=True)
class Installed:
    """A line of ``list``. Bytes are those of all its files; times are epoch seconds; unknown is
    None, as is the path of a remote one. ``origin`` is the provider of its ``source``;
    ``is_missing`` when its files are gone; ``holder`` is the tool that has it and llmrr has not."""

    name: str
    format: str | None
    quant: str | None
    bytes: int | None
    origin: str
    path: Path | None
    added: float | None
    last_used: float | None
    source: str = ""
    digest: str | None = None
    revision: str | None = None
    is_missing: bool = False
    holder: str | None = None


def models(
    catalogue: Catalogue, config: Config, used: Mapping[str, float], *, others: bool
) -> list[Installed]:
    """The models of ``[[models]]``, remote ones too, the installed ones, with ``others`` also what
    other tools hold and nobody adopted, and ``builtin:mini`` last. ``used`` has the epoch seconds
    at which each source was last used."""
    lines = [_configured_line(catalogue, model, used) for model in config.models]
    entries = catalogue.entries()
    lines += [_entry_line(entry) for entry in entries]
    if others:
        lines += _others({file.path for entry in entries for file in entry.files})
    return [*lines, _builtin_line(used)]


def _configured_line(
    catalogue: Catalogue, model: ConfiguredModel, used: Mapping[str, float]
) -> Installed:
    """A line for a model of ``[[models]]``; what is missing or damaged is no error."""
    origin = model.source.partition(":")[0]
    empty = Installed(
        model.name, None, None, None, origin, model.path or Path(), None, used.get(model.source),
        model.source, is_missing=True,
    )  # fmt: skip
    try:
        found = catalogue.configured(model)
        if found.endpoint is not None:
            return replace(empty, path=None, is_missing=False)
        info = formats.inspect(found.path)
        added = None if found.source == BUILTIN else found.path.stat().st_mtime
    except (LlmrrError, OSError):
        return empty
    return replace(
        empty, format=info.format, quant=info.quant, bytes=info.bytes, path=found.path,
        added=added, is_missing=False,
    )  # fmt: skip


def _entry_line(entry: "Entry") -> Installed:
    line = _noted_line(entry)
    if entry.provider == "file" and not line.is_missing and _is_changed(entry):
        with suppress(LlmrrError, OSError):  # what its owner has put there since
            info = formats.inspect(entry.path)
            return replace(line, format=info.format, quant=info.quant, bytes=info.bytes)
    return line


def _is_changed(entry: "Entry") -> bool:
    return any(paths.size(file.path) != file.bytes for file in entry.files)


def _noted_line(entry: "Entry") -> Installed:
    return Installed(
        name=entry.label,
        format=entry.format,
        quant=entry.quant,
        bytes=entry.bytes,
        origin=entry.provider,
        path=entry.path,
        added=entry.added,
        last_used=entry.used,
        source=entry.origin,
        digest=entry.digest,
        revision=entry.revision,
        is_missing=entry.is_missing,
    )


def _builtin_line(used: Mapping[str, float]) -> Installed:
    path = paths.builtin_model()
    info = formats.inspect(path)
    return Installed(
        BUILTIN, info.format, info.quant, info.bytes, "builtin", path, None, used.get(BUILTIN),
        BUILTIN,
    )  # fmt: skip


def _others(adopted: set[Path]) -> Iterator[Installed]:
    """What other tools hold and nobody adopted."""
    from llmrr.store import holders

    for name in holders.HOLDERS:
        for one in holders.holdings(name):
            if one.path not in adopted and not adopted.intersection(one.files):
                yield Installed(
                    name=one.source,
                    format=one.format,
                    quant=None,
                    bytes=one.bytes,
                    origin=one.source.partition(":")[0],
                    path=one.path,
                    added=None,
                    last_used=None,
                    source=one.source,
                    digest=one.digest,
                    revision=one.revision,
                    is_missing=one.problem is not None,
                    holder=name,
                )
