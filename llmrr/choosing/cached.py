"""Answers that are given again: whether a request may have one, where it is looked for, and what of
an attempt that ended is kept.
"""

from collections.abc import Callable, Mapping
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from llmrr.catalogue import Resolved, place
from llmrr.choosing.attempts import Attempt, Ended
from llmrr.choosing.host import Host
from llmrr.choosing.listening import Listener
from llmrr.choosing.lookup import Replay, Wanted
from llmrr.choosing.meaning import Meaning
from llmrr.choosing.opening import completed
from llmrr.config import Config
from llmrr.errors import LlmrrError
from llmrr.routing.cache import Rules, Stated
from llmrr.types import Request, Sampling

if TYPE_CHECKING:
    import sqlite3

    from llmrr.choosing.dispatch import Call
    from llmrr.choosing.kept import Kept

    Work = Callable[[sqlite3.Connection], object]
    Run = Callable[[bool], Attempt]

T = TypeVar("T")

_LOSS = "nothing is recorded, and no answer kept"


class Found(NamedTuple):
    """What an attempt that ended was: answered by the ``cache``, whether that ``looked_up``, and
    whether the run ``is_own``. ``work`` is what is to be written, ``done`` called after it."""

    cache: str | None = None
    looked_up: bool = False
    is_own: bool = True
    work: "Work | None" = None
    done: Callable[[], None] = lambda: None


class Cached:
    """The cache as one request uses it."""

    def __init__(self, host: Host, call: "Call", flags: Stated) -> None:
        self._host, self._shared, self._call = host, host.cache, call
        self.rules = rules_of(call.setup.config, call.cache, flags)
        model = self.rules.model
        self._meaning = None if model is None else Meaning(host, call.setup, model)

    def start(self, model: Resolved, request: Request, run: "Run") -> Attempt:
        """The answer that is kept, or that of the same request under way, or a run. Raises what
        ``run`` does."""
        wanted = self._want(model, request) if self.rules.enabled else None
        if wanted is None:
            return run(False)

        def begin(again: bool) -> Attempt:
            replay = self._look(wanted, model)
            return replay or run(again)

        listener = Listener(self._shared.flights, wanted.key, begin, wanted)
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
            whole = completed(request, model, own)
            if not asked and not cache.repeats(whole):
                return None
            about = self._about(model)
        except (LlmrrError, OSError):  # whoever runs it says what is wrong
            return None
        wanted = Wanted(cache.key(whole, about), whole)
        if self._meaning is not None:
            self._meaning.name(wanted, about)
        return wanted

    def _author(self, path: Path) -> Sampling:
        """What the author of a model recommends."""
        from llmrr.choosing import infos

        stat = path.stat()
        state = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
        known = self._shared.samplings

        def use(work: "Callable[[sqlite3.Connection], Any]", _loss: str) -> Any:
            return self._host.with_database(work, _LOSS)

        if path.is_dir():  # what is in it may have changed all the same
            return infos.inspect(path, use).sampling
        if state not in known:
            known[state] = infos.inspect(path, use).sampling
        return known[state]

    def _about(self, model: Resolved) -> Mapping[str, object]:
        from llmrr.choosing.identity import identity

        return identity(self._call.setup.config, model, self._call.options, self._call.engine)

    def _look(self, wanted: Wanted, model: Resolved) -> Attempt | None:
        """What is kept for it."""
        from llmrr.choosing import kept

        ttl = self.rules.ttl
        if found := self._search(partial(kept.find, key=wanted.key, ttl=ttl)):
            return _replayed(found[0], model, "exact")
        family = wanted.family
        if family is None or self._meaning is None or not self._meaning.embed(wanted):
            return None
        near = self._search(partial(kept.nearest, family=family, vector=wanted.vector, ttl=ttl))
        score, one = max(near, default=(-1.0, None), key=itemgetter(0))
        if one is None or score < self.rules.threshold:
            return None
        return _replayed(one, model, f"semantic {score:.2f}")

    def _search(self, work: "Callable[[sqlite3.Connection], T | None]") -> "list[T]":
        """What is found in memory, then in the database."""
        private = self._shared.in_memory(work, opens=False)
        found = (private, self._host.with_database(work, _LOSS))
        return [one for one in found if one is not None]

    def _keeping(self, listener: Listener) -> "Work | None":
        """Keep the answer, if it is one to be given again."""
        from llmrr.choosing import kept
        from llmrr.routing import cache

        wanted, answer = listener.flight.about, cache.merged(listener.flight.chunks)
        assert isinstance(wanted, Wanted)
        if not cache.is_whole(wanted.request, answer):
            return None
        engine = listener.attempt.engine
        one = kept.Kept(wanted.key, engine, answer, wanted.family, wanted.vector)
        work = partial(
            kept.keep, kept=one, ttl=self.rules.ttl, max_bytes=self.rules.max_bytes
        )
        if self._call.log and self._call.setup.config.value("log_prompts"):
            return work
        self._shared.in_memory(work, opens=True)
        return None


def rules_of(config: Config, stated: Stated, flags: Stated = None) -> Rules:
    """``[cache]``, with what flags and the call say of it. Raises ``InvalidRequest``."""
    value = config.value
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
