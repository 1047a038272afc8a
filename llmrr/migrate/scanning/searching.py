"""Files and folders to artefacts. One bad file never stops a run: it is listed."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile, NotFound, UsageError, nearest
from llmrr.migrate import readers
from llmrr.migrate.artefact import KINDS, Artefact, Notice
from llmrr.migrate.assessing import dependencies, report, system
from llmrr.migrate.assessing.dependencies import Dependency
from llmrr.migrate.assessing.system import Sign
from llmrr.migrate.documents import CODE, LARGEST, Document
from llmrr.migrate.parsing.sniffing import is_minified, language, may_mention_model
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.scanning import seeming
from llmrr.migrate.scanning.beside import with_keys
from llmrr.migrate.scanning.garbage import Uncollected
from llmrr.migrate.scanning.reading import UNREAD, Content, is_named, is_ours, read
from llmrr.migrate.scanning.walking import File, Left, Walk, Wanted, said
from llmrr.migrate.terms.secrets import masked
from llmrr.paths import database_file

_DATABASE: Final = b"SQLite format 3\0"
_TOLD: Final = 20  # files that could not be read, which a plan names
_SYSTEM: Final = (b"apiVersion", b"services:", b"scrape_configs")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found, in the order of the paths given and then of names. ``skipped`` was not looked
    into; ``unreadable`` could not be, or is damaged. ``packages`` are those that manifests name,
    ``signs`` tell of the system. ``files`` were seen, ``read`` of them read."""

    artefacts: tuple[Artefact, ...] = ()
    skipped: tuple[Left, ...] = ()
    unreadable: tuple[Left, ...] = ()
    packages: tuple[Dependency, ...] = ()
    signs: tuple[Sign, ...] = ()
    files: int = 0
    read: int = 0
    folders: int = 0

    def as_json(self) -> dict[str, Any]:
        """As ``migrate scan --json`` prints it."""
        return {
            "artefacts": [one.as_json() for one in self.artefacts],
            "system": system.as_json([*self.signs, *system.by_packages(self.packages)]),
            "dependencies": report.packages_as_json(dependencies.merged(self.packages)),
            "skipped": [one.as_json() for one in self.skipped],
            "unreadable": [one.as_json() for one in self.unreadable],
            "files": self.files, "read": self.read, "folders": self.folders,
        }  # fmt: skip

    @property
    def found(self) -> tuple[Artefact, ...]:
        """Those that belong to a tool."""
        return tuple(one for one in self.artefacts if one.kind != "none")

    @property
    def lost(self) -> tuple[Artefact, ...]:
        """What could not be read, as artefacts that say so: what it holds is in no plan."""
        told = [(one.path, one.why) for one in self.unreadable[:_TOLD]]
        if more := len(self.unreadable) - len(told):
            told.append((Path(), f"{more:,} more could not be read; llmrr migrate scan lists them"))
        return tuple(
            Artefact(path, "none", warnings=(Notice("unreadable", str(path), why),))
            for path, why in told
        )


