"""Space for what is not complete: a folder beside the place of the result, on the same disk, so
that giving it its name is one step. A note in the data directory says where it is, and the next
conversion takes away what one that was killed left."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmrr import paths
from llmrr.errors import LlmrrError
from llmrr.store.processes import is_alive


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A new folder in ``folder``, which is made where it is missing; gone after the block. Raises
    ``LlmrrError`` for a place that cannot be written."""
    reclaim()
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    place = folder / f".llmrr-{mark}"
    made = _missing(folder)
    note = _notes() / mark
    try:
        _notes().mkdir(mode=0o700, parents=True, exist_ok=True)
        note.write_text(str(place), encoding="utf-8", errors="surrogateescape")
        place.mkdir(parents=True)
    except OSError as exc:
        note.unlink(missing_ok=True)
        raise LlmrrError(
            f"{exc.filename or place} cannot be written: {exc.strerror}", f"ls -ld {folder}"
        ) from exc
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        note.unlink(missing_ok=True)
        for one in made:  # those that stayed empty
            with suppress(OSError):
                one.rmdir()


def left_behind() -> Iterator[tuple[Path, Path]]:
    """The notes of conversions whose process is gone, and the folders that they name."""
    for note in sorted(_notes().glob("*-*")):
        process = note.name.partition("-")[0]
        if process.isdecimal() and not is_alive(int(process)):
            with suppress(OSError):
                place = Path(note.read_text(encoding="utf-8", errors="surrogateescape"))
                if place.name == f".llmrr-{note.name}":  # and nothing that somebody else wrote
                    yield note, place


def reclaim() -> None:
    """Remove what killed conversions left."""
    for note, place in left_behind():
        shutil.rmtree(place, ignore_errors=True)
        if not place.exists():
            note.unlink(missing_ok=True)


def _notes() -> Path:
    return paths.data_dir() / "scratch"


def _missing(folder: Path) -> list[Path]:
    """The folders that will have to be made, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]
