"""``dumps`` of LangChain, in Python and JavaScript: ``{"lc": 1, "type": ..., "id": ...}``, as JSON
or YAML, also inside what LangSmith exports. What it holds is data here: nothing is ever loaded.
"""

from collections.abc import Iterable

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import constructed
from llmrr.migrate.readers.langchain import dumped
from llmrr.migrate.readers.langchain.runnables import Runnables

KIND = "langchain-serialized"


def read(document: Document) -> Iterable[Artefact]:
    """The models, chains and prompts of a file; none where it holds no ``lc`` node, or only
    messages and documents."""
    if document.text is None or "lc" not in document.text:
        return []
    found = list(dumped.nodes(document.shape))
    if not found:
        return []
    findings = taken(document, found)
    if not (findings.models or findings.templates or findings.warnings):
        return []
    return [findings.artefact()]


def forced(document: Document) -> Iterable[Artefact]:
    """The same, where the user says that it is one. Raises ``DamagedFile``."""
    found = list(dumped.nodes(document.shape))
    if not found:
        raise DamagedFile(
            f"{document.path}: {document.problem or 'it holds no serialized object of LangChain'}",
            "llmrr migrate scan tells what a file is",
        )
    return [taken(document, found).artefact()]


def taken(document: Document, nodes: Iterable[dict[str, object]]) -> Findings:
    """What the nodes of a file hold."""
    findings = Findings(document.path, KIND)
    runnables = Runnables(findings, lined=False, keys_guessed=True)
    for node in nodes:
        runnables.part(dumped.value_of(node))
    runnables.finish()
    constructed.keys_in(document.shape, findings)
    return findings
