"""How each model that was found is used: where, how much, and what it takes, as far as known. Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmrr.kinds import split_source
from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.terms import naming
from llmrr.optimize.history import ModelUse

_LEVELS: Final = ((10, "high"), (3, "medium"), (1, "low"))  # call sites, at least


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """A model, over all artefacts that name its source. ``level`` is by ``call_sites``: high from
    10, medium from 3, low from 1; None where no code asks it. ``bytes`` are those of its weights;
    ``latency_s``, ``success`` and ``runs`` are from the history of llmrr; ``cost`` is in dollars
    per 1,000 tokens, input and output the same number of them. Unknown is None."""

    name: str
    source: str
    provider: str
    is_local: bool
    call_sites: int
    level: str | None
    params: Mapping[str, Any]
    files: tuple[str, ...]
    bytes: int | None = None
    runs: int = 0
    latency_s: float | None = None
    success: float | None = None
    cost: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As ``migrate scan --json`` prints it."""
        return {
            "name": self.name, "source": self.source, "provider": self.provider,
            "usage": self.level, "call_sites": self.call_sites, "local": self.is_local,
            "params": dict(self.params), "memory_bytes": self.bytes, "latency_s": self.latency_s,
            "cost_per_1k_tokens": self.cost, "success_rate": self.success, "runs": self.runs,
            "files": list(self.files),
        }  # fmt: skip


def of(
    artefacts: Iterable[Artefact],
    history: Mapping[str, ModelUse],
    costs: Mapping[str, Mapping[str, float]],
    weigh: Callable[[Model, Path], int | None],
) -> list[ModelUsage]:
    """Every model once, by its source, in the order they were found. ``history`` and ``costs``
    (dollars per million tokens) are by source; ``weigh`` gives the bytes of one that is here."""
    found: dict[str, list[tuple[Model, Path]]] = {}
    for artefact in artefacts:
        for model in artefact.models:
            found.setdefault(model.source, []).append((model, artefact.path))
    return [_one(source, seen, history, costs, weigh) for source, seen in found.items()]


def _one(
    source: str,
    seen: list[tuple[Model, Path]],
    history: Mapping[str, ModelUse],
    costs: Mapping[str, Mapping[str, float]],
    weigh: Callable[[Model, Path], int | None],
) -> ModelUsage:
    model, path = seen[0]
    sites = sum(len(one.call_sites) for one, _ in seen)
    elsewhere = any(_is_elsewhere(one) for one, _ in seen)
    use, is_local = history.get(source), naming.is_local(source) and not elsewhere
    cost = next((one.cost for one, _ in seen if one.cost), None) or costs.get(source)
    return ModelUsage(
        name=model.name,
        source=source,
        provider=split_source(source)[0],
        is_local=is_local,
        call_sites=sites,
        level=next((name for least, name in _LEVELS if sites >= least), None),
        params=model.params,
        files=tuple(dict.fromkeys(str(where) for _, where in seen)),
        bytes=(model.bytes or weigh(model, path)) if is_local else None,
        runs=use.runs if use else 0,
        latency_s=use.mean_s if use else None,
        success=use.success if use else None,
        cost=per_thousand(cost) if cost else 0.0 if is_local else None,
    )


def _is_elsewhere(model: Model) -> bool:
    """Whether a model is asked at an address of another machine."""
    address = model.options.get("base_url")
    return address is not None and not naming.is_loopback(str(address))


def per_thousand(cost: Mapping[str, float]) -> float | None:
    """Dollars per 1,000 tokens, half of them input, of dollars per million.

    >>> per_thousand({"input": 1.0, "output": 3.0}), per_thousand({"input": 1.0})
    (0.002, None)
    """
    if "input" not in cost or "output" not in cost:
        return None
    return (cost["input"] + cost["output"]) / 2 / 1000
