"""What ``llmrr import``, ``export`` and ``search`` do, between the command line and the store."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from llmrr import paths
from llmrr.catalogue import BUILTIN, runnable
from llmrr.cli import offers, output, transfer
from llmrr.errors import LlmrrError, Unsupported, UsageError
from llmrr.types import Format

if TYPE_CHECKING:
    from llmrr.router import Router
    from llmrr.store.candidates import How
    from llmrr.store.holders import Holding
    from llmrr.store.records import Entry
    from llmrr.store.search import Match


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
    """A line of what ``import`` did, or would do: ``name`` is None for what cannot be installed."""

    name: str | None
    source: str
    format: str | None
    bytes: int | None
    path: Path
    problem: str | None


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
    if asked.include:
        raise UsageError("--include chooses among the models of --from TOOL", "leave it out")
    if asked.path is None:
        raise UsageError("import needs a file or folder, or --from TOOL", "llmrr import --help")
    line = _import(router, paths.expanded(asked.path), asked)
    if line.format is not None and line.format not in runnable():
        output.note(f"no engine here runs {line.format} models: it is kept for others")
    return [line]


def export(router: "Router", name: str, out: str | None) -> dict[str, object]:
    """Write an archive; what it is, as ``--json`` prints it."""
    from llmrr.store import archive
    from llmrr.store.records import StoredFile

    if out == "-":
        raise UsageError("an archive is written to a file", "-O FILE.tar")
    entry = router.catalogue.installed(name)
    if entry.origin == BUILTIN:  # where that lies is not noted
        own = StoredFile.of(paths.builtin_model())
        entry = replace(entry, path=own.path, files=(own, *entry.files))
    if entry.format is Format.PYTORCH:
        raise Unsupported(
            f"{entry.label} is a pickle, which can run code when it is loaded",
            "get the model as safetensors or GGUF",
        )
    file = f"{re.sub('[:/]', '--', entry.label)}.tar"
    path = paths.expanded(out or file)
    if path.is_dir() or (out or "").endswith("/"):
        path /= file
    names = archive.paths_of(entry)
    sizes = {names[file.path]: file.bytes for file in entry.files}
    with transfer.bars(sizes) as bars:
        archive.write(entry, names, path, bars)
    return {"name": entry.label, "path": path, "bytes": path.stat().st_size, "files": list(sizes)}


def search(
    text: str, *, limit: int, everything: bool, token: str | None
) -> "list[Match]":
    """Ask the hub. Raises ``LlmrrError`` when nothing is found."""
    from llmrr import hardware, hub
    from llmrr.store import search

    found = search.search(
        text, limit=limit, runs=runnable(), machine=hardware.probe(thorough=True),
        everything=everything, token=token,
    )  # fmt: skip
    if not found:
        hint = "" if everything else f"llmrr search --all {text}"
        raise LlmrrError(f'no model on {hub.address()} matches "{text}"', hint)
    return found


def _import(router: "Router", path: Path, asked: Asked) -> Adopted:
    from llmrr.store import candidates, imports, unpacking

    if path.is_file() and unpacking.is_archive(path):
        return _import_archive(router, path, asked)
    found = candidates.candidate(path)
    how = cast("How", asked.ways[0] if asked.ways else "reference")
    sizes = found.sizes(how)
    if asked.dry_run:
        label = asked.name or candidates.default_label(found)
        source, total = f"file:{found.path}", sum(sizes.values())
        return Adopted(label, source, found.info.format, total, found.path, None)
    with transfer.bars(sizes if how != "reference" else {}) as bars:
        entry = imports.import_model(
            router.database, found, how=how, label=asked.name, arrived=bars
        )
    offers.made(router, entry)
    return _line(entry)


def _import_archive(router: "Router", path: Path, asked: Asked) -> Adopted:
    from llmrr.store import imports, unpacking

    if asked.ways:
        way = f"--{asked.ways[0]}"
        raise UsageError(f"{way} is for models, and {path} is an archive", f"leave out {way}")
    packed = unpacking.read(path)
    if asked.dry_run:
        source = unpacking.origin_of(packed)
        return Adopted(asked.name or packed.label, source, None, packed.bytes, path, None)
    sizes = {member.path: member.bytes for member in packed.members}
    with transfer.bars(sizes) as bars:
        return _line(
            imports.import_archive(router.database, packed, label=asked.name, arrived=bars)
        )


def _adopt(router: "Router", tool: str, asked: Asked) -> list[Adopted]:
    from llmrr.store import choice, holders

    root = paths.expanded(asked.path) if asked.path else None
    if tool == "folder" and root is None:
        raise UsageError("--from folder needs the folder", "llmrr import --from folder PATH")
    if root is not None and root.is_dir():
        os.scandir(root).close()  # one that cannot be read is not empty
    everything = holders.holdings(tool, root)
    names = choice.selected({one.name: 0 for one in everything}, asked.include, ())
    found = [one for one in everything if one.name in names]
    if not found and everything:
        near = choice.listed(one.name for one in everything)
        raise LlmrrError(f"nothing matches {' '.join(asked.include)}", f"there is {near}")
    if not found and root is not None:
        raise LlmrrError(f"{root} has nothing that {tool} would hold", f"ls -l {root}")
    if not found:
        raise LlmrrError(
            f"{tool} has no models in the places where it keeps them",
            f"where they are elsewhere: llmrr import --from {tool} FOLDER",
        )
    lines = [_adopted(router, one, dry_run=asked.dry_run) for one in found]
    if not asked.dry_run and all(one.problem for one in lines):
        output.notes(f"{one.source} is left out: {one.problem}" for one in lines)
        raise LlmrrError(f"nothing that {tool} holds can be adopted", "llmrr list --all shows it")
    return lines


def _adopted(router: "Router", holding: "Holding", *, dry_run: bool) -> Adopted:
    from llmrr.store import adoption

    for warning in holding.warnings:
        output.note(f"{holding.source}: {warning}")
    try:
        entry = adoption.held(holding, "-")
    except LlmrrError as error:  # one that is damaged must not keep the others away
        return _held(holding, None, holding.problem or error.message)
    if dry_run:
        return _held(holding, adoption.label_of(router.database, holding), None)
    return _line(adoption.adopt(router.database, holding, entry))


def _held(holding: "Holding", name: str | None, problem: str | None) -> Adopted:
    size = holding.bytes
    return Adopted(name, holding.source, holding.format, size, holding.path, problem)


def _line(entry: "Entry") -> Adopted:
    return Adopted(entry.label, entry.origin, entry.format, entry.bytes, entry.path, None)
