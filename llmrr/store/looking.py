"""Looking at just the files of one model where several lie in a folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from llmrr import formats
from llmrr.formats import gguf
from llmrr.formats.gguf_check import check_parts
from llmrr.formats.source import Files, Source
from llmrr.store.records import Entry
from llmrr.types import Format, ModelInfo


class Subset:
    """Some of the files that lie there, by their paths."""

    def __init__(self, files: Files, names: Iterable[str]) -> None:
        self._files = files
        self._sizes = {name: files.sizes[name] for name in names if name in files.sizes}

    @property
    def sizes(self) -> Mapping[str, int]:
        """Path: bytes."""
        return self._sizes

    def source(self, name: str) -> Source:
        """One of them."""
        return self._files.source(name)

    def __str__(self) -> str:
        return str(self._files)


def kind_of(info: ModelInfo) -> str | None:
    """What is noted as the kind of a model: one that makes vectors answers nothing."""
    return "embedding" if info.pooling else info.kind


def checked(path: Path) -> ModelInfo:
    """What the model at ``path`` says of itself, once it passed what is checked before it is run.
    Raises what ``formats.inspect`` and ``gguf.check_file`` do."""
    if path.is_dir() or formats.detect(path) is not Format.GGUF:
        return formats.inspect(path)
    parts = gguf.read_parts(path)
    info = gguf.describe(parts)
    if info.kind in (None, "model"):
        check_parts(parts)
    return info


def inspect(entry: Entry) -> ModelInfo:
    """What the files of a model say of it. Raises what ``formats.inspect`` does."""
    if not entry.path.is_dir() or not entry.files:
        return formats.inspect(entry.path)
    inside = (file.path for file in entry.files if file.path.is_relative_to(entry.path))
    names = [path.relative_to(entry.path).as_posix() for path in inside]
    return formats.inspect(Subset(formats.FolderFiles(entry.path), names))
