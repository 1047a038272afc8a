"""Python, notebooks, JavaScript and TypeScript that use LangChain."""

import re
from collections.abc import Iterable

from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import constructed
from llmrr.migrate.readers.base import code_of
from llmrr.migrate.readers.langchain import asking, classes
from llmrr.migrate.readers.langchain.runnables import Runnables
from llmrr.migrate.values import Code

KIND = "langchain-code"
_SNIPPET = re.compile(r"\b(?:Chat[A-Z]\w+|LLMChain|init_?[cC]hat_?[mM]odel)\s*\(")


def read(document: Document) -> Iterable[Artefact]:
    """The models, chains and prompts of a file of code; none where it has none of LangChain's."""
    code = document.code
    if code is None or not _is_ours(document, code):
        return []
    findings = taken(document, code)
    if not (findings.models or findings.templates or findings.warnings):
        return []
    return [findings.artefact()]


def forced(document: Document) -> Iterable[Artefact]:
    """The same, where the user says that it is such code. Raises ``DamagedFile``."""
    return [taken(document, code_of(document)).artefact()]


def taken(document: Document, code: Code) -> Findings:
    """What the calls of a file make."""
    findings = Findings(document.path, KIND)
    runnables = Runnables(findings, code.calls, javascript=code.language == "javascript")
    for call in code.calls:
        runnables.part(call)
    asking.loose_messages(runnables)
    runnables.finish()
    constructed.keys_beside(document.source, findings)
    return findings


def _is_ours(document: Document, code: Code) -> bool:
    if any(classes.is_ours(name) for name in code.imports.values()):
        return True
    # A snippet: its imports stand elsewhere. Where it imports something of another package under
    # these names, ``kinds`` does not take them.
    return bool(_SNIPPET.search(document.text or ""))
