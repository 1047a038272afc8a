"""What lies at the paths that were given: answers into the history, models adopted in place."""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmrr import database, paths
from llmrr.errors import DamagedFile, LlmrrError, NotFound
from llmrr.migrate.caches import finding, folders, history, legacy
from llmrr.migrate.caches.answers import Answer, Left

if TYPE_CHECKING:
    import sqlite3

MOST_BYTES: Final = 256_000_000  # of the texts of one import
MOST_FILES: Final = 200_000  # that are looked at in a folder
_SKIPPED: Final = frozenset({
    "node_modules", ".git", ".hg", ".svn", ".venv", "venv", "__pycache__", "site-packages", ".tox",
})  # fmt: skip
_BATCH: Final = 500  # answers in one transaction

Told = Callable[[int], None]


class Brought(NamedTuple):
    """What came of one path. ``answers`` are in the history now, ``known`` were before, as were
    those ``again``; ``left`` counts what is not, by why; ``bytes`` are of the texts, or of the
    models' files. ``error`` is why nothing could be taken, or no more."""

    path: Path
    tool: str | None
    import_id: str
    answers: tuple[Answer, ...] = ()
    known: int = 0
    bytes: int = 0
    left: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    models: tuple[folders.Model, ...] = ()
    named: tuple[dict[str, Any], ...] = ()
    error: str | None = None
    again: tuple[Answer, ...] = ()


