"""What a reader is."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.values import Code


class Reader(NamedTuple):
    """``kinds`` are what it finds. ``of_data`` and ``of_code`` take a file, ``of_folder`` a folder;
    each gives the artefacts, none where it is not theirs. ``forced`` reads a file that nothing
    recognised, because the user says that it is of this kind; it raises ``DamagedFile`` where it
    cannot be. None of them raises anything else, whatever the file holds."""

    kinds: tuple[str, ...]
    of_data: Callable[[Document], Iterable[Artefact]] | None = None
    of_code: Callable[[Document], Iterable[Artefact]] | None = None
    of_folder: Callable[[Path, Path], Iterable[Artefact]] | None = None  # (real, as shown)
    forced: Callable[[Document], Iterable[Artefact]] | None = None


def code_of(document: Document) -> Code:
    """The code of a file that the user says to be some. Raises ``DamagedFile``."""
    if document.code is None:
        raise DamagedFile(
            f"{document.path}: {document.problem or 'it is no code that can be read'}",
            "llmrr migrate scan tells what a file is",
        )
    return document.code
