"""Python, notebooks and TypeScript that use LlamaIndex."""

from collections.abc import Iterable

from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import constructed
from llmrr.migrate.readers.base import code_of
from llmrr.migrate.readers.langchain import kinds, sketches
from llmrr.migrate.readers.langchain.parts import NOTHING, Part
from llmrr.migrate.readers.langchain.runnables import Runnables
from llmrr.migrate.readers.llamaindex import classes
from llmrr.migrate.values import Call, Code

KIND = "llamaindex-code"


def read(document: Document) -> Iterable[Artefact]:
    """The models and prompts of a file of code; none where it has none of LlamaIndex's."""
    code = document.code
    if code is None or not any(classes.is_ours(name) for name in code.imports.values()):
        return []
    findings = _taken(document, code)
    if not (findings.models or findings.templates or findings.warnings):
        return []
    return [findings.artefact()]


def forced(document: Document) -> Iterable[Artefact]:
    """The same, where the user says that it is such code. Raises ``DamagedFile``."""
    return [_taken(document, code_of(document)).artefact()]


def _taken(document: Document, code: Code) -> Findings:
    findings = Findings(document.path, KIND)
    runnables = Runnables(
        findings, code.calls, javascript=code.language == "javascript", reading=_reading
    )
    for call in code.calls:
        runnables.part(call)
    runnables.finish()
    constructed.keys_beside(document.source, findings)
    return findings


def _reading(runnables: Runnables, call: Call) -> Part | None:
    """What a constructor of LlamaIndex's makes; None where it is none."""
    name = sketches.class_of(call)
    if not classes.is_ours(call.callee):
        return None
    embedded = call.named.get("embed_model", call.named.get("embedModel"))
    if isinstance(embedded, str):
        runnables.findings.warn("embedding-model", f"embeddings of {embedded}", call.line)
    if classes.EMBEDDINGS.fullmatch(name):
        kinds.embedding(runnables.findings, call, name, call.line)
        return NOTHING
    if sketches.is_message(call):
        return NOTHING
    if sketches.is_prompt(call):
        return runnables.prompt(call)
    provider = classes.provider(name)
    if provider is not None and call.receiver is None:
        return runnables.model(provider, call)
    if ".llms" in call.callee and classes.is_model(name) and name[:1].isupper():
        runnables.findings.warn(
            "unknown-provider", f"llmrr knows no provider for {name}", call.line
        )
        return NOTHING
    logic = next((x for x in (name, kinds.maker(call)) if classes.LOGIC.fullmatch(x)), None)
    if logic is not None:
        runnables.logic.append(logic)
    return None
