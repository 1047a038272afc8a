"""Models of a pool for other processes: which of those that are loaded will do, and how long each
stays."""

import math
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Set
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from llmrr import engines
from llmrr.engines.base import Options
from llmrr.engines.resident.loads import Load
from llmrr.errors import UsageError
from llmrr.pool import Held, Key, Lease, Pool, Wanted, needs

PATIENCE_S: Final = 600.0  # for a model of a server to be idle for a moment


class Lending:
    """The models of a pool, lent to other processes. Safe to use from several threads.

    ``own`` are the options with which the process itself loads models. ``keeps`` where models
    leave by what was asked of each, and not by the pool's own rules; elsewhere only what was stated
    takes the place of those.
    """

    def __init__(
        self, pool: Pool, own: Mapping[str, Any] = MappingProxyType({}), *, keeps: bool = False,
        changed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._pool, self._keeps, self._changed = pool, keeps, changed
        self._stated = own
        self._lock = threading.Lock()
        self._keepalive: dict[Hashable, float | None] = {}
        self._contexts: dict[Hashable, int] = {}
        self._lent = 0

    def lease(self, load: Load) -> "Lent":
        """A model, loaded if it is not. Raises what ``Pool.lease`` does."""
        wanted = self._wanted(load)
        with self._lock:
            self._lent += 1
        try:
            lease = self._pool.lease(wanted)
        except BaseException:
            self._given_back()
            raise
        with self._lock:
            self._keepalive[wanted.key] = load.keepalive
        return Lent(lease, wanted.key, partial(self._ended, load))

    def has_room(self, load: Load) -> bool:
        """Whether a model can stay: memory is not above its threshold then."""
        wanted, use = self._wanted(load), self._pool.use()
        need = wanted.need() if wanted.need else 0
        most = self._pool.rules().threshold
        return use is None or use.used_bytes + need <= most * use.limit_bytes

    def _wanted(self, load: Load) -> Wanted:
        key = Key.of(load.files, load.engine, load.options)
        if alike := self._alike(key):
            key = alike
        else:
            key = key._replace(options=self._own(key.options))
            self._pool.unload(lambda held: [one for one in held if _is_outdated(one, key)])
        engine = next((one for one in engines.ENGINES if one.name == key.engine), None)
        if engine is None:
            raise UsageError(f'no engine "{key.engine}" runs models here')
        return Wanted(
            load.name, key, engines.Picked(engine, "it was asked for"),
            partial(engine.load, key.files, key.options),
            partial(needs.bytes_of, key.files, key.options),
        )  # fmt: skip

    def _alike(self, key: Key) -> Key | None:
        """What is loaded and will do. An idle one with less context than a conversation takes at
        once leaves: it would read all that was said anew whenever its context grows."""
        there = (one for one in self._pool.keys if isinstance(one, Key))
        found = next((one for one in there if one.is_like(key)), None)
        if found is None or found.options.at_least >= key.options.at_least:
            return found
        self._pool.unload(lambda held: [one for one in held if one.key == found])
        return found if found in self._pool.keys else None

    def _own(self, options: Options) -> Options:
        at_least = max(options.at_least, self._stated.get("at_least", 0))
        return replace(options, **{**self._stated, "at_least": at_least})

    def _ended(self, load: Load) -> None:
        if load.is_stated and not self._keeps:
            self._pool.keep(load.name, math.inf if load.keepalive is None else load.keepalive)
        self._given_back()

    def _given_back(self) -> None:
        with self._lock:
            self._lent -= 1
        self._changed()

    # -- what there is, and how long -----------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Nothing is loaded, and nobody has asked."""
        return not self._lent and not self._pool.held()

    def models(self) -> list[dict[str, Any]]:
        """The models that are loaded, and those that are ``loading``; ``until`` by ``time.time``,
        None where nothing ends it."""
        states = ((self._pool.loading(), True), (self._pool.held(), False))
        return [
            {**self._facts(one), "loading": is_loading}
            for held, is_loading in states for one in held if isinstance(one.key, Key)
        ]  # fmt: skip

    def _facts(self, held: Held) -> dict[str, Any]:
        key = held.key
        assert isinstance(key, Key)
        left = None if held.leases else self._left(held)
        opened = held.load.context if held.load else None
        context = opened or self._contexts.get(key, key.options.context_size)
        return {
            "name": held.name, "engine": key.engine, "path": str(key.files.path),
            "bytes": held.bytes or None, "context": context,
            "largest_context": held.largest_context,
            "in_use": held.leases, "until": None if left is None else time.time() + left,
        }  # fmt: skip

    def _left(self, held: Held) -> float | None:
        """Seconds until an idle model leaves; None where it stays."""
        rules = self._pool.rules()
        ends = held.expires(rules.unload_after) if rules.auto_unload else math.inf
        if self._keeps:
            stays = self._keepalive.get(held.key)
            ends = math.inf if stays is None else held.used + stays
        return None if ends == math.inf else max(0.0, ends - time.monotonic())

    def opened(self, lent: "Lent", context: int | None) -> None:
        """An answer took so many tokens of context."""
        if context is not None:
            self._contexts[lent.key] = context

    def expire(self) -> float | None:
        """Unload what nobody has used for as long as was asked; seconds until there is more to
        unload, None where there is not."""
        self._pool.unload(lambda held: [one for one in held if self._left(one) == 0])
        times = [self._left(one) for one in self._pool.held() if not one.leases]
        return min((left for left in times if left is not None), default=None)

    def unload(self, path: str) -> int:
        """Have what lies there leave once nobody uses it; how many that are."""
        found = {one.key for one in self._pool.held() if _path(one) == path}
        with self._lock:
            self._keepalive.update(dict.fromkeys(found, 0.0))
        self._drop(found)
        if not self._keeps and found & {*self._pool.keys}:
            threading.Thread(target=self._drop_later, args=(found,), daemon=True).start()
        self._changed()
        return len(found)

    def _drop(self, keys: Set[Hashable]) -> None:
        self._pool.unload(lambda held: [one for one in held if one.key in keys])

    def _drop_later(self, keys: Set[Hashable]) -> None:
        """A pool with rules of its own is not looked at for what is to leave."""
        until = time.monotonic() + PATIENCE_S
        while keys & {*self._pool.keys} and time.monotonic() < until:
            time.sleep(0.05)
            self._drop(keys)


class Lent(NamedTuple):
    """A model that is lent."""

    lease: Lease
    key: Hashable
    given_back: Callable[[], None]

    def release(self) -> None:
        """Give it back, once."""
        self.lease.release()
        self.given_back()


def _path(held: Held) -> str | None:
    return str(held.key.files.path) if isinstance(held.key, Key) else None


def _is_outdated(held: Held, key: Key) -> bool:
    """Is it the same, from files that there are no more?"""
    return isinstance(held.key, Key) and held.key._replace(stamp=key.stamp).is_like(key)
