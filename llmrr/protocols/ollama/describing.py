"""Models as Ollama lists and shows them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from llmrr import modelfile
from llmrr.catalogue import Resolved
from llmrr.description import Description
from llmrr.inventory import Installed
from llmrr.pool import Held
from llmrr.protocols.ollama.writing import time_of
from llmrr.types import Feature, ModelInfo, Recipe

_WORDS: Final = {
    Feature.TOOLS: "tools", Feature.IMAGES: "vision", Feature.THINKING: "thinking",
}  # fmt: skip


def tagged(name: str) -> str:
    """A name with its tag.

    >>> tagged("small"), tagged("qwen3:4b"), tagged("huggingface:a/b")
    ('small:latest', 'qwen3:4b', 'huggingface:a/b')
    """
    return name if ":" in name else f"{name}:latest"


def listed(found: Installed, info: ModelInfo | None, name: str | None = None) -> dict[str, Any]:
    """A line of ``/api/tags``, under its own name or another one. What is elsewhere has no size,
    and names its ``remote_model``."""
    shown = tagged(name or found.name)
    line = {
        "name": shown, "model": shown, "modified_at": time_of(found.added or 0.0),
        "size": found.bytes or 0, "digest": _digest(found), "details": _details(info, found.quant),
    }  # fmt: skip
    if found.path is None:
        line["remote_model"] = found.source.partition(":")[2]
    return line


def running(held: Held, line: Mapping[str, Any] | None, expires: float) -> dict[str, Any]:
    """A line of ``/api/ps``. ``line`` is that of ``/api/tags``; ``expires`` is in epoch seconds.
    ``size_vram`` is how much of its size lies on an accelerator."""
    known = line or {"details": _details(None, None), "digest": _hashed(held.name)}
    name = tagged(held.name)
    size, on_accelerator = held.footprint or (held.bytes, 0)
    found = {
        "name": name, "model": name, "size": size, "digest": known["digest"],
        "details": known["details"], "expires_at": time_of(expires), "size_vram": on_accelerator,
    }  # fmt: skip
    context = held.load.context if held.load else None
    return {**found, "context_length": context} if context else found


def elsewhere(found: Resolved, can: Iterable[Feature], added: float) -> dict[str, Any]:
    """What ``/api/show`` says of a model elsewhere: its provider knows the rest, and whether it
    thinks. ``can`` is what its protocol has, ``added`` since when it is named, in epoch seconds."""
    assert found.endpoint is not None
    known = [word for one, word in _WORDS.items() if one in can and one is not Feature.THINKING]
    return {
        "modelfile": "", "parameters": "", "template": "", "system": found.recipe.system or "",
        "details": {**_details(None, None), "family": found.endpoint.provider},
        "model_info": {},
        "capabilities": ["completion", *known],
        "remote_model": found.endpoint.model, "modified_at": time_of(added),
    }  # fmt: skip


def shown(
    found: Description, base: str, can: Iterable[Feature], *, verbose: bool
) -> dict[str, Any]:
    """What ``/api/show`` says. ``base`` is what its Modelfile is made ``FROM``, ``can`` what can be
    done with it here. The template is the model's own, in Jinja."""
    info = found.info
    params = found.recipe.params.over(info.sampling)
    loading = {name: one for name, one in found.recipe.options.items() if name != "chat_template"}
    stated = Recipe(params=params, options=loading)
    license_ = found.recipe.license or info.license
    return {
        "modelfile": modelfile.render(base, found.recipe),
        "parameters": _parameters(stated),
        "template": found.chat_template or "",
        "system": found.recipe.system or "",
        **({"license": license_} if license_ else {}),
        "details": _details(info, info.quant),
        "model_info": model_info(info, verbose=verbose),
        "capabilities": _capabilities(found, can),
        "modified_at": time_of(found.added or 0.0),
    }


def model_info(info: ModelInfo, *, verbose: bool) -> dict[str, Any]:
    """The keys of its file, as GGUF names them; what is long only in a ``verbose`` answer."""
    found: dict[str, Any] = {
        "general.architecture": info.architecture,
        "general.parameter_count": info.parameters,
        f"{info.architecture}.context_length": info.context_length,
        f"{info.architecture}.embedding_length": info.embedding_length,
        f"{info.architecture}.block_count": info.layers,
    }
    found |= info.metadata
    plain = {name: one for name, one in found.items() if _is_json(one)}
    return {name: one for name, one in plain.items() if verbose or not isinstance(one, list)}


def _capabilities(found: Description, can: Iterable[Feature]) -> list[str]:
    """What it can do, in Ollama's words."""
    if not found.info.writes:
        return ["embedding"]
    return ["completion", *(word for feature, word in _WORDS.items() if feature in can)]


def _details(info: ModelInfo | None, quant: str | None) -> dict[str, Any]:
    family = info.architecture if info else ""
    return {
        "parent_model": "",
        "format": str(info.format) if info and info.format else "",
        "family": family,
        "families": [family] if family else [],
        "parameter_size": _size(info.parameters) if info and info.parameters else "",
        "quantization_level": quant or "",
    }


def _size(parameters: int) -> str:
    """How many parameters, as Ollama writes it.

    >>> _size(4_022_468_096), _size(494_032_768), _size(1_400)
    ('4.0B', '494.03M', '1.40K')
    """
    for unit, name, digits in ((1e9, "B", 1), (1e6, "M", 2), (1e3, "K", 2)):
        if parameters >= unit:
            return f"{parameters / unit:.{digits}f}{name}"
    return str(parameters)


def _digest(found: Installed) -> str:
    """Its digest where that is known, else one of what tells it apart: clients show its beginning.
    """
    return found.digest or _hashed(json.dumps([found.name, found.source, found.bytes]))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _parameters(recipe: Recipe) -> str:
    lines = modelfile.render("x", recipe).splitlines()
    stated = (line.removeprefix("PARAMETER ") for line in lines if line.startswith("PARAMETER "))
    return "\n".join(f"{name:<30} {value}" for name, _, value in map(_pair, stated))


def _pair(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


def _is_json(value: object) -> bool:
    return isinstance(value, str | int | float | bool | list) and value is not None
