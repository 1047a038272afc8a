"""A plan is carried out: files are fetched, looked at, and become an installed model."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import formats, hub
from llmrr.errors import DamagedFile, Unreachable
from llmrr.store import external, locks, records
from llmrr.store.choice import Option
from llmrr.store.looking import Subset, kind_of
from llmrr.store.planning import Plan, files_of
from llmrr.store.records import Entry, StoredFile, split_label
from llmrr.store.references import HubReference
from llmrr.types import Format

if TYPE_CHECKING:
    import sqlite3

Arrived = Callable[[str, int], None]


def run(
    connection: "sqlite3.Connection",
    wanted: Plan,
    *,
    token: str | None = None,
    arrived: Arrived = lambda name, count: None,
    workers: int = hub.WORKERS,
) -> Entry | dict[str, Path]:
    """Fetch what is planned and install it; the entry, or where each file is when patterns selected
    them. Killed at any moment, it can be run again, and goes on."""
    lock = threading.Lock()

    def begins(path: Path, size: int, digest: str) -> None:
        with lock:
            records.own(connection, path, size, digest if len(digest) == 64 else None)

    def fetched(files: Sequence[hub.RemoteFile]) -> dict[str, Path]:
        return hub.download(
            wanted.repository,
            files,
            wanted.place,
            checked=records.Checked(connection),
            token=token,
            workers=workers,
            arrived=arrived,
            look=_look,
            begins=begins,
        )

    with locks.adding():
        where, option = fetched(wanted.files), wanted.option
        if option is None or wanted.label is None:
            return where
        if option.format is Format.ONNX:
            outside = external.missing(where, wanted.repository.sizes)
            where |= fetched(files_of(wanted.repository, outside))
            option = option._replace(weights=(*option.weights, *outside))
        return records.add(connection, _entry(wanted, option, wanted.label, where))


def adopt_cached(
    connection: "sqlite3.Connection", wanted: HubReference, label: str | None
) -> Entry:
    """Install what lies in the hub's cache already, without asking anybody. Raises ``Unreachable``
    where it does not."""
    from llmrr.store import adoption, cached

    holding = cached.find(wanted)
    if holding is None:
        raise Unreachable(
            f"{wanted.source} is not in the cache, and this is offline mode",
            "leave out --offline (HF_HUB_OFFLINE); llmrr list --all shows what is on this disk",
        )
    entry = adoption.held(holding, label or holding.name)
    return records.add(connection, entry)


def _look(name: str, start: bytes) -> None:
    """Refuse what is not what its name says as soon as its first bytes come."""
    wrong = (name.endswith(".gguf") and not start.startswith(b"GGUF")) or (
        name.endswith(".safetensors") and start[8:9] != b"{"
    )
    if wrong:
        raise DamagedFile(
            f"{name} is not what its name says: it begins with {start[:8]!r}",
            "nothing of it was kept; tell the owner of the repository",
        )


def _entry(wanted: Plan, option: Option, label: str, where: Mapping[str, Path]) -> Entry:
    """What is installed, by what the files themselves say."""
    root = wanted.place.target("_").parent
    info = formats.inspect(Subset(formats.FolderFiles(root), option.files))
    main = where[option.weights[0]]
    if info.format is Format.GGUF and info.kind in (None, "model"):
        formats.gguf.check_file(main)
    name, tag = split_label(label)
    digests = {file.path: file.sha256 for file in wanted.repository.files}
    sizes = wanted.repository.sizes
    return Entry(
        name=name,
        tag=tag,
        path=main if info.format in (Format.GGUF, Format.ONNX) else root,
        origin=wanted.source,
        files=tuple(StoredFile(where[one], sizes[one], digests[one]) for one in option.files),
        kind=kind_of(info),
        format=info.format,
        quant=info.quant or option.tag or None,
        bytes=sum(sizes[one] for one in option.files),
        digest=digests[option.weights[0]],
        revision=wanted.repository.commit,
        added=time.time(),
    )
