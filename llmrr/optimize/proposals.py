"""What is proposed: the facts of the history, held against the rules of ``[optimize]``. Pure.

A rule yields proposals, and notes (texts) of what it had to say and could not propose.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Final, NamedTuple

from llmrr.config import Config, ConfiguredModel
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.optimize.alternatives import Measured, faster
from llmrr.optimize.history import History, ModelUse
from llmrr.settings import REMOTE_OPTIONS
from llmrr.tomllayout import Place
from llmrr.tomltext import toml_text

SMALLEST_WEIGHT: Final = 0.01  # a weight is above 0: this is one draw in a hundred
_FIGURES: Final = 3  # decimals of a weight


class Rules(NamedTuple):
    """``[optimize]``, but for the window."""

    min_runs: int
    fast_ms: float
    slow_ms: float
    error_patterns: int
    hit_rate: float
    ttl_factor: float
    concurrency: int
    preload: int


class Proposal(NamedTuple):
    """One value that is to change. ``old`` is in use now, ``place`` is where it stands in ``file``,
    ``evidence`` says which figures led to it, and by which rule."""

    key: str
    old: object
    new: object
    rule: str
    evidence: str
    file: Path
    place: Place


class Case(NamedTuple):
    """What the rules look at. ``measured`` are the configured models by name, ``installed`` the
    others that are here, as ``eval`` and ``bench`` measured them."""

    history: History
    config: Config
    rules: Rules
    measured: Mapping[str, Measured]
    installed: Sequence[Measured]

    def uses(self) -> Iterator[tuple[int, ConfiguredModel, ModelUse]]:
        """The models with enough runs to judge them: index, model, facts."""
        for index, model in enumerate(self.config.models):
            use = self.history.model(model.name, model.source)
            if use is not None and use.judged >= self.rules.min_runs:
                yield index, model, use


class Advice(NamedTuple):
    """What all rules say."""

    proposals: tuple[Proposal, ...]
    notes: tuple[str, ...]


def rules_of(config: Config) -> Rules:
    """The rules as they are configured."""
    return Rules(**{name: config.value(f"optimize.{name}") for name in Rules._fields})  # type: ignore[arg-type]


def propose(
    history: History,
    config: Config,
    rules: Rules,
    measured: Mapping[str, Measured],
    installed: Sequence[Measured],
) -> Advice:
    """What the rules propose. What is as it should be is not proposed."""
    case = Case(history, config, rules, measured, installed)
    said = [one for rule in _RULES for one in rule(case)] if config.models else []
    return Advice(
        tuple(one for one in said if isinstance(one, Proposal)),
        tuple(one for one in said if isinstance(one, str)),
    )


def is_slow(use: ModelUse, rules: Rules) -> bool:
    """Whether a faster model is looked for."""
    return use.mean_s is not None and use.mean_s * 1000 > rules.slow_ms


Said = Iterator[Proposal | str]


def _too_few(case: Case) -> Said:
    for model in case.config.models:
        use = case.history.model(model.name, model.source)
        judged = use.judged if use else 0
        if judged < case.rules.min_runs:
            yield (
                f"{model.name}: {_counted(judged, 'run')} to judge it by, fewer than "
                f"{case.rules.min_runs}: nothing is proposed"
            )
    if case.history.runs < case.rules.min_runs:
        yield (
            f"{_counted(case.history.runs, 'run')} in all, fewer than {case.rules.min_runs}: "
            "nothing is proposed for all models together"
        )


def _weights(case: Case) -> Said:
    for index, model, use in case.uses():
        weight = max(SMALLEST_WEIGHT, round(use.success or 0.0, _FIGURES))
        if not use.successes:
            yield f"{model.name} never succeeded in {_counted(use.judged, 'run')}: llmrr logs"
        if weight != model.weight:
            many = f"{use.successes:,} of {_counted(use.judged, 'run')} succeeded"
            least = f", and at least {SMALLEST_WEIGHT}" if weight == SMALLEST_WEIGHT else ""
            evidence = f"{many}: weight = success rate{least}"
            yield _of_model(index, model, "weight", model.weight, weight, evidence)


def _priorities(case: Case) -> Said:
    for index, model, use in case.uses():
        if use.mean_s is None:
            continue
        is_fast = use.mean_s * 1000 < case.rules.fast_ms
        priority = 1 if is_fast else 2
        if priority != model.priority:
            evidence = (
                f"{_latency(use)}, {'' if is_fast else 'not '}under {case.rules.fast_ms:,.0f} ms: "
                f"priority {priority}"
            )
            yield _of_model(index, model, "priority", model.priority, priority, evidence)


def _strategy(case: Case) -> Said:
    if case.history.runs < case.rules.min_runs:
        return
    patterns, most = len(case.history.errors), case.rules.error_patterns
    strategy = "reliability-first" if patterns > most else "balanced"
    many = f"{_counted(patterns, 'error pattern')} in {_counted(case.history.runs, 'run')}"
    evidence = f"{many}, {'' if patterns > most else 'not '}more than {most}: {strategy}"
    yield from _plain(case, "strategy", strategy, evidence)


def _cache(case: Case) -> Said:
    found, ttl = case.history.cache, case.config.value("cache.ttl")
    if found is None or found.asked < case.rules.min_runs or not case.config.value("cache.enabled"):
        return
    if not isinstance(ttl, float) or found.rate >= case.rules.hit_rate:  # None is for ever
        return
    many = f"the cache answered {found.hits:,} of {_counted(found.asked, 'run')}"
    longer = ttl * case.rules.ttl_factor
    evidence = f"{many}, under {case.rules.hit_rate:.0%}: ttl * {case.rules.ttl_factor:g}"
    whole = longer.is_integer()
    yield from _plain(case, "cache.ttl", int(longer) if whole else round(longer, 3), evidence)


def _loading(case: Case) -> Said:
    if case.history.runs < case.rules.min_runs:
        return
    many, most = case.history.at_once, case.rules.concurrency
    at_once = f"at most {_counted(many, 'run')} at once"
    if many > most:
        yield from _plain(case, "memory.loading", "lazy", f"{at_once}, more than {most}: lazy")
        return
    used = _most_used(case)
    if not used:
        return
    counts = ", ".join(f"{name} {runs:,}" for name, runs in used)
    evidence = f"the most used of {_counted(case.history.runs, 'run')}: {counts}"
    yield from _plain(
        case, "memory.loading", "preload", f"{at_once}, not more than {most}: preload"
    )
    yield from _plain(case, "preload", tuple(name for name, _ in used), evidence)


def _most_used(case: Case) -> list[tuple[str, int]]:
    """The models on this machine that ran most, with their runs."""
    found = []
    for model in case.config.models:
        use = case.history.model(model.name, model.source)
        is_here = model.provider in LOCAL_PROVIDERS and model.engine != "ollama"
        if use is not None and is_here and REMOTE_OPTIONS.isdisjoint(model.options):
            found.append((model.name, use.runs))
    found.sort(key=lambda one: -one[1])
    return found[: case.rules.preload]


def _faster(case: Case) -> Said:
    added: list[str] = []
    for _, model, use in case.uses():
        if not is_slow(use, case.rules):
            continue
        said = f"{model.name}: {_latency(use)}, over {case.rules.slow_ms:,.0f} ms"
        own = case.measured.get(model.name)
        if own is None or not own.scores:
            yield f"{said}; how good it is was not measured: llmrr eval {quote(model.name)}"
            continue
        found = faster(own, use, case.installed, case.rules.min_runs)
        if found is None:
            yield f"{said}; of the installed models, none is known to be as good and faster"
        elif found.model.source not in added:
            source = _seen_from(model.file.parent, found.model.source)
            new = {"name": _free(found.model.name, case.config), "source": source}
            place = ("models", len(case.config.models) + len(added))
            added.append(found.model.source)
            yield Proposal(
                f"models.{new['name']}", None, new, "faster", f"{said}; {found.why}", model.file,
                place,
            )  # fmt: skip


def _seen_from(folder: Path, source: str) -> str:
    """A source as a file in ``folder`` would name it: what lies there moves with it.

    >>> _seen_from(Path("/p"), "file:/p/models/a.gguf"), _seen_from(Path("/p"), "file:/q/a.gguf")
    ('file:./models/a.gguf', 'file:/q/a.gguf')
    """
    path = Path(source.removeprefix("file:"))
    if source.startswith("file:/") and path.is_relative_to(folder):
        return f"file:./{path.relative_to(folder)}"
    return source


def _free(label: str, config: Config) -> str:
    """A name that no model and no group has."""
    taken = {name for model in config.models for name in (model.name, model.group)}
    numbered = (f"{label}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (label, *numbered) if name not in taken)


def _of_model(
    index: int, model: ConfiguredModel, leaf: str, old: object, new: object, evidence: str
) -> Proposal:
    place = ("models", index, leaf)
    return Proposal(f"models.{model.name}.{leaf}", old, new, leaf, evidence, model.file, place)


def _plain(case: Case, key: str, new: object, evidence: str) -> Said:
    """A setting of one value, in the file where it has effect."""
    setting = case.config.settings[key]
    if _is_same(setting.value, new):
        yield f"{key} stays {toml_text(new)}: {evidence}"
    elif setting.source in ("environment", "command line"):
        yield f"{key} = {toml_text(new)} would have no effect ({evidence}): {setting.where} sets it"
    else:
        own = case.config.models[0].file
        file = Path(setting.where) if setting.source == "project" and setting.where else own
        place = tuple(key.split("."))
        yield Proposal(key, setting.value, new, place[-1], evidence, file, place)


def _is_same(old: object, new: object) -> bool:
    """Whether nothing would change; the order of names does not count."""
    if isinstance(old, tuple) and isinstance(new, tuple):
        return set(old) == set(new)
    return old == new


def _latency(use: ModelUse) -> str:
    return f"mean latency {(use.mean_s or 0.0) * 1000:,.0f} ms of {_counted(use.successes, 'run')}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


_RULES: Final = (_too_few, _weights, _priorities, _strategy, _cache, _loading, _faster)
