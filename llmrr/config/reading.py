"""Reading the files and the environment, each over what is weaker."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from llmrr import environment, settings, tomlfile
from llmrr.config.checking import raise_first, stray
from llmrr.config.files import is_there, project_file, user_file
from llmrr.config.fitting import budgets_of, budgets_over, settled
from llmrr.config.resolved import Config
from llmrr.flags import GUIDE, joined
from llmrr.settings import Setting, Source
from llmrr.strategies import Limits
from llmrr.tomlfile import ConfiguredModel, KeyRules, Template, TomlFile


def load(
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Read the files and the environment; ``overrides`` (dotted keys) are the command line's.

    Raises ``BadConfig`` for the first thing that cannot be used.
    """
    return settled(read(cwd, environ, overrides))


def with_file(file: Path) -> Config:
    """What would be in effect with this file as the project's, whatever the environment says.
    Raises ``BadConfig``."""
    return settled(read(None, {}, file=file.absolute())._replace(named=None))


def read(
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    file: Path | None = None,
    files: bool = True,
) -> Config:
    """The same, for more to come on top of it: see ``settled``. ``file`` stands for the project's;
    without ``files`` none is read."""
    environ = os.environ if environ is None else environ
    levels = _levels(cwd, file) if files else []
    found = settings.defaults()
    models: tuple[ConfiguredModel, ...] = ()
    templates: dict[str, Template] = {}
    flags = GUIDE
    budgets: dict[str, tuple[Limits, Path]] = {}
    keys: dict[str, KeyRules] = {}
    notes: tuple[str, ...] = ()
    for source, level in levels:
        found |= _values(level, source)
        models = models if level.models is None else level.models
        notes += level.notes
        templates |= level.templates
        flags = joined(flags, level.flags)
        keys |= level.keys
        budgets |= {name: (limits, level.path) for name, limits in level.budgets.items()}
    from_environment, warnings = environment.read(environ)
    found |= from_environment
    for key, stated in (overrides or {}).items():
        found[key] = environment.stated(settings.plain_spec(key), stated, "command line")
    own, lost = budgets_of(budgets, models)
    warnings = (*warnings, *notes, *lost)
    paths = tuple(level.path for _source, level in reversed(levels))
    return Config(found, models, templates, warnings, paths, flags, own, file, keys)


def over(config: Config, stated: TomlFile) -> Config:
    """What was read, with what a program states on top of it: as the command line's, that comes
    before the environment, but for a variable that overrides all. Raises ``BadConfig`` for the
    first thing that cannot be used."""
    raise_first(stated.problems, told_by=" like it")
    above = {
        key: config.settings[key] for key, variable in environment.OVERRIDING.items()
        if config.settings[key][1:3] == ("environment", variable)
    }  # fmt: skip
    models = config.models if stated.models is None else stated.models
    templates = {**config.templates, **stated.templates}
    budgets, lost = budgets_over(config.budgets, stated, models)
    return config._replace(
        settings={**config.settings, **_joined(config, _values(stated, "code")), **above},
        models=models,
        templates=templates, warnings=(*config.warnings, *stated.notes, *lost),
        flags=joined(config.flags, stated.flags), budgets=budgets,
        keys={**config.keys, **stated.keys},
    )  # fmt: skip


def _joined(config: Config, found: dict[str, Setting]) -> dict[str, Setting]:
    """Aliases come besides those that there are, which stay where they were stated."""
    key = "serve.aliases"
    if key in found:
        before, above = config.settings[key], cast("dict[str, str]", found[key].value)
        stated = before.stated if before.source == "code" else {}
        found[key] = Setting(
            {**cast("dict[str, str]", before.value), **above}, "code", before.where,
            {**cast("dict[str, str]", stated), **above},
        )  # fmt: skip
    return found


def _levels(cwd: Path | None, file: Path | None) -> list[tuple[Source, TomlFile]]:
    """What the user's file and the project's state, the weaker first."""
    user, project = user_file(), file or project_file(cwd)
    found: list[tuple[Source, Path]] = [("user", user)] if is_there(user) else []
    if project is not None and project != user:
        found.append(("project", project))
    levels = []
    for source, path in found:
        level = tomlfile.read(path)
        raise_first((*level.problems, *stray(level)))
        levels.append((source, level))
    return levels


def _values(level: TomlFile, source: Source) -> dict[str, Setting]:
    """The settings of one value that a level states."""
    where = str(level.path)
    return {key: Setting(value, source, where, raw) for key, (value, raw) in level.values.items()}
