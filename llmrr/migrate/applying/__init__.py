"""A plan carried out and walked back: its steps (``steps``, ``registering``), what is kept of them
(``records``), the check-list (``checklist``), the steps along a proof (``proof``, ``promoting``),
and the report (``reporting``)."""

from llmrr.migrate.applying.steps import (
    apply,
    changed_since,
    has_written,
    require_applicable,
    resume,
    undo,
)

__all__ = ["apply", "changed_since", "has_written", "require_applicable", "resume", "undo"]
