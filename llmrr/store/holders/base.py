"""What a holding is, and what the holders share: looking through folders and at small files, and
trusting nothing in them."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from llmrr import formats, paths
from llmrr.errors import DamagedFile, LlmrrError, NotFound
from llmrr.formats import companions
from llmrr.modelfile.stated import json_value
from llmrr.store import choice, external
from llmrr.store.variants import (
    Variant,
    encoder_of,
    gguf_variants,
    is_model,
    missing_parts,
)
from llmrr.types import Format, Recipe

MOST_FOLDERS = 20_000
MOST_FILES = 100_000  # of one folder
DEEPEST = 12
SMALL = 1_000_000  # bytes of a manifest, a configuration or a prompt


@dataclass(frozen=True, slots=True)
class Holding:
    """A model that another tool keeps on this disk.

    ``name`` is what that tool's users call it, ``source`` what names it here. ``path`` is the file
    to open (the first part of a split model) or the folder; ``files`` are all that belong to it,
    its weights first, ``bytes`` their sizes together. ``format`` is told by content, and None where
    there is a ``problem``: why it cannot be used. ``digest`` is the sha256 (hex) of the first file
    where the layout says it. ``recipe`` is what the tool put around the weights.
    """

    holder: str
    name: str
    source: str
    path: Path
    files: tuple[Path, ...] = ()
    format: Format | None = None
    bytes: int = 0
    digest: str | None = None
    revision: str | None = None
    recipe: Recipe = field(default_factory=Recipe)
    warnings: tuple[str, ...] = ()
    problem: str | None = None


class Holder(Protocol):
    """A tool that keeps models: a module each."""

    def roots(self) -> tuple[Path, ...]:
        """Where it keeps them on this machine: what exists of that."""

    def holdings(self, root: Path) -> Iterator[Holding]:
        """The models in one of those places. Whatever lies there, it raises nothing."""


class Folder(NamedTuple):
    """A folder with the sizes of its files by name; None is a link to nothing."""

    path: Path
    sizes: Mapping[str, int | None]
    folders: tuple[Path, ...]


# -- looking -----------------------------------------------------------------------------------


def existing(*places: Path) -> tuple[Path, ...]:
    """Those that are folders, as absolute paths and each once."""
    found: dict[str, Path] = {}
    for path in map(paths.expanded, places):
        if is_folder(path):
            found.setdefault(os.path.realpath(path), path)
    return tuple(found.values())


def is_folder(path: Path) -> bool:
    """Whether there is a folder that may be looked into."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def walk(root: Path, *, links: bool) -> Iterator[Folder]:
    """The folders below ``root``, it first, without the hidden ones and in the order of their
    names. ``links`` follows symbolic links to anywhere; else those out of ``root`` are no part of
    it. So many folders and levels, and no more."""
    todo, seen = [(root, 0)], set[str]()
    while todo and len(seen) < MOST_FOLDERS:
        path, depth = todo.pop()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        folder = listed(path, inside=None if links else root)
        yield folder
        if depth < DEEPEST:
            todo += [(sub, depth + 1) for sub in reversed(folder.folders)]


def tree(root: Path, *, links: bool) -> dict[str, int | None]:
    """The sizes of all files below ``root`` by their paths from there, with slashes."""
    return {
        (folder.path / name).relative_to(root).as_posix(): size
        for folder in walk(root, links=links)
        for name, size in folder.sizes.items()
    }


def listed(path: Path, inside: Path | None = None) -> Folder:
    """One folder, without what is hidden, what is neither file nor folder, and links out of
    ``inside``. It is empty where it cannot be read."""
    sizes: dict[str, int | None] = {}
    folders = []
    try:
        with os.scandir(path) as entries:
            found = sorted(islice(entries, MOST_FILES), key=lambda entry: entry.name)
    except (OSError, ValueError):
        found = []
    for entry in found:
        # A name that cannot be printed cannot be typed either.
        if entry.name.startswith(".") or not entry.name.isprintable() or _leads_out(entry, inside):
            continue
        kind, size = _looked_at(entry)
        if kind == "folder" and not (inside and entry.is_symlink()):
            folders.append(path / entry.name)
        elif kind == "file":
            sizes[entry.name] = size
    return Folder(path, sizes, tuple(folders))


def _leads_out(entry: os.DirEntry[str], inside: Path | None) -> bool:
    if inside is None or not entry.is_symlink():
        return False
    return not Path(os.path.realpath(entry.path)).is_relative_to(os.path.realpath(inside))


def _looked_at(entry: os.DirEntry[str]) -> tuple[str, int | None]:
    try:
        found = entry.stat()
    except FileNotFoundError:
        return "file", None
    except OSError:
        return "", None
    if stat.S_ISDIR(found.st_mode):
        return "folder", None
    return ("file", found.st_size) if stat.S_ISREG(found.st_mode) else ("", None)


