"""What a server adds to the router: the names that clients may use, limits, and where answers run.
"""

import asyncio
import contextvars
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from llmrr.catalogue import Resolved
from llmrr.choosing.answering import Answer
from llmrr.choosing.several import together
from llmrr.config import Config
from llmrr.protocols.base import Answered, Asked
from llmrr.protocols.fields import BadField
from llmrr.router import Opened, Router
from llmrr.routing import Decision
from llmrr.server import aliases, callers, fixed, logs
from llmrr.server.aliases import ANY, AUTO
from llmrr.server.callers import Caller
from llmrr.server.counting import Metrics
from llmrr.server.days import Days
from llmrr.server.gates import Gates
from llmrr.server.kept_responses import KeptResponses
from llmrr.server.limits import Limits, limited
from llmrr.server.optimizing import Optimizing
from llmrr.server.queueing import Places, Queue
from llmrr.server.recent import Recent
from llmrr.server.refusals import Draining, QueueFull
from llmrr.server.running import Running
from llmrr.types import Request

T = TypeVar("T")

# A server takes more context than its first request needs, if it fits.
OPTIONS: Final[Mapping[str, object]] = {"at_least": 32768, "crowded": True}
AT_ONCE: Final = 512  # answers: each holds a thread, which mostly waits
NAMES_FRESH_S: Final = 1.0


