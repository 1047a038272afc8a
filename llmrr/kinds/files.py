"""Files that ``llmrr.toml`` names, seen from its folder."""

import stat
from pathlib import Path

from llmrr.kinds.base import Kind, finite
from llmrr.kinds.sources import file_path
from llmrr.kinds.texts import TEXT
from llmrr.paths import real, user_path

_LARGEST_TEMPLATE = 400_000  # bytes of a file


def _lora(value: object, folder: Path) -> object:
    """Adapter files as ``(path, scale)``."""
    entries = value if isinstance(value, list) else [value]
    adapters = []
    for entry in entries:
        entry = {"path": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not {"path"} <= set(entry) <= {"path", "scale"}:
            raise ValueError
        scale = entry.get("scale", 1.0)
        if not isinstance(entry["path"], str) or not entry["path"]:
            raise ValueError
        adapters.append((file_path(entry["path"], folder), finite(scale)))
    return tuple(adapters)


def _chat_template(value: object, folder: Path) -> object:
    """The Jinja text itself, or that of the file it names."""
    text = str(TEXT.parse(value, folder))
    if not text.startswith("file:"):
        return text
    path = file_path(text, folder)
    try:
        # What is no file may never end, or never begin: a device, a pipe that nobody writes to.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"the template {path} is not a regular file")
        with path.open("rb") as file:
            data = file.read(_LARGEST_TEMPLATE + 1)
        if len(data) > _LARGEST_TEMPLATE:
            raise ValueError(f"the template {path} has more than {_LARGEST_TEMPLATE:,} bytes")
        return data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"the template {path} cannot be read: {exc}") from exc


def _file(value: object, folder: Path) -> object:
    return real(folder / user_path(str(TEXT.parse(value, folder))))


def _path(value: object, folder: Path) -> object:
    return file_path(str(TEXT.parse(value, folder)), folder)


FILE = Kind("the path of a file", _file)
PATH = Kind("the path of a file", _path)
LORA = Kind("a path, or a list of paths or {path, scale}", _lora)
CHAT_TEMPLATE = Kind("a Jinja text, or file:PATH", _chat_template)
