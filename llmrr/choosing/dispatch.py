"""One request on its way through the models that were chosen for it: let through, loaded, asked,
recorded."""

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from llmrr.catalogue import Resolved
from llmrr.choosing import ending, pictures
from llmrr.choosing.attempts import Asks, Attempt, Attempts, Ended, without_begun
from llmrr.choosing.budgeting import candidate_of, cost_of
from llmrr.choosing.cached import Cached
from llmrr.choosing.host import Host
from llmrr.choosing.opening import completed
from llmrr.choosing.profiles import key_of
from llmrr.choosing.purse import Reserved
from llmrr.choosing.refusals import Refusals
from llmrr.choosing.selection import Chosen
from llmrr.choosing.setup import Setup
from llmrr.choosing.wishes import needs_of
from llmrr.config import ConfiguredModel
from llmrr.engines.chunks import joined
from llmrr.errors import LlmrrError, OverBudget, UsageError
from llmrr.pool import Lease
from llmrr.routing.cache import Stated
from llmrr.routing.candidate import UNKNOWN, Health
from llmrr.types import Request, Usage

if TYPE_CHECKING:
    import sqlite3


CLOSED_S: Final = 0.05  # how late a breaker that another process has opened may be seen


class Call(NamedTuple):
    """What ``Router.run`` is told besides the request and the choice, and the ``setup`` that holds
    for it."""

    setup: Setup
    options: Mapping[str, object]
    engine: str | None
    conversation: str | None
    log: bool
    deadline: float | None
    cache: Stated = None


