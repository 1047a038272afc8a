"""The files of a folder, in the order of their paths; what is not looked into, and why.

Links are followed only to files of the same folder. Nothing is read here but names.
"""

import errno
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import Final, NamedTuple

# Folders by name, with what they are.
_SKIPPED: Final = {
    **dict.fromkeys(("node_modules", "bower_components", "site-packages", "jspm_packages",
                     "__pypackages__", ".yarn", ".pnpm-store"), "dependencies"),
    **dict.fromkeys((".git", ".hg", ".svn", ".bzr", ".jj", "CVS"), "version control"),
    **dict.fromkeys(("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox",
                     ".eggs", ".ipynb_checkpoints", ".hypothesis", ".gradle", ".terraform",
                     ".turbo", ".parcel-cache", ".npm", ".pnpm", ".cargo", ".rustup", ".m2"),
                    "cache"),
    **dict.fromkeys(("dist", ".next", ".nuxt", ".output", ".svelte-kit", ".vercel", ".docusaurus"),
                    "build output"),
}  # fmt: skip
# Built only where these lie beside them: elsewhere such a folder may hold anything.
_BUILT: Final = {
    "build": ("package.json", "pyproject.toml", "setup.py", "CMakeLists.txt", "build.gradle"),
    "out": ("package.json", "next.config.js"), "coverage": ("package.json",),
    "target": ("Cargo.toml", "pom.xml"), "vendor": ("go.mod", "composer.json"),
}  # fmt: skip
# Where tools keep their settings: hidden folders that are looked into for the rest of this.
_GATES: Final = frozenset({".config", ".cache", ".local"})
_INNER_GATES: Final = frozenset({(".local", "share"), ("Library", "Application Support")})
_TOOL: Final = re.compile(
    r"(?i)llm|llama|aichat|local-?ai|lm-?studio|continue|gpt|mlx|openai|langchain|hugging|nomic"
    r"|^\.env$"
)
# Code of the user's beside a model, and not the model's own.
_CODE: Final = re.compile(
    r"^(?!modeling_|configuration_|tokenization_|processing_|image_processing_)"
    r".*\.(?:pyw?|ipynb|[mc]?[jt]s|[jt]sx)$"
)


class File(NamedTuple):
    """A file: where it is read, and how it is shown."""

    real: str
    shown: str


class _Folder(NamedTuple):
    """A folder; ``below`` is its path in what is scanned, with a / at its end."""

    real: str
    shown: str
    below: str = ""

    def inside(self, name: str) -> File:
        shown = name if self.shown == "." else f"{self.shown.rstrip('/')}/{name}"
        return File(f"{self.real.rstrip('/')}/{name}", shown)

    @property
    def names(self) -> tuple[str, str]:
        """Those of the folder around it, and its own."""
        parts = ["", *self.real.rstrip("/").split("/")]
        return parts[-2], parts[-1]


@dataclass(frozen=True, slots=True)
class Left:
    """What was not looked into, and why."""

    path: Path
    why: str

    def as_json(self) -> dict[str, str]:
        """As ``migrate scan --json`` prints it."""
        return {"path": str(self.path), "why": self.why}


@dataclass(slots=True)
class Wanted:
    """Globs over paths below what is scanned, and over names: ``only`` of files, ``skip`` of both.
    """

    only: tuple[re.Pattern[str], ...] = ()
    skip: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def of(cls, only: Iterable[str], skip: Iterable[str]) -> "Wanted":
        """From globs: ``*.py``, ``src/*``, ``tests``."""
        return cls(*(tuple(re.compile(translate(one.rstrip("/"))) for one in globs)
                     for globs in (only, skip)))  # fmt: skip

    def takes(self, path: str, name: str) -> bool:
        """Whether a file is wanted."""
        return (not self.only or _matches(self.only, path, name)) and not self.leaves(path, name)

    def leaves(self, path: str, name: str) -> bool:
        """Whether a file or folder is to be left out."""
        return bool(self.skip) and _matches(self.skip, path, name)


