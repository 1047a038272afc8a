"""LM Studio's folder: ``PUBLISHER/REPO/`` as on the hub, GGUF files or an MLX folder.

Where it is: ``findLMStudioHome.ts`` of https://github.com/lmstudio-ai/lmstudio.js and
``importCmd.ts`` of https://github.com/lmstudio-ai/lms (which may put links there).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from llmrr.errors import LlmrrError, NotFound, UsageError, nearest
from llmrr.store.holders.base import (
    Holding,
    descend,
    existing,
    is_folder,
    json_object,
    listed,
    of_folder,
    of_ggufs,
    own_files,
    small_file,
    tree,
)


def roots() -> tuple[Path, ...]:
    """The download folder of its settings and models/, in the home that its pointer file names, in
    ~/.lmstudio and, as it was once, in ~/.cache/lm-studio."""
    homes = [*_pointed(), Path.home() / ".lmstudio", Path.home() / ".cache" / "lm-studio"]
    return existing(*(place for home in homes for place in (*_chosen(home), home / "models")))


def holdings(root: Path) -> Iterator[Holding]:
    """The models of its folder, or of its home."""
    if is_folder(root / "models"):
        root = root / "models"
    for publisher in listed(root).folders:
        own = listed(publisher)
        yield from _repository(publisher, publisher.name, own.sizes)
        for repository in own.folders:
            name = f"{publisher.name}/{repository.name}"
            yield from _repository(repository, name, tree(repository, links=True))


def find(name: str) -> Holding:
    """The model PUBLISHER/REPO, with /FILE or :TAG where that has several, in capitals or not.
    Raises ``NotFound`` with the nearest, ``UsageError`` naming the several."""
    publisher, _, rest = name.partition("/")
    parts = (publisher, rest.partition("/")[0].partition(":")[0])
    wanted = name.lower()
    found = next((held for root in roots() if (held := _held(root, parts))), [])
    named = [one for one in found if wanted in (one.name.lower(), _id(one).lower())]
    if not named and wanted == "/".join(parts).lower():
        named = found
    if not named:
        raise _unknown(name)
    if len(named) > 1:
        names = ", ".join(one.name for one in named)
        raise UsageError(f"LM Studio has several of {name}: {names}", f"as {named[0].source}")
    return named[0]


def _held(root: Path, parts: tuple[str, str]) -> list[Holding]:
    folder = descend(root, parts)
    if folder is None or not is_folder(folder):
        return []
    name = f"{folder.parent.name}/{folder.name}"
    return list(_repository(folder, name, tree(folder, links=True)))


def _unknown(name: str) -> NotFound:
    known = [one for root in roots() for one in holdings(root)]
    near = nearest(name, [*(one.name for one in known), *(_id(one) for one in known)])
    return NotFound(
        f'LM Studio has no model "{name}" on this disk',
        f"did you mean lmstudio:{near}?" if near else "lms ls shows those that it has",
    )


def _repository(folder: Path, name: str, sizes: Mapping[str, int | None]) -> Iterator[Holding]:
    source = f"lmstudio:{name}"
    yield from of_ggufs(
        "lmstudio", folder, sizes, lambda one: (f"{name}:{one.tag}", f"{source}/{one.files[0]}")
    )
    if whole := of_folder("lmstudio", folder, own_files(sizes), name, source):
        yield whole


def _id(holding: Holding) -> str:
    return holding.source.partition(":")[2]


def _pointed() -> list[Path]:
    try:
        text = small_file(Path.home() / ".lmstudio-home-pointer").decode(errors="replace")
    except LlmrrError:
        return []
    return [Path(text.strip())] if text.strip() else []


def _chosen(home: Path) -> list[Path]:
    try:
        folder = json_object(home / "settings.json").get("downloadsFolder")
    except LlmrrError:
        return []
    return [Path(folder)] if folder and isinstance(folder, str) else []
