"""What a server adds to the router: the names that clients may use, and where answers run."""

import asyncio
import contextvars
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from llmrr.catalogue import BUILTIN
from llmrr.choosing.answering import Answer
from llmrr.choosing.several import together
from llmrr.errors import NotFound
from llmrr.protocols.base import Answered, Asked
from llmrr.protocols.fields import BadField
from llmrr.router import Opened, Router
from llmrr.routing import Decision
from llmrr.server.kept_responses import KeptResponses
from llmrr.server.running import Running
from llmrr.types import Request

T = TypeVar("T")

AUTO: Final = "auto"  # leaves the choice to the router
# A server takes more context than its first request needs, if it fits.
OPTIONS: Final[Mapping[str, object]] = {"at_least": 32768}
AT_ONCE: Final = 512  # answers: each holds a thread, which mostly waits
NAMES_FRESH_S: Final = 1.0


class Service:
    """Answers what clients ask. ``aliases`` are names of the old system, for models of this one.
    Made and closed on any thread; the rest is for the event loop."""

    def __init__(self, router: Router, aliases: Mapping[str, str] | None = None) -> None:
        self.router, self.aliases = router, dict(aliases or {})
        self.began = time.time()
        self.executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="answer")
        self.under_way: set[Running] = set()
        self.responses = KeptResponses()
        self._names: tuple[float, frozenset[str]] = (0.0, frozenset())

    # -- names ---------------------------------------------------------------------------------

    def model_of(self, name: str | None) -> str | None:
        """The model, or the group, that a client's name means; None leaves it to the router. A
        request names what is configured or installed, never a file or an address. Raises
        ``NotFound``."""
        plain = (name or "").removesuffix(":latest")
        name = self.aliases.get(name or "") or self.aliases.get(plain, name)
        names = self.names()
        if name in names:
            return name
        if not name or name == AUTO:
            return None
        if f"{name}:latest" in names:
            return f"{name}:latest"
        if name.removesuffix(":latest") in names:
            return name.removesuffix(":latest")
        raise NotFound(f'there is no model "{name}" here', "GET /v1/models lists them")

    def names(self) -> frozenset[str]:
        """The names that mean a model, without ``auto`` and the aliases."""
        at, names = self._names
        if time.monotonic() - at > NAMES_FRESH_S or not names:
            names = frozenset(self._all_names())
            self._names = time.monotonic(), names
        return names

    def changed(self) -> None:
        """Models have come or gone."""
        self._names = 0.0, frozenset()

    def _all_names(self) -> Iterator[str]:
        for model in self.router.config.models:
            yield model.name
            if model.group is not None:
                yield model.group
        for entry in self.router.catalogue.entries():
            yield entry.label
        yield BUILTIN

    # -- answers -------------------------------------------------------------------------------

    def open(
        self, name: str | None, request: Request, stated: Mapping[str, object] | None = None
    ) -> Opened:
        """The model that would answer a request, loaded as it is for that; not on the loop. Raises
        what ``Router.run`` does before it answers."""
        model, options = self.model_of(name), {**OPTIONS, **(stated or {})}
        if self.router.chooses(model):
            model = self.router.route(request, model=model, options=options).chosen
        return self.router.open(model, options=options)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do something that takes a while, on a thread of the answers, for whoever asks here."""
        here = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self.executor, here.run, work)

    def start(self, asked: Asked) -> Running:
        """Begin to answer. Raises ``NotFound`` for a model that there is not."""
        model, choice = self.model_of(asked.model), self._choice(asked)

        def begin(request: Request) -> Answer:
            answer = self.router.run(
                request, model=model, options={**OPTIONS, **asked.options}, **choice
            )
            answer.held = not asked.stream
            return answer

        requests = (asked.request, *asked.others)
        running = Running(
            lambda: together(begin, requests), self.executor, held=not asked.stream
        )
        self.under_way.add(running)
        running.done.add_done_callback(lambda _: self.under_way.discard(running))
        return running

    def _choice(self, asked: Asked) -> dict[str, Any]:
        """What is stated of the choice, with names that mean models here. Raises what ``model_of``
        does."""
        found = {**asked.choice}
        for name in ("models", "fallback"):
            if found.get(name):
                found[name] = tuple(self.model_of(one) or one for one in found[name])
        if found.get("models") and self.model_of(asked.model) is not None:
            raise BadField("models", "model names one, and models those to choose among", '"auto"')
        return found

    def decide(self, asked: Asked) -> Decision:
        """Which model a request would go to; nothing is run. Raises what ``model_of`` does."""
        choice = self._choice(asked)
        choice.pop("cache", None)
        model = self.model_of(asked.model)
        return self.router.route(asked.request, model=model, options=OPTIONS, **choice)

    def about(self, asked: Asked, running: Running) -> Answered:
        """Who answers."""
        answer = running.answer
        name = answer.model.name if answer else ""
        decision = answer.facts() if answer else None
        known = answer.attempt.stream.progress[1] if answer else 0
        if answer is not None and answer.usage is not None:  # it has ended, or was kept
            known = answer.usage.prompt_tokens
        return Answered(
            uuid.uuid4().hex, int(time.time()), asked.model or name or AUTO, name, decision, known
        )

    def close(self) -> None:
        """Stop what is under way, and free the models."""
        for running in tuple(self.under_way):
            running.cancel()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.router.close()