@dataclass(slots=True)
class Walk:
    """Walks folders. ``take`` is shown every folder, real and as it is printed, and tells whether
    that is all there is to say of it, but for code that lies beside a model; ``left`` collects what
    was not looked into, ``unreadable`` what the system refused."""

    take: Callable[[Path, Path], bool]
    wanted: Wanted
    left: list[Left] = field(default_factory=list)
    unreadable: list[Left] = field(default_factory=list)
    folders: int = 0
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def files(self, root: Path, shown: Path) -> Iterator[File]:
        """The plain files below a folder, then those behind links that were not among them."""
        real = os.path.realpath(root)
        links: list[File] = []
        found: set[str] = set()
        pending: list[File | _Folder] = [_Folder(real, str(shown))]
        while pending:
            one = pending.pop()
            if isinstance(one, _Folder):
                pending += reversed(self._inside(one, links))
            else:
                found.add(one.real)
                yield one
        for link in sorted(links):
            yield from self._behind(link, real, found)

    def _inside(self, folder: _Folder, links: list[File]) -> list[File | _Folder]:
        """What of a folder is looked at, in the order of its names."""
        try:
            state = os.stat(folder.real)  # noqa: PTH116  a Path costs more
            with os.scandir(folder.real) as opened:
                entries = sorted(opened, key=lambda one: one.name)
        except OSError as error:
            self.unreadable.append(Left(Path(folder.shown), said(error)))
            return []
        names = {entry.name for entry in entries}
        if not self._enters(folder, state, names):
            return []
        if self.take(Path(folder.real), Path(folder.shown)):
            entries = [one for one in entries if _CODE.search(one.name) and one.is_file()]
        found: list[File | _Folder] = []
        for entry in entries:
            one, path = folder.inside(entry.name), f"{folder.below}{entry.name}"
            if entry.is_symlink():
                links.append(one)
            elif entry.is_dir(follow_symlinks=False):
                if self._descends(folder, entry.name, names):
                    found.append(_Folder(one.real, one.shown, f"{path}/"))
            elif not entry.is_file(follow_symlinks=False):
                self.left.append(Left(Path(one.shown), "no plain file"))
            elif self.wanted.takes(path, entry.name):
                found.append(one)
        return found

    def _enters(self, folder: _Folder, state: os.stat_result, names: set[str]) -> bool:
        """Whether what is in a folder is looked at, as far as its content tells."""
        self.folders += 1
        place = Path(folder.shown)
        if (state.st_dev, state.st_ino) in self._seen:
            self.left.append(Left(place, "read already"))
            return False
        self._seen.add((state.st_dev, state.st_ino))
        if folder.below and ("pyvenv.cfg" in names or "conda-meta" in names):
            self.left.append(Left(place, "virtual environment"))
            return False
        return True

    def _descends(self, folder: _Folder, name: str, names: set[str]) -> bool:
        """Whether a folder is looked into, as far as its name tells."""
        path = f"{folder.below}{name}"
        why = "left out" if self.wanted.leaves(path, name) else why_not(*folder.names, name, names)
        if why is not None:
            self.left.append(Left(Path(folder.inside(name).shown), why))
        return why is None

    def _behind(self, link: File, root: str, found: set[str]) -> Iterator[File]:
        """The file that a link leads to, if it lies in the folder and was not read yet."""
        try:
            target = os.path.realpath(link.real, strict=True)
            is_folder = Path(target).is_dir()
        except OSError as error:
            why = "link that leads in a circle" if error.errno == errno.ELOOP else "broken link"
            self.left.append(Left(Path(link.shown), why))
            return
        name = link.shown.rpartition("/")[2]
        if target != root and not target.startswith(f"{root.rstrip('/')}/"):
            self.left.append(Left(Path(link.shown), "link out of the folder"))
        elif is_folder:
            is_loop = f"{link.real}/".startswith(f"{target}/")
            why = "link that leads in a circle" if is_loop else "link to another of its folders"
            self.left.append(Left(Path(link.shown), why))
        elif target not in found and self.wanted.takes(name, name):
            found.add(target)
            yield File(target, link.shown)


def why_not(around: str, folder: str, name: str, names: Collection[str] = ()) -> str | None:
    """Why a folder ``name`` in ``folder``, in turn in ``around``, is not looked into; None where it
    is. ``names`` are those beside it.

    >>> why_not("", "app", "node_modules"), why_not("", "home", ".vscode")
    ('dependencies', 'hidden folder')
    >>> why_not("", "home", ".ollama"), why_not("home", ".config", "chromium")
    (None, 'not of a tool that is known')
    """
    if name in _SKIPPED:
        return _SKIPPED[name]
    if name.endswith((".egg-info", ".dist-info")):
        return "dependencies"
    if any(one in names for one in _BUILT.get(name, ())):
        return "build output"
    if _TOOL.search(name) or (folder, name) in _INNER_GATES:
        return None
    is_of_system = folder == "Library" and "Application Support" in names
    if is_of_system or folder in _GATES or (around, folder) in _INNER_GATES:
        return "not of a tool that is known"
    return "hidden folder" if name.startswith(".") and name not in _GATES else None


def said(error: OSError) -> str:
    """What the system said, without the path."""
    return (error.strerror or type(error).__name__).lower()


def _matches(globs: Iterable[re.Pattern[str]], path: str, name: str) -> bool:
    return any(one.match(path) or one.match(name) for one in globs)
