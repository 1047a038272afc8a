"""Where a model of LocalAI comes from: a file of its folder, a repository, or an address."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmrr.migrate.terms import hubnames

_WEIGHTS: Final = re.compile(r"(?i).*\.(?:gguf|ggml|bin|safetensors|onnx|pth?)$")
_OWNERLESS: Final = re.compile(r"[A-Za-z0-9][\w.-]*")  # as gpt2: a repository of the hub itself
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


class File(NamedTuple):
    """A file of the models folder, and where it is fetched from."""

    name: str
    address: str


class Place(NamedTuple):
    """A source with the options beside it, or why there is none."""

    source: str | None
    options: Mapping[str, str] = {}
    code: str = "unsupported-source"
    why: str = ""


def files_of(table: Mapping[str, Any]) -> tuple[File, ...]:
    """``download_files``, and the ``files`` of a gallery."""
    listed = [*_list(table.get("download_files")), *_list(table.get("files"))]
    return tuple(
        File(name, str(one["uri"])) for one in listed
        if isinstance(one, dict) and isinstance(one.get("uri"), str)
        and (name := one.get("filename") or one["uri"].rpartition("/")[2])
        and isinstance(name, str)
    )  # fmt: skip


def located(
    stated: str, files: tuple[File, ...], folder: Path, *, by_repository: bool = False
) -> Place:
    """The place of ``parameters.model``, in a file that lies in ``folder``. ``by_repository``: its
    backend takes the name of a repository."""
    if hubnames.is_hole(stated):
        return Place(None, {}, "placeholder", f"{stated[:60]!r} is to be filled in")
    if place := _addressed(stated):
        return place
    if "://" in stated or stated.startswith(("github:", "oci:")):
        kind = stated.partition(":")[0]
        return Place(None, why=f"llmrr does not fetch models from {kind}: addresses")
    if _is_here(folder, stated):
        return Place(f"file:{stated}")
    origin = next((one.address for one in files if one.name == stated), None)
    if origin and (place := _addressed(origin)):
        return place
    if by_repository and not _WEIGHTS.match(stated):
        if _REPOSITORY.match(stated) and (hub := hubnames.repository(stated)):
            return Place(hub.source, hub.options)
        if _OWNERLESS.fullmatch(stated):
            return Place(f"huggingface:{stated}")
    return Place(f"file:{stated}")


def _addressed(stated: str) -> Place | None:
    if hub := hubnames.addressed(stated):
        return Place(hub.source, hub.options)
    if found := re.match(r"(?i)ollama://(.+)$", stated):
        return Place(f"ollama:{found[1]}")
    if re.match(r"(?i)file://", stated):
        return Place(f"file:{re.sub(r'(?i)^file://', '', stated)}")
    return None


def _is_here(folder: Path, name: str) -> bool:
    try:
        return (folder / name).exists()
    except (OSError, ValueError):
        return False


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
