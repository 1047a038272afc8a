"""Where the files of a model are read from: this machine, or ranges of files that lie elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from llmrr.errors import NotFound


class Source(Protocol):
    """One file."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at ``offset``; fewer than ``length`` at the end."""


class Files(Protocol):
    """The files of a model, by their relative paths with ``/``."""

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
        """Raises ``NotFound`` for what is not a readable file."""
        try:
            return cls(path, path.stat().st_size)
        except OSError as exc:
            raise NotFound(f"{path} cannot be read: {exc.strerror}") from exc

    def read(self, offset: int, length: int) -> bytes:
        """Raises ``NotFound`` when the file is gone or may not be read."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(length)
        except OSError as exc:
            raise NotFound(f"{self.path} cannot be read: {exc.strerror}") from exc

    def __str__(self) -> str:
        return str(self.path)
