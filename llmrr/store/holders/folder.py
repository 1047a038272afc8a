"""Any folder: the models below it."""

from collections.abc import Iterator
from pathlib import Path

from llmrr.store.holders.base import Folder, Holding, listed, of_folder, of_ggufs, walk
from llmrr.store.variants import stem


def roots() -> tuple[Path, ...]:
    """None: somebody names it."""
    return ()


def holdings(root: Path) -> Iterator[Holding]:
    """Every GGUF model, and every folder that is a model, by their names. Hidden folders and links
    out of ``root`` are passed over."""
    for folder in walk(root, links=False):
        yield from _in(folder)


def _in(folder: Folder) -> Iterator[Holding]:
    path = folder.path
    yield from of_ggufs(
        "folder",
        path,
        folder.sizes,
        lambda one: (stem(one.files[0]), f"file:{path / one.files[0]}"),
    )
    sizes = dict(folder.sizes)
    if path / "onnx" in folder.folders:
        sizes |= {f"onnx/{name}": size for name, size in listed(path / "onnx").sizes.items()}
    if whole := of_folder("folder", path, sizes, path.name, f"file:{path}"):
        yield whole
