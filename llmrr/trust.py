"""Which files of projects the user has agreed to: a folder that came from elsewhere sends no key
anywhere and runs nothing before that. Remembered by content: a file that changed is a new one, but
for what llmrr itself changed in one that was agreed to."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from llmrr import paths
from llmrr.errors import NotFound

T = TypeVar("T")

_REMEMBERED: Final = 8  # contents of one file, the newest last
_TICK_S: Final = 1.0  # what is younger may change again within the tick of its times


def is_trusted(file: Path, content: bytes | None = None) -> bool:
    """Has the user agreed to this file as it is now, or to ``content`` under its name?"""
    digest = _read(file, _digest) if content is None else hashlib.sha256(content).hexdigest()
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
    return _read(_file(), _parsed)


def _parsed(file: Path) -> dict[str, tuple[str, ...]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: tuple(map(str, one)) if isinstance(one, list) else (str(one),)
        for name, one in found.items()
    }


_kept: dict[Path, tuple[tuple[int, ...], Any]] = {}


def _read(file: Path, read: Callable[[Path], T]) -> T:
    """What a file says, read again when it has changed: it is asked at every request."""
    try:
        stat = file.stat()
    except OSError:
        return read(file)
    stamp = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    kept = _kept.get(file)
    if kept is not None and kept[0] == stamp:
        found: T = kept[1]
        return found
    found = read(file)
    if time.time() - max(stat.st_ctime, stat.st_mtime) > _TICK_S:
        _kept[file] = stamp, found
    return found


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
