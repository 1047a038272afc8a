"""Stores of answers: LangChain's, GPTCache's, the logs of simonw's llm, the guide's. They set up no
model; ``migrate cache`` brings their answers over."""

from collections.abc import Iterator
from typing import Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.caches import finding, legacy
from llmrr.migrate.caches.sqlite import MAGIC, opened
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader

KIND: Final = "response-cache"
SECONDS: Final = 0.5  # of looking at a database
COPIED: Final = 32_000_000  # bytes of one that is written to at the moment


def of_data(document: Document) -> Iterator[Artefact]:
    """A store of answers, by its tables or fields."""
    tool = _tool(document)
    if tool is not None:
        found = Findings(document.path, KIND)
        found.warn("response-cache", f"answers that {tool} kept: llmrr migrate cache reads them")
        yield found.artefact()


def forced(document: Document) -> Iterator[Artefact]:
    """The same, of a file that the user takes for one. Raises ``DamagedFile``."""
    if document.data[:1] == b"\x80":
        raise DamagedFile(f"{document.path} is a pickle, which is never loaded")
    if document.data.startswith(MAGIC):
        with opened(document.real, SECONDS, COPIED):
            pass
    raise DamagedFile(f"{document.path} has none of the layouts of answers that are known here")


def _tool(document: Document) -> str | None:
    if document.data.startswith(MAGIC):
        try:
            with opened(document.real, SECONDS, COPIED) as database:
                layout = finding.layout_of(database)
        except DamagedFile:
            return None
        return layout.tool if layout else None
    return finding.LEGACY if document.text and legacy.fits(document.shape) else None


READER = Reader((KIND,), of_data=of_data, forced=forced)
