"""Whether what several files state fits together. What a stronger file took the ground from is left
out with a warning; all else that does not fit is an error."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from llmrr import settings, sides
from llmrr.config.files import user_file
from llmrr.config.resolved import Config
from llmrr.errors import BadConfig, nearest
from llmrr.flags import Flag
from llmrr.settings import Setting, Source
from llmrr.strategies import Limits, strategy_warning
from llmrr.tomlfile import WEIGHTS, ConfiguredModel, TomlFile, strangers
from llmrr.tomltext import toml_text

_RANKS: tuple[Source, ...] = (
    "default", "user", "project", "environment", "code", "command line",
)  # fmt: skip


def settled(config: Config) -> Config:
    """What was read and stated as one, once that is seen to fit together. Raises ``BadConfig``."""
    found, models = dict(config.settings), config.models
    _require_weight(found)
    _require_order(found)
    found["fallback_chain"], lost = _chain_of(found["fallback_chain"], models, config.files)
    found["migration.mode"], idle = _mode_of(found, models, config.files)
    strategy = found["strategy"]
    said = (
        _idle_default(found["default_model"], models, user_file()),
        strategy_warning(strategy.stated, strategy.where or strategy.source), lost, idle,
        _idle_semantic(found),
    )  # fmt: skip
    _require_models(config.flags, models, config.files)
    warnings = (*config.warnings, *filter(None, said))
    return config._replace(settings=MappingProxyType(found), warnings=warnings)


def _idle_default(
    default: Setting, models: tuple[ConfiguredModel, ...], user: Path
) -> str | None:
    """The warning for a ``default_model`` beside ``[[models]]`` that a stronger file did not
    bring."""
    overruled = default.source == "user" and bool(models) and models[0].file != user
    if default.source == "default" or not models or overruled:
        return None
    where = f" ({default.where})" if default.where else ""
    said = f"default_model = {toml_text(default.stated)}{where} has no effect where there are"
    return f"{said} [[models]]: one of them answers"


def _require_weight(found: Mapping[str, Setting]) -> None:
    weights = [found[f"weights.{name}"] for name in WEIGHTS]
    if all(weight.value == 0 for weight in weights):
        where = next((weight.where for weight in weights if weight.where), None)
        said = f" ({where})" if where else ""
        raise BadConfig(
            f"the weights of quality, cost and speed are all zero{said}",
            "give one of [weights] a number above 0",
        )


def _require_order(found: Mapping[str, Setting]) -> None:
    low, high = found["memory.threshold"], found["memory.high"]
    if "default" not in (low.source, high.source) and low.value > high.value:  # type: ignore[operator]
        raise BadConfig(
            f"memory.threshold = {toml_text(low.stated)} is above memory.high = "
            f"{toml_text(high.stated)} ({high.where or high.source})",
            "what is idle is unloaded at the threshold, and at high nothing more is loaded",
        )


def _idle_semantic(found: Mapping[str, Setting]) -> str | None:
    """The warning for how alike messages must be, where no model tells it."""
    model, threshold = found["cache.semantic.model"], found["cache.semantic.threshold"]
    if model.value is not None or threshold.source == "default":
        return None
    where = threshold.where or threshold.source
    return f"cache.semantic.threshold has no effect without cache.semantic.model ({where})"


def _chain_of(
    chain: Setting, models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> tuple[Setting, str | None]:
    """The chain over the models that there are, with a warning of the others: the models of a
    project replace those that the user's own chain names, and those of a program both."""
    if not isinstance(chain.value, tuple):
        return chain, None
    names = {model.name for model in models}
    absent = [name for name in chain.value if name not in names]
    if not absent:
        return chain, None
    said = f"fallback_chain names {absent[0]!r}, and no [[models]] is called so"
    if not models or not _is_weaker(chain.source, models, files):
        near = nearest(absent[0], names)
        where = chain.where or chain.source
        home = f" to {where}" if chain.source in ("user", "project") else ""
        hint = f"did you mean {near}?" if near else f"add [[models]] of that name{home}"
        raise BadConfig(f"{said} ({where})", hint)
    kept = tuple(name for name in chain.value if name in names)
    left = chain._replace(value=kept) if kept else settings.defaults()["fallback_chain"]
    return left, f"{said} here: it is left out ({chain.where})"


