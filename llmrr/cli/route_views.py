"""What a decision looks like on a page."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.cli import side_views
from llmrr.cli.layout import Page, counted
from llmrr.config import toml_text

# What is shown beside the terms that always are.
_OF_STRATEGY = {"round-robin": "turn", "least-loaded": "busy", "capability-match": "met"}


def decision(page: Page, facts: Mapping[str, Any] | None) -> Iterator[str]:
    """``llmrr route``: the winner, the candidates with their terms, and who was rejected."""
    if facts is None:
        yield "one model was named: there was nothing to choose"
        return
    how = f"{facts['strategy']}: " if facts["strategy"] else ""
    yield f"{page.cell(facts['model'])}  ({how}{facts['why']})"
    if facts.get("migration"):
        yield side_views.sides(facts["migration"])
    if others := facts["asked"][1:]:
        together = facts["strategy"] == "ensemble"
        yield f"{'asked as well' if together else 'where it fails'}: {', '.join(others)}"
    needs = facts["needs"]
    words = f", needs {', '.join(needs['words'])}" if needs["words"] else ""
    yield f"a prompt of about {counted(needs['tokens'], 'token')}{words}"
    for flag in facts["flags"]:
        sets = ", ".join(f"{name} = {toml_text(value)}" for name, value in flag["set"].items())
        yield f"flag {flag['name']} ({flag['why']}): {sets}"
    if facts["candidates"]:
        yield ""
        yield from _candidates(page, facts)
    if facts["rejected"]:
        yield ""
        yield from page.table(
            ("REJECTED", "WHY"), [(one["name"], one["why"]) for one in facts["rejected"]]
        )
    if facts["hint"]:
        yield ""
        yield f"hint: {facts['hint']}"
    if facts.get("migration"):
        other = facts["migration"]["other"]
        yield ""
        yield f"the {other['side']} side:"
        yield from decision(page, other)


def _candidates(page: Page, facts: Mapping[str, Any]) -> Iterator[str]:
    special = _OF_STRATEGY.get(facts["strategy"])
    header = ("MODEL", "SCORE", "QUALITY", "COST $", "TIME s", "SUCCESS", "PRIORITY", "WEIGHT")
    rows = []
    for one in facts["candidates"]:
        terms = one["terms"]
        row = (
            one["name"], _figures(one["score"]), terms["quality"], _figures(terms["cost"]),
            terms["time_s"], terms["reliability"], terms["priority"], terms["weight"],
        )  # fmt: skip
        rows.append((*row, terms[special]) if special else row)
    yield from page.table((*header, special.upper()) if special else header, rows)


def _figures(value: float | None) -> str | None:
    """Three figures, however small.

    >>> _figures(0.00012345), _figures(1.0), _figures(-0.0), _figures(None)
    ('0.000123', '1', '0', None)
    """
    return None if value is None else f"{value + 0.0:.3g}"
