"""The pairs that hybrid mode recorded, in place of asking."""

from typing import TYPE_CHECKING

from llmrr import pairs
from llmrr.errors import NotFound
from llmrr.migrate.validating.asking import Trial
from llmrr.migrate.validating.cases import Case, asked
from llmrr.migrate.validating.systems import NOT_ASKED, Reply

if TYPE_CHECKING:
    import sqlite3


def trials(connection: "sqlite3.Connection", last: int, since: float | None = None) -> list[Trial]:
    """The ``last`` so many that asked both sides. Raises ``NotFound`` where there are none."""
    found = [
        Trial(Case(one.prompt or "", asked(one.prompt or "?")), _reply(one.legacy), _reply(one.new))
        for one in pairs.pairs(connection, since=since)
        if one.new is not None and one.legacy is not None
    ]  # fmt: skip
    if not found:
        raise NotFound(
            "no pair of answers is recorded",
            'llmrr migrate promote, or demote, until [migration] is "hybrid"; then llmrr run',
        )
    return found[-last:]


def _reply(one: pairs.Outcome) -> Reply:
    if not one.is_own:
        return NOT_ASKED  # the cache had it: that says nothing of the side
    error = None if one.success else one.error or "it failed"
    return Reply(one.text, error, one.latency_s, tokens=one.tokens, model=one.model)
