"""Is everything in place? Checks that change nothing, each with the command that mends it."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import paths
from llmrr.errors import (
    CheckFailed,
    LlmrrError,
    NotFound,
    Unsupported,
    UsageError,
    nearest,
)

if TYPE_CHECKING:
    from llmrr.config import Config
    from llmrr.convert.onnx.environment import Recipe

SPACE_BYTES = 500_000_000
PYTHON = (3, 11)
REINSTALL = "pip install --force-reinstall llmrr"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at. ``ok`` is False when it is broken, None for what only deserves a note;
    ``cure`` is the command that mends it."""

    name: str
    ok: bool | None
    detail: str
    cure: str | None = None


def checks() -> tuple[Check, ...]:
    """Look at everything. What goes wrong in one check is its result, not an error."""
    return tuple(_guarded(name, look) for name, look in LOOKS.items())


def require(found: Sequence[Check]) -> None:
    """Raise ``CheckFailed`` when one of them is broken."""
    broken = [check for check in found if check.ok is False]
    if broken:
        names = ", ".join(check.name for check in broken)
        raise CheckFailed(f"broken: {names}", broken[0].cure or "")


def python() -> Check:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= PYTHON
    return Check("python", ok, f"{version} at {sys.executable}", "python3.11 -m venv .venv")


def engine() -> Check:
    """Each engine can be loaded, and its binding has the fields that are set here."""
    from llmrr.engines import ENGINES

    for one in ENGINES:
        if (command := one.missing()) and not one.optional:
            return Check("engine", False, f"{one.name} cannot be loaded", command)
    return Check("engine", True, f"{', '.join(one.name for one in ENGINES)} {_binding_version()}")


def builtin() -> Check:
    """The model that ships inside the package."""
    from llmrr.formats import gguf

    path = paths.builtin_model()
    if not path.is_file():
        return Check("builtin", False, f"{path} is not there", REINSTALL)
    info = gguf.inspect(path)
    return Check("builtin", True, f"builtin:mini, {info.architecture} {info.quant}")


def settings() -> Check:
    """What is wrong with the files of the configuration."""
    from llmrr import config

    files = [file for file in (config.project_file(), config.user_file()) if file]
    problems = [problem for file in files if file.is_file() for problem in config.check(file)]
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        return Check("config", False, problems[0].message + more, "llmrr config check")
    loaded = config.load()
    if loaded.warnings:
        return Check("config", None, loaded.warnings[0], "llmrr config show")
    return Check("config", True, ", ".join(map(str, loaded.files)) or "no file, all defaults")


def model() -> Check:
    """The model that answers when none is named can be read, and fits."""
    from llmrr import hardware
    from llmrr.router import Router

    with closing(Router()) as router:
        try:
            chosen = router.resolve(None)
            if chosen.endpoint is not None:
                router.open()  # a missing key is an error; nothing is sent
                return Check("model", True, f"{chosen.name} ({chosen.why}), elsewhere")
            info = router.info()
        except (NotFound, Unsupported) as error:
            error.hint = _where_named(router.config) or error.hint
            raise
    fit = hardware.fit(info, hardware.probe())
    if not fit.fits:
        why = f"{chosen.name} does not fit: {'; '.join(fit.why)}"
        return Check("model", False, why, "llmrr run -m builtin:mini")
    return Check("model", True, f"{chosen.name} ({chosen.why})")


def installed() -> Check:
    """The files of the installed models are there."""
    from llmrr.router import Router

    with closing(Router()) as router:
        entries = router.catalogue.entries()
    gone = [entry.label for entry in entries if entry.is_missing]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        return Check("installed", None, f"the files of {gone[0]}{more} are gone", "llmrr list")
    return Check("installed", True, f"{len(entries)} models")


def database() -> Check:
    """The record of runs can be read and written, and is intact."""
    from llmrr.database import errors, open_database, transaction

    path = paths.database_file()
    with closing(open_database()) as connection, errors(path):
        verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if verdict != "ok":
            return Check("database", False, f"{path}: {verdict}", f"mv {path} {path}.damaged")
        with transaction(connection):
            connection.execute("DELETE FROM remembered WHERE key = 'doctor'")
    return Check("database", True, str(path))


