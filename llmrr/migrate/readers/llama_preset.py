"""llama-server's presets (``--models-preset``): an INI file, a section for each model."""

import re
from collections.abc import Iterable
from typing import Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.launching.commands import Launch, long_name
from llmrr.migrate.launching.launches import is_repository, served
from llmrr.migrate.parsing import Ini
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms.withheld import withhold

KIND: Final = "llama-server-preset"
EVERY: Final = "*"
# What llama-server knows, of what occurs in such files; enough to tell them from other INI files.
_KNOWN: Final = frozenset({
    "model", "hf-repo", "hf-file", "ctx-size", "n-gpu-layers", "threads", "temp", "top-k", "top-p",
    "min-p", "repeat-penalty", "presence-penalty", "frequency-penalty", "seed", "n-predict",
    "batch-size", "ubatch-size", "cache-type-k", "cache-type-v", "flash-attn", "mmproj", "jinja",
    "parallel", "mlock", "mmap", "no-mmap", "chat-template", "chat-template-file", "alias",
    "chat-template-kwargs", "load-on-startup", "stop-timeout", "model-draft", "embeddings",
    "reranking", "pooling", "tensor-split", "split-mode", "main-gpu", "n-cpu-moe", "cpu-moe",
    "override-tensor", "lora", "reasoning-budget", "reasoning-format", "cont-batching", "device",
    "cache-ram", "kv-unified", "swa-full", "model-url", "docker-repo", "grammar", "samplers",
    "dry-multiplier", "mirostat", "fit", "no-mmproj", "mmproj-url", "draft-max", "draft-min",
    "threads-batch", "keep", "rope-scaling", "rope-scale", "sleep-idle-seconds", "typical",
    "context-shift", "warmup", "no-warmup", "reasoning", "system-prompt", "numa", "host", "port",
    "metrics", "slots", "timeout", "threads-http", "verbose", "stop", "hf-repo-draft", "webui",
})  # fmt: skip
_PLACES: Final = frozenset({"model", "hf-repo", "model-url"})


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefact of an INI file of presets."""
    shape = document.shape
    return [_read(document, shape)] if isinstance(shape, Ini) and is_preset(shape) else []


def is_preset(shape: Ini) -> bool:
    """Whether an INI file speaks of models: sections whose keys are mostly flags of llama-server,
    one of which names a model, or a section for all.

    >>> from llmrr.migrate.parsing.initext import load
    >>> is_preset(load("[*]\\nngl = 99\\n")), is_preset(load("[db]\\nhost = x\\nmodel = a\\n"))
    (True, False)
    """
    keys = [long_name(key) for table in shape.values() for key in table]
    known = sum(key in _KNOWN for key in keys)
    if not keys or known * 2 < len(keys):
        return False
    return EVERY in shape or any(
        is_repository(name) or any(_is_place(long_name(key), one) for key, one in table.items())
        for name, table in shape.items()
    )


def _is_place(key: str, value: str) -> bool:
    if key not in _PLACES:
        return False
    return key == "hf-repo" or bool(re.search(r"(?i)\.gguf$", value)) or is_repository(value)


def _read(document: Document, shape: Ini) -> Artefact:
    findings = Findings(document.path, KIND)
    withhold(dict(shape), findings)
    if shape.head.get("version", "1") != "1":
        findings.warn("syntax", f"version is {shape.head['version']}, where 1 is known", 1)
    for line in shape.wrong:
        findings.warn("syntax", "a line that is neither a section nor a key", line)
    for line in shape.cut:
        findings.warn("quoted-comment", "the value ends at its first ; or #", line)
    for key, line in shape.duplicates:
        findings.warn("duplicate-key", f"{key} stands twice; the last one counts", line, key)
    for name, table in shape.items():
        _doubts(name, table, shape, findings)
        if name != EVERY:
            _model(name, table, shape, findings)
    return findings.artefact()


def _model(name: str, table: dict[str, str], shape: Ini, findings: Findings) -> None:
    flags: dict[str, str | list[str]] = {}
    for key, value in (*shape.get(EVERY, {}).items(), *table.items()):
        flag = long_name(key)
        for other in (flag.removeprefix("no-"), f"no-{flag}"):
            flags.pop(other, None)
        flags[flag] = value
    own = {long_name(key) for key in table}
    line = shape.lines.get((name, ""))
    if not own & _PLACES and is_repository(name):
        own.add("hf-repo")
        flags["hf-repo"] = name
    if own & _PLACES:  # what is inherited does not count beside it
        flags = {key: one for key, one in flags.items() if key not in _PLACES - own}
    if not _PLACES & flags.keys():
        findings.warn("no-model", f"{name} names no model: a preset of settings alone", line, name)
        return
    served(Launch("llama.cpp", flags), findings, name, line)


def _doubts(name: str, table: dict[str, str], shape: Ini, findings: Findings) -> None:
    """Keys that llama-server does not know in this spelling."""
    for key in table:
        if "_" in key and not key.startswith("LLAMA_ARG_") and long_name(key) in _KNOWN:
            findings.warn(
                "not-used-by-original", f"llama-server knows {long_name(key)}, not {key}",
                shape.lines.get((name, key)), key,
            )  # fmt: skip


def _forced(document: Document) -> Iterable[Artefact]:
    from llmrr.migrate.parsing import initext

    found = document.shape
    if not isinstance(found, Ini):
        found = initext.load(document.text or "")
    if not found or len(found.wrong) > len(found.lines):
        raise DamagedFile(f"{document.path} is no INI file with sections", "llmrr migrate scan -h")
    return [_read(document, found)]


READER: Final = Reader((KIND,), of_data=of_data, forced=_forced)
