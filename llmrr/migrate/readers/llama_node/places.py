"""Where a model of node-llama-cpp lies: a path, or a URI that is resolved to one."""

import re
from collections.abc import Iterator, Mapping

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers.weights import model_at
from llmrr.migrate.terms import fields
from llmrr.migrate.values import Call, Code, Unresolved, Value

_URI = re.compile(r"(?i)(?:hf|huggingface):|https?://|(?:hf|huggingface)\.co/|file:")


def model(path: Value, code: Code, findings: Findings, line: int) -> Model | None:
    """The model at ``modelPath``, or None with a warning that says why there is none."""
    folder = None
    for call in fetches(path, code):
        path, folder = uri_of(call), _folder(call)
    known = fields.resolved(path, findings, "modelPath", line)
    if known is None:
        if path is None:
            findings.warn("no-model", "the model that is loaded has no modelPath", line)
        return None
    if not isinstance(known, str) or not known.strip():
        findings.warn("wrong-type", "modelPath is no path", line, "modelPath")
        return None
    if folder and not _URI.match(known) and "/" not in known:
        known = f"{folder.rstrip('/')}/{known}"
    found = model_at(known, findings)
    if found is not None:
        found.line = line
    return found


def fetches(path: Value, code: Code) -> Iterator[Call]:
    """The call that fetches what lies at a path: ``resolveModelFile``, or the maker of a downloader
    whose ``download()`` or ``entrypointFilePath`` the path is."""
    if isinstance(path, Unresolved):
        found = re.fullmatch(r"([\w.]+)\.(?:entrypointFilePath|entryPointFilePath)", path.text)
        path = code.names.get(found[1]) if found else None
    if isinstance(path, Call) and path.name == "download" and path.receiver is not None:
        path = path.receiver
    if isinstance(path, Call) and uri_of(path) is not None:
        yield path


def uri_of(call: Call) -> Value:
    """The URI, or the file, that a call fetches; None for any other call."""
    if call.name == "resolveModelFile" and call.args:
        return call.args[0]
    if call.name in ("createModelDownloader", "ModelDownloader"):
        return call.named.get("modelUri", call.named.get("modelUrl"))
    return None


def _folder(call: Call) -> str | None:
    stated = call.args[1] if call.name == "resolveModelFile" and len(call.args) > 1 else None
    if isinstance(stated, dict):
        stated = stated.get("directory")
    return stated if isinstance(stated, str) else None


def sized(
    stated: Mapping[str, Value], findings: Findings, line: int
) -> dict[str, Value]:
    """Settings with a number in place of a range: its end, and a word about it."""
    found = dict(stated)
    for name in ("contextSize", "gpuLayers", "threads"):
        value = found.get(name)
        if not isinstance(value, dict):
            continue
        ends = [one for one in ("max", "ideal", "min") if one in value]
        if name == "gpuLayers" and "fitContext" in value and not ends:
            findings.warn("gpu-split", "gpuLayers leaves room for a context", line, name)
        found[name] = value[ends[0]] if ends else None
        if ends:
            findings.warn("not-applied", f"{name} is a range; its {ends[0]} was taken", line, name)
    if found.get("contextSize") == "auto":
        del found["contextSize"]
    return found
