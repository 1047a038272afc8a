"""From a call to the answer that it starts: the choice, one model or several, one side or two."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from llmrr.choosing.answering import Answer, Progress
from llmrr.choosing.dispatch import Call, Dispatch
from llmrr.choosing.host import Host
from llmrr.choosing.setup import Setup
from llmrr.choosing.wishes import Wish, require_answer
from llmrr.config import Config
from llmrr.routing import Decision
from llmrr.types import Request

if TYPE_CHECKING:
    from llmrr.choosing.ensemble import Members


def start(
    host: Host, request: Request, wish: Wish, call: Call, progress: Progress | None
) -> Answer:
    """Start answering. What goes wrong before the first token is recorded, unless llmrr itself
    refused, and raised where no other model is to be asked."""
    require_answer(wish)
    selection = call.setup.selection
    # Who has answered a conversation goes on with it, unless the call itself says how to choose.
    moment = host.moment(call.conversation if wish.strategy is None else None)
    if sides := selection.sides(wish):
        from llmrr.choosing.sides import ask

        return ask(host, sides, request, wish, call, moment, progress)
    chosen = selection.choose(request, wish, moment)
    host.tell(chosen.notes)
    dispatch = Dispatch(host, chosen, request, call)
    return begun(dispatch, request, chosen.decision, chosen.names, call.setup.config, progress)


def begun(
    asks: "Members", request: Request, decision: Decision | None, names: Sequence[str],
    config: Config, progress: Progress | None,
) -> Answer:  # fmt: skip
    """The answer of the first of these models that gives one, or of all of them together."""
    if decision is None or decision.strategy != "ensemble":
        return Answer(asks.attempts_of(asks, names, request), progress, decision)
    from llmrr.choosing.ensemble import Ensemble

    judge = cast("str | None", config.value("ensemble.judge"))
    return Ensemble(asks, request, decision, names, judge, progress)


def decided(host: Host, request: Request, wish: Wish, setup: Setup) -> Decision:
    """The decision that ``start`` would obey; nothing is run."""
    selection = setup.selection
    decision: Decision
    if sides := selection.sides(wish):
        from llmrr.choosing.sides import decide

        decision = decide(selection, sides, request, wish, host.moment())
    else:
        decision = selection.decide(request, wish, host.moment())
    host.tell(decision.flags.notes)
    return decision
