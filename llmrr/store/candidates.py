"""What a file or folder on this machine is made of, before it is installed: which of the files
there are the model, and which only lie beside it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from llmrr import formats, paths
from llmrr.errors import Unsupported, UsageError
from llmrr.formats import FolderFiles, companions
from llmrr.formats.parts import series
from llmrr.formats.source import Files
from llmrr.store import choice, external
from llmrr.store.looking import checked
from llmrr.store.records import sound_label
from llmrr.store.variants import projector, quant_label
from llmrr.types import Format, ModelInfo

How = Literal["reference", "copy", "hardlink", "move"]

# The graphs that exporters make of one model.
_GRAPH = re.compile(r"(model|encoder|decoder)([_-]\w+)*\.onnx")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model file or folder that may be installed: its files by their paths below ``root``, and
    what else belongs to a copy of it (a licence, say)."""

    path: Path
    root: Path
    files: tuple[str, ...]
    info: ModelInfo
    rest: tuple[str, ...] = ()

    def names(self, how: How) -> tuple[str, ...]:
        """The files that are installed. What is moved is the model and nothing else: ``rm`` may
        delete it then."""
        return (*self.files, *self.rest) if how in ("copy", "hardlink") else self.files

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
    """What to open: of GGUF the first part, of a file that lies in a model's folder that folder."""
    format_ = formats.detect(path)
    if format_ is Format.GGUF:
        return formats.locate(path).path
    in_folder = format_ in (Format.SAFETENSORS, Format.MLX) and path.is_file()
    return path.parent if in_folder and (path.parent / "config.json").is_file() else path


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
    known = formats.FolderFiles(root).sizes
    found = choice.options(known)
    if place.is_dir():
        same = [one for one in found if one.format is _laid_out_as(info.format)]
    else:
        same = [one for one in found if str(place.relative_to(root)) in one.weights]
    if len(same) > 1:  # a folder: what its variants (fp16, q4) are made of
        same = [one for one in same if one.tag in ("", "fp32")] or same
    if len(same) > 1:
        names = ", ".join(one.weights[0] for one in same)
        raise UsageError(f"{place} holds {len(same)} models: {names}", "name one of the files")
    if not same:
        return root, tuple(known) if place.is_dir() else (place.name,), ()
    weights = same[0].weights
    if place.is_file():
        weights = _with(str(place.relative_to(root)), weights, FolderFiles(root))
    if info.format is Format.ONNX:
        weights += external.missing({name: root / name for name in weights}, known)
    beside = (
        one for one in same[0].beside
        if one.endswith(".safetensors") or companions.is_configuration(one)
    )  # fmt: skip
    about = filter(companions.is_about, known) if place.is_dir() else ()
    return root, (*weights, *beside), tuple(about)


def _with(name: str, weights: tuple[str, ...], files: Files) -> tuple[str, ...]:
    """What of the ``weights`` in a folder goes with one file: its parts, and the graphs of its
    model. What only lies beside it does not."""
    parts = series(files, name)
    if not _GRAPH.fullmatch(PurePosixPath(name).name):
        return tuple(one for one in weights if one in parts or choice.is_data(one, name))
    graphs = [one for one in weights if _GRAPH.fullmatch(PurePosixPath(one).name)]
    return (*graphs, *(one for one in weights if any(choice.is_data(one, g) for g in graphs)))


def _laid_out_as(format_: Format) -> Format:
    return Format.SAFETENSORS if format_ is Format.MLX else format_