class Service:
    """Answers what clients ask. Made and closed on any thread; the rest is for the event loop."""

    def __init__(self, router: Router) -> None:
        self.router = router.watch_backends().for_others().gather_runs()
        self.began = time.time()
        self.executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="answer")
        self.under_way: set[Running] = set()
        self.metrics = Metrics()
        self.is_draining = False
        self._began = router.config
        self._limits: tuple[Config, Limits, Gates] | None = None
        self.queue = Queue(lambda place: self.settings()[1].room(place))
        self.optimizing, self.days = Optimizing(router), Days(router)
        self.recent = Recent()
        self._names: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._named: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})

    # -- names ---------------------------------------------------------------------------------

    @property
    def aliases(self) -> Mapping[str, str]:
        """Names of the old system, for models of this one."""
        return aliases.of(self.router.config)

    def model_of(self, name: str | None, *, by_itself: bool = False) -> str | None:
        """The model, or the group, that a client's name means; None leaves it to the router. A
        request names what is configured or installed, never a file or an address. Raises
        ``NotFound``, ``by_itself`` also for a name that only a pattern stands for."""
        meant = name and (self.alias_of(name, by_itself=by_itself) or name)
        if not meant or meant == AUTO:
            return None
        if found := self._meant(meant):
            return found
        raise callers.no_model(name or meant)

    def resolved(self, name: str | None) -> Resolved:
        """The model that a client's name means; for ``auto`` the one that answers by default.
        Raises what ``model_of`` does."""
        model = self.model_of(name)
        found = self.router.resolve(model)
        if model is None:
            callers.require_default(found.name)
        return found

    def alias_of(self, name: str, *, by_itself: bool = False) -> str | None:
        """What a name of the old system stands for; a pattern is for names that mean nothing else
        here."""
        stated = self.named_aliases()
        found = stated.get(name) or stated.get(name.removesuffix(":latest"))
        if found is not None or name == AUTO or by_itself or len(stated) == len(self.aliases):
            return found
        return None if self._meant(name) else aliases.of_pattern(self.aliases, name)

    def named_aliases(self) -> Mapping[str, str]:
        """The aliases that are names."""
        stated = self.aliases
        if self._named[0] is not stated:
            named = {name: meant for name, meant in stated.items() if not name.endswith(ANY)}
            self._named = stated, named
        return self._named[1]

    def _meant(self, name: str) -> str | None:
        return aliases.meant(name, self.names())

    def names(self) -> frozenset[str]:
        """The names that mean a model to whoever asks, without ``auto`` and the aliases."""
        allowed = callers.current().rules.models
        names = self._names_here()
        return names.intersection(allowed) if allowed else names

    def _names_here(self) -> frozenset[str]:
        at, names = self._names
        if time.monotonic() - at > NAMES_FRESH_S or not names:
            installed = aliases.installed(self.router)
            names = frozenset(aliases.names(self.router.config, installed)) - {AUTO}
            self._names = time.monotonic(), names
        return names

    def changed(self) -> None:
        """Models have come or gone."""
        self._names = 0.0, frozenset()

    # -- answers -------------------------------------------------------------------------------

    def open(self, name: str | None, request: Request) -> Opened:
        """The model that would answer a request, loaded as it is for that; not on the loop. Raises
        what ``Router.run`` does before it answers."""
        model, asked = self.model_of(name), Asked(limited(request, self.limits), name)
        callers.visit().model = model or AUTO
        if self.router.chooses(model):
            decision = self.decide(asked)
            decision.require_winner()
            model = decision.chosen or decision.asked[0]
        else:
            self._choice(asked, model, callers.current())
        return self.router.open(model, options=OPTIONS)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do something that takes a while, on a thread of the answers, for whoever asks here."""
        here = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self.executor, here.run, work)

    async def metered(self, work: Callable[[], T], tokens: Callable[[T], int]) -> T:
        """The same for what counts as a request; ``tokens`` says how many it took."""
        caller, taken = callers.current(), 0
        self.require_open()
        caller.enter()
        try:
            found = await self.aside(work)
            taken = tokens(found)
            return found
        finally:
            caller.leave(taken)

    def start(self, asked: Asked, before: Callable[[], None] | None = None) -> Running:
        """Begin to answer, in turn, after what is to be done ``before``, on the same thread. Raises
        ``NotFound`` for a model that there is not, what is asked in too large a measure, and
        ``RateLimited`` where nothing more can wait."""
        limits, gates = self.settings()
        model = self.model_of(asked.model)
        requests = [limited(one, limits) for one in (asked.request, *asked.others)]
        units = sum(one.n for one in requests)
        visit, places = callers.visit(), gates.places(model)
        caller, visit.model = visit.caller, model or AUTO
        choice = self._choice(asked, model, caller)
        self.require_turn(places, units, limits)
        caller.enter()

        def begin(request: Request) -> Answer:
            answer = self.router.run(
                replace(request, whole=not asked.stream), model=model,
                options={**OPTIONS, **asked.options}, **choice,
            )  # fmt: skip
            answer.held, answer.in_pieces = not asked.stream, asked.stream
            return answer

        def begin_all() -> Answer:
            if before is not None:
                before()
            return together(begin, requests)

        running = Running(
            begin_all, self.executor, self.router.when_recorded, held=not asked.stream,
            timeout=limits.timeout,
        )  # fmt: skip
        self.under_way.add(running)
        running.done.add_done_callback(lambda _: self._ended(running, caller))
        logs.asked(running.id, asked)
        logs.left_out(running.id, asked)
        running.queued(self.queue, places, caller.name, units, gates.place)
        return running

    def require_open(self) -> None:
        """Raise ``Draining`` where the server is about to end."""
        if self.is_draining:
            raise Draining("the server is about to end", "ask again in a while")

    def require_turn(self, places: Places, units: int, limits: Limits) -> None:
        """Raise ``QueueFull`` where a request can neither begin nor wait."""
        self.require_open()
        queue = self.queue
        if queue.waiting >= limits.max_queue and queue.would_wait(places, units):
            after = queue.retry_after()
            raise QueueFull(
                f"{queue.waiting} requests wait already, as many as may",
                f"again in {after:.0f} s", retry_after=after,
            )  # fmt: skip

    def _choice(self, asked: Asked, model: str | None, caller: Caller) -> dict[str, Any]:
        """What is stated of the choice, with names that mean models here, and within what the
        caller may use: no other model answers in its place. Raises what ``model_of`` does."""
        found = {**asked.choice}
        for name in ("models", "fallback"):
            if found.get(name):
                found[name] = tuple(self.model_of(one) or one for one in found[name])
        if found.get("models") and model is not None:
            raise BadField("models", "model names one, and models those to choose among", '"auto"')
        if not caller.rules.models:
            return found
        if self.router.chooses(model):
            if not found.get("models") and model is None:
                found["models"] = tuple(sorted(self.names()))
        elif model is None:
            self.resolved(None)
        if not found.get("fallback"):
            found["fallback"] = False
        return found

    def decide(self, asked: Asked) -> Decision:
        """Which model a request would go to; nothing is run. Raises what ``model_of`` does."""
        model = self.model_of(asked.model)
        choice = self._choice(asked, model, callers.current())
        choice.pop("cache", None)
        return self.router.route(asked.request, model=model, options=OPTIONS, **choice)

    def _ended(self, running: Running, caller: Caller) -> None:
        self.under_way.discard(running)
        usage = running.answer.usage if running.answer else None
        caller.leave(usage.prompt_tokens + usage.completion_tokens if usage else 0)
        self.metrics.answer(running)
        logs.answered(running.id, running.answer)
        if running.began is not None:
            self.queue.took(time.monotonic() - running.began)

    @property
    def responses(self) -> KeptResponses:
        """The responses of whoever asks; for a thread of the answers."""
        seconds = cast("float | None", self.router.config.value("serve.keep_responses"))
        keeps_s = math.inf if seconds is None else seconds
        return KeptResponses(self.router.with_database, callers.current().name, keeps_s)

    # -- the configuration ---------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """What of ``[serve]`` holds now."""
        return self.settings()[0]

    def prepare(self) -> None:
        """Load what is to be loaded beforehand."""
        self.router.initialize(OPTIONS)

    def tick(self) -> None:
        """Once a second: look whether the configuration has changed, and whether something is due.
        """
        self.settings()
        self.optimizing.tick()
        self.days.tick()

    def reload(self) -> None:
        """Read the configuration again. One that cannot be used is told, and the one that held
        stays in use."""
        self.router.reload()

    def settings(self) -> tuple[Limits, Gates]:
        """What of the configuration is asked for at every request."""
        config = self.router.config
        if self._limits is None or self._limits[0] is not config:
            found = Limits(*(config.value(f"serve.{name}") for name in Limits._fields))  # type: ignore[arg-type]
            if self._limits is not None:
                for said in fixed.changed(self._began, self._limits[0], config):
                    logs.notice(said)
            logs.ask(bool(config.value("serve.log_requests")))
            self._limits = config, found, Gates(config)
        return self._limits[1:]

    def about(self, asked: Asked, running: Running) -> Answered:
        """Who answers."""
        answer = running.answer
        name = answer.model.name if answer else ""
        decision = answer.facts() if answer else None
        known = answer.prompt_tokens if answer else 0
        self.recent.note(running.id, running)
        named = asked.model or name or AUTO
        cache = answer.cache if answer else None
        created, entered = int(time.time()), running.entered
        return Answered(
            running.id, created, named, name, decision, known, cache, entered, asked.left_out
        )

    def close(self) -> None:
        """Stop what is under way, and free the models."""
        self.queue.close()
        for running in tuple(self.under_way):
            running.cancel()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.optimizing.wait()
        self.days.close()
        self.router.close()
