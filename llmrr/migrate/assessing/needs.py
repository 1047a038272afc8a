"""What the user requires, held against what is known. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llmrr.migrate.assessing.usage import ModelUsage


@dataclass(frozen=True, slots=True)
class Needs:
    """``latency_ms`` of an answer at most; ``cost`` in dollars per 1,000 tokens at most;
    ``availability`` as a share of answers at least; ``throughput`` in requests a minute at least.
    What is not required is None."""

    latency_ms: float | None = None
    cost: float | None = None
    availability: float | None = None
    throughput: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """One requirement of one model. ``known`` is in the unit of the requirement; ``met`` is None
    where nothing is known; ``how`` says what would tell."""

    need: str
    wanted: float
    model: str
    known: float | None
    met: bool | None
    how: str = ""

    def as_json(self) -> dict[str, Any]:
        """As ``migrate scan --json`` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def hold(needs: Needs, models: Iterable[ModelUsage]) -> list[Held]:
    """Every requirement against every model.

    >>> one = ModelUsage("a", "openai:a", "openai", False, 1, "low", {}, (), latency_s=0.5)
    >>> [(held.need, held.known, held.met) for held in hold(Needs(latency_ms=400, cost=1), [one])]
    [('latency_ms', 500.0, False), ('cost', None, None)]
    """
    return [held for model in models for held in _of_model(needs, model)]


def _of_model(needs: Needs, model: ModelUsage) -> Iterable[Held]:
    latency = None if model.latency_s is None else model.latency_s * 1000
    measure = 'llmrr run -m MODEL "…" records it'
    if needs.latency_ms is not None:
        yield _most("latency_ms", needs.latency_ms, model, latency, measure)
    if needs.cost is not None:
        how = "cost = { input = …, output = … } of the model in llmrr.toml"
        yield _most("cost", needs.cost, model, model.cost, how)
    if needs.availability is not None:
        known = model.success
        met = None if known is None else known >= needs.availability
        yield Held("availability", needs.availability, model.name, known, met,
                   "" if known is not None else measure)  # fmt: skip
    if needs.throughput is not None:
        # One after another: several at once may do more, which this does not tell.
        alone = 60_000 / latency if latency else None
        met = True if alone is not None and alone >= needs.throughput else None
        how = "that is one after another; llmrr bench --concurrency measures several at once"
        yield Held("throughput", needs.throughput, model.name, alone, met, "" if met else how)


def _most(need: str, wanted: float, model: ModelUsage, known: float | None, how: str) -> Held:
    met = None if known is None else known <= wanted
    return Held(need, wanted, model.name, known, met, "" if known is not None else how)
