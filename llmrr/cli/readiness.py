"""Before a model is used on a terminal: one that could be fetched, or must be converted first, is
offered."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from llmrr.cli import offers, output
from llmrr.errors import LlmrrError
from llmrr.types import Format

if TYPE_CHECKING:
    from llmrr.catalogue import Resolved
    from llmrr.cli.converting import Planned
    from llmrr.router import Router

# What is offered, the finest first, and from which share of the memory on it is too large.
OFFERED: Final = ("q8_0", "Q4_K_M")
SHARE: Final = 0.7


def require(router: "Router", name: str | None) -> None:
    """See to it that a model is here in a format that runs. Raises ``LlmrrError`` when the answer
    is no, and what ``resolve`` and ``convert`` do. Where nobody can be asked, whoever uses the name
    finds out, and one of several is chosen among those that are ready."""
    if router.chooses(name):
        return
    offers.require(router, name)
    if not output.can_ask():
        return
    found = router.resolve(name)
    if router.config.untrusted(found.name):
        _agree(router, found.name)
    if router.catalogue.needs_conversion(found) and not router.catalogue.conversion(found):
        _offer(router, found)


def _agree(router: "Router", name: str) -> None:
    from llmrr import config, trust

    model = router.config.model(name)
    assert model is not None
    content, said = config.agreements(model.file)
    output.notes(f"{one} ({model.file})" for one in said)
    if not output.confirm("Is that file yours, or do you trust it?", default=False):
        raise LlmrrError("nothing was sent", "llmrr config trust")
    trust.trust(model.file, content)


def _offer(router: "Router", found: "Resolved") -> None:
    from llmrr import hardware
    from llmrr.cli import converting
    from llmrr.cli.layout import size

    asked = converting.Asked(str(found.path), str(Format.GGUF))
    plans = [converting.planned(router, replace(asked, quant=quant)) for quant in OFFERED]
    room = hardware.probe().memory.available_bytes
    chosen = next((one for one in plans if _fits(one, room)), plans[-1])
    result = size(chosen.steps[-1].bytes) or "?"
    output.note(
        f"{found.name} has a format that no engine here runs; as GGUF"
        f" ({chosen.steps[-1].quant}) it takes {result}"
    )
    if not output.confirm("Convert it now?", default=True):
        raise LlmrrError("nothing was converted", f"llmrr convert {found.path} --to gguf")
    done = converting.carry_out(router, chosen, replace(asked, yes=True))
    output.note(f"installed as {done['name']}, checked against its source")


def _fits(plan: "Planned", room: int | None) -> bool:
    needed = plan.steps[-1].bytes
    return room is None or needed is None or needed < SHARE * room