def small_file(path: Path, limit: int = SMALL) -> bytes:
    """The bytes of a regular file. Raises ``NotFound``, and ``DamagedFile`` for what is larger or
    no file: a pipe may never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DamagedFile(f"{path} is not a regular file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as exc:
        raise NotFound(f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(data) > limit:
        raise DamagedFile(f"{path} has more than {limit:,} bytes")
    return data


def json_object(path: Path, limit: int = SMALL) -> dict[str, object]:
    """A small JSON file with an object in it. Raises ``NotFound``, ``DamagedFile``."""
    table = json_value(small_file(path, limit))
    if not isinstance(table, dict):
        raise DamagedFile(f"{path} is not a JSON file with an object in it")
    return table


def descend(root: Path, parts: Sequence[str]) -> Path | None:
    """What lies below ``root`` under these names, in capitals or not."""
    path = root
    for part in parts:
        folder = listed(path)
        names = [*(one.name for one in folder.folders), *folder.sizes]
        same = [name for name in names if name.lower() == part.lower()]
        if not same:
            return None
        path = path / (part if part in same else same[0])
    return path


# -- models ------------------------------------------------------------------------------------


def checked(holding: Holding) -> Holding:
    """With its format, or with the problem that it has none."""
    if holding.problem:
        return holding
    try:
        return replace(holding, format=formats.detect(holding.path))
    except LlmrrError as exc:
        return replace(holding, problem=exc.message)
    except (OSError, ValueError) as exc:
        return replace(holding, problem=f"{holding.path} cannot be read: {exc}")


def of_ggufs(
    holder: str,
    folder: Path,
    sizes: Mapping[str, int | None],
    called: Callable[[Variant], tuple[str, str]],
) -> Iterator[Holding]:
    """The models among GGUF files by their paths from ``folder``; ``called`` gives their names and
    sources."""
    known = {name: size or 0 for name, size in sizes.items()}
    variants = gguf_variants(known)
    for variant in variants:
        image = encoder_of(variant.files[0], variants, known)
        names = (*variant.files, *([image] if image else []))
        name, source = called(variant)
        yield checked(
            Holding(
                holder=holder,
                name=name,
                source=source,
                path=folder / variant.files[0],
                files=tuple(folder / one for one in names),
                bytes=sum(known[one] for one in names),
                problem=_lack(variant.missing, variant.files, sizes),
            )
        )


def of_folder(
    holder: str, folder: Path, sizes: Mapping[str, int | None], name: str, source: str
) -> Holding | None:
    """The model that a folder with a config.json is (safetensors, MLX, ONNX, PyTorch), whose files
    are ``sizes``, also those in onnx/; None for a folder that is none or has GGUF models."""
    weights = [one for one in sizes if _is_weights(one)]
    if not weights or any(is_model(one) for one in sizes) or not _is_configured(folder, sizes):
        return None
    names = _of_model(folder, {one: size or 0 for one, size in sizes.items()}) or weights
    return checked(
        Holding(
            holder=holder,
            name=name,
            source=source,
            path=folder,
            files=tuple(folder / one for one in names),
            bytes=sum(sizes[one] or 0 for one in names),
            problem=_lack(missing_parts(weights), names, sizes),
        )
    )


def _of_model(folder: Path, sizes: Mapping[str, int]) -> list[str]:
    """Of the files of a folder those of its model, the weights first, and what tells of it."""
    kinds = (Format.SAFETENSORS, Format.ONNX, Format.PYTORCH)
    found = choice.of_folder(sizes, formats=kinds, pickles=True)
    if not found:
        return []
    best = min(found, key=lambda one: kinds.index(one.format))
    outside: tuple[str, ...] = ()
    if best.format is Format.ONNX:
        with suppress(LlmrrError):  # one that is damaged
            outside = external.missing({one: folder / one for one in best.weights}, sizes)
    return [*best.weights, *outside, *best.beside, *filter(companions.is_about, sizes)]


def own_files(sizes: Mapping[str, int | None]) -> dict[str, int | None]:
    """Of the files below a folder those of its own, and those in onnx/."""
    return {
        name: size for name, size in sizes.items() if "/" not in name or name.startswith("onnx/")
    }


def _lack(
    missing: tuple[str, ...], names: tuple[str, ...] | list[str], sizes: Mapping[str, int | None]
) -> str | None:
    broken = [name for name in names if sizes[name] is None]
    if missing:
        return f"{missing[0]} is missing"
    return f"{broken[0]} is a link to nothing" if broken else None


def _is_weights(name: str) -> bool:
    base = name.rpartition("/")[2]
    pickled = base.endswith(".bin") and base.startswith(("pytorch_model", "model"))
    return pickled or base.endswith((".safetensors", ".onnx"))


def _is_configured(folder: Path, sizes: Mapping[str, int | None]) -> bool:
    """Whether config.json is one of a language model; parts of a Diffusers pipeline have one too.
    genai_config.json is that of onnxruntime-genai."""
    if sizes.get("genai_config.json") is not None:
        return True
    try:
        config = json_object(folder / "config.json")
    except LlmrrError:
        return False
    return "model_type" in config or "architectures" in config
