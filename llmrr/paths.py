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


def models_dir() -> Path:
    """Where models lie that were imported by copying or moving them."""
    return data_dir() / "models"


def builtin_model() -> Path:
    """The small model that ships inside the package (``builtin:mini``)."""
    return Path(__file__).parent / "builtin" / "mini.gguf"


def hub_cache_dir() -> Path:
    """Where huggingface_hub keeps what it downloads, by the variables that it reads itself:
    https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables"""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if place := os.environ.get(name):
            return _expanded(place)
    if home := os.environ.get("HF_HOME"):
        return _expanded(home) / "hub"
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def _expanded(place: str) -> Path:
    return Path(os.path.expandvars(place)).expanduser()


def _place(kind: str) -> Path:
    if home := os.environ.get("LLMRR_HOME"):
        return Path(home).expanduser() / kind
    import platformdirs

    return Path(getattr(platformdirs, f"user_{kind}_dir")("llmrr", appauthor=False))
