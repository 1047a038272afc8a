"""Which model a request goes to, and why not the others: ``route(needs, candidates, state)``.

Pure: no clock, no counter, no randomness of its own; all of that is in ``state``. Nothing here
depends on the order in which the candidates come.
"""

from llmrr.routing.candidate import Candidate, Health, Needs, State
from llmrr.routing.decision import Decision, Scored, route
from llmrr.routing.rejection import Rejected

__all__ = ["Candidate", "Decision", "Health", "Needs", "Rejected", "Scored", "State", "route"]
