"""Where a model of a framework comes from: names, paths and addresses as our sources."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr.migrate import naming
from llmrr.migrate.values import Value

_HUB: Final = re.compile(
    r"https?://(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/(?:resolve|blob|raw)/([^/?#]+)/([^?#]+)"
)
_WEIGHTS: Final = (".gguf", ".bin", ".ggml", ".safetensors")


def place(
    provider: str, name: str, address: str | None, stated: Mapping[str, Value]
) -> naming.Place:
    """The source of a model of a framework; ``provider`` is a word of ``naming.place``, or
    ``litellm``, ``ctransformers``."""
    if hub := _HUB.match(name):
        revision = "" if hub[2] == "main" else f"@{hub[2]}"
        return naming.Place(f"huggingface:{hub[1]}/{hub[3]}{revision}")
    if provider == "file" and re.match(r"https?://", name):
        return naming.Place(None, None, f"{name!r} is an address on another host")
    if provider == "file" or (provider == "huggingface" and _is_path(name)):
        return naming.Place(f"file:{name.removeprefix('file://')}")
    if provider == "ctransformers":
        return _ctransformers(name, stated)
    if provider == "litellm":
        return _litellm(name, address, stated)
    if provider == "huggingface":
        return naming.Place(f"huggingface:{name}")
    if provider in ("google", "vertex"):
        name = name.removeprefix("models/")
    placed = naming.place(provider, name, address)
    if address and placed.base_url:  # as it is stated, with its last slash
        return placed._replace(base_url=address)
    return placed


def _litellm(name: str, address: str | None, stated: Mapping[str, Value]) -> naming.Place:
    """LiteLLM's ``provider/model``: only the first part, and only where it is a provider."""
    custom = stated.get("custom_llm_provider")
    if isinstance(custom, str) and custom:
        return naming.place(custom, name.removeprefix(f"{custom}/"), address)
    first, slash, rest = name.partition("/")
    if slash and naming.provider_of(first):
        return naming.place(first, rest, address)
    return naming.place(None, name, address)


def _ctransformers(name: str, stated: Mapping[str, Value]) -> naming.Place:
    file = stated.get("model_file")
    if _is_path(name) or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return naming.Place(f"file:{name}")
    return naming.Place(f"huggingface:{name}{f'/{file}' if isinstance(file, str) else ''}")


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~", "\\")) or bool(re.match(r"[A-Za-z]:[\\/]", name)) or (
        name.lower().endswith(_WEIGHTS)
    )
