"""What of MLX is installed, told without importing it: the package, its version, and which
architectures it knows.

mlx-lm has one module per architecture under ``models``, named by the ``model_type`` of config.json,
and two tables of names that stand for others in ``utils.py``, which are read with ``ast``:
importing that file costs seconds, as it pulls transformers.
"""

import ast
import functools
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from platform import machine
from types import ModuleType
from typing import Any, Final

from llmrr.errors import FeatureMissing, Unsupported

ON_LINUX: Final = "pip install 'llmrr[mlx]'"
ON_APPLE: Final = "pip install 'mlx-lm>=0.28'"
MODEL = re.compile(r"^(?:class Model\b|from \.\w+ import [^\n]*\bModel\b)", re.MULTILINE)
ARGUMENTS = re.compile(r"\bModelArgs\b")


def command() -> str | None:
    """The command that installs MLX here; None where there is none, as on Windows."""
    if sys.platform == "darwin":
        return ON_APPLE if machine() == "arm64" else None
    return ON_LINUX if sys.platform == "linux" else None


def missing() -> FeatureMissing | None:
    """Why MLX cannot be used, with the command that changes it; None where it can. ``mlx`` alone
    has no library: that comes with a package for the kind of machine."""
    install = command()
    if install is None:
        return FeatureMissing(
            f"MLX runs on Apple silicon and on Linux, and this is {sys.platform} on {machine()}",
            "llmrr convert SOURCE --to gguf makes what llama.cpp runs here",
        )
    if folder() is None or not _places("mlx"):
        return FeatureMissing("mlx-lm is not installed", install)
    if not any(Path(place, "lib").glob("libmlx.*") for place in _places("mlx")):
        return FeatureMissing("MLX has no library for this machine", install)
    return None


def require() -> None:
    """Raise ``FeatureMissing`` where MLX cannot be used."""
    if error := missing():
        raise error


def folder() -> Path | None:
    """Where mlx-lm lies."""
    return next(map(Path, _places("mlx_lm")), None)


def _places(package: str) -> list[str]:
    spec = find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


def bare() -> ModuleType | None:
    """The package mlx-lm as a module that nothing was run of; None where it is not there. What is
    below it can be imported from it, and what its ``__init__`` would import is not."""
    spec = find_spec("mlx_lm")
    return module_from_spec(spec) if spec else None


def version() -> str:
    """The version of mlx-lm, as errors name it."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("mlx-lm")
    except PackageNotFoundError:
        return ""


@functools.cache
def literal(file: str, name: str) -> Any:
    """The value that ``name`` is given at the top of a file of mlx-lm; None where it has none, or
    no plain one."""
    place = folder()
    if place is None or not (path := place / file).is_file():
        return None
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id == name for one in node.targets
        ):
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return None
    return None


def module(config: Mapping[str, Any]) -> str:
    """The module of mlx-lm for a model with this config.json. Raises ``Unsupported``."""
    stated = config.get("model_type")
    name = stated if isinstance(stated, str) else ""
    classes = config.get("architectures")
    pairs = literal("utils.py", "MODEL_ARCHITECTURE_REMAPPING") or {}
    for one in classes if isinstance(classes, list) else ():
        if isinstance(one, str) and (name, one) in pairs:
            return str(pairs[name, one])
    found = (literal("utils.py", "MODEL_REMAPPING") or {}).get(name, name)
    if not _is_model(found):
        raise Unsupported(
            f"mlx-lm {version()} has no architecture {name[:99]!r}",
            "pip install -U mlx-lm, or llmrr convert SOURCE --to gguf",
        )
    return str(found)


@functools.cache
def _is_model(name: str) -> bool:
    """Is this a model of mlx-lm, and not a part that several share? The name comes from somebody
    else's file: it is compared with what lies there, and never made a path."""
    place = folder()
    if place is None:
        return False
    path = {one.stem: one for one in (place / "models").glob("*.py")}.get(name)
    if path is None:
        return False
    text = path.read_text(encoding="utf-8")
    return bool(MODEL.search(text) and ARGUMENTS.search(text))
