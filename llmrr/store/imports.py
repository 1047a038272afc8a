"""Models that lie on this machine become installed ones: where they lie, or as a copy, a link or
moved into llmrr's own folder."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmrr import formats, paths
from llmrr.errors import LlmrrError, Unsupported, UsageError
from llmrr.store import archive, choice, locks, records, unpacking
from llmrr.store.archive import Arrived
from llmrr.store.looking import kind_of
from llmrr.store.records import Entry, StoredFile, check_label, sound_label, split_label
from llmrr.store.staging import staged
from llmrr.store.unpacking import Archive
from llmrr.store.variants import projector, quant_label
from llmrr.types import Format, ModelInfo

if TYPE_CHECKING:
    import sqlite3

How = Literal["reference", "copy", "hardlink", "move"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model file or folder that may be installed: its files by their paths below ``root``."""

    path: Path
    root: Path
    files: tuple[str, ...]
    info: ModelInfo

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum((self.root / name).stat().st_size for name in self.files)


def candidate(path: Path) -> Candidate:
    """Look at a file or folder. Raises what ``formats`` raises, and ``Unsupported`` for a pickle,
    which is nothing to keep before it is converted."""
    path = path.expanduser().absolute()
    place = _place(path)
    info = formats.inspect(place)
    if info.format is Format.PYTORCH:
        raise Unsupported(
            f"{path} is a pickle, which can run code when it is loaded",
            "get the model as safetensors or GGUF",
        )
    if info.format is Format.GGUF and info.kind in (None, "model"):
        formats.gguf.check_file(place)
    root, names = _files(place, info, with_images=path.is_dir())
    return Candidate(place, root, names, info)


def import_model(
    connection: "sqlite3.Connection",
    found: Candidate,
    *,
    how: How = "reference",
    label: str | None = None,
    arrived: Arrived = lambda name, count: None,
) -> Entry:
    """Install it. Raises ``LlmrrError`` when the name is taken by another, ``DoesNotFit`` for a
    full disk. Killed while it copies, it leaves nothing under a final name."""
    label = check_label(label or default_label(found))
    origin = f"file:{found.path}"
    before = _before(connection, label, origin)
    if how == "reference":
        copied = before is not None and before.path != found.path
        return before if copied and before else records.add(connection, lying(found, label))
    entry = before or _brought(connection, found, how, label, arrived)
    if how == "move":
        for name, file in zip(found.files, entry.files, strict=False):
            if (found.root / name).stat().st_size == file.bytes:
                (found.root / name).unlink()
    return entry


def import_archive(
    connection: "sqlite3.Connection",
    found: Archive,
    *,
    label: str | None = None,
    arrived: Arrived = lambda name, count: None,
) -> Entry:
    """Install the model of an archive that ``export`` wrote. Raises what ``archive`` raises; then
    nothing of it is left."""
    stated = ":".join(filter(None, (found.facts["name"], found.facts["tag"])))
    label = check_label(label or stated)
    _before(connection, label, "")
    with locks.adding(), staged(connection, label, found.bytes) as staging:
        files = unpacking.unpack(found, staging.folder, arrived)
        info = formats.inspect(staging.folder / found.facts["main"])
        name, tag = split_label(label)
        with locks.settling():
            packed = unpacking.entry_of(found, staging.settle(files), staging.final)
            entry = replace(packed, name=name, tag=tag, kind=kind_of(info), quant=info.quant)
            return records.add(connection, replace(entry, format=info.format))


def lying(found: Candidate, label: str) -> Entry:
    """A file or folder of the user's, as an entry that is not installed."""
    files = tuple(StoredFile.of(found.root / name) for name in found.files)
    return _entry(found, found.path, files, label, f"file:{found.path}")


def default_label(found: Candidate) -> str:
    """A name from that of the file or folder; the quantization at its end becomes the tag."""
    name = found.path.name
    if found.path.is_file():
        name = re.sub(r"-\d{5}-of-\d{5}$", "", name.removesuffix(".gguf"))
    label = quant_label(name)
    stem = re.sub(rf"[-._]{re.escape(label)}$", "", name, flags=re.IGNORECASE) if label else name
    return sound_label(f"{stem}:{label}" if label and stem != name else name)


