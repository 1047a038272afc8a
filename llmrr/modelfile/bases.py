"""What ``FROM`` names. Pure but for one question: whether that exists."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from llmrr.errors import BadConfig
from llmrr.modelfile.commands import Command
from llmrr.paths import exists, user_path

_SOURCES = ("huggingface:", "hf:", "ollama:", "lmstudio:", "builtin:")
_HUB = ("hf.co/", "huggingface.co/")
_BLOB = re.compile(r"blobs[/\\]sha256[-:][0-9a-f]{64}$")
_PATH = re.compile(r"[./~\\]|[A-Za-z]:[/\\]|.*\.(gguf|bin|safetensors)$", re.IGNORECASE | re.DOTALL)


class Base(NamedTuple):
    """What a FROM names, and where; ``path`` if it is a file or a folder."""

    place: str
    name: str
    path: Path | None


def source_of(name: str, path: Path | None) -> str:
    """The source that a base is."""
    if path is not None:
        return f"file:{path}"
    if name.startswith(_SOURCES):
        return name
    for address in _HUB:
        if name.lower().startswith(address):
            repo, colon, tag = name[len(address) :].partition(":")
            named = colon and tag.lower().endswith(".gguf")  # a file of it, not a quantization
            return f"huggingface:{repo}{'/' if named else colon}{tag}"
    return f"ollama:{name}"


def bases_of(
    commands: Iterable[Command], folder: Path, text: str, where: str, known: str | None
) -> tuple[Base, Path | None, list[str]]:
    """The base, the image encoder that a further FROM names, and warnings. As in Ollama a name
    counts before files."""
    stated = [c for c in commands if c.name == "FROM" and c.value.strip()]
    if not stated and known is not None:
        return Base(where, known, None), None, []
    if not stated:
        raise BadConfig(f"{where} has no FROM line", "add one: FROM with a model's name or file")
    bases = [Base(c.place, c.value, _base_path(c.value, folder)) for c in stated]
    names = [base for base in bases if base.path is None]
    files = sorted((base for base in bases if base.path), key=lambda base: "mmproj" in base.name)
    base, files = (names[-1], files) if names else (files[0], files[1:])
    projector = files[0].path if files else None
    unused = len(bases) - 1 - bool(projector)
    warnings = [f"of several FROM lines {base.name} counts ({base.place})"] if unused else []
    if elsewhere := _other_machine(base, text):
        warnings.append(f"{base.name} is not here; its remark names {elsewhere} ({base.place})")
        base = Base(base.place, elsewhere, None)
    return base, projector, warnings


def _base_path(value: str, folder: Path) -> Path | None:
    """Where the base lies if it is a path: whatever exists there, and what looks like one."""
    if value.startswith(("file:", "local:")):
        return folder / user_path(value.partition(":")[2])
    if value.startswith(_SOURCES):
        return None
    path = folder / user_path(value)
    if exists(path) or (not value.lower().startswith(_HUB) and _PATH.match(value)):
        return path
    return None


def _other_machine(base: Base, text: str) -> str | None:
    """The name in the remark that ``ollama show --modelfile`` writes above a blob's path, where
    that blob is not on this machine."""
    if base.path is None or not _BLOB.search(base.name) or exists(base.path):
        return None
    remark = re.search(r"^# FROM[ \t]+(\S+)[ \t]*$", text, re.MULTILINE)
    return remark[1] if remark else None
