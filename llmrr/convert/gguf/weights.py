"""The tensors of safetensors files, and where their bytes lie."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from llmrr.errors import Unsupported
from llmrr.formats import FolderFiles, detect
from llmrr.formats.layout import of_file, of_folder
from llmrr.formats.messages import damaged
from llmrr.formats.parts import numbered
from llmrr.formats.safetensors_header import read_header
from llmrr.formats.tensors import Tensor
from llmrr.types import Format

READABLE = (Format.SAFETENSORS, Format.MLX)


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor in the file at ``path``, ``offset`` bytes after its beginning."""

    path: Path
    offset: int
    tensor: Tensor


def places(path: Path) -> dict[str, Place]:
    """All tensors of the model at ``path``, a folder or a file (of several), by their names.

    Only headers and the index are read. Raises ``DamagedFile`` for a file that is truncated, a
    tensor that is not where the index says or lies in two files, and an index that leads out of
    its folder; ``Unsupported`` for another format.
    """
    found_format = detect(path)
    if found_format not in READABLE:
        raise Unsupported(f"{path} holds {found_format.value} weights, not safetensors")
    folder = path if path.is_dir() else path.parent
    files = FolderFiles(folder)
    layout = of_folder(files) if path.is_dir() else of_file(files, path.name)
    found: dict[str, Place] = {}
    for name in numbered(files, layout.weights):
        here = dict(_of_file(folder / name))
        if absent := set(layout.index.get(name, ())) - here.keys():
            raise damaged(folder / name, f"{min(absent)[:99]!r}, which its index has, is not in it")
        if twice := found.keys() & here.keys():
            raise damaged(folder / name, f"{min(twice)[:99]!r} is in another file too")
        found |= here
    return found


def _of_file(path: Path) -> Iterable[tuple[str, Place]]:
    from llmrr.formats.source import FileSource

    source = FileSource.of(path)
    tensors = read_header(source).tensors
    offset = source.size - sum(tensor.bytes for tensor in tensors)
    for tensor in tensors:  # they follow each other without gaps, up to the end
        yield tensor.name, Place(path, offset, tensor)
        offset += tensor.bytes


class Reader:
    """Reads the bytes of tensors; each file is opened once."""

    def __init__(self, found: Mapping[str, Place]) -> None:
        self.places = found
        self._files: dict[Path, BinaryIO] = {}

    def fill(self, name: str, start: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the bytes of the tensor from its byte ``start`` on. Raises
        ``DamagedFile`` where the file became shorter."""
        place = self.places[name]
        if place.path not in self._files:
            self._files[place.path] = place.path.open("rb", buffering=0)
        file = self._files[place.path]
        file.seek(place.offset + start)
        got = 0
        while got < len(buffer):
            count = file.readinto(buffer[got:])  # type: ignore[attr-defined]
            if not count:
                raise damaged(place.path, f"it ended while {name[:99]!r} was read")
            got += count

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for file in self._files.values():
            file.close()
