"""What is to be converted, looked at before any work: its headers, and what lies beside it."""

from dataclasses import replace
from pathlib import Path

from llmrr import formats
from llmrr.convert.base import Source
from llmrr.errors import DamagedFile, NotFound, Unsupported, UsageError
from llmrr.formats import FolderFiles
from llmrr.formats.messages import listed
from llmrr.formats.tensors import Tensor
from llmrr.types import Format

ACCEPTED = (
    "accepted are a folder with config.json and safetensors, a state dict that torch.save wrote, "
    "and GGUF"
)


def open_source(path: Path, settings: Path | None = None) -> Source:
    """The model file or folder at ``path``; ``settings`` is the folder with config.json and the
    tokenizer, where they do not lie beside the weights.

    Raises ``NotFound``; ``Unsupported`` for what cannot be converted, as ``Unsupported model format
    '.pkl'`` with what was found; ``DamagedFile``; ``UsageError`` for weights without settings.
    """
    try:
        info = formats.inspect(path)
    except (Unsupported, DamagedFile) as error:
        if path.is_file() and _is_foreign(path):
            raise unsupported(path, error.message) from error
        raise
    if info.format is Format.GGUF:
        return Source(path, info, None, _of_gguf(path))
    tensors = _of_pickle(path) if info.format is Format.PYTORCH else _of_folder(path, info.format)
    if info.format is Format.PYTORCH and info.unsafe:
        raise unsupported(path, f"it asks for {listed(info.unsafe)}, which no tensor needs")
    if info.format is Format.PYTORCH and not tensors:
        asked = f"; it asks for {listed(info.imports)}" if info.imports else ""
        raise unsupported(path, f"there are no tensors of PyTorch in it{asked}")
    found = _settings(path, settings)
    if settings is not None and info.format is Format.PYTORCH:
        info = replace(info, architecture=_family(settings))
    return Source(path, info, found, tensors)


def _is_foreign(path: Path) -> bool:
    """Whether a file is a pickle, or nothing that is known."""
    from llmrr.formats.detection import known

    return known(formats.source.FileSource.of(path)) in (None, Format.PYTORCH)


def unsupported(path: Path, why: str) -> Unsupported:
    """The error for a file that cannot be converted, and why not."""
    named = path.suffix or path.name
    said = why.removeprefix(f"{path} is ").removeprefix(f"{path}: ")
    return Unsupported(f"Unsupported model format '{named}': {path}: {said}", ACCEPTED)


def _settings(path: Path, stated: Path | None) -> Path:
    """The folder with config.json. Raises ``UsageError`` where there is none."""
    folder = stated or (path if path.is_dir() else path.parent)
    for beside in (folder, folder.parent) if stated is None else (folder,):
        if (beside / "config.json").is_file() or (beside / "adapter_config.json").is_file():
            return beside
    if stated is not None:
        if not stated.is_dir():
            raise NotFound(f"--config {stated} is no folder", f"ls -ld {stated.parent}")
        raise NotFound(f"--config {stated} has no config.json", f"ls {stated}")
    raise UsageError(
        f"{path} are weights alone: neither architecture nor tokenizer lie beside them",
        "--config DIR, a folder with the model's config.json and tokenizer",
    )


def _family(settings: Path) -> str:
    from llmrr.formats.json_file import read_beside
    from llmrr.formats.model_config import Config

    return Config(read_beside(FolderFiles(settings, 0), "config.json")).family


def _of_gguf(path: Path) -> tuple[Tensor, ...]:
    from llmrr.formats import gguf

    headers = [gguf.read_header(part) for part in gguf.part_paths(formats.locate(path).path)]
    return tuple(
        Tensor(one.name, one.type_name, tuple(reversed(one.dims)), one.bytes)
        for header in headers for one in header.tensors
    )  # fmt: skip


def _of_pickle(path: Path) -> tuple[Tensor, ...]:
    from llmrr.formats import pytorch

    files, layout = formats.laid_out(path)
    found = [pytorch.read_contents(files.source(name)) for name in layout.weights]
    return tuple(tensor for one in found for tensor in one.tensors)


def _of_folder(path: Path, format_: Format | None) -> tuple[Tensor, ...]:
    if format_ is Format.ONNX:
        return ()
    from llmrr.formats.safetensors_header import read_header

    files, layout = formats.laid_out(path)
    return tuple(
        tensor for name in layout.weights for tensor in read_header(files.source(name)).tensors
    )


