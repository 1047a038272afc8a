"""Files that lie as texts in another one: in Kubernetes' ``ConfigMap``, in ``configs`` of a compose
file."""

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, Final

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing.lines import Lines

_MOST: Final = 50  # texts of a file
_LARGEST: Final = 400_000  # characters of one


class _Inner(Document):
    """A text in a file: it has the place of that file, and a name of its own."""

    def __init__(self, outer: Document, name: str, text: str) -> None:
        super().__init__(outer.path, text.encode(), outer.real)
        self._suffix = PurePath(name).suffix.lower()

    @property
    def suffix(self) -> str:
        return self._suffix


def of_texts(document: Document) -> Iterator[Artefact]:
    """What the texts in a file say, each read by the first reader that takes it."""
    from llmrr.migrate.readers import READERS

    if isinstance(document, _Inner):
        return
    for inner in _inner(document):
        for reader in READERS:
            if reader.of_data is not None and (found := list(reader.of_data(inner))):
                yield from found
                break


def _inner(document: Document) -> Iterator[Document]:
    """The texts as files; blank lines before them keep their lines."""
    shape, lines, left = document.shape, Lines(document.text or ""), _MOST
    for entry in shape if isinstance(shape, list) else [shape]:
        for name, text in _texts(entry):
            line = lines.next(name, key=True)
            left -= 1
            if left >= 0 and "\n" in text and len(text) <= _LARGEST:
                yield _Inner(document, name, "\n" * (line or 0) + text)


def _texts(entry: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict):
        return
    if entry.get("kind") == "ConfigMap" and isinstance(entry.get("data"), dict):
        for name, text in entry["data"].items():
            if isinstance(text, str):
                yield str(name), text
    configs = entry.get("configs") if isinstance(entry.get("services"), dict) else None
    for name, one in configs.items() if isinstance(configs, dict) else ():
        if isinstance(one, dict) and isinstance(one.get("content"), str):
            suffix = "" if Path(str(name)).suffix else ".yaml"
            yield f"{name}{suffix}", one["content"]
