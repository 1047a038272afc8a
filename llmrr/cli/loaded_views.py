"""What ``llmrr ps`` and ``llmrr stop`` print: lines of text. Pure, but for the clock."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmrr.cli.layout import Page, counted, size

Facts = Mapping[str, Any]


def processes(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr ps``."""
    rows = [
        (model.get("name"), model.get("engine"), size(model.get("bytes")), _context(model),
         _until(model, time.time()), process["kind"], str(process["pid"]), process.get("address"))
        for process in found
        for model in process["models"] or [{}]
    ]  # fmt: skip
    header = ("NAME", "ENGINE", "SIZE", "CONTEXT", "UNTIL", "BY", "PID", "ADDRESS")
    return page.table(header, rows)


def stopped(page: Page, done: Facts) -> Iterator[str]:
    """``llmrr stop``: the models that were unloaded."""
    yield from done["unloaded"]


def _context(model: Facts) -> int | str | None:
    """How many tokens a sequence has room for; what it may have, where the first is yet to come.

    >>> _context({"context": 4096, "largest_context": 32768}), _context({"largest_context": 32768})
    (4096, 'up to 32768')
    """
    most = model.get("largest_context")
    return model.get("context") or (f"up to {most}" if most else None)


def _until(model: Facts, now: float) -> str | None:
    """How long it stays.

    >>> _until({"in_use": 2}, 0.0), _until({"in_use": 0, "until": 290.0}, 0.0)
    ('in use', 'in 5 minutes')
    >>> _until({"in_use": 0, "until": None}, 0.0), _until({}, 0.0)
    ('llmrr stop', None)
    """
    if not model:
        return None
    if model.get("loading"):
        return "loading"
    if model["in_use"]:
        return "in use"
    if model["until"] is None:
        return "llmrr stop"
    left = max(0.0, model["until"] - now)
    if left < 90:
        return f"in {counted(round(left), 'second')}"
    return f"in {counted(round(left / 60), 'minute')}"