class Dispatch:
    """One request on its way through the models that were chosen for it."""

    def __init__(self, host: Host, chosen: Chosen, request: Request, call: Call) -> None:
        self.host, self.chosen, self.request, self.call = host, chosen, request, call
        self.setup, self.config = call.setup, call.setup.config
        self.models = _models(call.setup, call.options.get("base_url"))
        self.cid = call.conversation or _new_conversation(time.time())
        now, whole = time.monotonic(), self._whole(chosen.names)
        seconds = whole if call.deadline is None else call.deadline
        self.deadline = None if seconds is None else now + seconds
        # Who states a shorter one stops the answer himself: a provider is not to blame for it.
        self.ends = None if whole is None else now + max(whole, call.deadline or 0.0)
        self.under_way = chosen.under_way
        self.closings = host.pool.closings
        self.reserved: dict[str, list[Reserved]] = {}  # of what is under way, by model
        self.cost: float | None = None  # dollars of all that was asked
        self.cached = Cached(host, call, chosen.flags.cache)
        self.refusals = Refusals()

    def attempts_of(self, asks: Asks, names: Sequence[str], request: Request) -> Attempts:
        """Some models that are asked in turn; ``asks`` is told of it."""
        return Attempts(
            asks, request, names, self.setup.retry,
            seed=random.getrandbits(64), deadline=self.deadline,
            contexts={one.name: one.context for one in self.chosen.candidates},
            limits=self._limits(names),
            resumes=self.setup.resumes,
            is_away=self._is_away,
        )  # fmt: skip

    def _is_away(self, name: str) -> bool:
        """Whether the server behind a model is known to be down."""
        model = self.models.get(name)
        return model is not None and name in self.host.backends.down([model])

    def _limits(self, names: Sequence[str]) -> dict[str, int]:
        """How often models are asked, where ``max_retries`` of theirs or of the call says it."""
        known = (self.models[name] for name in names if name in self.models)
        found = {one.name: one.options.get("max_retries") for one in known}
        if (stated := self.call.options.get("max_retries")) is not None:
            found = dict.fromkeys(names, stated)
        return {name: 1 + retries for name, retries in found.items() if isinstance(retries, int)}

    def _whole(self, names: Sequence[str]) -> float | None:
        """Seconds for all attempts together: ``[timeouts] total``, or the longest ``timeout`` of
        these models where that is longer; in place of both, that of the call."""
        if isinstance(stated := self.call.options.get("timeout"), int | float):
            return stated
        total = cast("float | None", self.config.value("timeouts.total"))
        models = (self.models[name] for name in names if name in self.models)
        own = [cast("float | None", one.options.get("timeout")) for one in models]
        return None if total is None else max(total, *(one or 0.0 for one in own), 0.0)

    def claim(self, name: str) -> None:
        """Let the request through to a model. Raises ``BreakerOpen``.
        """
        if name not in self.models:
            return
        from llmrr.choosing import health

        model = self.models[name]
        if away := self.host.backends.down([model]).get(name):
            self.finish()
            raise away
        decision, key = self.chosen.decision, key_of(model)
        strategy = decision.strategy if decision else None
        counts = strategy in ("round-robin", "least-loaded")
        if not counts and time.monotonic() < self.host.closed.get(key, 0.0):
            return
        rules = self.setup.breaker

        def work(connection: "sqlite3.Connection") -> LlmrrError | None:
            if health.is_closed(connection, key):
                self.host.closed[key] = time.monotonic() + CLOSED_S
            elif not health.claim(connection, key, rules):
                self.finish()
                return health.refusal(connection, name, key, rules)
            if decision and strategy == "round-robin" and name != decision.chosen:
                health.chosen(connection, key)
            if strategy == "least-loaded" and self.under_way is None:
                self.under_way = health.begin(connection, key)
            return None

        if refusal := self.host.with_database(work, "how models have been doing is not known"):
            raise refusal

    def resolve(self, name: str) -> Resolved:
        """The model of that name, as an engine here runs it; the empty name is the default."""
        found = self.setup.catalogue.wanted(name or None, self.call.engine)
        found = self.setup.catalogue.for_running(found)
        decision = self.chosen.decision
        if decision is not None and name == decision.chosen:
            return replace(found, stated=False, why=decision.summary)
        return found

    def start(self, model: Resolved, request: Request) -> Attempt:
        """Load the model and begin, or take the answer that there is. Raises what goes wrong."""
        if self.closings != self.host.pool.closings:  # nobody wants its answer any more
            raise UsageError("the router was closed before the answer came", "close it last")
        pictures.require(model, request, self.call.options, self.call.engine)
        return self.cached.start(model, request, lambda again: self._run(model, request, again))

    def _run(self, model: Resolved, request: Request, again: bool) -> Attempt:
        """Have the model answer; ``again`` where somebody else's run of the same failed meanwhile.
        """
        if again:
            self.claim(model.name)
        self.reserve(model)
        lease = self.open(model)
        try:
            loaded, picked = lease.model, lease.about
            request = completed(request, model, loaded.info.sampling, self.ends)
            if model.endpoint is not None:
                request = without_begun(request)
            stream = loaded.generate(request)
        except BaseException:
            lease.release()
            raise
        size = cast(int, self.config.value("streaming.chunk_size"))
        runs = "; on ".join(filter(None, (picked.why, loaded.where)))
        return Attempt(joined(stream, size), model, picked.engine.name, runs, lease)

    def reserve(self, model: Resolved) -> None:
        """Hold back what its budgets may lose to this request until it is recorded. Raises
        ``OverBudget``, and then the model is not asked."""
        if not self.host.budgeting.are_set:
            return
        decision = self.chosen.decision
        known = (one for one in self.chosen.candidates if one.name == model.name)
        candidate = next(known, None) or candidate_of(self.config, model)
        needs = decision.needs if decision else needs_of(self.request)
        try:
            reserved = self.host.budgeting.reserve(candidate, needs, self._health(model.name))
        except OverBudget:
            self.finish()
            self._let_go(model.name)
            raise
        if reserved is not None:
            self.reserved.setdefault(model.name, []).append(reserved)

    def open(self, model: Resolved) -> Lease:
        """The model, loaded."""
        options = self.call.options
        if model.endpoint is not None:  # how often it is asked is counted here
            options = {**options, "max_retries": 0}
        return self.host.open(model, options, self.call.engine, self.setup, self.deadline)

    def record(self, ended: Ended) -> None:
        """Write down how an attempt ended, and what that says of the model."""
        self.keep(ended, is_said=True)

    def keep(
        self, ended: Ended, *, is_said: bool, is_answer: bool = True, was_asked: bool | None = None
    ) -> None:
        """``record``; what is not ``is_said`` is no turn of the conversation, and what is no answer
        does not make the model the one that was used last. Of a model that was not asked nothing
        is written down; without ``was_asked`` it is told from how it ended."""
        self.finish()
        model = ended.model
        if model is None:
            return
        if not (ending.was_asked(ended) if was_asked is None else was_asked):
            self._let_go(ended.name)
            self._release(model.name)
            return
        if ended.error is None and is_said and self.call.conversation is not None:
            self.host.kept[self.call.conversation] = ended.name
        found = self.cached.ended(ended)
        if found.cache is not None or (ended.error is not None and not found.is_own):
            ended = replace(ended, usage=None)  # it took nothing, whatever that run did
        cost = 0.0 if found.cache is not None else cost_of(self.config, model, ended.usage)
        if cost is not None:
            self.cost = cost + (self.cost or 0.0)
        cid, rules = self.cid if is_said else None, self.setup.breaker
        run = ending.run_of(
            self.request, ended, model, cid, cost, cache=found.cache, looked_up=found.looked_up
        )
        about = ending.outcome(self.models.get(ended.name), ended, rules, is_own=found.is_own)
        outcome = ending.both(about, found.work)
        refused = self.refusals.failures(ended)
        if refused or ended.error is not None:
            self.host.closed.clear()
        for name, said in refused.items():
            failure = ending.refused(self.models.get(name), said, rules)
            outcome = ending.both(outcome, failure)
        label = model.label if is_answer else None
        if ended.name in self.models:
            self.host.backends.failed(self.models[ended.name], ended.error)

        def done() -> None:
            self._release(model.name, ended.usage)
            found.done()

        self.host.note(run, self.call.log, label, self.config, outcome, done)

    def _let_go(self, name: str) -> None:
        """Another request may try the model."""
        if (model := self.models.get(name)) is None:
            return
        from llmrr.choosing import health

        loss = "how models have been doing is not known"
        self.host.with_database(lambda one: health.release(one, key_of(model)), loss)

    def _release(self, name: str, usage: Usage | None = None) -> None:
        """Hold nothing back any more for one request to a model."""
        if self.reserved.get(name):
            self.host.budgeting.release(self.reserved[name].pop(), usage)

    def warn(self, text: str) -> None:
        """Tell the user."""
        self.host.warn(text)

    def _health(self, name: str) -> Health:
        """How a model has been doing, as far as it is known."""
        decision = self.chosen.decision
        if decision is not None and name in decision.state.health:
            return decision.state.health[name]
        models = [self.models[name]] if name in self.models else []
        return self.setup.selection.profiles.health(models).get(name, UNKNOWN)

    def __del__(self) -> None:
        with suppress(Exception):  # an answer that nobody heard to its end is no load
            self.finish()

    def finish(self) -> None:
        """No request of it is under way any more, whatever was noted when it was chosen."""
        number, self.under_way = self.under_way, None
        if number is None:
            return
        from llmrr.choosing import health

        loss = "how many requests are under way is not known"
        self.host.with_database(lambda connection: health.finish(connection, number), loss)


def _models(setup: Setup, base_url: object) -> Mapping[str, ConfiguredModel]:
    """The ``[[models]]`` by name, at the address that the call states for them."""
    if not base_url:
        return setup.models
    return {
        name: one._replace(options={**one.options, "base_url": base_url})
        for name, one in setup.models.items()
    }


def _new_conversation(began: float) -> str:
    return f"{_second(int(began))}-{random.getrandbits(32):08x}"


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(at))
