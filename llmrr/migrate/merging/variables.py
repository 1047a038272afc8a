"""Which variables hold the keys of models, and which file of them (``.env``) is named."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from llmrr import envfile
from llmrr.config import user_file
from llmrr.errors import BadConfig
from llmrr.kinds import split_source
from llmrr.migrate.artefact import Artefact, Model, Notice
from llmrr.migrate.terms import naming
from llmrr.migrate.terms.fields import variable_for

Say = Callable[[str, str, str], None]


class _Candidate(NamedTuple):
    path: Path
    values: Mapping[str, str]


def chosen(
    artefacts: Iterable[Artefact], models: Iterable[Model], folder: Path, say: Say
) -> dict[str, str]:
    """``env_file``, for an ``llmrr.toml`` in ``folder``, where there is such a file: of several the
    one that holds most of the variables that the models need, then the nearest. What only another
    holds, and what it holds differently, is said, but for the values."""
    found = [one for path in _stated(artefacts) if (one := _usable(path, folder, say)) is not None]
    if not found:
        return {}
    wanted = _wanted(models)
    best = max(found, key=lambda one: (len(wanted & one.values.keys()), -len(one.path.parts)))
    for other in found:
        if other is not best:
            _hold_against(other, best, sorted(wanted & other.values.keys()), say)
    if envfile.is_outside(best.path, folder):
        return {"env_file": str(best.path.absolute())}
    relative = os.path.relpath(best.path.absolute(), folder.absolute())
    return {"env_file": relative.replace(os.sep, "/")}


def addresses(artefacts: Iterable[Artefact]) -> dict[str, str]:
    """The variables of files of variables that hold an address, without a key in it."""
    found: dict[str, str] = {}
    for path in _stated(artefacts):
        with suppress(BadConfig, OSError):
            for name, value in envfile.read(path).items():
                if re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", value):
                    found.setdefault(name, value)
    return found


def _hold_against(other: _Candidate, best: _Candidate, needed: Sequence[str], say: Say) -> None:
    """What is lost by naming ``best`` and not the other."""
    only = [name for name in needed if name not in best.values]
    differ = [name for name in needed if best.values.get(name, "") != other.values[name]
              and name not in only]  # fmt: skip
    if differ:
        said = (
            f"it holds another {', '.join(differ)} than {best.path}, the one file of variables that"
            " llmrr.toml names: a model that is to go on with the key in here needs an api_key_env"
            " of its own"
        )
        say("not-applied", str(other.path), said)
    if only:
        said = (
            f"{', '.join(only)} stands here alone, and llmrr.toml names {best.path}: set it in the"
            f" environment, or: llmrr keys set {only[0]}"
        )
        say("not-applied", str(other.path), said)


def numbered(models: Iterable[Model], origins: Mapping[str, str], say: Say) -> list[Model]:
    """The models, each literal key under a variable that no other key has: one that goes to a
    server of another's is not under the name of the provider, whose key would go there too."""
    given = list(models)
    taken = {one.options.get("api_key_env") for one in given}
    known: dict[str, dict[str, str]] = {}
    found = []
    for model in given:
        variable = model.options.get("api_key_env")
        if model.key is not None and variable is not None:
            own = known.setdefault(variable, {})
            if model.key not in own:
                is_elsewhere = "base_url" in model.options and variable == _usual(model)
                own[model.key] = (
                    variable_for(model.name) if is_elsewhere
                    else _next(variable, len(own) + 1, taken)
                )  # fmt: skip
                taken.add(own[model.key])
            named = own[model.key]
            if named != variable:
                said = f"{variable} is that of another key: set {named} to this one"
                say("key-guess", origins[model.name], said)
                model = replace(model, options=model.options | {"api_key_env": named})
        found.append(model)
    return found


def told_once(
    warnings: Iterable[Notice], before: Iterable[Model], after: Iterable[Model],
    origins: Mapping[str, str],
) -> list[Notice]:  # fmt: skip
    """The warnings, those of a key in clear with the variable that it got in the end; without one
    where a file has several such keys, of which each is told by itself."""
    found = list(warnings)
    advice = "; set {0} to it (llmrr keys set {0}), and"
    for old, new in zip(before, after, strict=True):
        variable, named = old.options.get("api_key_env"), new.options.get("api_key_env")
        if variable == named:
            continue
        for where in origins[new.name].split(", "):
            file = where.partition(":")[0]
            meant = [one for one in found if one.code == "secret-in-clear"
                     and f"{one.where} ".startswith((f"{file}:", f"{file} "))
                     and advice.format(variable) in one.message]  # fmt: skip
            meant = [one for one in meant if f"{one.where} ".startswith(f"{where} ")] or meant
            for one in meant:
                final = advice.format(named) if len(meant) == 1 else ";"
                said = one.message.replace(advice.format(variable), final)
                found[found.index(one)] = replace(one, message=said)
    return found


def _usual(model: Model) -> str | None:
    """The variable that usually holds the key of its provider."""
    return naming.key_variable(split_source(model.source)[0])


def _next(variable: str, number: int, taken: Collection[str | None]) -> str:
    """The variable of the key of this number.

    >>> _next("A_KEY", 1, ["A_KEY"]), _next("A_KEY", 2, ["A_KEY", "A_KEY_2"])
    ('A_KEY', 'A_KEY_3')
    """
    if number == 1:
        return variable
    while f"{variable}_{number}" in taken:
        number += 1
    return f"{variable}_{number}"


def _stated(artefacts: Iterable[Artefact]) -> Iterable[Path]:
    found: dict[Path, Path] = {}
    for one in artefacts:
        stated = [one.path] if one.kind == "dotenv" else []
        if one.env_file:
            stated.append(Path(one.env_file))
        for path in stated:
            found.setdefault(Path(os.path.normpath(path.absolute())), path)
    return found.values()


def _usable(path: Path, folder: Path, say: Say) -> _Candidate | None:
    if envfile.is_outside(path, folder) and folder.absolute() != user_file().parent:
        said = f"a file of variables has to lie below {folder} to be named in its llmrr.toml"
        say("not-applied", str(path), said)
        return None
    try:
        return _Candidate(path, envfile.read(path)) if path.exists() else None
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
