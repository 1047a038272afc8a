"""What ``llmrr import``, ``export`` and ``search`` do, between the command line and the store."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from llmrr.catalogue import runnable
from llmrr.cli import output, transfer
from llmrr.errors import LlmrrError, UsageError

if TYPE_CHECKING:
    from llmrr.hardware import Hardware
    from llmrr.hub import Found
    from llmrr.router import Router
    from llmrr.store.holders import Holding
    from llmrr.store.imports import How
    from llmrr.store.records import Entry

# The tags of the hub for formats; that of MLX means what the format here is called, too.
TAGS = ("gguf", "mlx", "onnx", "safetensors")
BYTES_PER_PARAMETER = 0.6  # of Q4_K_M: 4.8 bits


class Asked(NamedTuple):
    """What the command line of ``import`` states."""

    path: str | None
    name: str | None
    ways: Sequence[str]
    tool: str | None
    include: Sequence[str]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Adopted:
    """A line of what ``import`` did: ``name`` is None for what was not installed."""

    name: str | None
    source: str
    format: str | None
    bytes: int | None
    path: Path
    problem: str | None


@dataclass(frozen=True, slots=True)
class Match:
    """A line of ``search``. ``runs``: an engine here takes one of its formats, and memory holds its
    weights at four bits, as far as their number is known."""

    name: str
    formats: tuple[str, ...]
    parameters: int | None
    downloads: int | None
    likes: int | None
    updated: str | None
    gated: bool
    runs: bool


def install(router: "Router", asked: Asked) -> list[Adopted]:
    """Import a model, or adopt what another tool holds. Raises ``UsageError`` for options that
    exclude each other, and what ``store.imports`` does."""
    if len(asked.ways) > 1:
        raise UsageError(f"--{' and --'.join(asked.ways)} exclude each other", "take one of them")
    if asked.tool is not None:
        if asked.ways or asked.name:
            raise UsageError(
                "--from adopts models where they lie, under their own names",
                "leave out --copy, --hardlink, --move and --name",
            )
        return _adopt(router, asked.tool, asked)
    if asked.path is None:
        raise UsageError("import needs a file or folder, or --from TOOL", "llmrr import --help")
    return [_import(router, Path(asked.path).expanduser(), asked)]


def export(router: "Router", name: str, out: str | None) -> dict[str, object]:
    """Write an archive; what it is, as ``--json`` prints it."""
    from llmrr.store import archive

    entry = router.catalogue.installed(name)
    path = Path(out).expanduser() if out else Path(re.sub("[:/]", "--", entry.label) + ".tar")
    names = archive.paths_of(entry)
    sizes = {names[file.path]: file.bytes for file in entry.files}
    with transfer.bars(sizes) as bars:
        archive.write(entry, names, path, bars)
    return {"name": entry.label, "path": path.absolute(), "bytes": path.stat().st_size,
            "files": list(sizes)}  # fmt: skip


def search(
    text: str, *, limit: int, everything: bool, token: str | None
) -> list[Match]:
    """Ask the hub. Raises ``LlmrrError`` when nothing is found."""
    from llmrr import hub

    wanted = () if everything else tuple(tag for tag in TAGS if tag in runnable())
    found = hub.search(text, formats=wanted, limit=limit, token=token)
    if not found:
        hint = "" if everything else f"llmrr search --all {text}"
        raise LlmrrError(f'no model on {hub.endpoint()} matches "{text}"', hint)
    from llmrr import hardware

    room = _room(hardware.probe(thorough=True))
    return [_match(one, room) for one in found]


def _room(machine: "Hardware") -> float:
    """Bytes of free memory, that of GPUs too; endless where unknown."""
    host = machine.memory.available_bytes
    own = sum(gpu.free_bytes or 0 for gpu in machine.gpus if not gpu.unified)
    return inf if host is None else host + own


def _match(found: "Found", room: float) -> Match:
    formats = tuple(tag for tag in TAGS if tag in found.tags)
    fits = (found.parameters or 0) * BYTES_PER_PARAMETER <= room
    return Match(
        name=found.id,
        formats=formats,
        parameters=found.parameters,
        downloads=found.downloads,
        likes=found.likes,
        updated=found.updated,
        gated=found.gated,
        runs=fits and any(tag in runnable() for tag in formats),
    )


def _import(router: "Router", path: Path, asked: Asked) -> Adopted:
    from llmrr.store import imports, unpacking

    if path.is_file() and unpacking.is_archive(path):
        packed = unpacking.read(path)
        if asked.dry_run:
            label = ":".join(filter(None, (packed.facts["name"], packed.facts["tag"])))
            return Adopted(None, label, None, packed.bytes, path, None)
        sizes = {member.path: member.bytes for member in packed.members}
        with transfer.bars(sizes) as bars:
            entry = imports.import_archive(
                router.database, packed, label=asked.name, arrived=bars
            )
        return _line(entry)
    found = imports.candidate(path)
    if asked.dry_run:
        label = asked.name or imports.default_label(found)
        return Adopted(None, label, found.info.format, found.bytes, found.path, None)
    how = cast("How", asked.ways[0] if asked.ways else "reference")
    sizes = {name: (found.root / name).stat().st_size for name in found.files}
    with transfer.bars(sizes if how != "reference" else {}) as bars:
        return _line(
            imports.import_model(router.database, found, how=how, label=asked.name, arrived=bars)
        )


def _adopt(router: "Router", tool: str, asked: Asked) -> list[Adopted]:
    from llmrr.store import choice, holders

    root = Path(asked.path).expanduser() if asked.path else None
    if tool == "folder" and root is None:
        raise UsageError("--from folder needs the folder", "llmrr import --from folder PATH")
    found = holders.holdings(tool, root)
    names = choice.selected({one.name: 0 for one in found}, asked.include, ())
    found = [one for one in found if one.name in names]
    if not found:
        places = [root] if root else holders.HOLDERS[tool].roots()
        where = ", ".join(map(str, places)) or "its usual places"
        hint = f"llmrr import --from {tool} PATH"
        raise LlmrrError(f"nothing of {tool} was found in {where}", hint)
    return [_adopted(router, one, dry_run=asked.dry_run) for one in found]


def _adopted(router: "Router", holding: "Holding", *, dry_run: bool) -> Adopted:
    from llmrr.store import adoption

    for warning in holding.warnings:
        output.note(f"{holding.source}: {warning}")
    if dry_run or holding.problem:
        return Adopted(
            None, holding.source, holding.format, holding.bytes, holding.path, holding.problem
        )
    try:
        return _line(adoption.adopt(router.database, holding))
    except LlmrrError as error:  # one that is damaged must not keep the others away
        return Adopted(
            None, holding.source, holding.format, holding.bytes, holding.path, error.message
        )


def _line(entry: "Entry") -> Adopted:
    return Adopted(entry.label, entry.origin, entry.format, entry.bytes, entry.path, None)
