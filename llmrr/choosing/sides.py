"""From a call to the two sides of a migration: what is decided for each, and how each begins."""

from dataclasses import fields

from llmrr.choosing.answering import Answer, Progress
from llmrr.choosing.dispatch import Call, Dispatch
from llmrr.choosing.host import Host
from llmrr.choosing.parallel import Parallel
from llmrr.choosing.selection import Selection
from llmrr.choosing.side import Asked, Side
from llmrr.choosing.starting import begun
from llmrr.choosing.wishes import Moment, Wish
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.routing import Decision
from llmrr.routing.sides import SidedDecision
from llmrr.sides import Sides
from llmrr.types import Request


def decide(
    selection: Selection, sides: Sides, request: Request, wish: Wish, moment: Moment
) -> SidedDecision:
    """The decision of the side that comes first, with that of the other one."""
    first, second = (selection.decide(request, one, moment) for one in _wishes(sides, wish))
    return _sided(sides, first, second)[0]


def ask(
    host: Host, sides: Sides, request: Request, wish: Wish, call: Call, moment: Moment,
    progress: Progress | None,
) -> Parallel:  # fmt: skip
    """Start answering. Raises why neither side can."""
    selection = call.setup.selection
    found = [selection.choose(request, one, moment) for one in _wishes(sides, wish)]
    for one in found:
        host.tell(one.notes)
    decisions = [one.decision for one in found if one.decision is not None]
    both = [
        _side(Dispatch(host, chosen._replace(decision=one), request, call), one, request,
              progress if one.then else None)
        for chosen, one in zip(found, _sided(sides, *decisions), strict=True)
    ]  # fmt: skip
    return Parallel(host, sides, request, call, *both)


def _wishes(sides: Sides, wish: Wish) -> list[Wish]:
    """What is wished of each side, in their order."""
    return [wish._replace(among=sides.names(side)) for side in sides.order]


def _sided(sides: Sides, *decisions: Decision) -> tuple[SidedDecision, SidedDecision]:
    """The decisions of both sides, in their order; the first knows the second."""
    own = [{one.name: getattr(it, one.name) for one in fields(Decision)} for it in decisions]
    first, second = sides.order
    then = SidedDecision(**own[1], side=second, mode=sides.mode)
    return SidedDecision(**own[0], side=first, mode=sides.mode, then=then), then


def _side(
    dispatch: Dispatch, decision: SidedDecision, request: Request, progress: Progress | None
) -> Side:
    def begin(asked: Asked) -> Answer:
        if not decision.asked:
            raise decision.refusal
        return begun(asked, request, decision, decision.asked, dispatch.config, progress)

    here = {one.name for one in dispatch.models.values() if one.provider in LOCAL_PROVIDERS}
    return Side(decision, Asked(dispatch), begin, takes_memory=bool(here & {*decision.asked}))
