"""Which files of projects the user has agreed to: a folder that came from elsewhere sends no key
anywhere and runs nothing before that. Remembered by content: a file that changed is a new one, but
for what llmrr itself changed in one that was agreed to."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from llmrr import paths
from llmrr.errors import NotFound

_REMEMBERED: Final = 8  # contents of one file, the newest last


def is_trusted(file: Path, content: bytes | None = None) -> bool:
    """Has the user agreed to this file as it is now, or to ``content`` under its name?"""
    digest = _digest(file) if content is None else hashlib.sha256(content).hexdigest()
    return digest is not None and digest in _trusted().get(str(file.absolute()), ())


def trust(file: Path, content: bytes | None = None) -> None:
    """Remember that the user agrees to this file (or to ``content``, which it held when he was
    asked), and to nothing else under its name. Raises ``NotFound``."""
    digest = _digest(file) if content is None else hashlib.sha256(content).hexdigest()
    if digest is None:
        raise NotFound(f'there is no file "{file}"', "llmrr config path --json")
    _keep(file, [digest])


def follow(file: Path, before: bytes, after: bytes) -> None:
    """Agree to what llmrr makes of a file that the user agreed to; what it held before stays agreed
    to, so that the change can be undone."""
    known = _trusted().get(str(file.absolute()), ())
    old, new = (hashlib.sha256(content).hexdigest() for content in (before, after))
    if old in known and new not in known:
        _keep(file, [*known, new][-_REMEMBERED:])


def agree(file: Path, content: bytes) -> None:
    """Agree to ``content`` of a file too; what was agreed to stays so."""
    known = _trusted().get(str(file.absolute()), ())
    digest = hashlib.sha256(content).hexdigest()
    if digest not in known:
        _keep(file, [*known, digest][-_REMEMBERED:])


def withdraw(file: Path, content: bytes) -> None:
    """No longer agree to ``content`` of a file."""
    known = _trusted().get(str(file.absolute()), ())
    digest = hashlib.sha256(content).hexdigest()
    if digest in known:
        _keep(file, [one for one in known if one != digest])


def _keep(file: Path, digests: Iterable[str]) -> None:
    from llmrr import journal

    found = {**_trusted(), str(file.absolute()): tuple(digests)}
    plain = {name: one[0] if len(one) == 1 else list(one) for name, one in found.items() if one}
    with journal.change(f"trust {file}") as change:
        if plain:
            change.write(_file(), json.dumps(plain, indent=2) + "\n")
        else:
            change.remove(_file())


def _file() -> Path:
    return paths.config_dir() / "trusted.json"


def _trusted() -> dict[str, tuple[str, ...]]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: tuple(map(str, one)) if isinstance(one, list) else (str(one),)
        for name, one in found.items()
    }


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
