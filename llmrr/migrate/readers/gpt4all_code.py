"""Code that uses GPT4All's Python package: ``gpt4all/gpt4all.py`` of
https://github.com/nomic-ai/gpt4all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import asked
from llmrr.migrate.readers.coded_models import CodedModels
from llmrr.migrate.terms.fields import resolved
from llmrr.migrate.values import Call, Value

_USUAL: Final = "~/.cache/gpt4all"  # where the package keeps what it fetches
_READ: Final = (
    "model_name", "model_path", "model_type", "allow_download", "device", "verbose", "prompt",
    "n_batch", "streaming", "callback", "repeat_last_n", "n_predict", "system_prompt",
    "system_message", "prompt_template", "chat_template", "model",
)  # fmt: skip


def of_code(document: Document) -> Iterator[Artefact]:
    """The models of a file of code."""
    code = document.code
    if code is None or not code.imports_from("gpt4all"):
        return
    findings = Findings(document.path, "gpt4all")
    models = CodedModels(document, findings)
    for call in code.calls:
        if call.callee == "gpt4all.GPT4All":
            _load(call, models)
        elif call.callee == "gpt4all.Embed4All":
            findings.warn("embedding-model", "Embed4All makes vectors of texts", call.line)
    for call in code.calls:
        if call.name in ("generate", "chat_session") and models.owner(call.receiver):
            _ask(call, models)
    if findings.models or findings.warnings:
        yield findings.artefact()


def _load(call: Call, models: CodedModels) -> None:
    name = _told(call, 0, "model_name", models)
    if name is None:
        return
    folder = _told(call, 1, "model_path", models) if "model_path" in call.fields or len(
        call.args) > 1 else _USUAL  # fmt: skip
    if folder is None:
        return
    file = name if name.endswith((".gguf", ".bin")) else f"{name}.gguf"
    path = name if Path(name).is_absolute() else f"{folder.rstrip('/')}/{file}"
    model = models.findings.model(f"file:{path}", line=call.line)
    models.by_call[call] = model
    _put(model, call, models)


def _ask(call: Call, models: CodedModels) -> None:
    model = models.asked(call)
    if model is None:
        return
    _put(model, call, models)
    system = call.fields.get("system_prompt", call.fields.get("system_message"))
    if call.name == "chat_session":
        system = call.args[0] if call.args else system
        if system is not None:
            models.put(model, {"system": system}, call.line)
        return
    limit: Value = call.fields.get("n_predict")
    if limit is not None:
        models.put(model, {"max_tokens": limit}, call.line)
    asked.put(model, call.args[0] if call.args else call.fields.get("prompt"), models.findings)


def _put(model: Model, call: Call, models: CodedModels) -> None:
    kept = {name: one for name, one in call.fields.items()
            if name not in _READ and not (name == "ngl" and one == 100)}  # fmt: skip
    models.put(model, kept, call.line)


def _told(call: Call, at: int, name: str, models: CodedModels) -> str | None:
    stated = call.fields.get(name, call.args[at] if len(call.args) > at else None)
    if stated is None:
        models.findings.warn("no-model", "GPT4All() names no model", call.line, name)
        return None
    found = resolved(stated, models.findings, name, call.line)
    return found if isinstance(found, str) and found else None
