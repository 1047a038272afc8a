"""llama-server's presets (``--models-preset``): an INI file, a section for each model."""

import re
from collections.abc import Iterable
from typing import Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.commands import Launch, long_name
from llmrr.migrate.documents import Document
from llmrr.migrate.ini import HEAD, Section, ini
from llmrr.migrate.launches import is_repository, served
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.withheld import withhold

KIND: Final = "llama-server-preset"
EVERY: Final = "*"
_NOT_INI: Final = frozenset({
    ".py", ".js", ".ts", ".tsx", ".jsx", ".mjs", ".cjs", ".json", ".yaml", ".yml", ".toml", ".md",
    ".ipynb", ".sh",
})  # fmt: skip
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
    if document.suffix in _NOT_INI or document.text is None or "[" not in document.text:
        return []
    if len(document.data) > 1_000_000 or isinstance(document.shape, list):
        return []
    sections = ini(document.text)
    return [_read(document, sections)] if sections and is_preset(sections) else []


def is_preset(sections: list[Section]) -> bool:
    """Whether an INI file speaks of models: sections whose keys are mostly flags of llama-server,
    one of which names a model, or a section for all.

    >>> is_preset(ini("[*]\\nngl = 99\\n")), is_preset(ini("[db]\\nhost = x\\nport = 1\\nmodel = a\\n"))
    (True, False)
    """
    keys = [long_name(key) for one in sections if one.name != HEAD for key in one.values]
    known = sum(key in _KNOWN for key in keys)
    if not keys or known * 2 < len(keys):
        return False
    names = {one.name for one in sections}
    return EVERY in names or any(
        is_repository(one.name) or any(
            long_name(key) in _PLACES and _is_place(long_name(key), value)
            for key, value in one.values.items()
        )
        for one in sections
    )  # fmt: skip


def _is_place(key: str, value: str) -> bool:
    return key == "hf-repo" or bool(re.search(r"(?i)\.gguf$", value)) or is_repository(value)


def _read(document: Document, sections: list[Section]) -> Artefact:
    findings = Findings(document.path, KIND)
    shared = next((one for one in sections if one.name == EVERY), Section(EVERY, 1))
    withhold([one.values for one in sections], findings)
    head = sections[0].values
    if head.get("version", "1") != "1":
        findings.warn("syntax", f"version = {head['version']}, where 1 is known", 1, "version")
    for section in sections:
        _doubts(section, findings)
        if section.name not in (HEAD, EVERY):
            _model(section, shared, findings)
    return findings.artefact()


def _model(section: Section, shared: Section, findings: Findings) -> None:
    flags: dict[str, str | list[str]] = {}
    for key, value in (*shared.values.items(), *section.values.items()):
        name = long_name(key)
        for other in (name.removeprefix("no-"), f"no-{name}"):
            flags.pop(other, None)
        flags[name] = value
    own = {long_name(key) for key in section.values}
    if not own & _PLACES and is_repository(section.name):
        for name in _PLACES:
            flags.pop(name, None)
        flags["hf-repo"] = section.name
    elif "model" in own and "hf-repo" not in own:
        flags.pop("hf-repo", None)
    elif "hf-repo" in own and "model" not in own:
        flags.pop("model", None)
    name = section.name
    if not _PLACES & flags.keys():
        findings.warn(
            "no-model", f"{name} names no model: a preset of settings alone", section.line, name
        )
        return
    served(Launch("llama.cpp", flags), findings, name, section.line)


def _doubts(section: Section, findings: Findings) -> None:
    """What llama-server reads otherwise than it may look."""
    for key in section.cut:
        findings.warn(
            "quoted-comment", f"the value of {key} ends at ; or #", section.lines[key], key
        )
    for key in section.twice:
        findings.warn(
            "duplicate-key", f"{key} stands twice; the last one counts", section.lines[key], key
        )
    for key in section.values:
        if "_" in key and not key.startswith("LLAMA_ARG_") and long_name(key) in _KNOWN:
            findings.warn(
                "not-used-by-original", f"llama-server knows {long_name(key)}, not {key}",
                section.lines[key], key,
            )  # fmt: skip


def _forced(document: Document) -> Iterable[Artefact]:
    sections = ini(document.text or "")
    if not sections or not any(one.name != HEAD for one in sections):
        raise DamagedFile(f"{document.path} is no INI file with sections", "llmrr migrate scan -h")
    return [_read(document, sections)]


READER: Final = Reader((KIND,), of_data=of_data, forced=_forced)
