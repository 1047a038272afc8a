"""What ``llmrr stats`` looks like on a page: lines of text, pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmrr.cli import side_views
from llmrr.cli.layout import Page, percent
from llmrr.cli.views import minute
from llmrr.routing.budgets import dollars

if TYPE_CHECKING:
    from llmrr.alerts import Alert
    from llmrr.pairs import Comparison
    from llmrr.summaries import DaySummary, ModelSummary


@dataclass(frozen=True, slots=True)
class History:
    """What ``llmrr stats`` tells."""

    models: "Sequence[ModelSummary]"
    days: "Sequence[DaySummary]"
    alerts: "Sequence[Alert]" = ()
    migration: "Comparison | None" = None


def history(page: Page, found: History) -> Iterator[str]:
    """``llmrr stats``. What cost is a column where any price is known that is not 0."""
    header = ["MODEL", "RUNS", "ERRORS", "HITS", "PROMPT", "CACHED", "ANSWER", "FIRST s", "p95",
              "TOTAL s", "p95", "TOKENS/s"]  # fmt: skip
    rows: list[list[object]] = [
        [m.model, m.runs, m.errors, m.hits, m.prompt_tokens, m.cached_tokens, m.completion_tokens,
         m.first_token_median_s, m.first_token_p95_s, m.total_median_s, m.total_p95_s,
         m.tokens_per_s]
        for m in found.models
    ]  # fmt: skip
    paid = any(m.cost for m in found.models)
    if paid:
        header.append("COST")
        for row, one in zip(rows, found.models, strict=True):
            row.append(None if one.cost is None else dollars(one.cost))
    yield from page.table(header, rows)
    yield ""
    days = found.days[-14:]
    most = max((day.runs for day in days), default=0) or 1
    for day in days:
        cost = f"{'' if day.cost is None else dollars(day.cost):>10}  " if paid else ""
        bar = page.bar(day.runs / most)
        yield page.fitted(f"{day.day}  {day.runs:>5}  {cost}{bar}".rstrip())
    if found.alerts:
        yield ""
        yield from _alerts(page, found.alerts[-10:])
    if found.migration is not None:
        yield ""
        yield from side_views.comparison(page, found.migration)


def diagnosis(page: Page, found: Mapping[str, Any]) -> Iterator[str]:
    """``llmrr stats --diagnose``."""
    metrics, models, cache = (found.get(name, {}) for name in ("metrics", "models", "cache"))
    header = ("MODEL", "RUNS", "ERRORS", "MEAN ms", "p95 ms", "TOKENS", "LOAD ms", "STATE")
    names = dict.fromkeys([*models["configured"], *metrics["by_model"]])
    rows = [_row(name, metrics["by_model"].get(name, {}), models) for name in names]
    yield from page.table(header, [*rows, _row("all", metrics, models)])
    yield ""
    yield from page.facts(
        {
            "error rate": percent(metrics["error_rate"]),
            "cost": None if metrics["cost"] is None else dollars(metrics["cost"]),
            "cache hit rate": percent(cache.get("hit_rate")),
            "cache entries": cache.get("entries"),
            "cache bytes": cache.get("bytes"),
        }
    )
    for one in metrics["budgets"]:
        key = f"{one['model']}: {one['budget']}" if one["model"] else one["budget"]
        shown = "{:,}".format if "tokens" in key.rpartition(" ")[2] else dollars
        share = f" ({percent(one['share'])})" if one["share"] is not None else ""
        spent = page.cell(None) if one["spent"] is None else shown(one["spent"])
        yield f"budget {key}: {spent} of {shown(one['limit'])}{share}"
    yield from (f"{name}: {why}" for name, why in models["blocked"].items())
    for one in metrics["alerts"] or ():
        yield f"{minute(one['at'])}  {one['event']}: {one['message']}"


def _row(name: str, figures: Mapping[str, Any], models: Mapping[str, Any]) -> list[object]:
    load = models["avg_load_ms"] if name == "all" else models["load_ms"].get(name)
    states = ("blocked", "breakers_open", "loaded")
    words = {"blocked": "blocked", "breakers_open": "breaker open", "loaded": "loaded"}
    state = ", ".join(words[one] for one in states if name in (models[one] or ()) and name != "all")
    keys = ("runs", "errors", "avg_latency_ms", "p95_latency_ms", "tokens")
    return [name, *(figures.get(key) for key in keys), load, state or None]


def _alerts(page: Page, found: "Sequence[Alert]") -> Iterator[str]:
    rows = [(minute(one.at), one.event, one.message) for one in found]
    return page.table(("WHEN", "ALERT", "WHAT"), rows)
