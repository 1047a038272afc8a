"""The server from its start to its end: what signals do to it, and how it ends.

SIGINT or SIGTERM once: nothing more is accepted, and what is under way may end within ``[serve]
drain``. Twice: at once. SIGHUP reads the configuration again.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import uvicorn

from llmrr.server.connection import Connection
from llmrr.server.front import Front
from llmrr.server.refusals import Draining
from llmrr.server.service import Service

LOOK_S: Final = 0.05  # between two looks whether the answers to runs have ended
SETTLE_S: Final = 2.0  # for what was stopped to say so
_TICKS: Final = 10  # of uvicorn, a second
_HEADERS: Final = [
    ("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin"),
]  # fmt: skip


class Server(uvicorn.Server):
    """A service that listens. ``ended_by`` is the signal that ended it, if any did; ``tell`` is
    told what its end waits for, and cuts; ``lent`` says how many answers it gives besides those
    over HTTP, which its end waits for too."""

    def __init__(
        self, service: Service, front: Front, ready: Callable[[], None], limits: Mapping[str, Any],
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._service, self._front, self._ready, self._tell = service, front, ready, tell
        self._drain = float(limits["timeout_graceful_shutdown"])
        self.ended_by: int | None = None
        self.lent: Callable[[], int] = int
        super().__init__(uvicorn.Config(
            front, loop="auto", http=Connection, ws="none", lifespan="off", log_config=None,
            access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=75,
            headers=_HEADERS, limit_concurrency=limits["limit_concurrency"],
            timeout_graceful_shutdown=self._drain + SETTLE_S,  # type: ignore[arg-type]
        ))  # fmt: skip

    @property
    def was_interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.ended_by == signal.SIGINT

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            self._service.tick()
            self._front.tick()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: Any = None) -> None:
        self._service.is_draining = True
        if (count := len(self._service.under_way) + self.lent()) and not self.force_exit:
            self._tell(waiting(count, self._drain))
        loop = asyncio.get_running_loop()
        timer, until = loop.call_later(self._drain, self._stop), loop.time() + self._drain
        try:
            await super().shutdown(sockets)
            if tasks := self.server_state.tasks:
                self._stop()
                await asyncio.wait(tuple(tasks), timeout=SETTLE_S)
            while self.lent() and not self.force_exit and loop.time() < until:
                await asyncio.sleep(LOOK_S)
            if left := self.lent():
                self._tell(stopped(left))
        finally:
            timer.cancel()
            self._hush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the second time, end."""
        self.ended_by, self._service.is_draining = sig, True
        self.force_exit = self.force_exit or self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's raises them again at the end, which kills the process before it has cleaned up.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        handlers: dict[int, Any] = {
            signal.SIGINT: self.handle_exit, signal.SIGTERM: self.handle_exit,
            signal.SIGHUP: lambda *_: loop.call_soon_threadsafe(self._service.reload),
        }  # fmt: skip
        before = {sig: signal.signal(sig, handler) for sig, handler in handlers.items()}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _hush(self) -> None:
        """What is cancelled from now on is no error, and uvicorn tells it as one."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

    def _stop(self) -> None:
        """Stop what has not ended, and tell who waits for it."""
        self._hush()
        left = tuple(self._service.under_way)
        if left:
            self._tell(stopped(len(left)))
        for running in left:
            running.cancel(Draining("the server ends", "ask again in a while"))


def waiting(count: int, seconds: float) -> str:
    """What the end of a server waits for, and how long.

    >>> waiting(1, 30.0)
    'ending: 1 answer under way, 30 seconds at most; Ctrl-C again cuts it'
    >>> waiting(2, 1.0)
    'ending: 2 answers under way, 1 second at most; Ctrl-C again cuts them'
    """
    which = "it" if count == 1 else "them"
    limit = f"{seconds:g} second{'' if seconds == 1 else 's'}"
    return f"ending: {_answers(count)} under way, {limit} at most; Ctrl-C again cuts {which}"


def stopped(count: int) -> str:
    """What the end of a server has cut.

    >>> stopped(1), stopped(2)
    ('1 answer is stopped', '2 answers are stopped')
    """
    return f"{_answers(count)} {'is' if count == 1 else 'are'} stopped"


def _answers(count: int) -> str:
    return f"{count} answer{'' if count == 1 else 's'}"
