"""What a file or folder on this machine is made of, before it is installed: which of the files
there are the model, and which only lie beside it."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from llmrr import formats, paths
from llmrr.errors import DamagedFile, LlmrrError, Unsupported, UsageError
from llmrr.formats import FolderFiles, companions
from llmrr.formats.parts import series
from llmrr.formats.shards import read_index
from llmrr.formats.source import Files
from llmrr.store import choice, external
from llmrr.store.looking import checked
from llmrr.store.records import sound_label
from llmrr.store.variants import projector, quant_label
from llmrr.types import Format, ModelInfo

How = Literal["reference", "copy", "hardlink", "move"]

# Graphs that are a model only together.
_HALF = re.compile(r"(encoder|decoder)([_-]\w+)*\.onnx")
_FOLDERS = (Format.SAFETENSORS, Format.MLX)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model file or folder that may be installed: its files by their paths below ``root``, and
    what tells of it (a licence, say)."""

    path: Path
    root: Path
    files: tuple[str, ...]
    info: ModelInfo
    rest: tuple[str, ...] = ()

    def names(self, how: How) -> tuple[str, ...]:
        """The files that are installed. What is moved is the model and nothing else: ``rm`` may
        delete it then."""
        return self.files if how == "move" else (*self.files, *self.rest)

    def moved(self) -> tuple[str, ...]:
        """The files that moving takes away: a configuration stays where it is, too, for the other
        files in its folder."""
        if self.path.is_dir():
            return self.files
        return tuple(one for one in self.files if not companions.is_configuration(one))

    def sizes(self, how: How) -> dict[str, int]:
        """Their bytes."""
        return {name: (self.root / name).stat().st_size for name in self.names(how)}


def candidate(path: Path) -> Candidate:
    """Look at a file or folder. Raises what ``formats`` raises, ``Unsupported`` for a pickle, which
    is nothing to keep before it is converted, and ``UsageError`` for a folder of several models."""
    path = paths.expanded(path)
    _require_text(path)
    place = _place(path)
    info = checked(place)
    if info.format is Format.PYTORCH:
        raise Unsupported(
            f"{path} is a pickle, which can run code when it is loaded",
            "get the model as safetensors or GGUF",
        )
    root, names, rest = _files(place, info, with_images=path.is_dir())
    for name in (*names, *rest):
        _require_text(root / name)
    return Candidate(place, root, names, info, rest)


def default_label(found: Candidate) -> str:
    """A name from that of the file or folder; the quantization at its end becomes the tag."""
    name = found.path.name
    if found.path.is_file():
        name = re.sub(r"-\d{5}-of-\d{5}$", "", name.removesuffix(".gguf"))
    label = quant_label(name)
    stem = re.sub(rf"[-._]{re.escape(label)}$", "", name, flags=re.IGNORECASE) if label else name
    sound = sound_label(f"{stem}:{label}" if label and stem != name else name)
    if not sound:
        raise UsageError(f'no name can be made of "{found.path.name}"', "--name NAME")
    return sound


def _require_text(path: Path) -> None:
    """The store keeps names as text. Raises ``UsageError``."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="replace")
        raise UsageError(f"the name {shown} is not UTF-8", "rename it first") from None


def _place(path: Path) -> Path:
    """What to open: of GGUF the first part, of a file that is all of a folder's model that folder.
    """
    format_ = formats.detect(path)
    if format_ is Format.GGUF:
        return formats.locate(path).path
    folder = path.parent
    if path.is_dir() or format_ not in _FOLDERS or not (folder / "config.json").is_file():
        return path
    files = FolderFiles(folder)
    own = set(_with(path.name, files))
    named = choice.of_folder(files.sizes, formats=_FOLDERS)
    with suppress(LlmrrError):  # whatever else lies there
        if [set(one.weights) for one in named] == [own] == [set(formats.weights(folder))]:
            return folder
    return path


def _files(
    place: Path, info: ModelInfo, *, with_images: bool
) -> tuple[Path, tuple[str, ...], tuple[str, ...]]:
    """The folder that a model's files lie in, their paths in it, the main one first, and what else
    lies there that belongs to a copy."""
    if info.format is Format.GGUF:
        parts = [part.name for part in formats.gguf.part_paths(place)]
        sizes = {one.name: 0 for one in place.parent.glob("*.gguf")} if with_images else {}
        images = projector(sizes)
        return place.parent, (*parts, *([images] if images and images not in parts else [])), ()
    root = place if place.is_dir() else place.parent
    if root.name == "onnx" and (root.parent / "config.json").is_file():
        root = root.parent
    files = FolderFiles(root)
    if place.is_file():
        weights, about = _with(str(place.relative_to(root)), files), tuple[str, ...]()
        beside = tuple[str, ...]()
        if not files.sizes.keys().isdisjoint(("config.json", "adapter_config.json")):
            beside = tuple(filter(companions.is_configuration, choice.beside_of(files.sizes)))
    else:
        assert info.format is not None  # it was read from files
        weights, beside = _of_folder(place, files, info.format)
        about = tuple(filter(companions.is_about, files.sizes))
    if info.format is Format.ONNX:
        weights += external.missing({name: root / name for name in weights}, files.sizes)
    return root, (*weights, *(one for one in beside if one not in weights)), about


def _of_folder(
    folder: Path, files: Files, format_: Format
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The weights of the model that a folder is, and what goes with them."""
    same = choice.of_folder(files.sizes, formats=_FOLDERS if format_ in _FOLDERS else (format_,))
    if len(same) > 1:
        names = ", ".join(one.weights[0] for one in same)
        raise UsageError(f"{folder} holds {len(same)} models: {names}", "name one of the files")
    if same:
        return same[0].weights, same[0].beside
    weights = tuple(formats.weights(folder))
    return weights, tuple(filter(companions.is_configuration, files.sizes))


def _with(name: str, files: Files) -> tuple[str, ...]:
    """What a file is a model with: the other parts, the graphs that it works with, the weights that
    a graph keeps outside. What only lies beside it is not among them."""
    own = next((one.weights for one in choice.options(files.sizes) if name in one.weights), ())
    if _HALF.fullmatch(PurePosixPath(name).name):
        graphs = [one for one in own if _HALF.fullmatch(PurePosixPath(one).name)]
    else:
        graphs = [*series(files, name)]
    data = (one for one in own if any(choice.is_data(one, graph) for graph in graphs))
    return tuple(dict.fromkeys((*graphs, *_indexed(name, files), *data)))


def _indexed(name: str, files: Files) -> Iterator[str]:
    """The files that an index lists together with this one."""
    for index in (one for one in files.sizes if one.endswith(".safetensors.index.json")):
        with suppress(DamagedFile):
            listed = read_index(files, index)
            yield from listed if name in listed else ()
