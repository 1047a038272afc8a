"""Carries out a plan: every step works in scratch space, is verified there, and only what passed
gets its final name."""

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmrr import paths
from llmrr.convert.base import Check, Step, Told
from llmrr.convert.scratch import scratch
from llmrr.errors import CheckFailed, DoesNotFit, LlmrrError


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a plan: where it is, its files (the one to open first), and per step its title,
    seconds and checks; ``checks`` is empty for a step that was not verified."""

    path: Path
    files: tuple[Path, ...]
    steps: tuple[tuple[str, float, tuple[Check, ...]], ...]

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(file.stat().st_size for file in self.files)


def run(
    steps: Sequence[Step],
    source: Path,
    target: Path,
    *,
    verify: bool = True,
    told: Told = lambda what, done, total: None,
) -> Done:
    """Make ``target`` of ``source``. Nothing is left of a plan that fails or is interrupted.

    Raises ``CheckFailed`` for a result that is not what it should be, ``DoesNotFit`` for a full
    disk, ``LlmrrError`` where something is in the way, and what the converters raise.
    """
    refuse_to_overwrite([target])
    require_space(steps, target)
    done: list[tuple[str, float, tuple[Check, ...]]] = []
    with scratch(target.parent) as space:
        made = source
        for number, step in enumerate(steps):
            began, before = time.monotonic(), made
            folder = space / str(number)
            folder.mkdir()
            last = number == len(steps) - 1
            made = folder / (target.name if last else _between(step))
            with _room(target):
                step.work(before, made, told)
                checks = tuple(step.verify(before, made, told)) if verify else ()
            _require(step, checks)
            done.append((step.title, time.monotonic() - began, checks))
            if before != source:
                _discard(before)
        files = _settle(made.parent, target)
    return Done(target if target.exists() else files[0], files, tuple(done))


def require_space(steps: Sequence[Step], target: Path) -> None:
    """Raise ``DoesNotFit`` where the disk has no room for a plan's results."""
    sizes = [step.bytes or 0 for step in steps]
    needed = max((sum(sizes[at : at + 2]) for at in range(len(sizes))), default=0)
    free = paths.free_bytes(target.parent)
    if needed > free:
        raise DoesNotFit(
            f"{needed / 1e9:.2f} GB are needed at {target.parent}, and {free / 1e9:.2f} are free",
            "-O with a place on another disk",
        )


def refuse_to_overwrite(targets: Iterable[Path]) -> None:
    """Raise ``LlmrrError`` for something that is there already; an empty folder is nothing."""
    for target in targets:
        if os.path.lexists(target) and not _is_empty(target):
            raise LlmrrError(f"{target} is there already", "-O with another name, or remove it")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())


def _between(step: Step) -> str:
    return "model" if step.is_folder else "model.gguf"


def _require(step: Step, checks: Sequence[Check]) -> None:
    failed = [check for check in checks if not check.passed]
    if failed:
        said = "; ".join(f"{check.name}: {check.detail}" for check in failed)
        raise CheckFailed(
            f"{step.title}: the result is not its source ({said})", "nothing of it was kept"
        )


def _settle(folder: Path, target: Path) -> tuple[Path, ...]:
    """Give the result its name: a file, a folder, or a file in several parts, the first of which
    comes last."""
    made = sorted(folder.iterdir(), reverse=True)
    finals = [target.parent / one.name for one in made]
    refuse_to_overwrite(finals)
    for one in made:
        _sync(one)
    for one, final in zip(made, finals, strict=True):
        if final.is_dir():
            final.rmdir()
        one.rename(final)
    _sync(target.parent, deep=False)
    return tuple(
        file for final in reversed(finals)
        for file in ([final] if final.is_file() else sorted(final.rglob("*"))) if file.is_file()
    )  # fmt: skip


def _sync(path: Path, *, deep: bool = True) -> None:
    """Have it on the disk before it gets its name."""
    inside = path.rglob("*") if deep and path.is_dir() else ()
    for one in (*inside, path):
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _discard(path: Path) -> None:
    """A result that only stood between two steps."""
    shutil.rmtree(path.parent, ignore_errors=True)


@contextmanager
def _room(target: Path) -> Iterator[None]:
    """Say in words of ours that the disk was full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DoesNotFit(
            f"the disk of {target.parent} is full; nothing was kept",
            "-O with a place on another disk",
        ) from error
