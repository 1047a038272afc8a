"""Faster models that are as good: what ``eval`` and ``bench`` measured of those that are here."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmrr import catalogue
from llmrr.errors import LlmrrError
from llmrr.evaluate.scoring import Score
from llmrr.optimize.history import History, ModelUse
from llmrr.speeds import Speed

if TYPE_CHECKING:
    from llmrr.catalogue import Catalogue
    from llmrr.config import Config
    from llmrr.store.records import Entry


class Measured(NamedTuple):
    """A model with what was measured of it. ``source`` is as ``[[models]]`` would name it."""

    name: str
    source: str
    scores: tuple[Score, ...] = ()
    speed: Speed | None = None
    use: ModelUse | None = None


class Faster(NamedTuple):
    """A faster model, and why it is one."""

    model: Measured
    why: str


def faster(
    slow: Measured, use: ModelUse, others: Sequence[Measured], min_runs: int
) -> Faster | None:
    """Of the others that are as good on the same questions the one that takes the least time for
    what ``slow`` was asked; None where none is known to take less than it."""
    if use.mean_s is None:
        return None
    found: list[tuple[float, Faster]] = []
    for other in others:
        figures = compared(slow.scores, other.scores)
        expected = expected_s(other, use, min_runs)
        if figures is None or figures[0] < figures[1] or expected is None:
            continue
        seconds, basis = expected
        if seconds >= use.mean_s or not _benched_faster(other.speed, slow.speed, use):
            continue
        why = (
            f"{other.name} answered {figures[0]:.0%} of the same {figures[2]:,} questions right "
            f"against {figures[1]:.0%}, and takes about {seconds * 1000:,.0f} ms ({basis})"
        )
        found.append((seconds, Faster(other, why)))
    return min(found, key=lambda one: one[0])[1] if found else None


def compared(
    ours: Sequence[Score], theirs: Sequence[Score]
) -> tuple[float, float, int] | None:
    """Their mean accuracy, ours, and the number of questions, over the sets of which both were
    asked the same questions; None where there is no such set."""
    known = {(one.sha256, one.questions): one for one in ours}
    pairs = [(one, known[at]) for one in theirs if (at := (one.sha256, one.questions)) in known]
    if not pairs:
        return None
    return (
        sum(their.accuracy for their, _ in pairs) / len(pairs),
        sum(our.accuracy for _, our in pairs) / len(pairs),
        sum(our.questions for _, our in pairs),
    )


def expected_s(model: Measured, asked: ModelUse, min_runs: int) -> tuple[float, str] | None:
    """How long a model would take for what another one was asked, in seconds, and what that rests
    on: its own runs where there are enough, else ``bench``."""
    use, answer = model.use, asked.completion_tokens or 0.0
    known = use is not None and use.successes >= min_runs
    if use is not None and known and use.first_token_s is not None and use.token_s is not None:
        return use.first_token_s + answer * use.token_s, f"by {use.successes:,} runs of it"
    if model.speed is None:
        return None
    return _benched_s(model.speed, asked), "by llmrr bench"


def _benched_s(speed: Speed, asked: ModelUse) -> float:
    prompt, answer = asked.prompt_tokens or 0.0, asked.completion_tokens or 0.0
    return prompt / speed.prefill_tokens_per_s + answer / speed.decode_tokens_per_s


def _benched_faster(one: Speed | None, other: Speed | None, asked: ModelUse) -> bool:
    """Whether the bench, where it measured both, found it so too."""
    if one is None or other is None:
        return True
    return _benched_s(one, asked) < _benched_s(other, asked)


# -- what is here ------------------------------------------------------------------------------


def configured(found: "Catalogue", names: Sequence[str]) -> dict[str, Measured]:
    """What was measured of configured models, by name."""
    measured = {}
    for name in names:
        with suppress(LlmrrError):  # one that is gone was not measured as it is now
            measured[name] = _measured(found, found.measured(name), name)
    return measured


def installed(found: "Catalogue", config: "Config", history: History) -> list[Measured]:
    """The installed models that run here and are not configured, with what was measured."""
    known = {model.source for model in config.models}
    paths = set(_paths(found, config))
    models = []
    for entry in _entries(found):
        source = _source(found, entry)
        if entry.path in paths or source in known:
            continue
        measured = _measured(found, entry, entry.label)
        use = next((one for one in history.models if one.source == entry.origin), None)
        models.append(measured._replace(source=source, use=use))
    return models


def _entries(found: "Catalogue") -> "Iterator[Entry]":
    """Those that could be named by a source: one with a recipe of its own could not."""
    runs = catalogue.runnable()
    for entry in found.entries():
        usable = entry.format in runs and entry.kind in (None, "model")
        if usable and not entry.is_made and not entry.is_missing:
            yield entry
    yield found.entry(catalogue.BUILTIN)


def _measured(found: "Catalogue", entry: "Entry", name: str) -> Measured:
    scores = tuple(found.scores(entry))
    return Measured(name, entry.origin, scores, found.speed(entry))


def _source(found: "Catalogue", entry: "Entry") -> str:
    """A source that leads to it: where it came from, if that still means these files."""
    with suppress(LlmrrError):
        if found.resolve(entry.origin).path == entry.path:
            return entry.origin
    return f"file:{entry.path}"


def _paths(found: "Catalogue", config: "Config") -> Iterator[Path]:
    for model in config.models:
        with suppress(LlmrrError):
            yield found.configured(model).path
