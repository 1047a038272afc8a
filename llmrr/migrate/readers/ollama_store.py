"""Ollama's store: ``manifests/`` and ``blobs/``, each model with what stands around its weights."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import LlmrrError
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.readers import ollama_parameters
from llmrr.modelfile.stated import json_value
from llmrr.store.holders import ollama
from llmrr.store.holders.base import is_folder

_EMBEDDERS: Final = ("bert", "nomic-bert", "jina-bert", "gte", "xlm-roberta", "embed")


def of_folder(real: Path, shown: Path) -> Iterator[Artefact]:
    """The models of a store."""
    if not (is_folder(real / "manifests") and is_folder(real / "blobs")):
        return
    findings = Findings(shown, "ollama-store")
    try:
        for stored in ollama.stored(real):
            _put(stored, shown, findings)
    except (LlmrrError, OSError, ValueError) as exc:
        yield findings.artefact(f"the store cannot be read: {exc}")
        return
    yield findings.artefact()


def _put(stored: ollama.Stored, shown: Path, findings: Findings) -> None:
    held, config = stored.holding, _object(stored.texts.get("config"))
    at = held.name
    if _is_embedder(config):
        findings.warn("embedding-model", f"{at} makes vectors of texts", at=at)
        return
    if held.problem and not stored.kinds and not config:
        findings.warn("incomplete", f"{at}: {held.problem}", at=at)
        return
    model = findings.model(held.source, at.rpartition("/")[2].removesuffix(f":{ollama.TAG}"))
    model.bytes = held.bytes or None
    if stored.weights is not None:
        model.weights = str(shown / stored.weights)
    if config.get("remote_model") or config.get("remote_host"):
        model.engine = "ollama"
        said = f"{at} runs in Ollama's cloud: its weights are not here"
        findings.warn("cloud-model", said, at=at)
    elif "tensor" in stored.kinds and "model" not in stored.kinds:
        model.engine = "ollama"
        said = f"the weights of {at} are kept as single tensors, which only Ollama reads"
        findings.warn("not-applied", said, at=at)
    elif held.problem:
        findings.warn("incomplete", f"{at}: {held.problem}", at=at)
    if "draft" in stored.kinds:
        said = f"{at} comes with a model that guesses ahead"
        findings.warn("not-applied", said, at=at)
    _around(model, stored.texts, findings)


def _around(model: Model, texts: Mapping[str, bytes], findings: Findings) -> None:
    at = model.name
    stated = _object(texts.get("params"))
    ollama_parameters.put(
        model, (ollama_parameters.Parameter(name, one) for name, one in stated.items()), findings
    )  # fmt: skip
    system = texts.get("system", b"").decode(errors="replace")
    if system.strip():
        model.params["system"] = system
    template = (texts.get("template") or texts.get("prompt") or b"").decode(errors="replace")
    if template.strip():
        findings.template(f"{at}-template", template, format="go", model=model)
        said = f"the template of {at} is one of Go: it is kept raw, and the model's own counts"
        findings.warn("go-template", said, at=at)
    if json_value(texts.get("messages", b"[]")):
        findings.warn("few-shot", f"{at} has examples of a conversation", at=at)


def _is_embedder(config: Mapping[str, Any]) -> bool:
    can = config.get("capabilities")
    if isinstance(can, list) and can:
        return "embedding" in can and "completion" not in can
    families = config.get("model_families")
    named = [config.get("model_family"), *(families if isinstance(families, list) else [])]
    return any(isinstance(one, str) and one.lower() in _EMBEDDERS for one in named)


def _object(raw: bytes | None) -> dict[str, Any]:
    value = json_value(raw) if raw else None
    return value if isinstance(value, dict) else {}
