"""A plan is carried out: files are fetched, looked at, and become an installed model."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmrr import formats, hub, paths
from llmrr.errors import LlmrrError
from llmrr.store import archive, external, locks, ownership, records
from llmrr.store.choice import Option
from llmrr.store.content import Look
from llmrr.store.looking import Subset, checked, kind_of
from llmrr.store.ownership import Mark
from llmrr.store.planning import Plan, files_of
from llmrr.store.records import Entry, StoredFile, split_label
from llmrr.types import Format, Recipe

if TYPE_CHECKING:
    import sqlite3

Arrived = Callable[[str, int], None]
_TRIES = 3


def run(
    connection: "sqlite3.Connection",
    wanted: Plan,
    *,
    token: str | None = None,
    arrived: Arrived = lambda name, count: None,
    workers: int = hub.WORKERS,
) -> Entry | dict[str, Path]:
    """Fetch what is planned and install it; the entry, or where each file is when patterns selected
    no model, or several. Killed at any moment, it can be run again, and goes on.

    Raises ``LlmrrError`` when its name is that of another model, and what ``hub.download`` raises.
    """

    with closing(_Notes(connection)) as notes:
        return _run(connection, wanted, _Fetch(wanted, notes, token, arrived, workers))


class _Fetch(NamedTuple):
    """How the files of a plan come."""

    plan: Plan
    notes: "_Notes"
    token: str | None
    arrived: Arrived
    workers: int

    def __call__(self, files: Sequence[hub.RemoteFile], look: Look) -> dict[str, Path]:
        if self.plan.offline:
            return hub.present(
                files, self.plan.place, checked=self.notes, arrived=self.arrived, look=look
            )
        where = hub.download(
            self.plan.repository,
            files,
            self.plan.place,
            checked=self.notes,
            token=self.token,
            workers=self.workers,
            arrived=self.arrived,
            look=look,
            # What patterns selected is the user's.
            made=None if self.plan.label is None else self.notes,
        )
        return {file.path: where[file.path] for file in files}  # in the order of the plan


def _run(
    connection: "sqlite3.Connection", wanted: Plan, fetched: _Fetch
) -> Entry | dict[str, Path]:
    if wanted.option is None or wanted.label is None:
        return fetched(wanted.files, wanted.look)
    _replaced(connection, wanted.label, wanted.source)
    with locks.adding():
        for _ in range(_TRIES):
            where, option = fetched(wanted.files, wanted.look), wanted.option
            if option.format is Format.ONNX:
                outside = external.missing(where, wanted.repository.sizes)
                files = files_of(wanted.repository, outside)
                where |= fetched(files, lambda name, start: None)  # weights may begin with anything
                option = option._replace(weights=(*option.weights, *outside))
            entry = _entry(wanted, option, wanted.label, where)
            with locks.settling():
                before = _replaced(connection, wanted.label, wanted.source)
                if all(map(paths.exists, where.values())):  # and nobody removed it meanwhile
                    if before:
                        recipe = entry.recipe if entry.recipe.license else before.recipe
                        entry = replace(entry, used=before.used, recipe=recipe)
                    return records.add(connection, entry)
    raise LlmrrError(f"files of {wanted.label} vanish while they come", "run it again")


class _Notes:
    """What the threads of a download ask and note, until it is over: one that goes on a little
    longer is stopped, as the database may be closed by then."""

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection, self._lock, self._open = connection, threading.Lock(), True
        self._checked = records.Checked(connection)

    def holds(self, path: Path, digest: str) -> bool:
        with self._used():
            return self._checked.holds(path, digest)

    def note(self, path: Path, digest: str) -> None:
        with self._used():
            self._checked.note(path, digest)

    def partial(self, path: Path, status: os.stat_result) -> None:
        with self._used():
            ownership.note(self._connection, path, Mark(status.st_ino))

    def file(self, path: Path, status: os.stat_result, was: Path | None = None) -> None:
        with self._used():
            ownership.note(self._connection, path, Mark.of(status), instead_of=was)

    def close(self) -> None:
        with self._lock:
            self._open = False

    @contextmanager
    def _used(self) -> Iterator[None]:
        with self._lock:
            if not self._open:
                raise hub.Stopped
            yield


def _replaced(connection: "sqlite3.Connection", label: str, source: str) -> Entry | None:
    hint = f"keep that one under another name: llmrr cp {label} NAME, then llmrr rm {label}"
    return records.replaced(connection, label, source, hint)


def _entry(wanted: Plan, option: Option, label: str, where: Mapping[str, Path]) -> Entry:
    """What is installed, by what the files themselves say."""
    root = wanted.place.target("_").parent
    main = where[option.weights[0]]
    if option.format in (Format.GGUF, Format.ONNX):
        info = checked(main)
    else:
        info = formats.inspect(Subset(formats.FolderFiles(root), option.files))
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
        quant=info.quant or (None if info.format is Format.PYTORCH else option.tag or None),
        bytes=sum(sizes[one] for one in option.files),
        digest=digests[option.weights[0]] or archive.digest(main),  # a small file: of no LFS
        revision=wanted.repository.commit,
        added=time.time(),
        recipe=Recipe(license=wanted.repository.license),
    )