def new_id() -> str:
    """An id of an import; they sort by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def bring(
    connection: "sqlite3.Connection", places: Sequence[Path | str], import_id: str, *,
    tool: str | None = None, room: int = MOST_BYTES, dry_run: bool = False,
    told: Told = lambda count: None,
) -> list[Brought]:  # fmt: skip
    """Bring over what lies at the paths: a file is a store of answers, a folder one of models, or
    is looked through for stores of answers. One that is bad does not stop the rest; ``room`` is how
    many bytes of texts may come. With a ``tool`` each folder holds its models. ``told`` is told how
    many answers of a store were read.

    Raises ``NotFound`` for a path that there is not.
    """
    found: list[Brought] = []
    for place in map(paths.expanded, places):
        if not os.path.lexists(place):
            raise NotFound(f'there is no file or folder "{place}"', "ls")
        for path, is_named in _stores(place, tool):
            left = room - sum(one.bytes for one in found if one.answers)
            one = _one(connection, path, import_id, left, tool, told, dry_run=dry_run)
            if is_named or one.tool is not None or finding.is_pickle(path):
                found.append(one)
    return found


def _stores(place: Path, tool: str | None) -> Iterator[tuple[Path, bool]]:
    """The paths to look at, and whether the user named them."""
    if not place.is_dir():
        yield place, True
        return
    if tool or (os.access(place, os.R_OK | os.X_OK) and folders.tool_of(place) is not None):
        yield place, True
    seen = 0
    for folder, names, files in os.walk(place):
        if folders.by_layout(names) is not None:
            names.clear()
            if Path(folder) != place:
                yield Path(folder), False
            continue
        names[:] = sorted(one for one in names if one not in _SKIPPED)
        for name in sorted(files):
            seen += 1
            if seen > MOST_FILES:
                return
            path = Path(folder, name)
            if not path.is_symlink() and finding.may_be(path):
                yield path, False


def _one(
    connection: "sqlite3.Connection", path: Path, import_id: str, room: int, tool: str | None,
    told: Told, *, dry_run: bool,
) -> Brought:  # fmt: skip
    try:
        if path.is_dir():
            of = tool or folders.tool_of(path)
            assert of is not None
            return _models(connection, path, of, import_id, dry_run=dry_run)
        with finding.store(path) as store:
            if store is None:
                said = "no store of answers that is known here"
                return Brought(path, None, import_id, error=said)
            return _answers(connection, path, store, import_id, room, told, dry_run=dry_run)
    except LlmrrError as error:
        return Brought(path, None, import_id, error=error.message)


def _models(
    connection: "sqlite3.Connection", path: Path, tool: str, import_id: str, *, dry_run: bool
) -> Brought:
    found = folders.adopt(connection, tool, path, import_id, dry_run=dry_run)
    left = Counter(one.problem for one in found if one.problem is not None)
    taken = [one for one in found if one.problem is None]
    known = sum(not one.is_new for one in taken)
    return Brought(
        path, tool, import_id, (), known, sum(one.bytes for one in taken),
        tuple(left.most_common()), (), tuple(found),
    )  # fmt: skip


def _answers(
    connection: "sqlite3.Connection", path: Path, store: finding.Store, import_id: str, room: int,
    told: Told, *, dry_run: bool,
) -> Brought:  # fmt: skip
    taken, again, left, waiting = list[Answer](), list[Answer](), Counter[str](), list[Answer]()
    seen: set[str] = set()
    size, known, problem = 0, 0, None
    try:
        for row in store.rows:
            why = row.why if isinstance(row, Left) else _too_large(row, room - size)
            if why is not None or isinstance(row, Left):
                left[str(why)] += 1
                continue
            key = history.digest(row, store.tool)
            if key in seen:
                known += 1
                continue
            seen.add(key)
            size += _size(row)
            if history.is_there(connection, key):
                again.append(row)
                continue
            taken.append(row)
            waiting.append(row)
            if len(waiting) >= _BATCH:
                _keep(connection, waiting, store.tool, import_id, dry_run=dry_run)
                told(len(seen))
    except DamagedFile as error:  # what came before is good
        problem = error.message
    _keep(connection, waiting, store.tool, import_id, dry_run=dry_run)
    return Brought(
        path, store.tool, import_id, tuple(taken), known + len(again), sum(map(_size, taken)),
        tuple(left.most_common()), tuple(_notes(store, taken)), (), tuple(store.models), problem,
        tuple(again),
    )  # fmt: skip


def _too_large(row: Answer, room: int) -> str | None:
    return "no room: one import takes 256 MB" if _size(row) > room else None


def _keep(
    connection: "sqlite3.Connection", waiting: list[Answer], tool: str, import_id: str, *,
    dry_run: bool,
) -> None:  # fmt: skip
    if waiting and not dry_run:
        with database.errors(), database.transaction(connection):
            for one in waiting:
                history.add(connection, one, tool, import_id)
    waiting.clear()


def _notes(store: finding.Store, taken: Sequence[Answer]) -> Iterator[str]:
    if not store.is_whole:
        yield "rows that lie in its -wal file are not read: close the program that writes it"
    if taken:
        yield f"in the history alone, and not in [cache]: it does not say {store.lacks}"
    if any(one.model is None for one in taken):
        yield "which model answered is not always known"
    if any(one.params for one in taken):
        yield "the history has no place for parameters"


def _size(answer: Answer) -> int:
    texts = (answer.prompt, answer.response, answer.system or "")
    return sum(len(one.encode(errors="surrogatepass")) for one in texts)


def facts(found: Sequence[Brought], import_id: str, *, dry_run: bool) -> dict[str, Any]:
    """``migrate cache --json``: counts by path, and all of it in the guide's shape."""
    return {
        "import": None if dry_run else import_id,
        "caches": [
            {
                "path": one.path, "tool": one.tool, "answers": len(one.answers),
                "models": [it._asdict() for it in one.models], "known": one.known,
                "bytes": one.bytes, "left": [{"why": why, "count": n} for why, n in one.left],
                "notes": list(one.notes), "error": one.error,
            }
            for one in found
        ],
        "version": legacy.VERSION,
        "models": [
            *(model for one in found for model in one.named),
            *({"id": it.name, "source": it.source,
               "metadata": {"size": it.bytes, "format": None, "lastUsed": None}}
              for one in found for it in one.models if it.problem is None),
        ],
        "inference": legacy.inference(
            answer for one in found for answer in (*one.answers, *one.again)
        ),
    }  # fmt: skip
