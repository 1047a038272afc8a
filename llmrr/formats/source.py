"""Where the files of a model are read from: this machine, or ranges of files that lie elsewhere."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from llmrr.errors import NotFound

MAX_ENTRIES = 10_000  # of a folder
MAX_DEPTH = 2  # of folders in it


class Source(Protocol):
    """One file."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at ``offset``; fewer than ``length`` at the end."""


@runtime_checkable
class Files(Protocol):
    """The files of a model, by their relative paths with ``/``. What their contents name is looked
    up here and never opened otherwise, so nothing leads out of the folder."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Path: bytes."""

    def source(self, name: str) -> Source:
        """One of them."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on this machine. It is opened for each read, so that nothing stays open."""

    path: Path
    size: int

    @classmethod
    def of(cls, path: Path) -> "FileSource":
        """Raises ``NotFound`` for what is not a readable file; a pipe or a device is none."""
        try:
            if not path.is_file() and path.exists():
                raise NotFound(f"{path} is not a file", "name a model file or folder", is_file=True)
            return cls(path, path.stat().st_size)
        except OSError as exc:
            raise NotFound(f"{path} cannot be read: {exc.strerror}", is_file=True) from exc

    def read(self, offset: int, length: int) -> bytes:
        """Raises ``NotFound`` when the file is gone or may not be read."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(length)
        except OSError as exc:
            raise NotFound(f"{self.path} cannot be read: {exc.strerror}", is_file=True) from exc

    def __str__(self) -> str:
        return str(self.path)


class FolderFiles:
    """A folder on this machine: its files and those in its folders, hidden folders left aside, at
    most ``MAX_ENTRIES``. Links to files are followed, as a Hugging Face snapshot consists of them;
    links to folders are not."""

    def __init__(self, path: Path, depth: int = MAX_DEPTH) -> None:
        """``depth`` is how many folders deep to look. Raises ``NotFound`` for an unreadable one."""
        self.path = path
        try:
            self.sizes: Mapping[str, int] = dict(sorted(_sizes(path, depth)))
        except OSError as exc:
            raise NotFound(f"{path} cannot be read: {exc.strerror}", is_file=True) from exc

    def source(self, name: str) -> FileSource:
        """Raises ``NotFound`` for a file that was not there."""
        if name not in self.sizes:
            raise NotFound(f"{self.path / name} is not there", is_file=True)
        return FileSource(self.path / name, self.sizes[name])

    def __str__(self) -> str:
        return str(self.path)


class OneFile:
    """A file of which nobody says what lies beside it, as a folder of its own."""

    def __init__(self, source: Source) -> None:
        self.one = source
        self.name = str(source).rpartition("/")[2]
        self.sizes: Mapping[str, int] = {self.name: source.size}

    def source(self, name: str) -> Source:
        """The file itself."""
        return self.one

    def __str__(self) -> str:
        return str(self.one)


def _sizes(path: Path, depth: int) -> Iterator[tuple[str, int]]:
    """Path and size of each file, the outer folders first."""
    folders, left = [("", path, depth)], MAX_ENTRIES
    while folders and left:
        prefix, folder, deeper = folders.pop(0)
        for entry in _entries(folder, must=not prefix):
            if not (left := left - 1):
                break
            with suppress(OSError):  # a link to itself, a file that was there
                if entry.is_file():
                    yield prefix + entry.name, entry.stat().st_size
                elif deeper and entry.is_dir(follow_symlinks=False) and entry.name[0] != ".":
                    folders.append((f"{prefix}{entry.name}/", Path(entry.path), deeper - 1))


def _entries(folder: Path, *, must: bool) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        if must:
            raise


class Bytes:
    """A file that is in memory already; ``name`` is for messages."""

    def __init__(self, raw: bytes, name: str) -> None:
        self.raw, self.size, self.name = raw, len(raw), name

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at ``offset``; fewer than ``length`` at the end."""
        return self.raw[offset : offset + length]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Slice:
    """A file inside another one."""

    source: Source
    offset: int
    size: int
    name: str

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at ``offset``; fewer than ``length`` at the end."""
        return self.source.read(self.offset + offset, max(0, min(length, self.size - offset)))

    def __str__(self) -> str:
        return self.name
