"""Configuration files in the guide's shapes, and real ones that resemble them: JavaScript,
TypeScript, or the same tables as data. What they are is told by their content: many a
``langchain.config.js`` configures a build.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.guide import clients, local, many, openai
from llmrr.migrate.readers.guide.tables import tables
from llmrr.migrate.values import Value


class _Shape(NamedTuple):
    kind: str
    fits: Callable[[Mapping[str, Value]], bool]
    read: Callable[[Mapping[str, Value], Findings], None]
    confidence: float | None = None
    of_javascript: bool = False  # in code and JSON alone; what else looks so is another program's


_SHAPES: Final = (
    _Shape("langchain-config-js", many.is_langchain, many.read),
    _Shape("custom", many.is_router, many.read, 0.9),
    _Shape("openai-config-js", openai.fits, openai.read, of_javascript=True),
    _Shape("local-config-js", local.fits, local.read),
)

_JSON: Final = (".json", ".jsonc", ".json5")


def of_file(document: Document) -> Iterator[Artefact]:
    """What a file of one of these shapes says."""
    found: dict[str, Findings] = {}
    is_javascript = document.code is not None or document.suffix in _JSON
    for table in tables(document):
        shape = next((
            one for one in _SHAPES
            if (is_javascript or not one.of_javascript) and one.fits(table)
        ), None)  # fmt: skip
        if shape is not None:
            findings = found.setdefault(shape.kind, Findings(document.path, shape.kind))
            findings.confidence = shape.confidence
            shape.read(table, findings)
    for findings in found.values():
        yield findings.artefact(local.refusal(findings))
    if not found and document.code is not None:
        yield from clients.read(document.path, document.code)


def forced(document: Document) -> Iterator[Artefact]:
    """The same, of a file that the user says is one."""
    found = list(of_file(document))
    if not found:
        raise DamagedFile(
            f"{document.path} configures no language model",
            "it needs models with modelName or source, an apiKey with a model, or a modelPath",
        )
    yield from found


READER: Final = Reader(
    ("langchain-config-js", "openai-config-js", "local-config-js", "custom"),
    of_data=of_file, of_code=of_file, forced=forced,
)  # fmt: skip
