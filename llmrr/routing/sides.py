"""What is decided where the old and the new side of a migration run beside each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmrr.routing.decision import Decision


@dataclass(frozen=True)
class SidedDecision(Decision):
    """Which model of a side a request goes to. ``then`` is the decision of the other side; None
    where this one is the other side's."""

    side: str = ""
    mode: str = ""
    then: "SidedDecision | None" = None

    @property
    def summary(self) -> str:
        """Why it was chosen, in a few words."""
        return f"{self.side} side of the migration, {self.mode}; {self._why}"

    @cached_property
    def _why(self) -> str:
        return super().summary

    def require_winner(self) -> None:
        """Raise ``refusal`` where there is nobody to ask on either side."""
        if self.then is None or not self.then.asked:
            super().require_winner()

    def facts(self) -> dict[str, Any]:
        """The shape of ``route --json``, with both sides."""
        facts = super().facts()
        if self.then is None:
            return facts
        other = {"side": self.then.side, **self.then.facts()}
        return {**facts, "migration": {"mode": self.mode, "side": self.side, "other": other}}


def outcome(order: tuple[str, str], answered: str | None, failed: Mapping[str, str]) -> str:
    """Which side answered and why, in words; ``failed`` says why by side.

    >>> outcome(("new", "legacy"), "legacy", {"new": "Overloaded: no"})
    'the new side failed (Overloaded: no)'
    >>> outcome(("new", "legacy"), "new", {}), outcome(("new", "legacy"), None, {})
    ('the new side comes first', 'no side has answered')
    """
    first = order[0]
    if answered is None:
        return "no side has answered"
    if answered == first:
        return f"the {first} side comes first"
    return f"the {first} side failed ({failed.get(first, 'it was not heard')})"
