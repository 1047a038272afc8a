"""The configuration of a process that goes on: changed by the program, read again when its files
change, and never worse than the last one that was good."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from llmrr import config, guide, paths, tomlfile, translating
from llmrr.config import Config
from llmrr.errors import BadConfig, InvalidRequest, LlmrrError, NotFound

LOOK_EVERY: Final = 1.0  # seconds
SETTLE_S: Final = 0.2  # how old a change must be: who writes a file may not have ended
UPDATE: Final = "update_config(…)"
_Seen = tuple[tuple[Path, tuple[int, int, int] | None], ...]


class Live:
    """A configuration in use. ``current`` is what holds now; the object is another one after each
    change, and none ever changes. Safe to use from several threads.

    Given a ``Config``, that is it; else it is what holds here, with ``file`` in place of the
    project's, or without any file (``alone``). ``table`` is what a program states on top of that,
    which errors call ``label``.
    """

    def __init__(
        self,
        given: Config | None = None,
        *,
        file: Path | None = None,
        table: Mapping[str, Any] | None = None,
        alone: bool = False,
        label: str = "Router(…)",
        warn: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._alone, self._warn, self._clock = file, alone, warn, clock
        self._lock = threading.RLock()
        self._fixed = given is not None
        self._below = given  # without what the program states
        self._config = given
        self._changes: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}
        self._folder = _working_folder()
        self._seen: _Seen = ()
        self._changed: _Seen = ()  # what a change looked like at first
        self._look_at = 0.0
        self._is_broken = False
        self._checks: list[Callable[[Config], None]] = []
        if table:
            self.update(table, label=label)

    def current(self) -> Config:
        """What holds now. Files are looked at once a second at most."""
        found = self._config
        if found is None:
            return self._first()
        if self._fixed or self._clock() < self._look_at:
            return found
        self._look()
        return self._config or found

    def update(self, stated: Mapping[str, Any], *, label: str = UPDATE) -> Config:
        """State more on top of what holds; all of it or nothing. Raises ``BadConfig`` naming the
        key."""
        found = translating.translated(stated)
        with self._lock:
            self._first()
            names = {**self._names, **found.names}
            table = guide.merged(self._changes.get(label, {}), found.table)
            changes = {**self._changes, label: table}
            assert self._below is not None and self._config is not None
            made, before = _over(self._below, changes, names, self._folder), self._config
            self._config, self._changes, self._names = made, changes, names
        self._tell((*found.notices, *(one for one in made.warnings if one not in before.warnings)))
        return made

    def replace(self, file: Path, stated: Mapping[str, Any]) -> Config:
        """Use another file from now on, with what is stated in place of all that was stated before.
        Raises ``NotFound`` and ``BadConfig``, and then nothing has changed."""
        found = translating.translated(stated)
        changes = {UPDATE: found.table} if stated else {}
        with self._lock:
            seen = self._states(file)
            below = _read(file, self._folder)
            made = _over(below, changes, found.names, self._folder)
            self._file, self._alone, self._fixed = file, False, False
            self._changes, self._names, self._is_broken = changes, dict(found.names), False
            self._take(below, made, seen)
        self._tell((*found.notices, *made.warnings))
        return made

    def require(self, check: Callable[[Config], None]) -> None:
        """From now on take changed files only where ``check`` raises no ``LlmrrError``."""
        self._checks.append(check)

    def reload(self) -> None:
        """Read the files again now, whether they look changed or not: what they name may be."""
        with self._lock:
            self._first()
            if not self._fixed:
                self._seen, self._changed = (), self._states(self._file)
                self._look()

    def _first(self) -> Config:
        with self._lock:
            if self._config is not None:
                return self._config
            seen = self._states(self._file)
            below = _read(self._file, self._folder, alone=self._alone)
            made = config.settled(below)
            self._fixed = self._alone
            self._take(below, made, seen)
        self._tell(made.warnings)
        return made

    def _look(self) -> None:
        """Read the files again if they have changed."""
        if not self._lock.acquire(blocking=False):
            return  # somebody is at it
        try:
            self._look_at = self._clock() + LOOK_EVERY
            seen = self._states(self._file)
            if seen == self._seen:
                return
            changed = {*seen} - {*self._seen}
            if seen != self._changed and any(_is_fresh(state) for _, state in changed):
                self._changed, self._look_at = seen, self._clock() + min(SETTLE_S, LOOK_EVERY)
                return
            self._seen = seen
            self._require_files()
            below = _read(self._file, self._folder)
            made = _over(below, self._changes, self._names, self._folder)
            for check in self._checks:
                check(made)
            self._take(below, made, seen)
            if self._is_broken:
                self._warn("the configuration is valid again, and in use")
            self._is_broken = False
        except (LlmrrError, OSError) as error:
            self._is_broken = True
            hint = getattr(error, "hint", "").replace("\n", "; ")
            more = f" ({hint})" if hint else ""
            self._warn(f"the last good configuration stays in use: {error}{more}")
        finally:
            self._lock.release()

    def _take(self, below: Config, made: Config, seen: _Seen) -> None:
        self._below, self._config, self._seen = below, made, seen
        self._look_at = self._clock() + LOOK_EVERY

    def _require_files(self) -> None:
        """Raise ``NotFound`` where one that is in use was taken away."""
        for file in self._config.files if self._config else ():
            if not file.is_file():
                raise NotFound(f"{file} is gone")

    def _states(self, file: Path | None) -> _Seen:
        """The files that count, each with its time and size; the user's own may yet appear."""
        project = file or config.project_file(self._folder)
        return tuple((path, _state(path)) for path in (project, config.user_file()) if path)

    def _tell(self, notices: Iterable[str]) -> None:
        for notice in notices:
            self._warn(notice)


