"""Which file of variables (``.env``) an ``llmrr.toml`` names."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from llmrr import envfile
from llmrr.errors import BadConfig
from llmrr.kinds import split_source
from llmrr.migrate import naming
from llmrr.migrate.artefact import Artefact, Model

Say = Callable[[str, str, str], None]


class _Candidate(NamedTuple):
    path: Path
    names: frozenset[str]


def chosen(
    artefacts: Iterable[Artefact], models: Iterable[Model], folder: Path, say: Say
) -> dict[str, str]:
    """``env_file``, for an ``llmrr.toml`` in ``folder``, where there is such a file: of several the
    one that holds most of the variables that the models need, then the nearest."""
    found = [one for path in _stated(artefacts) if (one := _usable(path, folder, say)) is not None]
    if not found:
        return {}
    wanted = _wanted(models)
    best = max(found, key=lambda one: (len(one.names & wanted), -len(one.path.parts)))
    for other in found:
        if other is not best:
            said = f"llmrr.toml names one file of variables, and that is {best.path}"
            say("not-applied", str(other.path), said)
    relative = os.path.relpath(best.path.absolute(), folder.absolute())
    return {"env_file": relative.replace(os.sep, "/")}


def _stated(artefacts: Iterable[Artefact]) -> Iterable[Path]:
    found: dict[Path, Path] = {}
    for one in artefacts:
        stated = [one.path] if one.kind == "dotenv" else []
        if one.env_file:
            stated.append(one.path.parent / one.env_file)
        for path in stated:
            found.setdefault(Path(os.path.normpath(path.absolute())), path)
    return found.values()


def _usable(path: Path, folder: Path, say: Say) -> _Candidate | None:
    if envfile.is_outside(path, folder):
        said = f"a file of variables has to lie below {folder} to be named in its llmrr.toml"
        say("not-applied", str(path), said)
        return None
    try:
        return _Candidate(path, frozenset(envfile.read(path))) if path.exists() else None
    except (BadConfig, OSError) as error:
        said = error.message if isinstance(error, BadConfig) else f"it cannot be read: {error}"
        say("not-applied", str(path), f"it is not named as env_file: {said}")
        return None


def _wanted(models: Iterable[Model]) -> frozenset[str]:
    """The variables whose values the models need."""
    found = set()
    for one in models:
        stated = one.options.get("api_key_env") or naming.key_variable(split_source(one.source)[0])
        if stated is not None:
            found.add(str(stated))
    return frozenset(found)
