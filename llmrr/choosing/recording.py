"""The database as one router uses it, and what is written there of each run."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

from llmrr import spending, stats
from llmrr.config import Config
from llmrr.errors import LlmrrError

if TYPE_CHECKING:
    import sqlite3

    Work = Callable[[sqlite3.Connection], object]

T = TypeVar("T")

UNRECORDED_S: Final = 60.0  # how long a database that could not be used is left alone
_PRUNE_EVERY_S: Final = 60.0


class Entry(NamedTuple):
    """A run to be written down, with its ``outcome``; without ``log`` not what was said. ``label``
    is that of the installed model that was used."""

    run: stats.Run
    log: bool
    label: str | None
    config: Config
    outcome: "Work | None"


class _Waiting(NamedTuple):
    """A run that is to be written down; ``then`` is told whether it is. Without one, only that all
    before it was tried."""

    entry: Entry | None
    then: Callable[[bool], None]


class Recording:
    """The database, opened when it is first used. Safe to use from several threads."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._connection: sqlite3.Connection | None = None
        self._unrecorded_until = 0.0  # the database could not be used: by ``time.monotonic``
        self._lock = threading.RLock()
        self._waiting: deque[_Waiting] = deque()
        self._turn = threading.RLock()  # while runs are written down
        self._prunes = 0.0  # when old runs are looked for next
        self.for_others = False  # whose words are kept only with ``[serve] log_requests``

    @property
    def database(self) -> "sqlite3.Connection":
        """The open database. Raises what ``open_database`` does."""
        from llmrr import database

        if self._connection is None:
            self._connection = database.open_database()
        return self._connection

    def use(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None":
        """Use the database; None after a warning of what is lost: an answer is worth more. It is
        then left alone for a while, as waiting for a lock at every request is no use."""
        if time.monotonic() < self._unrecorded_until:
            return None
        try:
            with self._lock:  # transactions of several threads would meet
                if time.monotonic() < self._unrecorded_until:  # who came before waited in vain
                    return None
                return work(self.database)
        except LlmrrError as error:
            self._unrecorded_until = time.monotonic() + UNRECORDED_S
            self._warn(f"{loss}: {error.message}")
            return None

    def add(self, entry: Entry, then: Callable[[bool], None]) -> None:
        """Write down a run, and tell ``then`` whether it is: here, or by the thread that is writing
        others. A transaction costs more than what is in it: those that end while one is written
        are written together in the next."""
        self._waiting.append(_Waiting(entry, then))
        self._write_waiting()

    def when_written(self, then: Callable[[], None]) -> None:
        """Do something once all that was added is written down."""
        self._waiting.append(_Waiting(None, lambda _: then()))
        self._write_waiting()

    def flush(self) -> None:
        """Wait until all that was added is written down."""
        written = threading.Event()
        self.when_written(written.set)
        written.wait()

    def _write_waiting(self) -> None:
        while self._waiting and self._turn.acquire(blocking=False):  # else who has it goes on
            waiting: list[_Waiting] = []
            is_recorded = False
            try:
                waiting += [self._waiting.popleft() for _ in range(len(self._waiting))]
                is_recorded = self._add([one.entry for one in waiting if one.entry is not None])
            finally:  # also of an interrupt: others wait to be told
                self._turn.release()
                self._tell(waiting, is_recorded)

    def _tell(self, waiting: Sequence[_Waiting], is_recorded: bool) -> None:
        for one in waiting:
            try:
                one.then(is_recorded)
            except Exception as error:  # it is another's, and others are to be told, too
                self._warn(f"what follows a run failed: {type(error).__name__}: {error}")

    def _add(self, entries: Sequence[Entry]) -> bool:
        """Write down runs, all or none; whether they are."""
        is_recorded = False

        def write(connection: "sqlite3.Connection") -> None:
            nonlocal is_recorded
            from llmrr import database

            with database.errors(), database.transaction(connection):
                for entry in entries:
                    self._write(connection, entry)
                for (minute, model), (cost, tokens) in _spent(entries).items():
                    spending.add(connection, minute * 60, model, cost, tokens)
            is_recorded = True
            if time.monotonic() >= self._prunes:
                self._prunes = time.monotonic() + _PRUNE_EVERY_S
                stats.prune(connection, _retention(entries[-1].config))

        if entries:
            try:
                self.use(write, "nothing is recorded")
            except Exception as error:  # whoever writes may be another than it is about
                self._warn(f"nothing is recorded: {type(error).__name__}: {error}")
        return is_recorded

    def forget(self, config: Config) -> None:
        """Forget at once what is older than ``[stats] retention``."""
        self.use(
            lambda connection: stats.prune(connection, _retention(config), at_once=True),
            "nothing is forgotten",
        )

    def _write(self, connection: "sqlite3.Connection", entry: Entry) -> None:
        run = entry.run
        stats.record(connection, run, words=entry.log and self._keeps_words(entry.config))
        if entry.outcome is not None:
            entry.outcome(connection)
        if entry.label is not None:
            from llmrr.store import records

            records.touch(connection, entry.label, run.at)

    def _keeps_words(self, config: Config) -> bool:
        is_asked = not self.for_others or config.value("serve.log_requests")
        return bool(config.value("log_prompts") and is_asked)

    def close(self) -> None:
        """Twice is allowed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _spent(entries: Sequence[Entry]) -> dict[tuple[float, str], tuple[float, int]]:
    """Dollars and tokens of runs, by the minute and the model: those of both are one step."""
    found: dict[tuple[float, str], tuple[float, int]] = {}
    for run in (entry.run for entry in entries):
        at = run.at // 60, run.model
        cost, tokens = found.get(at, (0.0, 0))
        tokens += run.prompt_tokens + run.completion_tokens
        found[at] = cost + (run.cost or 0.0), tokens
    return found


def _retention(config: Config) -> float | None:
    return cast("float | None", config.value("stats.retention"))
