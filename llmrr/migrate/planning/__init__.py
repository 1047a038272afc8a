"""What a migration would do, as data, and how it is made from what was found."""

from llmrr.migrate.artefact import Notice
from llmrr.migrate.planning.data import Action, Item, Plan, identified, parsed, read, text_of
from llmrr.migrate.planning.making import absent, called, difference, hidden, make, target_of
from llmrr.migrate.planning.naming import known
from llmrr.migrate.planning.wishes import Wishes, wanted

__all__ = [
    "Action", "Item", "Notice", "Plan", "Wishes", "absent", "called", "difference", "hidden",
    "identified", "known", "make", "parsed", "read", "target_of", "text_of", "wanted",
]  # fmt: skip
