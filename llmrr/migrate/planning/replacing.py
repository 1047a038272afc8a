"""Other models in the place of those that were found: ``--replace``."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from llmrr import settings
from llmrr.errors import NotFound, UsageError
from llmrr.kinds import split_source
from llmrr.migrate.artefact import Model, unique
from llmrr.migrate.merging import alike
from llmrr.migrate.merging.fitting import Fitter
from llmrr.migrate.merging.placing import Placer
from llmrr.migrate.merging.setup import Setup
from llmrr.migrate.terms import naming

_EXAMPLE: Final = "--replace openai:gpt-4o=file:./x.gguf"
_OF_ANY: Final = ("timeout", "max_retries")  # options that mean the same at every provider


def pair(text: str) -> tuple[str, str]:
    """The two sides of ``OLD=NEW``. Raises ``UsageError``.

    >>> pair("openai:gpt-4o=huggingface:org/repo")
    ('openai:gpt-4o', 'huggingface:org/repo')
    """
    old, sign, new = text.partition("=")
    if not sign or not old or not new:
        raise UsageError(f'--replace "{text}" is not OLD=NEW', _EXAMPLE)
    try:
        split_source(new)
    except ValueError as exc:
        raise UsageError(f"--replace {text}: {exc}", _EXAMPLE) from exc
    return old, new


def sources(pairs: Iterable[tuple[str, str]], folder: Path) -> list[str]:
    """What takes the place of models, as an ``llmrr.toml`` in ``folder`` names it."""
    return [Placer(Path.cwd() / "x", folder).source(new) for _, new in pairs]


def replaced(
    setup: Setup, old: str, new: str, folder: Path, *, beside: bool
) -> tuple[Setup, list[str]]:
    """The setup with the model ``new`` for every one that ``old`` (a source, or a name) means: in
    its place and under its name, or ``beside`` it, what is the same once. Parameters stay; what
    only says how the old one is reached goes. Also the names of the new ones. Raises
    ``NotFound``."""
    meant = [one for one in setup.models if old in (one.name, one.source)]
    if not meant:
        known = ", ".join(one.source for one in setup.models) or "none"
        raise NotFound(f'--replace: no model was found that is "{old}"', f"the models are {known}")
    fitter, models, names = Fitter(folder), list(setup.models), []
    source = Placer(Path.cwd() / "x", folder).source(new)
    origins = dict(setup.origins)
    for model in meant:
        taken = [one.name for one in models]
        name = unique(naming.model_name(source), taken) if beside else model.name
        origin = f"{origins.get(model.name, '')}, replaced by --replace".lstrip(", ")
        made = fitter.model(_instead(model, source, name), f"--replace {old}")
        if made is None:
            raise UsageError(f"--replace: {fitter.notices[-1].message}", "--replace OLD=NEW")
        same = alike.fingerprint(made)
        if beside and any(one.name in names and alike.fingerprint(one) == same for one in models):
            continue
        at = models.index(model)
        models[at : at + (0 if beside else 1)] = [made]
        origins[name] = origin
        names.append(name)
    warnings = (*setup.warnings, *fitter.notices)
    return replace(setup, models=tuple(models), origins=origins, warnings=warnings), names


def _instead(model: Model, source: str, name: str) -> Model:
    """A model with another source: what speaks of the old one's place is left behind."""
    local = naming.is_local(source)
    gone = settings.REMOTE_OPTIONS if local else frozenset({"file", "revision", "mmproj", "lora"})
    gone |= settings.PLACING
    options = {key: one for key, one in model.options.items() if key not in gone}
    if not local:
        options = {key: one for key, one in options.items() if key in settings.REMOTE_OPTIONS}
        if split_source(source)[0] != split_source(model.source)[0]:
            options = {key: one for key, one in options.items() if key in _OF_ANY}
    return replace(
        model, name=name, source=source, options=options, format=None, engine=None, key=None,
        cost=None, group=None if name != model.name else model.group, bytes=None,
    )  # fmt: skip
