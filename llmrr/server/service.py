"""What a server adds to the router: the names that clients may use, and where answers run."""

import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from llmrr.catalogue import BUILTIN
from llmrr.choosing.answering import Answer
from llmrr.errors import NotFound
from llmrr.protocols.base import Answered, Asked
from llmrr.router import Router
from llmrr.server.running import Running

AUTO: Final = "auto"  # leaves the choice to the router
# A server takes more context than its first request needs, if it fits.
CONTEXT_AT_LEAST: Final = 32768
AT_ONCE: Final = 512  # answers: each holds a thread, which mostly waits
NAMES_FRESH_S: Final = 1.0


class Service:
    """Answers what clients ask. ``aliases`` are names of the old system, for models of this one.
    Made and closed on any thread; the rest is for the event loop."""

    def __init__(self, router: Router, aliases: Mapping[str, str] | None = None) -> None:
        self.router, self.aliases = router.watch_backends(), dict(aliases or {})
        self.began = time.time()
        self.executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="answer")
        self.under_way: set[Running] = set()
        self._names: tuple[float, frozenset[str]] = (0.0, frozenset())

    # -- names ---------------------------------------------------------------------------------

    def model_of(self, name: str | None) -> str | None:
        """The model, or the group, that a client's name means; None leaves it to the router. A
        request names what is configured or installed, never a file or an address. Raises
        ``NotFound``."""
        name = self.aliases.get(name or "", name)
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

    def _all_names(self) -> Iterator[str]:
        for model in self.router.config.models:
            yield model.name
            if model.group is not None:
                yield model.group
        for entry in self.router.catalogue.entries():
            yield entry.label
        yield BUILTIN

    # -- answers -------------------------------------------------------------------------------

    def start(self, asked: Asked) -> Running:
        """Begin to answer. Raises ``NotFound`` for a model that there is not."""
        model = self.model_of(asked.model)

        def begin() -> Answer:
            answer = self.router.run(
                asked.request, model=model, options={"at_least": CONTEXT_AT_LEAST}, **asked.choice
            )
            answer.held = not asked.stream
            return answer

        running = Running(begin, self.executor, held=not asked.stream)
        self.under_way.add(running)
        running.done.add_done_callback(lambda _: self.under_way.discard(running))
        return running

    def about(self, asked: Asked, running: Running) -> Answered:
        """Who answers."""
        answer = running.answer
        name = answer.model.name if answer else ""
        decision = answer.facts() if answer else None
        return Answered(
            uuid.uuid4().hex, int(time.time()), asked.model or name or AUTO, name, decision
        )

    def close(self) -> None:
        """Stop what is under way, and free the models."""
        for running in tuple(self.under_way):
            running.cancel()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.router.close()
