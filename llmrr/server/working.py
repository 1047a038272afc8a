"""What is done with a model, in its turn, beside answers: vectors."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect

from llmrr.protocols.fields import BadField
from llmrr.server import callers
from llmrr.server.aliases import AUTO
from llmrr.server.queueing import Ticket
from llmrr.server.running import too_slow
from llmrr.server.service import Service

T = TypeVar("T")


async def in_turn(
    service: Service, name: str | None, units: int,
    do: Callable[[str | None, Callable[[], bool]], T], tokens: Callable[[T], int],
) -> T:  # fmt: skip
    """Do something with a model of that name, on a thread, with what says whether nobody waits for
    it any more; ``tokens`` says what it took. Raises as ``Service.start`` does, and what it raises.
    """
    model, visit = service.model_of(name), callers.visit()
    if model is None and visit.caller.rules.models:
        raise BadField("model", "model is missing: this key has models of its own")
    limits, gates = service.settings()
    places, caller = gates.places(model), visit.caller
    service.require_turn(places, units, limits)
    caller.enter()
    visit.model, turn = model or AUTO, _Turn()
    turn.ticket = service.queue.enter(places, caller.name, units, turn.come)
    took = 0
    try:
        async with asyncio.timeout(limits.timeout):
            found = await turn.use(service, lambda: do(model, turn.left.is_set))
        took = tokens(found)
        return found
    except TimeoutError:
        raise too_slow(limits.timeout) from None
    finally:
        turn.end()
        caller.leave(took)


class _Turn:
    """A place in the queue, and what is done when it has come to that; ``left`` is set where nobody
    waits for it any more."""

    ticket: Ticket

    def __init__(self) -> None:
        self.left = threading.Event()
        self._came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_used = False

    def come(self) -> None:
        """It is the turn of this one."""
        if not self._came.done():  # who waited may have given up just now
            self._came.set_result(None)

    async def use(self, service: Service, work: Callable[[], T]) -> T:
        """Wait for it, and do something; its place is free after that, whether somebody still waits
        or not."""

        def do() -> T:
            try:
                return work()
            except KeyboardInterrupt:  # it would end the loop
                raise ClientDisconnect from None
            finally:
                service.router.flush()

        await self._came
        working = asyncio.ensure_future(service.aside(do))
        self._is_used = True
        working.add_done_callback(self._used)
        return await asyncio.shield(working)

    def end(self) -> None:
        """Nobody waits any more."""
        self.left.set()
        if not self._is_used:
            self.ticket.leave()

    def _used(self, done: "asyncio.Future[T]") -> None:
        self.ticket.leave()
        if not done.cancelled():
            done.exception()  # else asyncio tells of one that nobody has heard
