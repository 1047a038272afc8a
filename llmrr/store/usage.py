"""What the models take on the disks, shared bytes counted once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmrr import paths
from llmrr.store.records import Entry


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """A model: all its bytes, and how many of them other models have too."""

    name: str
    place: str
    bytes: int
    shared_bytes: int


@dataclass(frozen=True, slots=True)
class PlaceUsage:
    """A place: the bytes of the models in it, each file once, and what is free there."""

    place: str
    path: Path
    models: int
    bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Both, and the sum; ``prunable_bytes`` are those that nobody needs, and are not among them."""

    models: tuple[ModelUsage, ...]
    places: tuple[PlaceUsage, ...]
    total_bytes: int
    prunable_bytes: int


def usage(entries: Sequence[Entry], prunable_bytes: int) -> Usage:
    """Add up, by the files themselves: links and hard links are one file."""
    known = _places()
    files = {entry.label: _files(entry) for entry in entries}
    count: dict[tuple[int, int], int] = {}
    for own in files.values():
        for key in own:
            count[key] = count.get(key, 0) + 1
    places: dict[tuple[str, Path], dict[tuple[int, int], int]] = {}
    members: dict[tuple[str, Path], int] = {}
    models = []
    for entry in entries:
        label, where = entry.label, _place_of(entry.path, known)
        own = files[label]
        shared = sum(size for key, (_, size) in own.items() if count[key] > 1)
        total = sum(size for _, size in own.values())
        models.append(ModelUsage(label, where[0], total, shared))
        places.setdefault(where, {}).update({key: size for key, (_, size) in own.items()})
        members[where] = members.get(where, 0) + 1
    return Usage(
        models=tuple(sorted(models, key=lambda one: -one.bytes)),
        places=tuple(
            PlaceUsage(*where, members[where], sum(sizes.values()), paths.free_bytes(where[1]))
            for where, sizes in places.items()
        ),
        total_bytes=sum({k: s for own in files.values() for k, (_, s) in own.items()}.values()),
        prunable_bytes=prunable_bytes,
    )


def place_of(path: Path) -> tuple[str, Path]:
    """Whose place a file lies in, and where that is: that of a tool, llmrr's own, or a folder."""
    return _place_of(path, _places())


def _places() -> list[tuple[str, Path]]:
    from llmrr.store import holders

    places = [("llmrr", paths.models_dir()), ("huggingface", paths.hub_cache_dir())]
    return places + [(name, root) for name, one in holders.HOLDERS.items() for root in one.roots()]


def _place_of(path: Path, places: Iterable[tuple[str, Path]]) -> tuple[str, Path]:
    for name, root in places:
        if path.is_relative_to(root):
            return name, root
    return "folder", path.parent


def _files(entry: Entry) -> dict[tuple[int, int], tuple[Path, int]]:
    """Device and inode of each file that is there, with its path and size."""
    found = {}
    for file in entry.files:
        try:
            status = file.path.stat()
        except OSError:
            continue
        found[status.st_dev, status.st_ino] = (file.path, status.st_size)
    return found
