"""What the user wants of a plan, and which artefacts it is about."""

import datetime
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.merging.setup import NAMING, Setup


@dataclass(frozen=True, slots=True)
class Wishes:
    """``only`` and ``skip`` are patterns of paths, kinds or names of models; ``replace`` are pairs
    of a source or name and the source that takes its place; ``as_files`` names the files of Ollama
    in place; ``rollout`` is the share of conversations that the new side answers; ``adopt`` adds
    the guide's four features, week by week from ``start``; ``overwrite`` begins a new file where
    there is one, instead of adding to it."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    replace: tuple[tuple[str, str], ...] = ()
    as_files: bool = False
    strategy: str | None = None
    mode: str | None = None
    rollout: float | None = None
    adopt: bool = False
    start: datetime.date | None = None
    overwrite: bool = False

    @property
    def has_sides(self) -> bool:
        """Whether old and new models run beside each other."""
        return self.mode is not None or self.rollout is not None


NO_WISHES = Wishes()


def wanted(artefacts: Iterable[Artefact], wishes: Wishes) -> list[Artefact]:
    """The artefacts that ``only`` and ``skip`` leave, with the models that they leave, and the
    files of variables, which hold the keys of these; but those that ``skip`` names."""
    found = [_only(one, wishes.only) if wishes.only else one for one in artefacts]
    left = (_skipped(one, wishes.skip) for one in found if one is not None)
    return [one for one in left if one is not None]


def _only(artefact: Artefact, patterns: tuple[str, ...]) -> Artefact | None:
    if _is_meant(artefact, patterns):
        return artefact
    left = [one for one in artefact.models if fits(one.name, patterns)]
    return _with_models(artefact, left) if left else _of_variables(artefact)


def _skipped(artefact: Artefact, patterns: tuple[str, ...]) -> Artefact | None:
    if _is_meant(artefact, patterns):
        return None
    left = [one for one in artefact.models if not fits(one.name, patterns)]
    return artefact if len(left) == len(artefact.models) else _with_models(artefact, left)


def _with_models(artefact: Artefact, models: list[Model]) -> Artefact | None:
    """The artefact with some of its models, and the templates of these and of none; of a file of
    variables what is left without any, else None."""
    names = {None, *(one.name for one in models)}
    templates = tuple(one for one in artefact.templates if one.model in names)
    if models or templates:
        return replace(artefact, models=tuple(models), templates=templates)
    return _of_variables(artefact)


def _of_variables(artefact: Artefact) -> Artefact | None:
    """A file of variables, or what names one, without all else; None for what is neither."""
    if artefact.kind != "dotenv" and not artefact.env_file:
        return None
    return replace(
        artefact, models=(), templates=(), fallbacks=(), settings={}, warnings=()
    )  # fmt: skip


def _is_meant(artefact: Artefact, patterns: tuple[str, ...]) -> bool:
    path = artefact.path
    return any(fits(word, patterns) for word in (artefact.kind, str(path), path.name)) or any(
        fits(str(folder), patterns) for folder in path.parents if str(folder) != "."
    )


def without(setup: Setup, gone: Collection[str]) -> Setup:
    """The setup without these models, and without what is theirs or names them."""
    chains = (tuple(one for one in chain if one not in gone) for chain in setup.chains)
    settings = dict(setup.settings)
    for key in NAMING:
        value = settings.get(key)
        if isinstance(value, list | tuple):
            settings[key] = [one for one in value if one not in gone]
        if value in gone if isinstance(value, str) else settings.get(key) == []:
            del settings[key]
    return replace(
        setup, models=tuple(one for one in setup.models if one.name not in gone),
        chains=tuple(chain for chain in chains if len(chain) > 1), settings=settings,
        templates=tuple(one for one in setup.templates if one.model not in gone),
    )  # fmt: skip


def fits(word: str, patterns: tuple[str, ...]) -> bool:
    """Whether a word is of one of the patterns."""
    return any(fnmatchcase(word, pattern) for pattern in patterns)
