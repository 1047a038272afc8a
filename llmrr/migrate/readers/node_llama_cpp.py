"""Code that uses node-llama-cpp: version 2, version 3, and the class of the guide's that neither
has. https://node-llama-cpp.withcat.ai/guide"""

from collections.abc import Iterator
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.llama_node import places
from llmrr.migrate.readers.llama_node.asking import Asking
from llmrr.migrate.readers.llama_node.tracing import Tracing
from llmrr.migrate.terms import fields
from llmrr.migrate.values import Call, Code, Value

PACKAGE: Final = "node-llama-cpp"
_LOADING: Final = frozenset({"LlamaModel", "LlamaCpp"})  # v2's, and the guide's
_NOISE: Final = frozenset({
    "modelPath", "vocabOnly", "onLoadProgress", "loadSignal", "ignoreMemorySafetyChecks",
    "useDirectIo", "metadataOverrides", "checkTensors", "embedding", "prependBos",
})  # fmt: skip


def of_code(document: Document) -> Iterator[Artefact]:
    """The models that a file loads, and what it asks of them."""
    code = document.code
    if code is None or code.language != "javascript" or not code.imports_from(PACKAGE):
        return
    findings = Findings(document.path, "node-llama-cpp-code")
    models = _models(code, findings)
    tracing = Tracing(code, models)
    asking = Asking(findings, tracing)
    for call in code.calls:
        asking.see(call)
    if findings.models or findings.warnings:
        yield findings.artefact()


def _models(code: Code, findings: Findings) -> dict[int, Model]:
    """The models by the calls that load them; what is only fetched is one, too."""
    found: dict[int, Model] = {}
    fetched: set[str] = set()
    for call in filter(_loads, code.calls):
        path = call.named.get("modelPath")
        fetched.update(str(places.uri_of(one)) for one in places.fetches(path, code))
        if _role(call, code) is not None:
            _other_role(call, code, findings)
            continue
        model = places.model(path, code, findings, call.line)
        if model is not None:
            found[id(call)] = _filled(model, call, findings)
    for call in code.calls:
        uri = places.uri_of(call)
        if isinstance(uri, str) and uri not in fetched:
            fetched.add(uri)
            places.model(call, code, findings, call.line)
    return found


def _loads(call: Call) -> bool:
    if call.name == "loadModel":
        return not call.callee.startswith((".", "@")) and "modelPath" in call.named
    return call.name in _LOADING and call.callee.startswith(PACKAGE)


def _role(call: Call, code: Code) -> str | None:
    """What a model is for whose contexts are all of another kind."""
    made = [one.name for one in code.calls if one.receiver is call]
    if "createContext" in made or not made:
        return None
    roles = {"createEmbeddingContext": "embedding-model", "createRankingContext": "other-role"}
    return next((roles[one] for one in made if one in roles), None)


def _other_role(call: Call, code: Code, findings: Findings) -> None:
    findings.warn(_role(call, code) or "other-role", "a model that answers no prompts", call.line)


def _filled(model: Model, call: Call, findings: Findings) -> Model:
    stated: dict[str, Value] = dict(call.named)
    llama = call.receiver
    if llama is not None and llama.name == "getLlama" and llama.named.get("gpu") is False:
        model.options["gpu_layers"] = 0
    for spread in call.rest:
        findings.warn("unresolved", f"{spread.text[:80]!r} may state more", spread.line)
    stated = places.sized(stated, findings, call.line)
    fields.settle(model, stated, findings, line=call.line, drop=_NOISE)
    return model


READER: Final = Reader(("node-llama-cpp-code",), of_code=of_code)
