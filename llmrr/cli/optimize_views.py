"""What ``llmrr optimize`` looks like on a page: lines of text, pure."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from llmrr.cli.layout import Page, counted
from llmrr.cli.views import minute
from llmrr.optimize import drafting

if TYPE_CHECKING:
    from llmrr.optimize.history import Counted, History
    from llmrr.optimize.report import Report

_MOST = 5  # patterns that are shown
_WIDEST = 48  # characters of a line of the difference that evidence is aligned behind


def report(page: Page, found: "Report") -> Iterator[str]:
    """The facts, what is proposed with the evidence, and what is to be said besides."""
    yield from _history(page, found.history)
    if found.drafts:
        yield ""
        yield from _difference(found)
    if found.advice.notes:
        yield ""
        yield from found.advice.notes


def _history(page: Page, found: "History") -> Iterator[str]:
    yield f"{counted(found.runs, 'run')} since {minute(found.since)}"
    if not found.runs:
        return
    yield ""
    rows = [
        (one.model, one.runs, one.failures, one.success, _ms(one.mean_s), _ms(one.p95_s))
        for one in found.models
    ]  # fmt: skip
    yield from page.table(("MODEL", "RUNS", "ERRORS", "SUCCESS", "MEAN ms", "p95"), rows)
    yield ""
    hours = ", ".join(f"{hour:02}:00 ({found.hours[hour]:,})" for hour in found.peaks)
    rate = None if found.cache is None else f"{found.cache.rate:.0%} of {found.cache.asked:,}"
    yield from page.facts({"busiest hours": hours, "at once": found.at_once, "cache": rate})
    if found.worded:
        yield from _texts(page, "prompts that begin alike", found.shapes)
    else:
        yield "prompts: their words were not kept"
    yield from _texts(page, "error patterns", found.errors)
    yield from _texts(page, "refused requests", found.refused)


def _texts(page: Page, title: str, found: Sequence["Counted"]) -> Iterator[str]:
    if not found:
        return
    yield f"{title}:"
    for one in found[:_MOST]:
        yield page.fitted(f"{one.runs:>7,}  {one.text}")
    if len(found) > _MOST:
        yield f"{'':7}  … and {len(found) - _MOST:,} more" if page.unicode else f"{'':7}  and more"


def _difference(found: "Report") -> Iterator[str]:
    lines = list(drafting.annotated(found.drafts))
    width = min(_WIDEST, max((len(line) for line, why in lines if why), default=0))
    for line, why in lines:
        yield f"{line.removesuffix(chr(13)):<{width}}  # {why}" if why else line


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
