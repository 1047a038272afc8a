"""Where settings are written: the user's file and the project's."""

import os
from pathlib import Path

from llmrr import paths
from llmrr.errors import BadConfig, NotFound

FILE_NAME = "llmrr.toml"


def user_file() -> Path:
    """The user's own ``llmrr.toml``, whether or not it exists."""
    return paths.config_dir() / FILE_NAME


def project_file(cwd: Path | None = None) -> Path | None:
    """The nearest ``llmrr.toml`` in the working directory or above it, the user's own apart."""
    try:
        start = (cwd or Path()).absolute()
    except FileNotFoundError:  # the working directory was removed
        return None
    own = user_file()
    for folder in (start, *start.parents):
        path = folder / FILE_NAME
        if is_there(path) and path != own:
            return path
    return None


def given_or_project(file: str | None) -> Path:
    """The file that is named, else the project's. Raises ``NotFound`` where there is none."""
    found = paths.expanded(file) if file is not None else project_file()
    if found is None:
        raise NotFound(f"there is no {FILE_NAME} here or above", "llmrr config trust FILE")
    return found


def edit_line(path: Path) -> str:
    """The command line that edits a file of settings."""
    import shlex

    own = path.absolute() == user_file()
    return "llmrr config edit" if own else f"${{EDITOR:-vi}} {shlex.quote(str(path))}"


def is_there(path: Path) -> bool:
    """Whether anything is there under this name; what is no file, or leads nowhere, is told when it
    is read. What lies in a folder that may not be looked into is not there."""
    return os.path.lexists(path)


def content_of(path: Path) -> bytes | None:
    """What a file of settings holds; None where there is none. Raises ``BadConfig``."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BadConfig(f"cannot read {path}: {exc.strerror}", f"ls -ld {path}") from exc
