"""Progress of files that come, go or are copied, per file and in all with speed and time left, and
of work in steps; on a terminal's stderr and nowhere else."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmrr.cli import output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bars:
    """Told from any thread how many bytes of a file are there."""

    def __init__(self, progress: "Progress | None", sizes: Mapping[str, int]) -> None:
        self._progress, self._sizes = progress, sizes
        self._done: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()
        if progress is not None and len(sizes) > 1:
            self._tasks[""] = progress.add_task("in all", total=sum(sizes.values()))

    def __call__(self, name: str, count: int) -> None:
        if self._progress is None:
            return
        with self._lock:
            self._done[name] = count
            total = self._sizes.get(name, count)
            if name not in self._tasks:
                shown = output.safe(name.rpartition("/")[2], sys.stderr)
                self._tasks[name] = self._progress.add_task(shown, total=total, completed=count)
            self._progress.update(
                self._tasks[name], completed=count, visible=count < total or len(self._sizes) == 1
            )
            if "" in self._tasks:
                self._progress.update(self._tasks[""], completed=sum(self._done.values()))


@contextmanager
def bars(sizes: Mapping[str, int]) -> Iterator[Bars]:
    """Show them while the block lasts; nothing where stderr is no terminal."""
    if not output.moves(sys.stderr):
        yield Bars(None, sizes)
        return
    from rich import progress
    from rich.console import Console

    shown = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with shown:
        yield Bars(shown, sizes)


@contextmanager
def work() -> Iterator[Callable[[str, int, int], None]]:
    """Shows what is being done and how much of it, while the block lasts: told what it is, how many
    units are done, and how many there are."""
    if not output.moves(sys.stderr):
        yield lambda what, done, total: None
        return
    from rich import progress
    from rich.console import Console

    shown = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}
    lock = threading.Lock()

    def told(what: str, done: int, total: int) -> None:
        with lock:
            if what not in tasks:
                for other in tasks.values():
                    shown.update(other, visible=False)
                tasks[what] = shown.add_task(output.safe(what, sys.stderr), total=total or None)
            shown.update(tasks[what], completed=done, total=total or None, visible=True)

    with shown:
        yield told
