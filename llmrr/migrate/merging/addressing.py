"""Where a client in code is asked that states no address: a file of variables may say it, for the
libraries take it from there themselves."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from llmrr import envfile
from llmrr.errors import BadConfig
from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.merging.variables import Say
from llmrr.migrate.terms import naming

_COPIED: Final = re.compile(r"(?i)example|sample|template|dist\b")


class Stated(NamedTuple):
    """A variable of a file with the address that it holds."""

    path: Path
    variable: str
    address: str


def stated(artefacts: Iterable[Artefact]) -> tuple[Stated, ...]:
    """The addresses of providers that files of variables hold, without a key in them; what is
    there for others to copy comes after the rest."""
    known = [name for names in naming.ADDRESSES.values() for name in names]
    found = []
    for path in dict.fromkeys(one.path for one in artefacts if one.kind == "dotenv"):
        with suppress(BadConfig, OSError):
            values = envfile.read(path)
            found += [
                Stated(path, name, values[name]) for name in known
                if re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", values.get(name, ""))
            ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: bool(_COPIED.search(one.path.name))))


def asked(
    model: Model, artefact: Artefact, known: Iterable[Stated], where: str, say: Say
) -> Model:
    """A model of code at the address that the nearest file of variables in a folder around it
    states, which is told; the same one where the code states one, or where none is stated."""
    if not artefact.kind.endswith("-code") or model.adrift or "base_url" in model.options:
        return model
    provider, _, name = model.source.partition(":")
    path = _absolute(artefact.path)
    around = [
        one for variable in naming.ADDRESSES.get(provider, ()) for one in known
        if one.variable == variable and path.is_relative_to(_absolute(one.path).parent)
    ]  # fmt: skip
    if not around:
        return model
    nearest = max(around, key=lambda one: len(_absolute(one.path).parts))
    place = naming.place(provider, name, nearest.address)
    if place.source is None or place.base_url is None:
        return model
    said = f"{model.name} is asked at {nearest.address}: the code states no address, and"
    say("base-url-default", where, f"{said} {nearest.variable} in {nearest.path} does")
    options = model.options | {"base_url": place.base_url}
    return replace(model, source=place.source, options=options)


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))
