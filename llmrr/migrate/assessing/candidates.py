"""What could answer on this machine instead: models that are installed, and repositories that the
user names. Whether they are as good is only said where ``eval`` measured it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmrr.errors import LlmrrError

if TYPE_CHECKING:
    from llmrr.description import FitLine
    from llmrr.evaluate.scoring import Score
    from llmrr.router import Router
    from llmrr.speeds import Speed


@dataclass(frozen=True, slots=True)
class Candidate:
    """``bytes`` are those of its weights, ``memory_bytes`` what running it takes; ``quality`` is
    the share of questions of the set ``measured_by`` that it answered right. Unknown is None;
    ``problem`` is why nothing could be found out."""

    name: str
    bytes: int | None = None
    memory_bytes: int | None = None
    fits: bool | None = None
    quality: float | None = None
    measured_by: str | None = None
    tokens_per_s: float | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As ``migrate scan --json`` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def find(router: "Router", named: Sequence[str]) -> list[Candidate]:
    """The installed models, then what the user names; of a repository only headers are read, and
    the quantization that is recommended counts."""
    installed = [one.name for one in router.models() if one.path is not None]
    return [_candidate(router, name) for name in dict.fromkeys([*installed, *named])]


def _candidate(router: "Router", name: str) -> Candidate:
    try:
        lines = router.fit(name)
    except LlmrrError as error:
        return Candidate(name, problem=error.message)
    best = _best(lines)
    score, speed = _measured(router, name)
    return Candidate(
        name=name if len(lines) == 1 or best is None else best.name,
        bytes=best.bytes if best else None,
        memory_bytes=best.fit.total_bytes if best and best.fit else None,
        fits=best.fit.fits if best and best.fit else None,
        quality=score.accuracy if score else None,
        measured_by=score.name if score else None,
        tokens_per_s=speed.decode_tokens_per_s if speed else None,
    )


def _best(lines: "Sequence[FitLine]") -> "FitLine | None":
    recommended = [one for one in lines if one.recommended]
    fitting = [one for one in lines if one.fit and one.fit.fits]
    return next(iter([*recommended, *fitting, *lines]), None)


def _measured(router: "Router", name: str) -> "tuple[Score | None, Speed | None]":
    """The last score and speed of a model that is here."""
    try:
        entry = router.catalogue.entry(name)
    except LlmrrError:
        return None, None
    scores = router.catalogue.scores(entry)
    return (max(scores, key=lambda one: one.at) if scores else None), router.catalogue.speed(entry)
