"""What the models of artefacts are called in ``llmrr.toml``, and how a plan keeps that: code that
is patched after a migration asks by the names it gave. Pure, but for where paths lead."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from llmrr.migrate.artefact import Artefact, Notice
from llmrr.migrate.merging.setup import Setup
from llmrr.migrate.planning.data import Plan
from llmrr.migrate.planning.text import clash
from llmrr.migrate.terms.secrets import masked

Key = tuple[Path, str, str]  # path and kind of an artefact, and the name of a model there
NONE_KNOWN: Final[Mapping[Key, str]] = MappingProxyType({})


class Called(NamedTuple):
    """The names by their keys, and the warnings of the plan that are about them."""

    names: Mapping[Key, str]
    warnings: tuple[Notice, ...]


def called(
    artefacts: Sequence[Artefact], setup: Setup, names: Mapping[str, str], kept: Mapping[Key, str]
) -> Called:
    """Each model's name: one that is ``kept``, else that of ``names``, which has those of the
    setup. Warned of is what was renamed, and what was left out and so has none."""
    planned = {key: names[one] for key, one in setup.called.items() if one in names}
    renamed, left_out, clashes = set[str](), set[str](), list[Notice]()
    for key, where in _places(artefacts):
        name = setup.called.get(key)
        if name is None:
            left_out.add(where)
        elif key in planned and key not in kept:
            renamed.add(where)
            if planned[key] != name:
                clashes.append(clash(where, name, planned[key]))
    told = [one for one in setup.warnings if one.code != "own-server"
            and one.where in (renamed if one.code == "clash" else left_out)]  # fmt: skip
    told = [replace(one, message=masked(one.message)) for one in dict.fromkeys([*told, *clashes])]
    return Called(planned | {key: kept[key] for key in planned if key in kept}, tuple(told))


def kept(
    setup: Setup, there: Collection[str], known: Mapping[Key, str], replaced: Collection[str]
) -> dict[Key, str]:
    """The names that are known of the setup's models, or of the same model in another artefact,
    as far as the file has them (``there``) and ``replaced`` does not name them."""
    usable = {
        key: known[_lasting(key)] for key, name in setup.called.items()
        if name not in replaced and known.get(_lasting(key)) in there
    }  # fmt: skip
    by_name: dict[str, set[str]] = {}
    for key, final in usable.items():
        by_name.setdefault(setup.called[key], set()).add(final)
    same = {name: finals.pop() for name, finals in by_name.items() if len(finals) == 1}
    return {key: same[one] for key, one in setup.called.items() if one in same} | usable


def recorded(setup: Setup, names: Mapping[str, str], *, overwrite: bool) -> dict[str, Any]:
    """The names as a plan keeps them; ``overwrite`` is whether those of earlier plans are gone."""
    rows = [
        [*map(str, _lasting(key)), names[one]] for key, one in setup.called.items() if one in names
    ]
    return {"called": rows} | ({"overwrite": True} if overwrite else {})


def known(plans: Iterable[Plan], target: Path) -> dict[Key, str]:
    """The names that plans which were applied, in this order, have given in ``target``."""
    found: dict[Key, str] = {}
    for plan in plans:
        for action in plan.actions if _real(plan.target) == _real(target) else ():
            detail = action.detail if action.do == "write-config" else None
            if detail is None:
                continue
            if detail.get("overwrite"):
                found.clear()
            for path, kind, model, name in detail.get("called", ()):
                found[Path(path), kind, model] = name
    return found


def _places(artefacts: Iterable[Artefact]) -> Iterator[tuple[Key, str]]:
    """The models of artefacts, and where warnings say that they stand."""
    for artefact in artefacts:
        for model in artefact.models:
            where = str(artefact.path) + ("" if model.line is None else f":{model.line}")
            yield (artefact.path, artefact.kind, model.name), where


def _lasting(key: Key) -> Key:
    """A key that is the same from every folder, and holds no secret."""
    path, kind, name = key
    return _real(path), kind, masked(name)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
