"""Where optimum is: in the environment that runs this, or in one of its own below the data
directory, made from a pinned list and named after that list's digest.

It is built under a temporary name, loaded once, and only then renamed; whoever builds holds a lock,
so what lies there under a temporary name while nobody does was left by a build that was killed.
"""

import fcntl
import hashlib
import platform
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmrr import paths
from llmrr.convert.base import Told
from llmrr.convert.onnx import process
from llmrr.errors import DoesNotFit, EngineFailed, FeatureMissing, LlmrrError, Unreachable

HINT = "llmrr doctor --install onnx-export"


@dataclass(frozen=True, slots=True)
class Recipe:
    """An environment: its name, the list that pip installs, the modules that must then load, and
    what it takes, measured once: bytes to fetch and on the disk."""

    name: str
    requirements: Path
    modules: tuple[str, ...]
    fetched_bytes: int
    bytes: int

    @property
    def folder(self) -> Path:
        """Where it is or will be: another list, Python or machine is another environment."""
        machine = sys.version_info[:2], sys.platform, platform.machine()
        told = repr((self.requirements.read_bytes(), machine))
        digest = hashlib.sha256(told.encode()).hexdigest()[:12]
        return root() / f"{self.name}-{digest}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def is_ready(self) -> bool:
        """Whether it was made, and the Python that it was made with is still there."""
        return self.python.is_file()

    def older(self) -> list[Path]:
        """Environments that another version of the list, of Python or of llmrr left."""
        return [one for one in sorted(root().glob(f"{self.name}-*")) if one != self.folder]


@dataclass(frozen=True, slots=True)
class Place:
    """An interpreter that can export, and whether it is one of an environment of its own."""

    python: Path
    own: bool


ONNX_EXPORT: Final = Recipe(
    "onnx-export",
    Path(__file__).with_name("requirements.txt"),
    ("torch", "transformers", "onnxruntime.quantization.matmul_nbits_quantizer",
     "optimum.exporters.onnx.convert"),
    # Linux x86-64, Python 3.11, torch for processors only.
    fetched_bytes=284_000_000,
    bytes=1_240_000_000,
)  # fmt: skip
RECIPES: Final = {ONNX_EXPORT.name: ONNX_EXPORT}
# What this environment must have to export by itself, and in which versions what is tried here
# holds: those below the second one.
NEEDED: Final = {
    "optimum-onnx": ((0, 1), (0, 2)), "transformers": ((4, 57), (4, 58)), "torch": ((2, 6), None),
    "onnx": ((1, 16), None), "onnx-ir": ((0, 1), None), "onnxruntime": ((1, 22), None),
}  # fmt: skip


def root() -> Path:
    """The folder of all environments."""
    return paths.data_dir() / "environments"


def place(recipe: Recipe = ONNX_EXPORT) -> Place | None:
    """Where an export can run now; None where the environment has yet to be made."""
    if not lacking():
        return Place(process.this_python(), own=False)
    return Place(recipe.python, own=True) if recipe.is_ready else None


def required(recipe: Recipe = ONNX_EXPORT) -> Place:
    """The same. Raises ``FeatureMissing`` where it has yet to be made."""
    found = place(recipe)
    if found is None:
        raise FeatureMissing(f"{recipe.name} is not installed: {', '.join(lacking())}", HINT)
    return found


def lacking() -> list[str]:
    """Which packages the environment that runs this lacks, or has in another version."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name, (oldest, below) in NEEDED.items():
        try:
            have = _numbers(version(name))
        except PackageNotFoundError:
            found.append(f"{name} is not there")
            continue
        if have < oldest or (below is not None and have >= below):
            found.append(f"{name} is {'.'.join(map(str, have))}")
    return found


def question(recipe: Recipe = ONNX_EXPORT) -> str:
    """What the user is asked before it is made."""
    return (
        f"{recipe.name} needs an environment of its own at {recipe.folder}: about "
        f"{recipe.fetched_bytes / 1e9:.1f} GB to fetch with pip and {recipe.bytes / 1e9:.1f} GB on "
        "the disk, several times that where pip's torch comes with CUDA"
    )


def build(told: Told, recipe: Recipe = ONNX_EXPORT) -> Path:
    """Make the environment, unless it is there; its interpreter.

    Raises ``DoesNotFit`` for a full disk, ``Unreachable`` where pip reaches nobody, and
    ``EngineFailed`` for whatever else pip or Python say.
    """
    with _alone(told):
        if recipe.is_ready:
            return recipe.python
        for stale in root().glob(".*-*"):
            shutil.rmtree(stale, ignore_errors=True)
        _require_space(recipe)
        draft = root() / f".{recipe.name}-{secrets.token_hex(4)}"
        try:
            _fill(draft, recipe, told)
            shutil.rmtree(recipe.folder, ignore_errors=True)  # its Python is gone
            draft.rename(recipe.folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return recipe.python


def _fill(draft: Path, recipe: Recipe, told: Told) -> None:
    python = draft / "bin" / "python"
    try:
        process.run(process.this_python(), "create", told, folder=str(draft))
        process.run(python, "install", told, requirements=str(recipe.requirements))
        process.run(python, "imports", told, modules=recipe.modules)
    except Unreachable as error:
        error.hint = "see that pip reaches its index: pip config list"
        raise
    except EngineFailed as error:
        error.hint = error.hint or f"python -m pip install -r {recipe.requirements}"
        raise


def _require_space(recipe: Recipe) -> None:
    free = paths.free_bytes(root())
    if recipe.bytes > free:
        raise DoesNotFit(
            f"{recipe.name} needs {recipe.bytes / 1e9:.1f} GB at {root()}, and {free / 1e9:.1f} "
            "are free", "llmrr prune, or set LLMRR_HOME to a folder on another disk",
        )  # fmt: skip


@contextmanager
def _alone(told: Told) -> Iterator[None]:
    """Hold the lock of all environments; a process that ends lets go of it, however it ends."""
    try:
        root().mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (root() / "lock").open("ab")
    except OSError as exc:
        raise LlmrrError(
            f"{root()} cannot be written: {exc.strerror}",
            "make its folder writable, or set LLMRR_HOME to a folder that is",
        ) from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told("waiting for another process that makes an environment", 0, 1)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _numbers(version: str) -> tuple[int, ...]:
    """
    >>> _numbers("2.13.0+cpu"), _numbers("0.1.0.dev0")
    ((2, 13, 0), (0, 1, 0))
    """
    found = []
    for part in version.partition("+")[0].split("."):
        if not part.isdecimal():
            break
        found.append(int(part))
    return tuple(found)
