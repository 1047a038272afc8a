"""Answers that are given again: whether a request may have one, where it is looked for, and what of
an attempt that ended is kept.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from llmrr.catalogue import Resolved, place
from llmrr.choosing.attempts import Attempt, Ended
from llmrr.choosing.flights import Flights, Listener
from llmrr.errors import LlmrrError
from llmrr.routing.cache import Rules, Stated
from llmrr.types import Chunk, Request, Sampling

if TYPE_CHECKING:
    import sqlite3

    from llmrr.choosing.dispatch import Call, Host
    from llmrr.choosing.kept import Kept

    Work = Callable[[sqlite3.Connection], object]
    Run = Callable[[bool], Attempt]
    Complete = Callable[[Request, Resolved, Sampling], Request]

T = TypeVar("T")

_LOSS = "answers are not kept"


class Cache:
    """What the requests of one router share. Answers whose words may not be written to the disk
    are kept in memory, until the router is closed."""

    def __init__(self) -> None:
        self.flights = Flights()
        self.compares = True  # the model that compares prompts has not failed
        self.measured = False  # it was looked at
        self.samplings: dict[tuple[str, int, int, int], Sampling] = {}  # of files that were read
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def in_memory(self, work: "Callable[[sqlite3.Connection], T]", *, opens: bool) -> "T | None":
        """Use what is in memory; None where nothing is, unless this ``opens`` it."""
        with self._lock:
            if self._memory is None and opens:
                from llmrr import database

                self._memory = database.in_memory()
            return None if self._memory is None else work(self._memory)

    def close(self) -> None:
        """Forget what is in memory. Twice is allowed."""
        with self._lock:
            if self._memory is not None:
                self._memory.close()
            self._memory = None


@dataclass(slots=True)
class Wanted:
    """A request that may have been answered before; ``words`` and ``vector`` are of the comparison
    by meaning."""

    key: str
    request: Request
    family: str | None = None
    words: str = ""
    vector: list[float] = field(default_factory=list)


class Found(NamedTuple):
    """What an attempt that ended was: answered by the ``cache``, whether that ``looked_up``, and
    whether the run ``is_own``. ``work`` is what is to be written, ``done`` called after it."""

    cache: str | None = None
    looked_up: bool = False
    is_own: bool = True
    work: "Work | None" = None
    done: Callable[[], None] = lambda: None


class Replay:
    """An answer that was kept, as a stream."""

    notes: tuple[str, ...] = ()
    progress = (0, 0)
    context_size: int | None = None

    def __init__(self, kept: "Kept", cache: str) -> None:
        from llmrr.routing.cache import again

        self.key, self.cache = kept.key, cache
        self._rest = list(again(kept.answer))

    def __iter__(self) -> "Replay":
        return self

    def __next__(self) -> Chunk:
        if not self._rest:
            raise StopIteration
        return self._rest.pop(0)

    def ready(self, timeout: float) -> bool:
        """At once."""
        return True

    def cancel(self) -> None:
        """It is complete already."""

    def release(self) -> None:
        """No model is used."""


class Cached:
    """The cache as one request uses it."""

    def __init__(
        self, router: "Host", shared: Cache, call: "Call", flags: Stated, complete: "Complete"
    ) -> None:
        self._router, self._shared, self._call = router, shared, call
        self._complete = complete
        self.rules = rules_of(router, call.cache, flags)
        self._wanted: dict[str, Wanted] = {}

    def start(self, model: Resolved, request: Request, run: "Run") -> Attempt:
        """The answer that is kept, or that of the same request under way, or a run. Raises what
        ``run`` does."""
        wanted = self._want(model, request) if self.rules.enabled else None
        if wanted is None:
            return run(False)
        self._wanted[wanted.key] = wanted

        def begin(again: bool) -> Attempt:
            replay = self._look(wanted, model)
            return replay or run(again)

        listener = Listener(self._shared.flights, wanted.key, begin)
        return listener.attempt._replace(model=model)

    def ended(self, ended: Ended) -> Found:
        """What is to be noted of an attempt."""
        listener = ended.stream
        if not isinstance(listener, Listener):
            return Found()
        from llmrr.choosing import kept

        stream, cache = listener.flight.stream, listener.cache
        leads = listener.leads and stream is not None  # else its model was not even asked
        work: Work | None = None
        is_replay = isinstance(stream, Replay)
        keeps = not is_replay and ended.error is None and listener.flight.claim()
        if isinstance(stream, Replay):
            work = partial(kept.touch, key=stream.key)
            self._shared.in_memory(work, opens=False)
        elif keeps:
            work = self._keeping(listener)
        return Found(
            cache=cache.partition(" ")[0] if cache and ended.error is None else None,
            looked_up=True,
            is_own=leads and not is_replay,
            work=work,
            done=partial(listener.done, closes=keeps or is_replay),
        )

    def _want(self, model: Resolved, request: Request) -> Wanted | None:
        """The request by its key; None for one whose answer is not to be given again."""
        from llmrr.routing import cache

        stated = request.sampling.over(model.recipe.params)
        asked, is_remote = self.rules.is_asked_for, model.endpoint is not None
        unstated = stated.temperature is None and not is_remote
        if not asked and stated.seed is None and stated.temperature != 0 and not unstated:
            return None
        try:
            own = Sampling() if is_remote else self._author(place(model).path)
            whole = self._complete(request, model, own)
            if not asked and not cache.repeats(whole):
                return None
            about = self._about(model)
        except (LlmrrError, OSError):  # whoever runs it says what is wrong
            return None
        wanted = Wanted(cache.key(whole, about), whole)
        if self.rules.model is not None and self._shared.compares:
            self._name(wanted, about)
        return wanted

    def _author(self, path: Path) -> Sampling:
        """What the author of a model recommends."""
        from llmrr.choosing import infos

        stat = path.stat()
        state = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
        known = self._shared.samplings
        if path.is_dir():  # what is in it may have changed all the same
            return infos.inspect(path, self._router.with_database).sampling
        if state not in known:
            known[state] = infos.inspect(path, self._router.with_database).sampling
        return known[state]

    def _about(self, model: Resolved) -> Mapping[str, object]:
        from llmrr.choosing.identity import identity

        return identity(self._router.config, model, self._call.options, self._call.engine)

    def _look(self, wanted: Wanted, model: Resolved) -> Attempt | None:
        """What is kept for it."""
        from llmrr.choosing import kept

        ttl = self.rules.ttl
        if found := self._search(partial(kept.find, key=wanted.key, ttl=ttl)):
            return _replayed(found[0], model, "exact")
        family = wanted.family
        if family is None or not self._embed(wanted):
            return None
        near = self._search(partial(kept.nearest, family=family, vector=wanted.vector, ttl=ttl))
        score, one = max(near, default=(-1.0, None), key=itemgetter(0))
        if one is None or score < self.rules.threshold:
            return None
        return _replayed(one, model, f"semantic {score:.2f}")

    def _search(self, work: "Callable[[sqlite3.Connection], T | None]") -> "list[T]":
        """What is found in memory, then in the database."""
        private = self._shared.in_memory(work, opens=False)
        found = (private, self._router.with_database(work, _LOSS))
        return [one for one in found if one is not None]

    def _keeping(self, listener: Listener) -> "Work | None":
        """Keep the answer, if it is one to be given again."""
        from llmrr.choosing import kept
        from llmrr.routing import cache

        wanted, answer = self._wanted[listener.key], cache.merged(listener.flight.chunks)
        if not cache.is_whole(wanted.request, answer):
            return None
        engine = listener.attempt.engine
        one = kept.Kept(wanted.key, engine, answer, wanted.family, wanted.vector)
        work = partial(
            kept.keep, kept=one, ttl=self.rules.ttl, max_bytes=self.rules.max_bytes
        )
        if self._call.log and self._router.config.value("log_prompts"):
            return work
        self._shared.in_memory(work, opens=True)
        return None

    # -- by meaning ----------------------------------------------------------------------------

    def _name(self, wanted: Wanted, about: Mapping[str, object]) -> None:
        """Note which requests it may be compared with."""
        from llmrr.choosing.identity import identity
        from llmrr.routing import cache

        try:
            model = self._router.catalogue.for_running(self._router._found(self.rules.model, None))
            measure = identity(self._router.config, model, {}, None)
            if not self._shared.measured:
                self._judge(model)
        except (LlmrrError, OSError) as error:
            return self._fail(error)
        if found := cache.family(wanted.request, about, measure):
            wanted.family, wanted.words = found

    def _judge(self, model: Resolved) -> None:
        """Warn once of a model that was not made to tell texts apart."""
        from llmrr.choosing import infos

        self._shared.measured = True
        if model.endpoint is None and not infos.inspect(
            place(model).path, self._router.with_database
        ).pooling:
            self._router._warn(
                f"[cache] semantic: {model.name} is no embedding model, and may take different "
                "questions for the same one"
            )

    def _embed(self, wanted: Wanted) -> bool:
        from llmrr.routing import cache

        try:
            (vector,) = self._router.embed([wanted.words], model=self.rules.model)
            wanted.vector = cache.unit(vector)
            return True
        except (LlmrrError, OSError) as error:
            self._fail(error)
            wanted.family = None
            return False

    def _fail(self, error: Exception) -> None:
        """One warning; from then on it is as if nothing were configured."""
        if self._shared.compares:
            self._shared.compares = False
            said = error.message if isinstance(error, LlmrrError) else str(error)
            self._router._warn(
                f"prompts are not compared by their meaning: {self.rules.model} failed ({said})"
            )


def rules_of(router: "Host", stated: Stated, flags: Stated = None) -> Rules:
    """``[cache]``, with what flags and the call say of it. Raises ``UsageError``."""
    value = router.config.value
    configured = Rules(
        enabled=value("cache.enabled"),  # type: ignore[arg-type]
        ttl=value("cache.ttl"),  # type: ignore[arg-type]
        max_bytes=value("cache.max_bytes"),  # type: ignore[arg-type]
        model=value("cache.semantic.model"),  # type: ignore[arg-type]
        threshold=value("cache.semantic.threshold"),  # type: ignore[arg-type]
    )
    if stated is None and flags is None:
        return configured
    from llmrr.routing import cache

    below = cache.rules(flags, configured)._replace(is_asked_for=False)
    return cache.rules(stated, below)


def _replayed(kept: "Kept", model: Resolved, cache: str) -> Attempt:
    replay = Replay(kept, cache)
    return Attempt(replay, model, kept.engine, "its answer was kept", replay)
