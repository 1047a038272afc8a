"""Files as readers get them: written to a folder, read back, and what one reader finds."""

from pathlib import Path

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader


def document(folder: Path, name: str, text: str) -> Document:
    """A file with this text."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Document(path, path.read_bytes())


def artefacts(reader: Reader, folder: Path, name: str, text: str) -> list[Artefact]:
    """What a reader finds in a file, as data and as code."""
    found = document(folder, name, text)
    ways = (reader.of_data, reader.of_code)
    return [one for way in ways if way is not None for one in way(found)]


def only(reader: Reader, folder: Path, name: str, text: str) -> Artefact:
    """The one artefact that a reader finds in a file."""
    found = artefacts(reader, folder, name, text)
    assert len(found) == 1
    return found[0]


def codes(found: Artefact) -> set[str]:
    """The codes of the warnings."""
    return {one.code for one in found.warnings}


def sources(found: Artefact) -> dict[str, str]:
    """The sources of the models by their names."""
    return {one.name: one.source for one in found.models}


def said(found: Artefact) -> str:
    """Everything that an artefact says, as it is printed."""
    return repr(found.as_json())