def space() -> Check:
    """Room on the disk where the record is kept."""
    folder = paths.data_dir()
    free = paths.free_bytes(folder)
    detail = f"{free / 1e9:.1f} GB free at {folder}"
    return Check("disk", free >= SPACE_BYTES or None, detail, f"du -sh {folder}")


def memory() -> Check:
    """Main memory, as far as this process may take it."""
    from llmrr import hardware

    available = hardware.probe().memory.available_bytes
    if available is None:
        return Check("memory", None, "how much is available is unknown", "llmrr probe")
    detail = f"{available / 1e9:.1f} GB available"
    return Check("memory", available >= SPACE_BYTES or None, detail, "free -h")


def terminal() -> Check:
    """What is printed arrives as it is meant."""
    encoding = (sys.stdout.encoding or "unknown").lower()
    ok = encoding.replace("-", "") == "utf8" or None
    return Check("terminal", ok, f"stdout takes {encoding}", "export LC_ALL=C.UTF-8")


def completions() -> Check:
    """Completion in the user's shell, as far as it can be told from here."""
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in COMPLETION_FILES:
        return Check("completion", None, "for bash, zsh and fish", "llmrr completion bash")
    home = Path.home()
    installed = [Path(sys.prefix) / COMPLETION_FILES[shell][0], home / COMPLETION_FILES[shell][1]]
    found = next((str(file) for file in installed if file.is_file()), None)
    cure = f"llmrr completion --help, for {shell}"
    return Check("completion", bool(found) or None, found or f"not found for {shell}", cure)


def export() -> Check:
    """What exports to ONNX: needed for nothing else, so its absence breaks nothing."""
    from llmrr.convert.onnx.environment import HINT, ONNX_EXPORT, place

    found = place()
    older = ONNX_EXPORT.older()
    if older:
        detail = f"{older[0]} is of an older version, and nothing needs it any more"
        return Check("onnx-export", None, detail, f"rm -r {shlex.quote(str(older[0]))}")
    if found is None:
        return Check("onnx-export", None, "not there; llmrr convert --to onnx offers it", HINT)
    return Check("onnx-export", True, str(ONNX_EXPORT.folder) if found.own else "in this Python")


def installable(name: str) -> "Recipe":
    """The environment that ``doctor --install`` knows by this name. Raises ``UsageError``."""
    from llmrr.convert.onnx.environment import RECIPES

    if name not in RECIPES:
        near = nearest(name, RECIPES) or next(iter(RECIPES))
        said = f'there is nothing to install that is called "{name}"'
        raise UsageError(said, f"--install {near}")
    return RECIPES[name]


COMPLETION_FILES = {
    "bash": (
        "share/bash-completion/completions/llmrr",
        ".local/share/bash-completion/completions/llmrr",
    ),
    "zsh": ("share/zsh/site-functions/_llmrr", ".zfunc/_llmrr"),
    "fish": ("share/fish/vendor_completions.d/llmrr.fish", ".config/fish/completions/llmrr.fish"),
}
LOOKS: dict[str, Callable[[], Check]] = {
    "python": python,
    "engine": engine,
    "builtin": builtin,
    "config": settings,
    "model": model,
    "installed": installed,
    "database": database,
    "disk": space,
    "memory": memory,
    "terminal": terminal,
    "completion": completions,
    "onnx-export": export,
}


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        check = look()
        return replace(check, cure=None) if check.ok else check
    except LlmrrError as error:
        return Check(name, False, error.message, error.hint or None)


def _where_named(found: "Config") -> str | None:
    """What changes the name of the model that answers when none is named."""
    from llmrr import config

    if found.models:
        return config.edit_line(found.models[0].file)
    setting = found.settings["default_model"]
    if setting.where is None:
        return None
    by_variable = setting.source == "environment"
    return f"unset {setting.where}" if by_variable else config.edit_line(Path(setting.where))


def _binding_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"(llama-cpp-python {version('llama-cpp-python')})"
    except PackageNotFoundError:  # a build that was put on the path by hand
        return ""
