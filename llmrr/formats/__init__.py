"""What a model file or folder is, told by its content and never by its name."""

import os
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from llmrr.errors import NotFound, Unsupported, nearest
from llmrr.formats.source import Files, FileSource, FolderFiles, OneFile, Source
from llmrr.types import Format, ModelFiles, ModelInfo

if TYPE_CHECKING:
    from llmrr.formats.layout import Layout

__all__ = ["Files", "FolderFiles", "Source", "detect", "inspect", "laid_out", "locate", "missing",
           "of_format", "weights"]  # fmt: skip

MOST_NAMES = 10_000  # of a folder, to look for the nearest


def detect(path: Path) -> Format:
    """The format of the model file or folder at ``path``, that of a LoRA adapter too.

    Raises ``NotFound``; ``DamagedFile`` for an empty, broken or foreign file; ``Unsupported`` for
    what is known and is no model. Nothing is unpickled, and of a zip archive nothing unpacked.
    """
    return Format.GGUF if _is_gguf(path) else laid_out(path)[1].format


def locate(path: Path) -> ModelFiles:
    """The file to open for the model at ``path``: the first part of a split GGUF model, the one
    GGUF model of a folder, the folder itself for other formats.

    Raises what ``detect`` raises, ``Unsupported`` for a LoRA adapter, and ``UsageError`` for a
    folder with several GGUF models.
    """
    if _is_gguf(path):
        from llmrr.formats.parts import first_part

        first = first_part(path.name, lambda name: path.with_name(name).is_file())
        return ModelFiles(path.with_name(first), Format.GGUF)
    files, layout = laid_out(path)
    if layout.adapter:
        raise _adapter(files, layout)
    inside = layout.weights[0] if layout.format is Format.GGUF and path.is_dir() else ""
    return ModelFiles(path / inside, layout.format)


def of_format(path: Path, wanted: Format) -> Path:
    """The model in one format at ``path``: that file or folder, or, in a folder that holds another
    model first, its first file. Raises ``Unsupported`` where there is none."""
    from llmrr.formats.layout import of_folder

    if detect(path) is wanted:
        return path
    with suppress(NotFound, Unsupported):
        layout = of_folder(FolderFiles(path), wanted) if path.is_dir() else None
        if layout is not None and layout.format is wanted:
            return path / layout.weights[0]
    raise Unsupported(f"{path} is {detect(path)}, and holds no {wanted}")


def weights(path: Path) -> tuple[str, ...]:
    """The files, by their names in it, that are the weights of the model that a folder is. Raises
    what ``detect`` raises."""
    return laid_out(path)[1].weights


def inspect(place: Path | Source | Files) -> ModelInfo:
    """What a model says of itself: a file or folder on this machine, or what is read by ranges.

    Headers and small files are read, never weights. Beside a file, the configuration and the other
    parts that lie in its folder are read too. Raises what ``detect`` raises, and ``DamagedFile``
    for a header that breaks its format and for files that are missing.
    """
    if isinstance(place, Path):
        if _is_gguf(place):
            from llmrr.formats import gguf

            return gguf.inspect(place)
        return _describe(*laid_out(place))
    from llmrr.formats.layout import of_file, of_folder

    if isinstance(place, Files):
        return _describe(place, of_folder(place))
    alone = OneFile(place)
    return _describe(alone, of_file(alone, alone.name))


def missing(path: Path) -> NotFound:
    """The error for a path where nothing is; its hint names what is nearest in that folder."""
    if path.is_symlink():
        said = f"{path} is a link that leads nowhere"
        return NotFound(said, f"ls -l {quote(str(path))}", is_file=True)
    names: dict[str, str] = {}
    with suppress(OSError), os.scandir(path.parent) as entries:
        names = {Path(one.name).stem: one.name for one in islice(entries, MOST_NAMES)}
    near = nearest(path.stem, names)
    hint = f"ls {quote(str(path.parent))}"
    if near:
        hint = f"did you mean {path.with_name(names[near])}?"
    return NotFound(f"{path} does not exist", hint, is_file=True)


def _is_gguf(path: Path) -> bool:
    """Told apart first, as this is what most runs start with."""
    if path.is_dir():
        return False
    if not path.exists():
        raise missing(path)
    return FileSource.of(path).read(0, 4) == b"GGUF"


def laid_out(path: Path) -> "tuple[Files, Layout]":
    """The files to describe the model at ``path`` with, and which of them are the model. Raises
    what ``detect`` raises."""
    from llmrr.formats.layout import of_file, of_folder

    files: Files
    if path.is_dir():
        files = FolderFiles(path)
        layout = of_folder(files)
    else:
        files = FolderFiles(path.parent, depth=0)
        if path.name not in files.sizes:  # one of very many
            files = OneFile(FileSource.of(path))
        layout = of_file(files, path.name)
    if layout.format is Format.ONNX and "config.json" not in files.sizes:
        return _below(path if path.is_dir() else path.parent, files, layout)
    return files, layout


def _below(folder: Path, files: Files, layout: "Layout") -> "tuple[Files, Layout]":
    """Graphs often lie in a folder onnx/ of the one with the configuration."""
    if not (folder.parent / "config.json").is_file():
        return files, layout
    above = FolderFiles(folder.parent, depth=1)
    weights, graphs = (
        tuple(f"{folder.name}/{name}" for name in names)
        for names in (layout.weights, layout.graphs)
    )
    if not above.sizes.keys() >= {*weights, *graphs}:
        return files, layout
    return above, replace(layout, weights=weights, graphs=graphs)


def _describe(files: Files, layout: "Layout") -> ModelInfo:
    if layout.format is Format.GGUF:
        from llmrr.formats import gguf
        from llmrr.formats.parts import numbered, series

        names = numbered(files, series(files, layout.weights[0]))
        return gguf.describe([gguf.read_header(files.source(name)) for name in names])
    if layout.format is Format.ONNX:
        from llmrr.formats import onnx

        return onnx.describe(files, layout)
    if layout.format is Format.PYTORCH:
        from llmrr.formats import pytorch

        return pytorch.describe(files, layout)
    from llmrr.formats import safetensors

    return safetensors.describe(files, layout)


def _adapter(files: Files, layout: "Layout") -> Unsupported:
    base = _describe(files, layout).metadata.get("base_model")
    return Unsupported(
        f"{files} is a LoRA adapter for {base or 'a model that it does not name'}, not a model",
        f"llmrr convert {quote(str(files))} --to gguf, and give that to its model: "
        "llmrr run -m MODEL -o lora FILE.gguf",
    )
