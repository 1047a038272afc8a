"""What a migration would do, as data, and how it is made from what was found."""

from llmrr.migrate.artefact import Notice
from llmrr.migrate.planning.data import Action, Item, Plan, identified, parsed, read, text_of
from llmrr.migrate.planning.making import absent, difference, make, target_of
from llmrr.migrate.planning.wishes import Wishes

__all__ = [
    "Action", "Item", "Notice", "Plan", "Wishes", "absent", "difference", "identified", "make",
    "parsed", "read", "target_of", "text_of",
]  # fmt: skip
