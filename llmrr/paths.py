"""Where llmrr keeps things: platformdirs' places, or one folder when ``LLMRR_HOME`` is set."""

import os
from pathlib import Path


def config_dir() -> Path:
    """The user's settings: ``llmrr.toml``, keys, what was trusted."""
    return _place("config")


def data_dir() -> Path:
    """What must not be lost: the database, backups, environments of converters."""
    return _place("data")


def cache_dir() -> Path:
    """What can be made again."""
    return _place("cache")


def database_file() -> Path:
    """The one SQLite file."""
    return data_dir() / "llmrr.db"


def builtin_model() -> Path:
    """The small model that ships inside the package (``builtin:mini``)."""
    return Path(__file__).parent / "builtin" / "mini.gguf"


def _place(kind: str) -> Path:
    if home := os.environ.get("LLMRR_HOME"):
        return Path(home).expanduser() / kind
    import platformdirs

    return Path(getattr(platformdirs, f"user_{kind}_dir")("llmrr", appauthor=False))
