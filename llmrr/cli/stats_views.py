"""What ``llmrr stats`` looks like on a page: lines of text, pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrr.cli.layout import Page
from llmrr.cli.views import minute
from llmrr.routing.budgets import dollars

if TYPE_CHECKING:
    from llmrr.alerts import Alert
    from llmrr.stats import DaySummary, ModelSummary


@dataclass(frozen=True, slots=True)
class History:
    """What ``llmrr stats`` tells."""

    models: "Sequence[ModelSummary]"
    days: "Sequence[DaySummary]"
    alerts: "Sequence[Alert]" = ()


def history(page: Page, found: History) -> Iterator[str]:
    """``llmrr stats``. What cost is a column where any price is known that is not 0."""
    header = ["MODEL", "RUNS", "ERRORS", "PROMPT", "CACHED", "ANSWER", "FIRST s", "p95",
              "TOTAL s", "p95", "TOKENS/s"]  # fmt: skip
    rows: list[list[object]] = [
        [m.model, m.runs, m.errors, m.prompt_tokens, m.cached_tokens, m.completion_tokens,
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


def _alerts(page: Page, found: "Sequence[Alert]") -> Iterator[str]:
    rows = [(minute(one.at), one.event, one.message) for one in found]
    return page.table(("WHEN", "ALERT", "WHAT"), rows)