def _mode_of(
    found: Mapping[str, Setting], models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> tuple[Setting, str | None]:
    """How the sides of ``[migration]`` run over the models that there are, with a warning where
    that is not at all: nobody names sides, or the models of a project replace the user's."""
    mode, new, legacy = (found[f"migration.{leaf}"] for leaf in ("mode", *sides.SIDES))
    off = settings.defaults()["migration.mode"]
    said = mode.where or mode.source
    idles = mode.value is not None and mode.source == "environment"
    if idles and new.value is None and legacy.value is None:
        written = f"{said} = {toml_text(mode.stated)}"
        return off, f"{written} has no effect: nothing names [migration] new and legacy"
    names = [model.name for model in models]
    for one in sides.wrong(mode.value, new.value, legacy.value, names):  # type: ignore[arg-type]
        setting = found[f"migration.{one.leaf}"]
        where = setting.where or setting.source
        foreign = bool(models) and _is_weaker(setting.source, models, files)
        if one.absent is None or not foreign:
            raise BadConfig(f"{one.message} ({where})", one.hint)
        idle = f"{one.message} here: there is no migration mode ({where})"
        return off, None if mode.value is None else idle
    return mode, None


def _is_weaker(
    source: Source, models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> bool:
    """Whether the models come from something stronger."""
    return _RANKS.index(source) < _RANKS.index(_source_of(models, files))


def _source_of(models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]) -> Source:
    file = models[0].file
    return "user" if file == user_file() else "project" if file in files else "code"


def _require_models(
    flags: tuple[Flag, ...], models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> None:
    """Raise ``BadConfig`` for a model that a flag names and that is none, unless the models of
    something stronger replaced it."""

    def rank(file: Path | None) -> int:
        return files.index(file) if file in files else -1

    for flag in flags:
        replaced = bool(models) and rank(models[0].file) < rank(flag.file)
        if replaced or flag.file is None:
            continue
        for message, hint in strangers(f"the flag {flag.name!r}", flag.models or (), models):
            raise BadConfig(f"{message} ({flag.file})", hint)


def budgets_of(
    stated: Mapping[str, tuple[Limits, Path]], models: tuple[ConfiguredModel, ...]
) -> tuple[Mapping[str, Limits], list[str]]:
    """The budgets of the models that there are, with a warning of each other one: the models of a
    project replace those that the user's own file names."""
    names = {model.name for model in models}
    lost = []
    for name, (_limits, path) in stated.items():
        if name in names:
            continue
        said = f"[budgets.{name}] is of no model: no [[models]] is called {name!r}"
        if not models or models[0].file == path or path != user_file():
            near = nearest(name, names)
            hint = f"did you mean {near}?" if near else f"add [[models]] of that name to {path}"
            raise BadConfig(f"{said} ({path})", hint)
        lost.append(f"{said} here: it is left out ({path})")
    return {name: limits for name, (limits, _) in stated.items() if name in names}, lost


def budgets_over(
    below: Mapping[str, Limits], stated: TomlFile, models: tuple[ConfiguredModel, ...]
) -> tuple[Mapping[str, Limits], list[str]]:
    """The budgets with those that a program states; what is of models that it replaced is left
    out, with a warning."""
    own, _ = budgets_of({name: (one, stated.path) for name, one in stated.budgets.items()}, models)
    names = {model.name for model in models}
    lost = [
        f"[budgets.{name}] is left out: no [[models]] is called so any more ({stated.path})"
        for name in below if name not in names
    ]  # fmt: skip
    return {**{name: one for name, one in below.items() if name in names}, **own}, lost
