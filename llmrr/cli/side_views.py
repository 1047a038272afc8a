"""What the two sides of a migration look like on a page."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmrr.cli.layout import Page, percent

if TYPE_CHECKING:
    from llmrr.pairs import Comparison


def comparison(page: Page, found: "Comparison") -> Iterator[str]:
    """The old side against the new one."""
    speed, sound = found.performance, found.reliability
    rows = (
        ("legacy", speed.old_avg, percent(sound.old_error_rate)),
        ("new", speed.new_avg, percent(sound.new_error_rate)),
    )
    yield from page.table(("MIGRATION", "MEAN s", "FAILED"), rows)
    alike = page.cell(found.similarity)
    yield (
        f"requests: {found.samples:,}, answered by both: {found.compared:,}, "
        f"similarity of the answers: {alike}, time saved: {page.cell(percent(speed.improvement))}"
    )


def sides(facts: Mapping[str, Any]) -> str:
    """How the two sides of a decision run beside each other."""
    mode, other = facts["mode"], facts["other"]
    when = "is asked as well" if mode == "hybrid" else "is asked where that fails"
    models = ", ".join(other["asked"]) or "no model"
    return f"migration, {mode}: the {facts['side']} side; the {other['side']} side {when}: {models}"
