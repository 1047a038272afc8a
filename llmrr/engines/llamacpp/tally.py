"""What was computed since a model was loaded."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts of tokens, which only grow: one thread adds, any may look."""

    read: int = 0  # of prompts
    cached: int = 0  # of prompts, taken over and not computed
    generated: int = 0
    drafted: int = 0  # guessed
    accepted: int = 0  # of those, right