def of(given: object, stated: Mapping[str, Any], warn: Callable[[str], None]) -> Live:
    """The configuration that the arguments of ``Router`` mean. Raises ``InvalidRequest``, and for
    what is stated or named ``BadConfig`` and ``NotFound``."""
    if isinstance(given, str | PathLike):
        found = Live(file=file_of(given), table=stated, warn=warn)
        found.current()  # what is wrong is told here
        return found
    if isinstance(given, Mapping):
        stated = {**given, **stated}
        given = None
    if given is not None and not isinstance(given, Config):
        raise InvalidRequest(
            f"Router({given!r}) is no configuration", "a Config, a path, or models=[…]"
        )
    return Live(given, table=stated, alone="models" in stated, warn=warn)


def change(
    live: Live, stated: str | PathLike[str] | Mapping[str, Any] | None, named: Mapping[str, Any]
) -> None:
    """What the arguments of ``Router.update_config`` mean. Raises ``InvalidRequest``, and what
    ``update`` and ``replace`` do."""
    if isinstance(stated, str | PathLike):
        live.replace(file_of(stated), named)
        return
    if stated is not None and not isinstance(stated, Mapping):
        raise InvalidRequest(f"update_config({stated!r}) is no configuration", "a dict, or a path")
    given: Mapping[str, Any] = stated or {}
    both = {**given, **named}
    for name in named:
        if name in given and given[name] != named[name]:
            raise InvalidRequest(f"{name} is stated twice, and differs", f"leave out one {name}")
    if both:
        live.update(both)


def file_of(path: str | PathLike[str]) -> Path:
    """The file of that name, or the ``llmrr.toml`` in the folder of that name."""
    found = paths.expanded(os.fspath(path)).absolute()
    return found / config.FILE_NAME if found.is_dir() else found


def _read(file: Path | None, folder: Path | None, *, alone: bool = False) -> Config:
    if file is not None and not file.is_file():
        raise NotFound(f'there is no file "{file}"', "llmrr config path")
    return config.read(folder, file=file, files=not alone)


def _over(
    below: Config, changes: Mapping[str, dict[str, Any]], names: Mapping[str, str],
    folder: Path | None,
) -> Config:  # fmt: skip
    """What was read, with what a program states on top of it; its relative paths start at the
    folder where it began, wherever it is now."""
    for label, table in changes.items():
        try:
            stated = tomlfile.read_table(table, label, folder or Path("/"))
            below = config.over(below, stated)
        except BadConfig as error:
            raise BadConfig(guide.in_their_words(error.message, names), error.hint) from None
    return config.settled(below)


def _working_folder() -> Path | None:
    try:
        return Path().absolute()
    except FileNotFoundError:  # it was removed
        return None


def _is_fresh(state: tuple[int, int, int] | None) -> bool:
    """Whether a file may not be complete yet: it was written to just now, or is empty, as who opens
    it to write makes it."""
    return state is not None and (not state[1] or 0 <= time.time() - state[0] / 1e9 < SETTLE_S)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
