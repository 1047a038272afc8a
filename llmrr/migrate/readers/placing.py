"""Where a model of a framework comes from: names, paths and addresses as our sources."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.terms import hubnames, litellm_names, naming
from llmrr.migrate.values import Value

_WEIGHTS: Final = (".gguf", ".bin", ".ggml", ".safetensors")


def place(
    provider: str, name: str, address: str | None, stated: Mapping[str, Value]
) -> naming.Place:
    """The source of a model of a framework; ``provider`` is a word of ``naming.place``, or
    ``litellm``, ``ctransformers``."""
    if provider in ("file", "huggingface", "ctransformers"):
        return _of_weights(provider, name)
    if provider == "litellm":
        custom = stated.get("custom_llm_provider")
        return litellm_names.placed(name, custom if isinstance(custom, str) else None, address)
    if provider in ("google", "vertex"):
        name = name.removeprefix("models/")
    return naming.place(provider, name, address)


def complete(model: Model, name: str, stated: Mapping[str, Value], findings: Findings) -> None:
    """The file and the revision that a name of the hub may hold, or that stand beside it."""
    if not model.source.startswith("huggingface:"):
        return
    found = hubnames.repository(name)
    if found is not None:
        model.options |= found.options
    file = stated.get("model_file")
    if isinstance(file, str) and file:
        model.options["file"] = file


def is_ollama(placed: naming.Place) -> bool:
    """Whether what speaks as OpenAI does is Ollama, by its port.

    >>> is_ollama(naming.Place("openai:qwen3:8b", "http://localhost:11434/v1"))
    True
    """
    try:
        port = urlsplit(placed.base_url or "").port
    except ValueError:
        return False
    return port == 11434 and (placed.source or "").startswith("openai:")


def _of_weights(provider: str, name: str) -> naming.Place:
    if hubnames.is_hole(name):
        return naming.Place(None, None, f"{name!r} is to be replaced by a name")
    if (found := hubnames.addressed(name) or hubnames.cached(name)) is not None:
        return naming.Place(found.source)
    if re.match(r"https?://", name):
        return naming.Place(None, None, f"{name!r} is an address on another host")
    is_file = provider == "file" or _is_path(name) or (
        provider == "ctransformers" and not re.fullmatch(r"[\w.-]+/[\w.-]+", name)
    )
    plain = name.removeprefix("file://")
    return naming.Place(f"file:{plain}" if is_file else f"huggingface:{name}")


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~", "\\")) or bool(re.match(r"[A-Za-z]:[\\/]", name)) or (
        name.lower().endswith(_WEIGHTS)
    )
