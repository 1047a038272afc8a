"""Where llmrr keeps things: platformdirs' places, or one folder when ``LLMRR_HOME`` is set.

They are absolute and without symbolic links, so that a file below one of them has one spelling.
"""

import os
from functools import lru_cache
from pathlib import Path


def config_dir() -> Path:
    """The user's settings: ``llmrr.toml``, what was trusted."""
    return _place("config")


def data_dir() -> Path:
    """What must not be lost: the database, keys, backups, environments of converters."""
    return _place("data")


def cache_dir() -> Path:
    """What may be deleted at any time: it is made anew."""
    return _place("cache")


def database_file() -> Path:
    """The one SQLite file."""
    return data_dir() / "llmrr.db"


def models_dir() -> Path:
    """Where models lie that were imported by copying or moving them."""
    return real(data_dir() / "models")


def builtin_model() -> Path:
    """The small model that ships inside the package (``builtin:mini``)."""
    return Path(__file__).parent / "builtin" / "mini.gguf"


def builtin_questions() -> Path:
    """Its set of questions, as ``eval`` takes them."""
    return Path(__file__).parent / "builtin" / "mini.jsonl"


def hub_cache_dir() -> Path:
    """Where huggingface_hub keeps what it downloads, by the variables that it reads itself:
    https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables"""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if place := os.environ.get(name):
            return _expanded(place)
    if home := os.environ.get("HF_HOME"):
        return real(_expanded(home) / "hub")
    return real(_expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub")


def hub_folder(root: Path, repository: str) -> Path:
    """The part of such a cache that is OWNER/REPO's."""
    return root / "--".join(["models", *repository.split("/")])


def user_path(text: str | Path) -> Path:
    """A path as a user writes it; ``~name`` of nobody is a name like any other."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def expanded(text: str | Path) -> Path:
    """The same, absolute and without ``..``; as it is where the working directory is gone."""
    path = user_path(text)
    try:
        path = path.absolute()
        return real(path.parent) / path.name if ".." in path.parts else path
    except FileNotFoundError:
        return path


def exists(path: Path) -> bool:
    """Whether something can be got at there; never an error, as that of a folder that may not be
    looked into."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def size(path: Path) -> int | None:
    """The bytes of a file; None where it cannot be got at."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None


def free_bytes(path: Path) -> int:
    """Room on the disk where ``path`` is or will be."""
    import shutil

    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def real(path: Path) -> Path:
    """Where a file lies, by its one spelling: all symbolic links followed, in whatever it lies."""
    return Path(os.path.realpath(path))


def _expanded(place: str) -> Path:
    return real(expanded(os.path.expandvars(place)))


def _place(kind: str) -> Path:
    if home := os.environ.get("LLMRR_HOME"):
        place = os.path.join(home, kind)  # noqa: PTH118 - a Path costs more than all the rest
        return _settled(place) if home.startswith("/") else real(expanded(home) / kind)
    import platformdirs

    return _settled(getattr(platformdirs, f"user_{kind}_dir")("llmrr", appauthor=False))


@lru_cache(maxsize=8)
def _settled(place: str) -> Path:
    """Where an absolute place really lies; it does not move while a process runs."""
    return real(expanded(place))
