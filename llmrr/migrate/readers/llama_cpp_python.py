"""Code that runs a model with llama-cpp-python."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.sdk.asks import Ask, Asked
from llmrr.migrate.readers.sdk.clients import Client
from llmrr.migrate.readers.sdk.prompts import prompts
from llmrr.migrate.terms import fields
from llmrr.migrate.values import Call, Code, Prompt, Value

_ASKS: Final = {
    "": "prompt", "__call__": "prompt", "create_completion": "prompt",
    "create_chat_completion": "messages", "create_chat_completion_openai_v1": "messages",
}  # fmt: skip
_LOADED: Final = frozenset({
    "model_path", "repo_id", "filename", "chat_format", "chat_handler", "verbose", "embedding",
    "n_batch", "n_ubatch", "cache_dir", "local_dir", "local_dir_use_symlinks", "logits_all",
    "vocab_only", "offload_kqv", "last_n_tokens_size", "tokenizer", "additional_files",
    "force_download", "split_mode", "tensor_split", "main_gpu", "numa", "draft_model",
    "n_threads_batch", "kv_overrides", "rpc_servers", "no_perf", "op_offload", "swa_full", "token",
    "f16_kv", "n_parts", "spm_infill", "pooling_type",
})  # fmt: skip
_ASKED: Final = frozenset({
    "prompt", "messages", "stream", "echo", "suffix", "model", "logits_processor",
    "stopping_criteria", "tools", "tool_choice", "functions", "function_call", "response_format",
    "grammar", "penalize_nl",
})  # fmt: skip
_TOOLS: Final = ("tools", "functions", "response_format", "grammar")
# Types of the cache's values by llama.cpp's numbers.
_TYPES: Final = {0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0"}


def of_code(document: Document) -> Iterator[Artefact]:
    """The models that a file of Python loads, with what it asks of them."""
    code = document.code
    if code is None or code.language != "python" or not code.imports_from("llama_cpp"):
        return
    findings = Findings(document.path, "llama-cpp-python-code")
    asked = Asked(findings)
    for call in code.calls:
        if _loads(call):
            _loaded(call, code, asked)
    prompts(asked)
    if findings.models or findings.warnings:
        yield findings.artefact()


def _loads(call: Call) -> bool:
    """``Llama(…)`` and ``Llama.from_pretrained(…)``."""
    return call.receiver is None and call.callee in (
        "llama_cpp.Llama", "llama_cpp.Llama.from_pretrained", "llama_cpp.llama.Llama",
        "llama_cpp.llama.Llama.from_pretrained",
    )  # fmt: skip


def _loaded(call: Call, code: Code, asked: Asked) -> None:
    """One model that is loaded: once for each set of parameters that it is asked with."""
    findings = asked.findings
    if call.fields.get("embedding") is True:
        findings.warn("embedding-model", "a model is loaded for embeddings", call.line)
        return
    source = _source(call, findings)
    if source is None:
        return
    for asking in [one for one in code.calls if one.receiver is call and one.callee in _ASKS]:
        _put(source, call, asking, asked)
    if not any(one.line == call.line for one in findings.models):
        _put(source, call, None, asked)


def _put(source: str, call: Call, asking: Call | None, asked: Asked) -> None:
    findings = asked.findings
    model = findings.model(source, line=call.line)
    _options(model, call, findings)
    ask = Ask(call, Client("file"), None, {}, is_call=False)
    if asking is not None:
        stated = asking.fields
        if any(stated.get(name) for name in _TOOLS):
            findings.warn("tools", "tools or a grammar stay in the code", asking.line)
        for spread in asking.rest:
            findings.warn("unresolved", f"further arguments are in {spread.text!r}", asking.line)
        fields.settle(model, stated, findings, line=asking.line, drop=_ASKED)
        said = stated.get(_ASKS[asking.callee], asking.args[0] if asking.args else None)
        ask = Ask(asking, Client("file"), None, {}, _spoken(said))
    asked.merge(model, ask)


def _spoken(said: Value) -> Value:
    """A prompt; a constant one is only a prompt."""
    return said if isinstance(said, list | Prompt) else None


def _source(call: Call, findings: Findings) -> str | None:
    line = call.line
    if call.name == "from_pretrained":
        given = dict(zip(("repo_id", "filename"), call.args, strict=False)) | dict(call.fields)
        repo = fields.resolved(given.get("repo_id"), findings, "repo_id", line)
        if not isinstance(repo, str):
            return None
        file = fields.resolved(given.get("filename"), findings, "filename", line)
        return f"huggingface:{repo}{_file(file)}"
    value = call.fields.get("model_path", call.args[0] if call.args else None)
    if isinstance(value, Call):
        found = _downloaded(value, findings)
        if found is not None:
            return found
    if value is None:
        spread = f" (it may be in {call.rest[0].text!r})" if call.rest else ""
        findings.warn("unresolved" if call.rest else "no-model",
                      f"Llama names no model_path{spread}", line)  # fmt: skip
        return None
    path = fields.resolved(value, findings, "model_path", line)
    return f"file:{path}" if isinstance(path, str) and path.strip() else None


def _downloaded(call: Call, findings: Findings) -> str | None:
    """``hf_hub_download(repo_id, filename)``."""
    if call.name != "hf_hub_download":
        return None
    given = dict(zip(("repo_id", "filename"), call.args, strict=False)) | dict(call.fields)
    repo = fields.resolved(given.get("repo_id"), findings, "repo_id", call.line)
    file = fields.resolved(given.get("filename"), findings, "filename", call.line)
    if not (isinstance(repo, str) and isinstance(file, str)):
        return None
    revision = given.get("revision")
    at = f"@{revision}" if isinstance(revision, str) and revision != "main" else ""
    return f"huggingface:{repo}/{file}{at}"


def _file(pattern: Any) -> str:
    """A file of a repository, or the quantization that a pattern (``*Q4_K_M.gguf``) is of."""
    if not isinstance(pattern, str) or not pattern.strip("*"):
        return ""
    if "*" not in pattern and "?" not in pattern:
        return f"/{pattern}"
    found = re.search(r"(?i)(?:I?Q\d\w*|F16|BF16|F32)", pattern)
    return f":{found[0].upper()}" if found else ""


def _options(model: Model, call: Call, findings: Findings) -> None:
    line = call.line
    stated: Mapping[str, Value] = call.fields
    names = {"type_k": "kv_type", "n_threads": "threads"}
    given = dict(stated)
    if isinstance(kind := given.get("type_k"), int) and not isinstance(kind, bool):
        given["type_k"] = _TYPES.get(kind)
    given.pop("type_v", None)
    if given.get("seed") in (-1, 0xFFFFFFFF):
        given.pop("seed")
    if stated.get("chat_format") is not None:
        findings.warn(
            "chat-template", "chat_format is not used: the model's own chat template is", line,
            "chat_format",
        )  # fmt: skip
    if isinstance(handler := stated.get("chat_handler"), Call):
        given["mmproj"] = handler.fields.get("clip_model_path")
    if stated.get("tensor_split") is not None:
        findings.warn("gpu-split", "devices are chosen when the model is loaded", line)
    if stated.get("draft_model") is not None:
        findings.warn("unmapped-parameter", "draft_model has no equivalent in llmrr.toml", line)
    for spread in call.rest:
        findings.warn("unresolved", f"further arguments are in {spread.text!r}", line)
    fields.settle(model, given, findings, line=line, names=names, drop=_LOADED)


READER: Final = Reader(("llama-cpp-python-code",), of_code=of_code)