def _place(path: Path) -> Path:
    """What to open: of GGUF the first part, of a file that lies in a model's folder that folder."""
    format_ = formats.detect(path)
    if format_ is Format.GGUF:
        return formats.locate(path).path
    in_folder = format_ in (Format.SAFETENSORS, Format.MLX) and path.is_file()
    return path.parent if in_folder and (path.parent / "config.json").is_file() else path


def _files(place: Path, info: ModelInfo, *, with_images: bool) -> tuple[Path, tuple[str, ...]]:
    """The folder that a model's files lie in, and their paths in it, the main one first."""
    if info.format is Format.GGUF:
        parts = [part.name for part in formats.gguf.part_paths(place)]
        sizes = {one.name: 0 for one in place.parent.glob("*.gguf")} if with_images else {}
        images = projector(sizes)
        return place.parent, (*parts, *([images] if images and images not in parts else []))
    root = place if place.is_dir() else place.parent
    if root.name == "onnx" and (root.parent / "config.json").is_file():
        root = root.parent
    found = choice.options(formats.FolderFiles(root).sizes)
    if place.is_dir():
        same = [one for one in found if one.format is _laid_out_as(info.format)]
    else:
        same = [one for one in found if str(place.relative_to(root)) in one.weights]
    if len(same) > 1:
        names = ", ".join(one.weights[0] for one in same)
        raise UsageError(f"{place} holds {len(same)} models: {names}", "name one of the files")
    return root, same[0].files if same else (place.name,)


def _laid_out_as(format_: Format) -> Format:
    return Format.SAFETENSORS if format_ is Format.MLX else format_


def _entry(
    found: Candidate, path: Path, files: tuple[StoredFile, ...], label: str, origin: str
) -> Entry:
    name, tag = split_label(label)
    return Entry(
        name=name,
        tag=tag,
        path=path,
        origin=origin,
        files=files,
        kind=kind_of(found.info),
        format=found.info.format,
        quant=found.info.quant,
        bytes=sum(file.bytes for file in files),
        digest=files[0].digest,
    )


def _brought(
    connection: "sqlite3.Connection", found: Candidate, how: How, label: str, arrived: Arrived
) -> Entry:
    """Put its files into llmrr's own folder, and note it."""
    with locks.adding(), staged(connection, label, found.bytes if how == "copy" else 0) as staging:
        taken = [
            _taken(found.root, name, staging.folder, how, arrived) for name in found.files
        ]
        inside = found.path.relative_to(found.root)
        path = staging.final if found.path == found.root else staging.final / inside
        with locks.settling():
            files = staging.settle(taken)
            origin = f"file:{found.path}"
            return records.add(connection, _entry(found, path, files, label, origin))


def _taken(root: Path, name: str, folder: Path, how: How, arrived: Arrived) -> StoredFile:
    """Put a file into ``folder``: as a copy, or under a second name."""
    source, target = root / name, folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    size = source.stat().st_size
    if how != "copy" and _linked(source, target, how):
        arrived(name, size)
        return StoredFile(target, size)
    with archive.writing(target), source.open("rb") as raw, target.open("xb") as out:
        digest = archive.copy(raw, out, size, lambda count: arrived(name, count))
    return StoredFile(target, size, digest)


def _linked(source: Path, target: Path, how: How) -> bool:
    """Give a file a second name; False for a move to another disk, which is a copy."""
    if how == "move" and source.is_symlink():
        raise LlmrrError(
            f"{source} is a link: moving what it leads to would break what else uses it",
            "leave out --move, or take --hardlink or --copy",
        )
    try:
        target.hardlink_to(source.resolve())
    except OSError as exc:
        if how == "move":
            return False
        raise LlmrrError(
            f"{source} cannot be linked into {paths.models_dir()}: {exc.strerror}", "--copy"
        ) from exc
    return True


def _before(connection: "sqlite3.Connection", label: str, origin: str) -> Entry | None:
    """The whole model that was installed before from the same place under this label. Raises
    ``LlmrrError`` when the label names another one."""
    other = records.get(connection, label)
    if other is None or (other.origin == origin and other.is_missing):
        return None
    if other.origin == origin:
        return other
    raise LlmrrError(
        f'there is a model "{other.label}" already ({other.origin})',
        f"--name with another name; or first: llmrr rm {other.label}",
    )
