"""Which files of projects the user has agreed to: a folder that came from elsewhere sends no key
anywhere and runs nothing before that. Remembered by content: a file that changed is a new one."""

import hashlib
import json
from pathlib import Path

from llmrr import paths
from llmrr.errors import NotFound


def is_trusted(file: Path) -> bool:
    """Has the user agreed to this file as it is now?"""
    digest = _digest(file)
    return digest is not None and _trusted().get(str(file.absolute())) == digest


def trust(file: Path) -> None:
    """Remember that the user agrees to this file. Raises ``NotFound``."""
    from llmrr import journal

    digest = _digest(file)
    if digest is None:
        raise NotFound(f'there is no file "{file}"', "llmrr config path --json")
    found = {**_trusted(), str(file.absolute()): digest}
    with journal.change(f"trust {file}") as change:
        change.write(_file(), json.dumps(found, indent=2) + "\n")


def _file() -> Path:
    return paths.config_dir() / "trusted.json"


def _trusted() -> dict[str, str]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