def scan(
    paths: Iterable[Path | str], *, kind: str | None = None, only: Iterable[str] = (),
    skip: Iterable[str] = (), known: tuple[Reader, ...] | None = None,
) -> Scan:  # fmt: skip
    """Look for what other tools say of models.

    ``kind`` is what everything is to be taken for; ``only`` and ``skip`` are globs over paths and
    names. Raises ``NotFound`` for a path that does not exist, ``UsageError`` for an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        real = [one for one in KINDS if one != "none"]
        close = nearest(kind, real)
        raise UsageError(f'there is no kind "{kind}"', f"--from {close or '|'.join(real)}")
    places = [Path(one) for one in paths]
    for place in places:
        if not os.path.lexists(place):
            raise NotFound(f'there is no file or folder "{place}"', "ls")
    given = readers.READERS if known is None else known
    chosen = tuple(one for one in given if kind is None or kind in one.kinds)
    with Uncollected() as garbage:
        run = _Run(chosen, kind, Wanted.of(only, skip), garbage)
        for place in places:
            run.take(place)
    return run.result()


def _our_database() -> set[str]:
    """Its files, which are not to be opened: closing one drops the locks that SQLite has on it."""
    file = os.path.realpath(database_file())
    return {file + end for end in ("", "-wal", "-shm")}


@dataclass(slots=True)
class _Run:
    """One scan as it goes on."""

    readers: tuple[Reader, ...]
    kind: str | None
    wanted: Wanted
    garbage: Uncollected
    artefacts: list[Artefact] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    unreadable: list[Left] = field(default_factory=list)
    packages: list[Dependency] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    files: int = 0
    read: int = 0
    done: set[str] = field(default_factory=_our_database)
    top: Path | None = None  # the folder that is looked through now
    walk: Walk = field(init=False)

    def __post_init__(self) -> None:
        self.walk = Walk(self._folder, self.wanted, self.left, self.unreadable)

    def result(self) -> Scan:
        """What was found, all in order."""
        return Scan(
            tuple(self.artefacts), tuple(self.left), tuple(self.unreadable), tuple(self.packages),
            tuple(self.signs), self.files, self.read, self.walk.folders,
        )  # fmt: skip

    def take(self, place: Path) -> None:
        """One path as the user gave it."""
        found, left, lost = len(self.artefacts), len(self.left), len(self.unreadable)
        is_folder = os.path.isdir(place)  # noqa: PTH112  what may not be entered is none
        real = Path(os.path.realpath(place))
        self.top = real if is_folder else real.parent
        if is_folder:
            for file in self.walk.files(place, place):
                self._file(file, named=False)
        else:
            self._file(File(os.path.realpath(place), str(place)), named=True)
        self.artefacts[found:] = _known(
            sorted(self.artefacts[found:], key=lambda one: one.path.parts)
        )
        for one, start in ((self.left, left), (self.unreadable, lost)):
            one[start:] = sorted(one[start:], key=lambda each: each.path.parts)

    def _folder(self, real: Path, shown: Path) -> bool:
        found = self._asked("of_folder", lambda one: one.of_folder and one.of_folder(real, shown),
                            shown, stop=True)  # fmt: skip
        self.artefacts += found
        # A plain folder of models says nothing of what lies below it.
        return any(one.kind not in ("none", "custom") for one in found)

    def _file(self, file: File, *, named: bool) -> None:
        """Look at one file; what the user ``named`` is told of in any case."""
        self.files += 1
        suffix = os.path.splitext(file.shown)[1].lower()  # noqa: PTH122  a Path costs more
        if file.real in self.done or not (named or _is_read(file.shown, suffix)):
            return
        try:
            content = read(file.real)
        except OSError as error:
            self._problem(file, said(error), named)
            return
        self.read += 1
        if self.kind is None and is_ours(file.shown, content.data):
            self.left.append(Left(Path(file.shown), "llmrr's own settings"))
            if named:
                ours = "it is llmrr's own: llmrr config check"
                self.artefacts.append(Artefact(Path(file.shown), "none", error=ours))
            return
        around = _tells_of_system(file.shown, suffix, content.data)
        is_told = named or around or is_named(file.shown)
        if content.is_whole and not (is_told or may_mention_model(content.data, suffix)):
            return
        why = _too_much(content, suffix)
        if why is not None:
            self.left.append(Left(Path(file.shown), why))
            if named:
                self.artefacts.append(Artefact(Path(file.shown), "none", error=why))
            return
        document = Document(Path(file.shown), content.data, Path(file.real), self.top)
        try:
            if around:
                self.packages += dependencies.of(document)
                self.signs += system.of(document)
            self._document(document, named)
        except Exception as error:
            self.artefacts.append(_bug(document.path, error))
        self.garbage.parsed(len(content.data))

    def _document(self, document: Document, named: bool) -> None:
        found = self._recognised(document)
        if self.kind is not None:
            found = [one for one in found if one.kind in (self.kind, "none")]
            found = found or self._forced(document, named)
        if found:
            self.done.add(str(document.real))
            self.artefacts += found
        elif named:
            said = seeming.seeming(document)
            self.artefacts.append(Artefact(document.path, "none", error=said))
        elif document.problem:
            self.unreadable.append(Left(document.path, document.problem))

    def _recognised(self, document: Document) -> list[Artefact]:
        """What the readers find: a data file belongs to the first that takes it, code to all."""
        if document.text is not None and language(document.text, document.suffix):
            if document.code is None:
                return []
            found = self._asked("of_code", lambda one: one.of_code and one.of_code(document),
                                document.path)  # fmt: skip
            return with_keys(found, document)
        return self._asked("of_data", lambda one: one.of_data and one.of_data(document),
                           document.path, stop=True)  # fmt: skip

    def _forced(self, document: Document, named: bool) -> list[Artefact]:
        """As what the user says that it is."""
        assert self.kind is not None
        why = "no reader can be forced to take it"
        for reader in self.readers:
            if reader.forced is None:
                continue
            try:
                found = [one for one in reader.forced(document) if one.kind == self.kind]
            except DamagedFile as error:
                why = error.message
                continue
            except Exception as error:
                return [_bug(document.path, error)]
            if found:
                return found
        said = f"it cannot be read as {self.kind}: {document.problem or masked(why)}"
        return [Artefact(document.path, "none", error=said)] if named else []

    def _asked(
        self, name: str, ask: Callable[[Reader], Iterable[Artefact] | None], path: Path,
        stop: bool = False,
    ) -> list[Artefact]:  # fmt: skip
        """What readers find; with ``stop`` those of the first that finds something."""
        found: list[Artefact] = []
        for reader in self.readers:
            try:
                some = list(ask(reader) or ())
            except OSError as error:
                self.unreadable.append(Left(path, said(error)))
                continue
            except Exception as error:
                some = [_bug(path, error)]
            found += some
            if stop and some:
                break
        return found

    def _problem(self, file: File, why: str, named: bool) -> None:
        self.unreadable.append(Left(Path(file.shown), why))
        if named:
            self.artefacts.append(Artefact(Path(file.shown), "none", error=why))


def _known(found: list[Artefact]) -> list[Artefact]:
    """Without guesses at files that are known for what they are; what code asks is no guess."""
    known = {one.path for one in found if one.kind != "none" and not _is_guess(one)}
    return [one for one in found if not _is_guess(one) or one.path not in known]


def _is_guess(artefact: Artefact) -> bool:
    return artefact.kind == "custom" and artefact.confidence is not None


def _is_read(path: str, suffix: str) -> bool:
    """Whether a file that was come upon is read; after ``Modelfile.`` stands any name."""
    if suffix not in UNREAD:
        return True
    name = path.rpartition("/")[2].lower()
    return name.startswith("modelfile") or dependencies.is_manifest(name)


def _tells_of_system(path: str, suffix: str, data: bytes) -> bool:
    """Whether a file lists packages, or tells how things are deployed and watched."""
    if suffix in (".yaml", ".yml") and any(word in data for word in _SYSTEM):
        return True
    name = path.rpartition("/")[2]
    return dependencies.is_manifest(name) or system.is_sign(name)


def _too_much(content: Content, suffix: str) -> str | None:
    """Why a file is not parsed; what the readers of databases need is there in any case."""
    if not content.is_whole:
        return None if content.data.startswith(_DATABASE) else f"larger than {LARGEST:,} bytes"
    if is_minified(content.data, suffix):
        return "minified bundle"
    if len(content.data) > CODE and language("", suffix) not in (None, "notebook"):
        return f"code of more than {CODE:,} bytes"
    return None


def _bug(path: Path, error: Exception) -> Artefact:
    """A reader that raised: where, and not what it said, which may hold anything."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else "?"
    said = f"this is a bug in llmrr: {type(error).__name__} in {where}"
    return Artefact(path, "none", error=said)
