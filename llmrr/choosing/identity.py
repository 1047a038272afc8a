"""What answers, as far as that decides the answers: for the key of one that is kept.

Files are known by their place, size, times and inode. The digest that is noted of a model when it
comes does not notice that its file was written to later.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from llmrr import __version__, engines
from llmrr.catalogue import Resolved, place
from llmrr.config import Config
from llmrr.settings import REMOTE_OPTIONS

# How fast it answers, and nothing else.
_SPEED: Final = frozenset({"threads", "mmap", "mlock", "slots", "timeout", "max_retries"})


def identity(
    config: Config, model: Resolved, stated: Mapping[str, object], engine: str | None
) -> dict[str, object]:
    """The files or the service behind a model, the engine, and how that is told to answer.
    ``stated`` are the options of the call, ``engine`` the one it wants. Raises what loading the
    model would, and ``OSError``."""
    engine = engine or model.engine
    options = {**model.options, **stated}
    if model.endpoint is not None:
        return _remote(model, options, engine)
    files = place(model)
    name = engines.for_format(files.format, model.name, engine).engine.name
    options = {**config.engine_options(name), **options}
    adapters = options.get("lora") or ()
    return {
        "llmrr": __version__,
        "engine": name,
        "files": [_state(file) for file in _files(files.path)],
        "adapters": [_state(Path(path)) for path, *_ in adapters],
        "others": [_state(one) for one in options.values() if isinstance(one, Path)],
        "options": _telling(options.items()),
    }


def _remote(
    model: Resolved, options: Mapping[str, object], engine: str | None
) -> dict[str, object]:
    from llmrr.engines.remote import providers

    assert model.endpoint is not None
    own = {name: one for name, one in options.items() if name in REMOTE_OPTIONS}
    endpoint = replace(model.endpoint, **own)  # type: ignore[arg-type]
    rest = ((name, one) for name, one in options.items() if name != "base_url")
    return {
        "engine": engines.for_endpoint(endpoint, engine).engine.name,
        "source": endpoint.source,
        "address": providers.address(endpoint),
        "options": _telling(rest),
    }


def _telling(options: Iterable[tuple[str, object]]) -> dict[str, object]:
    found = {name: one for name, one in options if one is not None and name not in _SPEED}
    return dict(sorted(found.items()))


def _files(path: Path) -> Iterator[Path]:
    """All files of a model: of a folder, and of one in several parts."""
    from llmrr.formats.parts import PART

    if path.is_dir():
        yield from sorted(one for one in path.rglob("*") if one.is_file())
    elif part := PART.fullmatch(path.name):
        others = ((one, PART.fullmatch(one.name)) for one in sorted(path.parent.iterdir()))
        yield from (one for one, p in others if p and p["prefix"] == part["prefix"])
    else:
        yield path


def _state(path: Path) -> tuple[object, ...]:
    real, stat = path.resolve(), path.stat()
    return str(real), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino
